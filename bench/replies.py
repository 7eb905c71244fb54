"""What a worker's answers add to its run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from bench.protocol import Ready, Reply, Rounded, Steady, Stopped, Trained
from bench.report import Run


def with_reply(run: Run, reply: Reply) -> Run:
    """Returns `run` with what a worker's answer adds to it.

    Args:
        run: so far.
        reply: an answer of its worker, not `Failed` or `Unavailable`.
    """
    match reply:
        case Ready():
            return replace(run, **_fields(reply))
        case Trained() | Steady():
            return replace(run, **_fields(reply))
        case Rounded():
            return replace(
                run,
                step_time_ms=[*run.step_time_ms, reply.step_time_ms],
                fit_setup_ms=[*run.fit_setup_ms, reply.fit_setup_ms],
            )
        case Stopped():
            return replace(run, **_fields(reply), status="ok", error=None)
        case _:
            raise TypeError(f"{type(reply).__name__} adds nothing to a run")


def _fields(reply: Reply) -> Mapping[str, object]:
    return {name: getattr(reply, name) for name in reply.__struct_fields__}
