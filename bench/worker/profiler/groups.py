"""The kind of work of a framework's operation (docs/profile.md has the rules as a table).

The first rule that holds decides: matrix products; operations in the optimizer's name scope; embeddings, which are the
operations that read and write rows of a table; copies, which are operations that only move data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from bench.schema.profile import Group
from bench.worker.profiler.hlo import Instruction

# XLA's opcodes (https://openxla.org/xla/operation_semantics).
HLO_PRODUCTS = {"dot", "convolution"}
HLO_ROWS = {"gather", "scatter"}
HLO_MOVES = {
    *("copy", "copy-start", "copy-done", "transpose", "reshape", "slice", "dynamic-slice", "dynamic-update-slice"),
    *("concatenate", "pad", "reverse", "broadcast"),
}
HLO_CONTROL = {"while", "call", "conditional"}  # these enclose the operations that they run

TENSORFLOW_PRODUCTS = re.compile(r"MatMul|Conv\d?D|Einsum")
TENSORFLOW_ROWS = re.compile(r"Gather|Scatter|SegmentSum")
TENSORFLOW_MOVES = {
    *("Concat", "ConcatV2", "Slice", "StridedSlice", "Split", "SplitV", "Transpose", "Reshape", "Pack", "Unpack"),
    *("Pad", "Tile", "ExpandDims", "Squeeze", "Identity", "Snapshot", "ReadVariableOp", "_MklTranspose"),
}
TENSORFLOW_INPUT = {"IteratorGetNext", "OptionalFromValue", "OptionalGetValue", "OptionalHasValue", "RangeDataset"}
TENSORFLOW_TRANSFERS = {"_Send", "_Recv", "_HostSend", "_HostRecv", "NoOp"}

TORCH_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "dot", "mv", "addmv", "convolution"}
TORCH_ROWS = re.compile(r"embedding|(?:^|[:_])index(?:_|$)|scatter|gather", re.IGNORECASE)
TORCH_MOVES = {"copy_", "_to_copy", "clone", "contiguous", "cat", "zero_", "fill_", "_foreach_copy_"}
KERNEL_PRODUCTS = re.compile(r"gemm|cutlass|cublas|nvjet|splitK", re.IGNORECASE)  # names in NVIDIA's libraries
KERNEL_MOVES = re.compile(r"memcpy|memset", re.IGNORECASE)


def in_scope(scope: str, name: str) -> bool:
    """Return whether a place in the model lies in the name scope `name`, or in a numbered one, `name_1`."""
    return re.search(rf"(^|[/(]){re.escape(name)}(_\d+)?([/)]|$)", scope) is not None


def group_of_instruction(instruction: Instruction, optimizer: str) -> Group:
    """Return the group of an instruction compiled by XLA; for a fusion, of all that it computes.

    Args:
        instruction: instruction of the compiled program.
        optimizer: name scope of the optimizer.
    """
    opcodes = instruction.opcodes - {"fusion"}
    if opcodes & HLO_PRODUCTS or _is_library_product(instruction):
        return "matrix products"
    if instruction.opcode in HLO_CONTROL:
        return "runtime"
    if any(in_scope(scope, optimizer) for scope in _own(instruction)):
        return "optimizer update"
    if opcodes & HLO_ROWS:
        return "embeddings"
    return "memory copies" if opcodes <= HLO_MOVES else "other operations"


def group_of_tensorflow(kind: str, node: str, optimizer: str) -> Group:
    """Return the group of an operation of a TensorFlow graph.

    Args:
        kind: type of the operation, such as `MatMul`.
        node: name in the graph, which begins with its name scopes.
        optimizer: name scope of the optimizer.
    """
    if kind in TENSORFLOW_INPUT:
        return "input pipeline"
    if kind in TENSORFLOW_TRANSFERS:
        return "runtime"
    if TENSORFLOW_PRODUCTS.search(kind):
        return "matrix products"
    if in_scope(node, optimizer):
        return "optimizer update"
    if TENSORFLOW_ROWS.search(kind):
        return "embeddings"
    return "memory copies" if kind in TENSORFLOW_MOVES else "other operations"


def group_of_torch(names: Sequence[str], *, in_optimizer: bool) -> Group:
    """Return the group of an operation of PyTorch.

    Args:
        names: names of the operation and of its callers, the outermost first, such as `EmbeddingBackward0`,
            `aten::embedding_dense_backward`, `aten::zero_`; or of one kernel, as Inductor or a library names it.
        in_optimizer: whether it ran within the optimizer's call.
    """
    *_, name = names
    if (kernel := fused_in(name)) is not None:
        return _group_of_kernel(kernel)
    bare = name.removeprefix("aten::")
    if bare in TORCH_PRODUCTS or KERNEL_PRODUCTS.search(name):
        return "matrix products"
    if in_optimizer:
        return "optimizer update"
    if any(TORCH_ROWS.search(each) for each in names):
        return "embeddings"
    if bare in TORCH_MOVES or KERNEL_MOVES.search(name):
        return "memory copies"
    return "other operations"


def fused_in(name: str) -> str | None:
    """Return an Inductor kernel's operations: `add_relu` of `graph_0_cpp_fused_add_relu_1`; None for other kernels."""
    found = re.search(r"(?:cpp|triton_\w+?)_fused_(.*?)(?:_\d+)?$", name)
    return None if found is None else found[1]


def _own(instruction: Instruction) -> Iterable[str]:
    """Return the scopes of an instruction: its result's, else those of all that it computes."""
    return [instruction.scope] if instruction.scope else instruction.scopes


def _is_library_product(instruction: Instruction) -> bool:
    # On a GPU a product is a call of cuBLAS, which keeps the scope of the `dot` that it replaced.
    return instruction.opcode == "custom-call" and _ends_in(instruction.scope, ("dot_general", "MatMul", "matmul"))


def _ends_in(scope: str, names: Collection[str]) -> bool:
    return scope.rpartition("/")[2].rstrip("_0123456789") in names


def _group_of_kernel(fused: str) -> Group:
    # A kernel's name lists the operations in it and no scope. Of the operations of a training step only optimizers
    # use lists of tensors (`_foreach_`), and of this model's loops only Adagrad's update takes a square root.
    if "_foreach_" in fused or "sqrt" in fused:
        return "optimizer update"
    return "embeddings" if TORCH_ROWS.search(fused) else "other operations"
