"""The cells' own rounding beside the oracle's on the terminal, in 80 columns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from bench.parity.thresholds import BACKEND_AT_MOST, typical
from bench.schema.parity import CellEnvelope, StageEnvelope, group_of
from bench.schema.report import Report
from bench.text.numbers import listed
from bench.text.table import FittingTable

COLUMNS = ("forward", "loss", "gradient", "probe", "step 1", "step 10", "epochs", "RMSE", "ranking")


def cell_rounding(report: Report) -> dict[str, dict[str, float]]:
    """Return by cell and kind of stage the distance between its copies, over that between the oracle's.

    Each is the geometric mean over seeds, stages of that kind and weights, of typical distances between copies: those
    with the oracle, which rounds nothing, are left out.
    """
    oracles = {e.seed: {at.stage: _without_oracle(at) for at in e.stages} for e in report.envelopes}
    found: dict[str, dict[str, list[float]]] = {}
    for envelope in report.own_envelopes:
        for kind, ratio in _ratios(envelope, oracles.get(envelope.seed, {})):
            found.setdefault(envelope.cell, {}).setdefault(kind, []).append(ratio)
    return {
        cell: {kind: math.exp(sum(map(math.log, kinds[kind])) / len(kinds[kind])) for kind in COLUMNS if kind in kinds}
        for cell, kinds in found.items()
    }


def cell_rounding_table(report: Report, names: Mapping[str, str]) -> FittingTable | None:
    """Return a line a cell; None where no copies were trained.

    Args:
        report: report to show.
        names: short name of each cell, by its full name.
    """
    ratios = cell_rounding(report)
    if not ratios:
        return None
    table = FittingTable(
        title=f"distances between {_copies(report.own_envelopes)} copies of each cell's own over the oracle's copies'",
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for kind in COLUMNS:
        table.add_column(kind, justify="right")
    for cell, kinds in ratios.items():
        table.add_row(names[cell], *(f"{kinds[kind]:.2g}" if kind in kinds else "–" for kind in COLUMNS))
    return table


def cell_rounding_lines(report: Report, names: Mapping[str, str]) -> list[str]:
    """Return whose rounding parity was judged by, and the cells whose copies do not agree with each other."""
    if report.settings.envelope != "backend":
        return []
    trained = dict.fromkeys((str(run.cell), run.seed) for run in report.runs if run.test_rmse is not None)
    stored = {(envelope.cell, envelope.seed) for envelope in report.own_envelopes}
    lost = dict.fromkeys(names[cell] for cell, seed in trained if (cell, seed) not in stored)
    exceptions = f"; copies of {listed(lost)} were lost, so the oracle's judge there" if lost else ""
    lines = [f"Parity is judged by each cell's own rounding{exceptions}."] if trained else []
    for cell, kinds in cell_rounding(report).items():
        wide = [f"{kind} ({ratio:.2g} x)" for kind, ratio in kinds.items() if ratio > BACKEND_AT_MOST]
        if wide:
            lines.append(f"{names[cell]}: its copies lie further apart than rounding explains, at {listed(wide)}.")
    return lines


def _ratios(envelope: CellEnvelope, oracle: Mapping[str, StageEnvelope]) -> list[tuple[str, float]]:
    pairs = [(at.stage, typical(at), typical(oracle[at.stage])) for at in envelope.stages if at.stage in oracle]
    return [(_kind(stage), ours / theirs) for stage, ours, theirs in pairs if ours > 0 and theirs > 0]


def _without_oracle(stage: StageEnvelope) -> StageEnvelope:
    return replace(stage, rms=stage.rms[stage.trainings - 1 :])


def _kind(stage: str) -> str:
    group = group_of(stage)
    if match := re.fullmatch(r"(?:weights|accumulators) (\d+)", group):
        return "step 1" if match[1] == "1" else "step 10"
    if group.startswith("epoch "):
        return "epochs"
    return "RMSE" if group.endswith("rmse") else group.partition(" ")[0]


def _copies(envelopes: Sequence[CellEnvelope]) -> str:
    return "/".join(map(str, sorted({envelope.copies for envelope in envelopes})))
