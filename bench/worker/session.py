"""The work of a worker with its framework: build, train, warm up, time rounds."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
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
from bench.worker.limits import measure_limits
from bench.worker.round_plan import RoundPlan, plan_round
from bench.worker.timed_fit import TimedFit, timed_fit
from bench.worker.workload import Course, Examples, Trainable, predict
from movierank import training
from movierank.data.ratings import Ratings
from movierank.loops import fused, native, parse_loop


class NotFiniteError(ArithmeticError):
    """Training left numbers that are not finite."""


class Session:
    """A workload on its backend; once started, its model can be trained and timed.

    Args:
        job: job from the supervisor.
        workload: workload to train.

    Attributes:
        split: train and test part of the workload, which a fault may change.
        model: model in training; exists once the session has started.
        initial_state: state of the model before its first step; None where the job does not train.
        build_s: seconds that building the model took.
        first_step_s: seconds that the first step took, compilation included.
        plan: size of a round; None before the warm-up.
    """

    model: keras.Model
    initial_state: training.TrainingState | None
    build_s: float
    first_step_s: float

    def __init__(self, job: Job, workload: Trainable) -> None:
        self.job = job
        self.workload = workload
        self.split: Any = workload.split  # of `Ratings` for the ranking model, of `Examples` for a custom workload
        self.adapter = adapter_for(job.backend)
        self.loop = bare_loop(job.loop)
        self.plan: RoundPlan | None = None

    def start(self, plant: Callable[[Session], None] | None = None) -> None:
        """Build the model and train its first step.

        Args:
            plant: function that changes the session before the first step, to plant a fault.

        Raises:
            UnavailableError: the loop cannot train this model in this arithmetic.
            WorkloadError: the custom workload's model cannot be built, or is not the one that was described.
        """
        started = time.perf_counter()
        self.model = self.workload.build()
        if plant is not None:
            plant(self)
        self.initial_state = training.TrainingState.of(self.model) if self.job.trains else None
        self.build_s = time.perf_counter() - started
        batch = self.split.train.take(slice(0, self.job.batch_size))
        started = time.perf_counter()
        try:
            self.fit(batch, epochs=1)
        except ValueError as error:
            if self.loop == "fit":
                raise
            raise UnavailableError(str(error)) from error
        self.adapter.synchronise()
        self.first_step_s = time.perf_counter() - started

    @property
    def compile_mode(self) -> str:
        """The compiler of the first step; for `fit`, what `jit_compile="auto"` means on this backend and device."""
        if (module := self._loop_module) is not None:
            return str(module.compile_mode(self.model))
        if self.model.jit_compile:
            return "xla" if self.job.backend != "torch" else "inductor"
        return "graph" if self.job.backend == "tensorflow" else "eager"

    @property
    def _loop_module(self) -> ModuleType | None:
        """The module that drives the training where Keras's own `fit` does not."""
        kind, _ = parse_loop(self.loop)
        return None if kind == "fit" else (fused if kind == "fused" else native).module_for(self.job.backend)

    def train(self, copy: int | None = None) -> Trained:
        """Train from the initial weights, evaluate, and write the test predictions of every stage to a file.

        Args:
            copy: as in `bench.schema.messages.Train`.

        Raises:
            NotFiniteError: a loss or a prediction is not finite.
            RuntimeError: the job does not train.
        """
        if (initial := self.initial_state) is None:
            raise RuntimeError("this job does not train, so that no copy of the initial weights was kept")
        train = self.split.train
        course = Course(initial, initial, train) if copy is None else self.workload.copy(initial, train, copy)
        course.first_step.restore(self.model)  # the first step has moved the weights
        stages: Values = {"forward": self._predict_stored()}
        if self.job.early_stages:
            with self._reporting_divergence():
                stages |= course.record(self._record)
        course.later.restore(self.model)
        train_metric: list[float] = []
        test_by_epoch: list[float | None] = []
        seconds = 0.0
        started = time.perf_counter()

        def at_epoch_end(epoch: int, logs: training.Logs) -> None:
            nonlocal seconds, started
            self.adapter.synchronise()
            seconds += time.perf_counter() - started
            if not math.isfinite(logs["loss"]):
                raise NotFiniteError(f"the loss is {logs['loss']} after epoch {epoch}; try a lower learning rate")
            train_metric.append(logs[self.workload.metric])
            stages[f"epoch {epoch}"] = self._predict_stored()
            if self.workload.tests_epochs:
                score = self._evaluate()
                test_by_epoch.append(score if math.isfinite(score) else None)
            started = time.perf_counter()

        with self._reporting_divergence():
            self.fit(course.train, epochs=self.job.epochs, on_epoch=at_epoch_end)
        started = time.perf_counter()
        test_metric = self._evaluate()
        evaluated = time.perf_counter()
        predictions = predict(self.model, self.split.test.features, self.job.batch_size)
        predicted = time.perf_counter()
        if not np.isfinite(predictions).all():
            raise NotFiniteError("predictions are not finite after the last epoch; try a lower learning rate")
        if self.workload.stores_metric:
            stages |= {
                f"training {self.workload.metric}": np.array(train_metric),
                f"test {self.workload.metric}": np.array([test_metric]),
            }
        np.savez(Path(self.job.predictions), **stages)  # type: ignore[arg-type]  # numpy types the keywords too narrowly
        metrics: dict[str, Any] = dict(zip(self.workload.fields, (train_metric, test_metric), strict=True))
        return Trained(
            train_s=seconds,
            evaluate_s=evaluated - started,
            predict_s=predicted - evaluated,
            test_metric_by_epoch=test_by_epoch,
            **metrics,
        )

    def fit(self, examples: Ratings | Examples, **options: Any) -> None:
        """Train on some examples; options as for `movierank.training.train`."""
        batch_size = self.job.batch_size
        training.train(self.model, examples.features, examples.label, batch_size=batch_size, loop=self.loop, **options)

    def warm_up(self) -> Steady:
        """Choose the size of a round and run rounds until their step times have settled."""
        self.plan = plan_round(
            self.split.train,
            self.job.batch_size,
            self.job.round_s,
            lambda examples: self._timed(examples, epochs=1).epochs_s,
        )
        step_times: list[float] = []
        while not is_steady(step_times) and len(step_times) < MOST_ROUNDS:
            step_times.append(self.measure_round().step_time_ms)
        return Steady(warmup_ms=step_times, steady=is_steady(step_times), steps_per_round=self.plan.steps)

    def measure_round(self, slowdown: float = 0.0) -> Rounded:
        """Time one round, prolonged by the share `slowdown`.

        Raises:
            RuntimeError: there was no warm-up.
        """
        if self.plan is None:
            raise RuntimeError("a round was requested before the warm-up")
        timed = self._timed(self.plan.examples, epochs=self.plan.epochs, slowdown=slowdown)
        return Rounded(step_time_ms=1e3 * timed.epochs_s / self.plan.steps, fit_setup_ms=1e3 * timed.setup_s)

    def measure_limits(self) -> dict[str, float | None]:
        """Measure the best rates of this device at the sizes of this model and in its arithmetic.

        Returns:
            Fields of `bench.schema.messages.Stopped`; none where it is unknown what a step must do.
        """
        if self.workload.step_size is None:
            return {}
        size = self.workload.step_size(self.model, self.split.train)
        limits = measure_limits(
            self.adapter,
            batch_size=self.job.batch_size,
            layers=size.layers,
            dtype=keras.config.dtype_policy().compute_dtype,
            touched_bytes=size.touched_bytes,
            on_gpu=self.job.device != "cpu",
        )
        if self.model.steps_per_execution > 1:  # several steps share a launch, and Keras does not report how many
            limits["launch_us"] = None
        return {**limits, "touched_rows": size.touched_rows}

    def _record(self, initial: training.TrainingState, train: Ratings | Examples) -> Values:
        adapter = self._loop_module or self.adapter
        values = self.workload.record(self.model, initial, train, self.job.batch_size, adapter, self.loop)
        if self.job.precision == "float64":
            return values
        return {stage: np.asarray(array, np.float32) for stage, array in values.items()}

    def _evaluate(self) -> float:
        """Return the metric of the test part."""
        test = self.split.test
        logs = training.evaluate_logs(self.model, test.features, test.label, batch_size=self.job.batch_size)
        return float(logs[self.workload.metric])

    @contextlib.contextmanager
    def _reporting_divergence(self) -> Iterator[None]:
        """Turn an error caused by weights that are no longer finite into `NotFiniteError`."""
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
        stored = self.split.test.take(slice(0, self.job.stored_predictions))
        return predict(self.model, stored.features, self.job.batch_size)

    def _timed(self, examples: Ratings | Examples, *, epochs: int, slowdown: float = 0.0) -> TimedFit:
        return timed_fit(
            self.model,
            examples,
            batch_size=self.job.batch_size,
            epochs=epochs,
            synchronise=self.adapter.synchronise,
            slowdown=slowdown,
            loop=self.loop,
        )
