"""The instructions of a program compiled by XLA: what each computes and which code it comes from.

XLA names a fusion after some of its operations (`multiply_add_fusion.6`), and the name does not show the part of the
model. The program that a profiler stores beside its events holds the fused operations and the name scopes that they
come from. Field numbers are those of xla/service/hlo.proto and xla/xla_data.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.worker.profiler.wire import EMPTY, grouped, integer, message, packed, text

# HloProto, HloModuleProto, HloComputationProto, HloInstructionProto, OpMetadata
PROTO_MODULE = 1
MODULE_COMPUTATIONS = 3
COMPUTATION_INSTRUCTIONS, COMPUTATION_ID = 2, 5
INSTRUCTION_NAME, INSTRUCTION_OPCODE, INSTRUCTION_METADATA, INSTRUCTION_CALLS = 1, 2, 7, 38
METADATA_OP_NAME = 2

FREE = {"parameter", "constant", "bitcast", "tuple", "get-tuple-element"}  # these name a value and compute none


@dataclass(frozen=True)
class Instruction:
    """One instruction of a compiled program.

    Attributes:
        opcode: opcode of XLA, such as `fusion` or `dot`.
        scope: name scope of the operation that it was compiled from, such as `jit(train_step)/adagrad/sub`; for a
            fusion the scope of its result; empty where the compiler added the instruction.
        opcodes: opcodes of all that it computes, called computations included.
        scopes: name scopes of all that it computes, called computations included.
    """

    opcode: str
    scope: str
    opcodes: frozenset[str]
    scopes: frozenset[str]


@dataclass(frozen=True)
class _Raw:
    name: str
    opcode: str
    scope: str
    calls: tuple[int, ...]


def instructions(proto: bytes | memoryview) -> dict[str, Instruction]:
    """Return the instructions of an `HloProto` by name, which is unique in a program.

    Raises:
        ValueError: the bytes are not such a message.
    """
    modules = grouped(proto).get(PROTO_MODULE, [])
    parts = [part for module in modules for part in grouped(message(module)).get(MODULE_COMPUTATIONS, [])]
    computations = dict(_computation(message(part)) for part in parts)
    found = {}
    for body in computations.values():
        for raw in body:
            inside = [raw, *_called(raw, computations)] if raw.opcode == "fusion" else [raw]
            found[raw.name] = Instruction(
                opcode=raw.opcode,
                scope=raw.scope,
                opcodes=frozenset(each.opcode for each in inside) - FREE,
                scopes=frozenset(each.scope for each in inside if each.scope and each.opcode not in FREE),
            )
    return found


def _called(raw: _Raw, computations: dict[int, list[_Raw]]) -> Iterable[_Raw]:
    for identity in raw.calls:
        for inner in computations.get(identity, []):
            yield inner
            yield from _called(inner, computations)


def _computation(data: memoryview) -> tuple[int, list[_Raw]]:
    parts = grouped(data)
    body = [_instruction(message(value)) for value in parts.get(COMPUTATION_INSTRUCTIONS, [])]
    return integer(parts.get(COMPUTATION_ID, [0])[-1]), body


def _instruction(data: memoryview) -> _Raw:
    parts = grouped(data)
    name, opcode = (text(parts.get(number, [EMPTY])[-1]) for number in (INSTRUCTION_NAME, INSTRUCTION_OPCODE))
    metadata = grouped(message(parts.get(INSTRUCTION_METADATA, [EMPTY])[-1]))
    scope = text(metadata.get(METADATA_OP_NAME, [EMPTY])[0])
    calls = [
        number
        for value in parts.get(INSTRUCTION_CALLS, [])
        for number in ([value] if isinstance(value, int) else packed(value))
    ]
    return _Raw(name, opcode, scope, tuple(calls))
