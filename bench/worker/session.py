"""What a worker does with its framework: build, train, warm up, time rounds."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.errors import UnavailableError
from bench.parity.stages import Values
from bench.schema.cell import bare_loop
from bench.schema.messages import Job, Rounded, Steady, Trained
from bench.statistics.steady import MOST_ROUNDS, is_steady
from bench.worker.frameworks import adapter_for
from bench.worker.limits import Limits, measure_limits
from bench.worker.round_plan import RoundPlan, plan_round
from bench.worker.stage_recorder import record_early_stages
from bench.worker.timed_fit import TimedFit, timed_fit
from bench.worker.workload import Course
from bench.worker.workloads.ranking import permuted_copy
from movierank import training
from movierank.data.ratings import Ratings
from movierank.data.splits import Split
from movierank.loops import fused, native, parse_loop
from movierank.step_cost import layer_shapes, state_bytes, table_rows


class NotFiniteError(ArithmeticError):
    """Training left numbers that are not finite."""


class Session:
    """A model on its backend, ready to be trained and timed.

    Args:
        job: what the supervisor asked for.
        split: train and test part.
        build: returns the model, compiled and with its initial weights.

    Raises:
        UnavailableError: the loop cannot train this model in this arithmetic.
    """

    metric = "rmse"  # that training and test are told by, as Keras's logs name it
    has_floor = True  # whether it is known what a step must do (`bench.report.floors`)

    def __init__(self, job: Job, split: Split, build: Callable[[], keras.Model]) -> None:
        self.job = job
        self.split = split
        self.adapter = adapter_for(job.backend)
        self.loop = bare_loop(job.loop)
        started = time.perf_counter()
        self.model = build()
        if job.fault is not None:
            from bench.worker import faults

            faults.plant(job.fault, self)
        self.initial_state = training.TrainingState.of(self.model) if job.trains else None
        self.build_s = time.perf_counter() - started
        self.first_step_s = self._first_step()
        self.plan: RoundPlan | None = None

    @property
    def compile_mode(self) -> str:
        """What has compiled the first step; for `fit`, what `jit_compile="auto"` is on this backend and device."""
        if (module := self._loop_module) is not None:
            return str(module.compile_mode(self.model))
        if self.model.jit_compile:
            return "xla" if self.job.backend != "torch" else "inductor"
        return "graph" if self.job.backend == "tensorflow" else "eager"

    @property
    def _loop_module(self) -> ModuleType | None:
        """What drives the training where it is not Keras's own `fit`."""
        kind, _ = parse_loop(self.loop)
        return None if kind == "fit" else (fused if kind == "fused" else native).module_for(self.job.backend)

    def train(self, copy: int | None = None) -> Trained:
        """Trains from the initial weights, evaluates, and leaves the test predictions of every stage in a file.

        Args:
            copy: as in `bench.schema.messages.Train`.

        Raises:
            NotFiniteError: a loss or a prediction is not finite.
            RuntimeError: the job said that there would be no training.
        """
        if self.initial_state is None:
            raise RuntimeError("a training was asked for of a job that does not train")
        course = self._course(self.initial_state, copy)
        course.first_step.restore(self.model)  # the first step has moved the weights
        stages: Values = {"forward": self._predict_stored()}
        if self.job.early_stages:
            with self._telling_divergence():
                stages |= course.record(self._record_early_stages)
        course.later.restore(self.model)
        scores: list[float] = []
        seconds = 0.0
        started = time.perf_counter()

        def at_epoch_end(epoch: int, logs: training.Logs) -> None:
            nonlocal seconds, started
            self.adapter.synchronise()
            seconds += time.perf_counter() - started
            if not math.isfinite(logs["loss"]):
                raise NotFiniteError(f"the loss is {logs['loss']} after epoch {epoch}; try a lower learning rate")
            scores.append(logs[self.metric])
            stages[f"epoch {epoch}"] = self._predict_stored()
            self._look_after_epoch()
            started = time.perf_counter()

        with self._telling_divergence():
            training.train(
                self.model,
                course.train.features,
                course.train.label,
                batch_size=self.job.batch_size,
                epochs=self.job.epochs,
                on_epoch=at_epoch_end,
                loop=self.loop,
            )
        started = time.perf_counter()
        test = self._evaluate()
        evaluated = time.perf_counter()
        predictions = self._predict(self.split.test.features)
        predicted = time.perf_counter()
        if not np.isfinite(predictions).all():
            raise NotFiniteError("predictions are not finite after the last epoch; try a lower learning rate")
        np.savez(Path(self.job.predictions), **stages, **self._scores(scores, test))  # type: ignore[arg-type]  # numpy types the keywords too narrowly
        return Trained(
            train_s=seconds,
            evaluate_s=evaluated - started,
            predict_s=predicted - evaluated,
            **self._told(scores, test),
        )

    def warm_up(self) -> Steady:
        """Fixes the size of a round and runs rounds until their step times have settled."""
        self.plan = self._plan_round()
        step_times: list[float] = []
        while not is_steady(step_times) and len(step_times) < MOST_ROUNDS:
            step_times.append(self.measure_round().step_time_ms)
        return Steady(warmup_ms=step_times, steady=is_steady(step_times), steps_per_round=self.plan.steps)

    def measure_round(self, slowdown: float = 0.0) -> Rounded:
        """Times one round, prolonged by the share `slowdown`."""
        if self.plan is None:
            raise RuntimeError("a round was asked for before the warm-up")
        timed = self._timed(self.plan.ratings, epochs=self.plan.epochs, slowdown=slowdown)
        return Rounded(step_time_ms=1e3 * timed.epochs_s / self.plan.steps, fit_setup_ms=1e3 * timed.setup_s)

    def measure_limits(self) -> Limits:
        """Measures what this device can do at best, at the sizes of this model and in its arithmetic."""
        width = self.job.embedding_dimension
        rows = table_rows(self.loop, self.model.num_users + self.model.num_candidates, self.touched_rows())
        return measure_limits(
            self.adapter,
            batch_size=self.job.batch_size,
            layers=layer_shapes(width),
            dtype=keras.config.dtype_policy().compute_dtype,
            touched_bytes=state_bytes(width, rows),
            on_gpu=self.job.device != "cpu",
        )

    def told_limits(self) -> dict[str, float | None]:
        """Returns the same as a report's run has it, with how many rows a batch uses."""
        return {**asdict(self.measure_limits()), "touched_rows": self.touched_rows()}

    def touched_rows(self) -> float:
        """Returns how many rows of both tables a batch of a round uses, the mean over its first hundred batches."""
        size = self.job.batch_size
        ids = self.split.train.take(slice(0, size * min(100, len(self.split.train) // size))).features.values()
        return sum(float(np.mean([np.unique(batch).size for batch in column.reshape(-1, size)])) for column in ids)

    def _course(self, initial: training.TrainingState, copy: int | None) -> Course:
        """Returns what a training starts from and is given; `copy` as in `bench.schema.messages.Train`."""
        if copy is None:
            return Course(initial, initial, self.split.train)
        return permuted_copy(initial, self.split.train, self.job.batch_size, self.job.seed, copy)

    def _evaluate(self) -> float:
        """Returns the metric of the test part."""
        test = self.split.test
        logs = training.evaluate_logs(self.model, test.features, test.label, batch_size=self.job.batch_size)
        return float(logs[self.metric])

    def _look_after_epoch(self) -> None:
        """Does what a workload asks for between two epochs, untimed; of the built-in one predictions tell all."""

    def _scores(self, train: Sequence[float], test: float) -> Values:
        """Returns what the stages hold of the metric; of the built-in workload's it follows from predictions."""
        return {}

    def _told(self, train: list[float], test: float) -> dict[str, Any]:
        """Returns the metric after each epoch and of the test part, as a report's run calls them."""
        return {"train_rmse": train, "test_rmse": test}

    def _predict(self, features: Any) -> npt.NDArray[np.floating[Any]]:
        return training.predict(self.model, features, batch_size=self.job.batch_size)

    def _record_early_stages(self, initial: training.TrainingState, train: Ratings) -> Values:
        adapter = self._loop_module or self.adapter
        return record_early_stages(self.model, initial, train, self.job.batch_size, adapter, self.loop)

    def _first_step(self) -> float:
        batch = self.split.train.take(slice(0, self.job.batch_size))
        started = time.perf_counter()
        try:
            training.train(
                self.model, batch.features, batch.label, batch_size=self.job.batch_size, epochs=1, loop=self.loop
            )
        except ValueError as error:
            if self.loop == "fit":
                raise
            raise UnavailableError(str(error)) from error
        self.adapter.synchronise()
        return time.perf_counter() - started

    @contextlib.contextmanager
    def _telling_divergence(self) -> Iterator[None]:
        """Tells an error that comes of weights which are no longer finite as what it is."""
        try:
            yield
        except Exception as error:
            # Keras's sparse path on TensorFlow fails with an index error where JAX and PyTorch go on with NaN.
            if isinstance(error, NotFiniteError) or self._weights_are_finite():
                raise
            raise NotFiniteError("the weights are no longer finite; try a lower learning rate") from error

    def _weights_are_finite(self) -> bool:
        return all(np.isfinite(array).all() for array in training.TrainingState.of(self.model).weights)

    def _predict_stored(self) -> npt.NDArray[np.floating[Any]]:
        return self._predict(self.split.test.take(slice(0, self.job.stored_predictions)).features)

    def _plan_round(self) -> RoundPlan:
        return plan_round(
            self.split.train,
            self.job.batch_size,
            self.job.round_s,
            lambda ratings: self._timed(ratings, epochs=1).epochs_s,
        )

    def _timed(self, ratings: Ratings, *, epochs: int, slowdown: float = 0.0) -> TimedFit:
        return timed_fit(
            self.model,
            ratings,
            batch_size=self.job.batch_size,
            epochs=epochs,
            synchronise=self.adapter.synchronise,
            slowdown=slowdown,
            loop=self.loop,
        )
