"""Read protocol buffers from their wire format, without the messages' definitions.

A profiler writes its trace in messages whose Python classes only TensorFlow ships, and a worker of another backend
cannot import it. The format is documented at https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

Value = int | memoryview
EMPTY = memoryview(b"")  # default of a text or message that was not written


def fields(data: bytes | memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and value of every field of one message, in the order in which they were written.

    The value of a varint field is an unsigned integer. Other values are bytes: text, a message, or a number of fixed
    width in little-endian order.

    Raises:
        ValueError: the bytes are not a message, or not a whole one.
    """
    view, place = memoryview(data), 0
    while place < len(view):
        key, place = _varint(view, place)
        kind = key & 7
        if kind == VARINT:
            number, place = _varint(view, place)
            yield key >> 3, number
            continue
        if kind == LENGTH:
            length, place = _varint(view, place)
        elif kind in FIXED_BYTES:
            length = FIXED_BYTES[kind]
        else:
            raise ValueError(f"a protocol buffer has no fields of type {kind}")
        if place + length > len(view):
            raise ValueError("a protocol buffer ends in the middle of a field")
        yield key >> 3, view[place : place + length]
        place += length


def grouped(data: bytes | memoryview) -> dict[int, list[Value]]:
    """Return the values of every field of one message by the field's number.

    Raises:
        ValueError: the bytes are not a message, or not a whole one.
    """
    found: dict[int, list[Value]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def text(value: Value) -> str:
    """Return the text in a field."""
    return bytes(_bytes(value)).decode(errors="replace")


def message(value: Value) -> memoryview:
    """Return the message in a field, for `fields` to read.

    Raises:
        ValueError: the field holds a number.
    """
    return _bytes(value)


def signed(value: Value) -> int:
    """Return the signed number in a field (int32 and int64, two's complement in 64 bits)."""
    number = integer(value)
    return number - (1 << 64) if number >> 63 else number


def integer(value: Value) -> int:
    """Return the number in a field.

    Raises:
        ValueError: the field holds bytes.
    """
    if not isinstance(value, int):
        raise ValueError("a protocol buffer holds bytes where a number was expected")
    return value


def packed(data: memoryview) -> Iterator[int]:
    """Yield the numbers of a packed field, which are varints one after the other, without keys."""
    place = 0
    while place < len(data):
        number, place = _varint(data, place)
        yield number


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a protocol buffer holds a number where bytes were expected")
    return value


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(view):
        byte = view[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    raise ValueError("a protocol buffer ends in the middle of a number")
