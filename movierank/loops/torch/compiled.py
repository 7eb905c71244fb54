"""One training step on PyTorch: traced once into a graph of tensor operations, compiled, run without Python in it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.proxy_tensor import make_fx

WARM_UP_RUNS = 3  # before a capture, as PyTorch's notes on CUDA graphs recommend


class CompiledStep:
    """A step over `state`, which it changes in place, and the arrays of one batch.

    On a GPU the step is captured in a CUDA graph, so that it costs one launch, unless it returns to the host.

    Args:
        step: function that takes the tensors of `state` and then those of a batch, changes `state` in place and returns
            nothing.
        state: tensors that keep their place in memory.
        batch: an example; every later batch has the same shapes and dtypes.
        compiled: whether to compile; otherwise the traced graph runs operation by operation, which is better for a
            shape that comes once an epoch.

    Attributes:
        state: the tensors.
        compiled: whether the step is compiled, and does not run operation by operation.
    """

    def __init__(
        self, step: Callable[..., None], state: Sequence[Tensor], batch: Sequence[Tensor], *, compiled: bool = True
    ) -> None:
        self.state = list(state)
        with torch.no_grad():
            # The tensors are fake, because tracing must not train.
            traced = make_fx(step, tracing_mode="fake")(*state, *batch)
            traced.graph.eliminate_dead_code()
            traced.recompile()
            self._run: Callable[..., object] = traced
            if compiled and compiler() == "inductor":
                # torch.compile would check its guards on every tensor at each call, but this graph is traced already.
                # Inductor cannot compile a shape that depends on values, as in some metrics; the graph can run it.
                with contextlib.suppress(DataDependentOutputException, DynamicOutputShapeException):
                    self._run = torch._inductor.compile(self._run, [*state, *batch])
            self.compiled = self._run is not traced
            self._may_be_captured = self.state[0].is_cuda and not _comes_back(traced.graph)
        self._addresses = [tensor.data_ptr() for tensor in self.state]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._runs = 0

    def serves(self, state: Sequence[Tensor]) -> bool:
        """Return whether these tensors are still at the same addresses."""
        return [tensor.data_ptr() for tensor in state] == self._addresses

    def __call__(self, batch: Sequence[Tensor]) -> None:
        """Make one step."""
        with torch.no_grad():
            if self._graph is not None:
                torch._foreach_copy_(self._inputs, list(batch))
                self._graph.replay()
                return
            self._run(*self.state, *batch)
            self._runs += 1
            if self._runs == WARM_UP_RUNS and self._may_be_captured:
                self._capture(batch)

    def _capture(self, batch: Sequence[Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in batch]
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph):
                self._run(*self.state, *self._inputs)
        except RuntimeError:
            # An operation returned to the host. A capture that fails at its end leaves PyTorch on its own stream.
            torch.cuda.set_stream(stream)
            torch.cuda.synchronize()
            self._inputs = []
            return
        self._graph = graph


def _comes_back(graph: torch.fx.Graph) -> bool:
    """Return whether a step reads a value on the host, as all operations of `movierank.loops.torch.traceable` do."""
    return any(getattr(node.target, "namespace", None) == "movierank" for node in graph.nodes)


@functools.cache
def compiler() -> str:
    """Return `inductor`, or `eager` where it lacks a compiler or TORCH_COMPILE_DISABLE is set."""
    if torch._dynamo.config.disable:
        return "eager"
    if torch.cuda.is_available():
        from torch.utils._triton import has_triton

        return "inductor" if has_triton() else "eager"
    # This is private and has no public form: the C++ compiler that Inductor would call. It raises where there is none.
    from torch._inductor import cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception:
        return "eager"
    return "inductor"
