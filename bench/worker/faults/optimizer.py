"""Faults in the optimizer: Adagrad's constants, its rule, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from bench.parity.stages import BIASES, WEIGHT_NAMES
from bench.worker.faults.network import BFLOAT16_BITS, round_to
from bench.worker.faults.slices import watch_slices

if TYPE_CHECKING:
    from bench.worker.session import Session

TABLES = ("user_embedding", "candidate_embedding")


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


class EpsilonOutside(WrittenOut):
    """Adagrad that adds epsilon to the root."""

    def root(self, accumulator: Any) -> Any:
        """Return the divisor of a step."""
        return ops.add(ops.sqrt(accumulator), self.epsilon)


class Absolute(WrittenOut):
    """Adagrad that accumulates |g|."""

    def accumulate(self, name: str, accumulator: Any, gradient: Any) -> None:
        """Add a gradient to an accumulator."""
        self.assign_add(accumulator, ops.abs(gradient))


class Decaying(WrittenOut):
    """Adagrad that forgets a thousandth of the accumulator at every step."""

    def accumulate(self, name: str, accumulator: Any, gradient: Any) -> None:
        """Add a gradient to an accumulator."""
        self.assign(accumulator, ops.multiply(accumulator, 0.999))
        super().accumulate(name, accumulator, gradient)


class Over999(WrittenOut):
    """Adagrad with gradients averaged over one example fewer."""

    def gradient(self, name: str, gradient: Any) -> Any:
        """Return the gradient of the step."""
        return ops.multiply(gradient, 1000 / 999)


class ShortGradients(WrittenOut):
    """Adagrad with gradients rounded to bfloat16."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight."""
        dense = ops.add(ops.zeros(variable.shape), gradient)  # on TensorFlow, slices become one array
        super().update_step(round_to(dense, BFLOAT16_BITS), variable, learning_rate)


class ShortTables(WrittenOut):
    """Adagrad that rounds the tables to float16's 11 significant bits after every step; values below 6e-5 keep more."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight."""
        super().update_step(gradient, variable, learning_rate)
        if WEIGHT_NAMES[self._get_variable_index(variable)] in TABLES:
            self.assign(variable, round_to(ops.convert_to_tensor(variable), 11))


def _constants(session: Session, **changed: float) -> None:
    compile_with(session, keras.optimizers.Adagrad(**{"learning_rate": session.job.learning_rate, **changed}))


def _rule(session: Session, optimizer: type[WrittenOut]) -> None:
    compile_with(session, optimizer(learning_rate=session.job.learning_rate))


def _learning_rate_higher(session: Session) -> None:
    _constants(session, learning_rate=1.001 * session.job.learning_rate)


def _learning_rate_decays(session: Session) -> None:
    rate = session.job.learning_rate
    schedule = keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=1e-2)
    compile_with(session, keras.optimizers.Adagrad(learning_rate=schedule))


def _not_updated(session: Session, names: tuple[str, ...]) -> None:
    class Frozen(WrittenOut):
        def gradient(self, name: str, gradient: Any) -> Any:
            return None if name in names else gradient

    _rule(session, Frozen)


def _squared_before_summed(session: Session) -> None:
    if session.job.backend == "tensorflow":  # TensorFlow squares them separately anyway
        return
    model = session.model
    slices = dict(zip(TABLES, map(watch_slices, (model.user_embedding, model.candidate_embedding)), strict=True))

    class Separate(WrittenOut):
        def accumulate(self, name: str, accumulator: Any, gradient: Any) -> None:
            if name not in slices:
                super().accumulate(name, accumulator, gradient)
                return
            squares = ops.square(slices[name].gradient)
            self.assign_add(accumulator, ops.segment_sum(squares, slices[name].ids, accumulator.shape[0]))

    _rule(session, Separate)


def _float16_embeddings(session: Session) -> None:
    for table in (session.model.user_embedding.embeddings, session.model.candidate_embedding.embeddings):
        table.assign(round_to(ops.convert_to_tensor(table), 11))
    _rule(session, ShortTables)


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
    "epsilon outside": partial(_rule, optimizer=EpsilonOutside),
    "learning rate": _learning_rate_higher,
    "learning rate decays": _learning_rate_decays,
    "bias not updated": partial(_not_updated, names=("bias2",)),
    "no bias updated": partial(_not_updated, names=BIASES),
    "squared before summed": _squared_before_summed,
    "accumulated |g|": partial(_rule, optimizer=Absolute),
    "decaying accumulator": partial(_rule, optimizer=Decaying),
    "mean over 999": partial(_rule, optimizer=Over999),
    "bfloat16 gradients": partial(_rule, optimizer=ShortGradients),
    "clipped together": partial(_constants, global_clipnorm=1.0),
    "clipped one by one": partial(_constants, clipnorm=1.0),
    "norm never reached": partial(_constants, global_clipnorm=1000.0),
    "accumulator from 0": partial(_constants, initial_accumulator_value=0.0),
    "accumulator from 0.11": partial(_constants, initial_accumulator_value=0.11),
    "weight decay 1e-5": partial(_constants, weight_decay=1e-5),
    "weight decay 1e-6": partial(_constants, weight_decay=1e-6),
    "weight decay 1e-12": partial(_constants, weight_decay=1e-12),
}
