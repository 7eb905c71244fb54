"""The figures of what a training costs: time to a target, step time over its floor, what steps and runs consist of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.page.charts import speed
from bench.page.charts.look import Look
from bench.page.charts.speed import bound_in_words, rates_in_words
from bench.page.figure import Figure
from bench.page.tables import Table, cell_name, cell_row
from bench.report.floors import device_rates
from bench.report.scores import metric_label
from bench.schema.profile import GROUPS
from bench.schema.report import Report
from bench.text.numbers import three_digits, with_interval

NAMED_OPERATIONS, NAMED_GROUPS = 3, 3  # that take most of a step


def cost_figures(key: str, report: Report, look: Look) -> Iterator[Figure]:
    """Yield the figures that there is data for.

    Args:
        key: key of the report on the page.
        report: report to show.
        look: look of the page.
    """
    if report.time_to_target:
        yield _time_to_target(key, report, look)
    if report.floors:
        yield _floor(key, report, look)
    if report.profiles:
        yield _profiles(key, report, look)
    if any(run.import_s is not None for run in report.runs):
        yield _phases(key, report, look)


def _time_to_target(key: str, report: Report, look: Look) -> Figure:
    records, name = report.time_to_target, metric_label(report.workload)
    rows, never = [], []
    for row in records:
        epochs = ", ".join("never" if each is None else f"{each}" for each in row.epochs)
        figures = (with_interval(row.typical_s, row.ci95_s), f"{row.reached} of {row.processes}", epochs)
        rows.append(cell_row(look.names, row.cell, *figures))
        if row.reached < row.processes:
            never.append(f"{cell_name(row.cell, look.names)} {row.processes - row.reached} of {row.processes}")
    said = [f"{values[0]} {values[1]} s" for values, _ in rows]
    left_out = " Processes that never got there are not in it; the table has their number." if never else ""
    return Figure(
        key=f"{key}-target",
        title=f"Training until test {name} {records[0].target:g}",
        note=f"Seconds of training at steady speed, starting and evaluating left out, with 95 % intervals.{left_out}",
        description=f"Seconds of training until the test {name} is at the target: {'; '.join(said)}. "
        f"Never reached: {'; '.join(never) or 'none'}.",
        chart=speed.time_to_target_chart(report, look) if any(r.typical_s is not None for r in records) else None,
        table=Table(("Cell", "Seconds [95 %]", "Processes that got there", "Epochs needed, by process"), rows),
    )


def _floor(key: str, report: Report, look: Look) -> Figure:
    rows = []
    for row in report.floors:
        framework, best = device_rates(report.runs, row.cell)
        floor = (three_digits(row.best_floor_ms), bound_in_words(row, best), rates_in_words(best))
        of_framework = (with_interval(row.times_floor, row.times_floor_ci95), rates_in_words(framework))
        times = with_interval(row.times_best_floor, row.times_best_floor_ci95)
        rows.append(cell_row(look.names, row.cell, times, *floor, *of_framework))
    said = [f"{values[0]} {values[1]}, bound by {values[3]}" for values, _ in rows]
    header = ("Cell", "× floor [95 %]", "Floor, ms", "Bound by", "Best rates on this device",
              "× floor of its own framework [95 %]", "Its framework's rates")  # fmt: skip
    reached = {row.cell.device: rates_in_words(device_rates(report.runs, row.cell)[1]) for row in report.floors[::-1]}
    rates = "; ".join(f"{device}: {words}" if len(reached) > 1 else words for device, words in reached.items())
    return Figure(
        key=f"{key}-floor",
        title="Step time over its floor",
        note="1 (dashed) is the least time that this device needs for the step's arithmetic and memory traffic, by the "
        f"best rates that any framework reached on it ({rates}; the table has those of each cell and which of them "
        "binds). Bars are 95 % intervals.",
        description=f"Step time over the least that the device needs: {'; '.join(said)}.",
        chart=speed.floor_chart(report, look),
        table=Table(header, rows),
    )


def _profiles(key: str, report: Report, look: Look) -> Figure:
    rows = []
    for profile in report.profiles:
        shares = {share.group: share.share for share in profile.shares}
        most = [f"{one.name} {one.share:.0%}" for one in profile.operations[:NAMED_OPERATIONS]]
        longest = ", ".join(most) if profile.file is not None else f"no profile: {profile.error}"
        parts = [f"{100 * shares.get(group, 0):.1f}" if shares else "–" for group in GROUPS]
        traced = three_digits(profile.step_ms), three_digits(profile.operations_per_step)
        rows.append(cell_row(look.names, profile.cell, *traced, *parts, longest))
    largest = [
        f"{cell_name(profile.cell, look.names)} "
        + ", ".join(f"{share.group} {share.share:.0%}" for share in profile.shares[:NAMED_GROUPS])
        for profile in report.profiles
        if profile.shares
    ]
    header = ("Cell", "Traced step, ms", "Operations a step", *(f"{group}, %" for group in GROUPS), "Most time in")
    return Figure(
        key=f"{key}-profiles",
        title="Where a step goes",
        note="From a trace of one process of each cell after its rounds. Tracing slows a step, short operations and "
        "Python most, so this shows where to look, not how long it takes (docs/profile.md).",
        description=f"Shares of a traced step by kind of work, the largest of each cell: "
        f"{'; '.join(largest) or 'none traced'}.",
        chart=speed.profiles_chart(report.profiles, look) if largest else None,
        table=Table(header, rows),
        wide=True,
    )


def _phases(key: str, report: Report, look: Look) -> Figure:
    found = speed.phases(report.runs)
    rows = [
        cell_row(
            look.names,
            cell,
            *(three_digits(of_cell.get(name)) for name in speed.PHASE_NAMES),
            three_digits(sum(of_cell.values())),
        )
        for cell, of_cell in found.items()
    ]
    said = [f"{values[0]} {values[-1]} s" for values, _ in rows]
    header: Sequence[str] = ("Cell", *(f"{name}, s" for name in speed.PHASE_NAMES.values()), "sum, s")
    return Figure(
        key=f"{key}-phases",
        title="Phases of a run",
        note=f"From starting Python to the first predictions, {report.workload.epochs} epochs of training; the first "
        "step is with tracing and compilation and found nothing compiled. Warm-up and timed rounds are left out.",
        description=f"Seconds of a run from start to predictions: {'; '.join(said)}.",
        chart=speed.phases_chart(report, look),
        table=Table(header, rows),
    )
