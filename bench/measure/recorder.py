"""Store results and write the report after each worker reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench.parity.trainings import Parity
from bench.report.file import save_report, stored_json
from bench.report.floors import floors
from bench.report.predictions import Arrays, key_of, save_predictions
from bench.report.summary import first_steps, summarise
from bench.schema.cell import Cell
from bench.schema.derived import MetricMean, TimeToTarget
from bench.schema.machine import Conditions
from bench.schema.messages import Ready, Reply, Rounded, Steady, Stopped, Trained
from bench.schema.parity import CellEnvelope
from bench.schema.profile import Profile
from bench.schema.report import Report
from bench.schema.run import Run
from bench.system.software import now

RunKey = tuple[Cell, int]

TRIED_AGAIN = "; tried again: "


class Recorder:
    """A report that grows.

    Args:
        directory: directory of the report, which exists.
        report: report to start from, with its runs.
        arrays: predictions to start from. Those of runs that `report` does not call trained are dropped: they are
            there when a run was cut off after its predictions were written and before the report was.
    """

    def __init__(self, directory: Path, report: Report, arrays: Arrays) -> None:
        self.directory = directory
        self.report = report
        self._stored = stored_json(directory)  # may hold keys of a later version
        self._runs: dict[RunKey, Run] = {(run.cell, run.process): run for run in report.runs}
        trained = tuple(key_of(run, "") for run in report.runs if run.train_scores)
        self.arrays = {key: array for key, array in arrays.items() if key.startswith(trained)}
        self._unsaved = len(self.arrays) < len(arrays)
        self._held: dict[RunKey, Arrays] = {}

    @property
    def runs(self) -> list[Run]:
        """All runs so far, by cell as asked for and process."""
        return list(self._runs.values())

    def run_of(self, key: RunKey) -> Run | None:
        """Return a run by its cell and process; None where it has not started."""
        return self._runs.get(key)

    def put(self, run: Run) -> None:
        """Store a run in place of the one with its key, and save the report.

        Where an earlier process with the same index measured more before it was cut off, its run stays until the
        new one has caught up, so that another cut loses nothing that was measured.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        key = (run.cell, run.process)
        known = self._runs.get(key)
        if known is not None and _measured(known) > _measured(run):
            if run.status != "interrupted" and known.status != "ok":
                self._runs[key] = _tried_again(known, run)
                self.save()
            return
        # Predictions are written before the report that names them, and removed after the one that no longer does.
        if key in self._held:
            self._drop_predictions(run)
            self.arrays |= {key_of(run, stage): array for stage, array in self._held.pop(key).items()}
            self._save_predictions()
        self._runs[key] = run
        self.save()
        if not run.train_scores and self._drop_predictions(run):
            self._save_predictions()

    def hold_predictions(self, run: Run, arrays: Arrays) -> None:
        """Hold the predictions of a run by stage, to be stored with the next `put` of it that counts."""
        self._held[(run.cell, run.process)] = arrays

    def note(self, conditions: Conditions) -> None:
        """Store the conditions that could distort the measurement, and save the report.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        self.report = replace(self.report, conditions=conditions)
        self.save()

    def add_profile(self, profile: Profile) -> None:
        """Store the profile of a cell in place of an earlier one, and save the report.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        others = [known for known in self.report.profiles if known.cell != profile.cell]
        self.report = replace(self.report, profiles=[*others, profile])
        self.save()

    def put_envelope(self, envelope: CellEnvelope) -> None:
        """Store the rounding envelope of a cell's own trainings in place of an earlier one, and save the report.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        others = [e for e in self.report.own_envelopes if (e.cell, e.seed) != (envelope.cell, envelope.seed)]
        self.report = replace(self.report, own_envelopes=[*others, envelope])
        self.save()

    def order_runs(self, cells: Iterable[Cell]) -> None:
        """Sort the runs by the order of `cells`, then by process."""
        places = {cell: place for place, cell in enumerate(cells)}
        ordered = sorted(self._runs, key=lambda key: (places.get(key[0], len(places)), key[1]))
        self._runs = {key: self._runs[key] for key in ordered}
        profiles = sorted(self.report.profiles, key=lambda profile: places.get(profile.cell, len(places)))
        self.report = replace(self.report, profiles=profiles)

    def finish(self, parity: Parity, time_to_target: list[TimeToTarget]) -> Report:
        """Add parity, times to target and the time of the end; save and return the report."""
        self.arrays |= parity.arrays
        if self._unsaved or parity.arrays:
            self._save_predictions()
        self.report = replace(
            self.report,
            parity=parity.results,
            envelopes=parity.envelopes,
            divergences=parity.divergences,
            reference_rmse=parity.reference_rmse,
            time_to_target=time_to_target,
            finished=now(),
        )
        return self.save()

    def save(self) -> Report:
        """Write the report with all figures derived anew, and return it."""
        summary, workload = summarise(self.runs), self.report.workload
        custom = workload.workload is not None
        metrics = [MetricMean(metric=workload.metric, **msgspec.structs.asdict(row)) for row in summary.scores]
        self.report = replace(
            self.report,
            runs=self.runs,
            step_time=summary.step_time,
            ratios=summary.ratios,
            rmse=[] if custom else summary.scores,
            metrics=metrics if custom else [],
            first_steps=first_steps(self.runs),
            floors=floors(self.runs, summary.step_time, workload),
        )
        save_report(self.report, self.directory, self._stored)
        return self.report

    def _drop_predictions(self, run: Run) -> bool:
        stale = [key for key in self.arrays if key.startswith(key_of(run, ""))]
        for key in stale:
            del self.arrays[key]
        return bool(stale)

    def _save_predictions(self) -> None:
        save_predictions(self.arrays, self.directory)
        self._unsaved = False


def _measured(run: Run) -> tuple[bool, int]:
    phases = (run.first_step_s, run.train_s, run.steady)
    return run.status == "ok", len(run.step_time_ms) + sum(value is not None for value in phases)


def _tried_again(known: Run, later: Run) -> Run:
    first = (known.error or known.status).partition(TRIED_AGAIN)[0]
    return replace(known, error=f"{first}{TRIED_AGAIN}{later.status}: {later.error}")


def with_reply(run: Run, reply: Reply) -> Run:
    """Return `run` with the fields of a worker's reply.

    Args:
        run: run so far.
        reply: reply of its worker, other than `Failed` and `Unavailable`.
    """
    match reply:
        case Ready() | Trained() | Steady():
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
