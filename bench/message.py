"""What the messages between the supervisor and a worker have in common (`bench.protocol`)."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base of all messages; `type` in the JSON is the class's name."""
