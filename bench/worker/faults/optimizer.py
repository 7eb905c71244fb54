"""Faults in the optimizer: Adagrad's constants, its rule, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from bench.parity.stages import BIASES, WEIGHT_NAMES
from bench.worker.faults.network import BFLOAT16_BITS, TABLES, round_to
from bench.worker.faults.slices import watch_slices

if TYPE_CHECKING:
    from bench.worker.session import Session

FLOAT16_BITS = 11  # significant bits; float16 values below 6e-5 have fewer


class WrittenOut(keras.optimizers.Adagrad):  # type: ignore[misc]  # Keras ships no types
    """Adagrad in replaceable parts; unchanged, it equals Keras's."""

    def gradient(self, name: str, gradient: Any) -> Any:
        """Return the gradient of the step; None leaves the weight as it is."""
        return gradient

    def accumulate(self, name: str, accumulator: Any, gradient: Any) -> None:
        """Add a gradient to an accumulator."""
        self.assign_add(accumulator, ops.square(gradient))

    def root(self, accumulator: Any) -> Any:
        """Return the divisor of a step."""
        return ops.sqrt(ops.add(accumulator, self.epsilon))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight."""
        index = self._get_variable_index(variable)
        name, accumulator = WEIGHT_NAMES[index], self._accumulators[index]
        gradient = self.gradient(name, gradient)
        if gradient is None:
            return
        self.accumulate(name, accumulator, gradient)
        move = ops.multiply(ops.cast(learning_rate, variable.dtype), gradient)
        self.assign_sub(variable, ops.divide(move, self.root(accumulator)))


def _constants(session: Session, **changed: float) -> None:
    compile_with(session, keras.optimizers.Adagrad(**{"learning_rate": session.job.learning_rate, **changed}))


def _rule(session: Session, **methods: Callable[..., Any]) -> None:
    """Train with `WrittenOut`, some methods of which are replaced."""
    compile_with(session, type("Changed", (WrittenOut,), methods)(learning_rate=session.job.learning_rate))


def _decaying(self: WrittenOut, name: str, accumulator: Any, gradient: Any) -> None:
    self.assign(accumulator, ops.multiply(accumulator, 0.999))
    WrittenOut.accumulate(self, name, accumulator, gradient)


def _short_gradients(self: WrittenOut, gradient: Any, variable: Any, learning_rate: Any) -> None:
    dense = ops.add(ops.zeros(variable.shape), gradient)  # on TensorFlow, slices become one array
    WrittenOut.update_step(self, round_to(dense, BFLOAT16_BITS), variable, learning_rate)


def _short_tables(self: WrittenOut, gradient: Any, variable: Any, learning_rate: Any) -> None:
    WrittenOut.update_step(self, gradient, variable, learning_rate)
    if WEIGHT_NAMES[self._get_variable_index(variable)] in TABLES:
        self.assign(variable, round_to(ops.convert_to_tensor(variable), FLOAT16_BITS))


def _learning_rate_decays(session: Session) -> None:
    rate = session.job.learning_rate
    schedule = keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=1e-2)
    compile_with(session, keras.optimizers.Adagrad(learning_rate=schedule))


def _not_updated(session: Session, names: Collection[str]) -> None:
    _rule(session, gradient=lambda self, name, gradient: None if name in names else gradient)


def _squared_before_summed(session: Session) -> None:
    if session.job.backend == "tensorflow":  # TensorFlow squares them separately anyway
        return
    model = session.model
    slices = dict(zip(TABLES, map(watch_slices, (model.user_embedding, model.candidate_embedding)), strict=True))

    def accumulate(self: WrittenOut, name: str, accumulator: Any, gradient: Any) -> None:
        if name not in slices:
            WrittenOut.accumulate(self, name, accumulator, gradient)
            return
        squares = ops.square(slices[name].gradient)
        self.assign_add(accumulator, ops.segment_sum(squares, slices[name].ids, accumulator.shape[0]))

    _rule(session, accumulate=accumulate)


def _float16_embeddings(session: Session) -> None:
    for table in (session.model.user_embedding.embeddings, session.model.candidate_embedding.embeddings):
        table.assign(round_to(ops.convert_to_tensor(table), FLOAT16_BITS))
    _rule(session, update_step=_short_tables)


def compile_with(
    session: Session,
    optimizer: keras.Optimizer | None = None,
    *,
    loss: keras.Loss | None = None,
    metric: keras.Metric | None = None,
) -> None:
    """Compile again as `movierank.training.compile_model` does, with the given parts in place of its own."""
    model = session.model
    model.compile(
        loss=loss or keras.losses.MeanSquaredError(),
        metrics=[metric or keras.metrics.RootMeanSquaredError(name="rmse")],
        optimizer=optimizer or keras.optimizers.Adagrad(learning_rate=session.job.learning_rate),
    )
    model.optimizer.build(model.trainable_variables)


OPTIMIZER_FAULTS: dict[str, Callable[[Session], None]] = {
    "float16 embeddings": _float16_embeddings,
    "epsilon 1e-8": partial(_constants, epsilon=1e-8),
    "epsilon outside": partial(_rule, root=lambda self, accumulator: ops.add(ops.sqrt(accumulator), self.epsilon)),
    "learning rate": lambda session: _constants(session, learning_rate=1.001 * session.job.learning_rate),
    "learning rate decays": _learning_rate_decays,
    "bias not updated": partial(_not_updated, names=("bias2",)),
    "no bias updated": partial(_not_updated, names=BIASES),
    "squared before summed": _squared_before_summed,
    "accumulated |g|": partial(
        _rule, accumulate=lambda self, name, accumulator, gradient: self.assign_add(accumulator, ops.abs(gradient))
    ),
    "decaying accumulator": partial(_rule, accumulate=_decaying),
    "mean over 999": partial(_rule, gradient=lambda self, name, gradient: ops.multiply(gradient, 1000 / 999)),
    "bfloat16 gradients": partial(_rule, update_step=_short_gradients),
    "clipped together": partial(_constants, global_clipnorm=1.0),
    "clipped one by one": partial(_constants, clipnorm=1.0),
    "norm never reached": partial(_constants, global_clipnorm=1000.0),
    "accumulator from 0": partial(_constants, initial_accumulator_value=0.0),
    "accumulator from 0.11": partial(_constants, initial_accumulator_value=0.11),
    "weight decay 1e-5": partial(_constants, weight_decay=1e-5),
    "weight decay 1e-6": partial(_constants, weight_decay=1e-6),
    "weight decay 1e-12": partial(_constants, weight_decay=1e-12),
}
