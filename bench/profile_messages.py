"""What the supervisor and a worker say to each other about a profile (`bench.protocol`)."""

from __future__ import annotations

from bench.message import Message
from bench.profile_records import Profile


class TakeProfile(Message, frozen=True, kw_only=True):
    """Trace some more steps, which are not timed (`bench.profiling`).

    Attributes:
        trace: file (.json.gz) in which to leave the trace.
        file: where the report will have it, as in `bench.profile_records.Profile`.
    """

    trace: str
    file: str


class Profiled(Message, frozen=True, kw_only=True):
    """The trace lies where it was asked for."""

    profile: Profile
