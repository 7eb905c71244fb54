"""The commands as functions, for scripts and notebooks: `from bench import run, compare, load_report`.

They do what the commands of the same name do, with the commands' options as keyword arguments, and return records.
What they need is imported when they run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from bench.errors import BenchError
from bench.measure.asked import Asked, options_from, share_of, versus_options_from

if TYPE_CHECKING:
    from rich.console import Console

    from bench.comparison.records import Comparison
    from bench.comparison.versus import Versus
    from bench.measure.options import Options
    from bench.parity.join import JoinedParity
    from bench.schema.report import Report
    from bench.text.console import LastingConsole

Given = TypeVar("Given", bound=Callable[..., object])


def _shows_options(function: Given) -> Given:
    """Spells the options out in the signature, for `help` and notebooks; type checkers read them from `Asked`."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in Asked.__annotations__.items()
    ]
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return function


@_shows_options
def run(output: Path | str | None = None, *, quiet: bool = False, **asked: Unpack[Asked]) -> Report:
    """Measures each backend on each device in several worker processes, and writes a report.

    Worker processes are started as programs of their own: neither a script nor a notebook needs a guard, and no
    framework is imported here. A run that fails takes nothing from the others: look at `status` in `report.runs`.

    Args:
        output: directory of the report; by default `results/local/` and the time.
        quiet: whether to print no progress to stderr.
        **asked: the options of `python -m bench run`, as `bench.measure.asked.Asked` tells them.

    Returns:
        The report that now lies in `output`.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the output, valid, and `resume=True` goes on with it.
        TypeError: there is no such option.
    """
    return measure_and_draw(options_from(output, asked), _console(quiet))


@_shows_options
def versus(
    base: Path | str,
    new: Path | str,
    output: Path | str | None = None,
    *,
    max_regression: float | str = 0.05,
    quiet: bool = False,
    **asked: Unpack[Asked],
) -> Versus:
    """Measures two Python environments in one run, their rounds interleaved, and compares them.

    Args:
        base: interpreter or folder of a virtual environment, the older one.
        new: likewise, the newer one.
        output: directory of both reports; by default `results/local/` and the time.
        max_regression: slowdown that is still fine, as a share (0.05 or `5%`).
        quiet: whether to print no progress to stderr.
        **asked: the options of `python -m bench run`, as `bench.measure.asked.Asked` tells them.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the output, valid.
        TypeError: there is no such option.
    """
    options = versus_options_from(output, asked)
    return carry_out(options, (str(base), str(new)), share_of(max_regression), _console(quiet))


def compare(
    base: Path | str | Report,
    new: Path | str | Report,
    *,
    max_regression: float | str = 0.05,
    base_cell: str | None = None,
    new_cell: str | None = None,
    force: bool = False,
    ignore_noise: bool = False,
    drift: float | str | None = None,
    validation: Path | str | None = None,
) -> Comparison:
    """Compares two reports cell by cell; a record in `step_time` and `rmse` for each, with its verdict.

    Args:
        base: the older report: what `run` or `load_report` gave, or its directory or file. Two of pytest-benchmark's
            JSON files, or folders of them, are compared as well.
        new: the newer one; may be `base`, with `base_cell` and `new_cell`.
        max_regression: slowdown that is still fine, as a share (0.05 or `5%`).
        base_cell: this cell of `base`, such as `torch/cpu/fit`, is compared with `new_cell`.
        new_cell: a cell of `new`.
        force: compare step times of different machines or workloads.
        ignore_noise: decide even where other programs were busy during a measurement, or cores shared no cache.
        drift: how far (standard deviation) the machine drifts between two measurements, as a share; 0.03 is assumed.
        validation: result of `bench validate` that tells it.

    Raises:
        BenchError: a report cannot be read, did not measure its cell, or a limit means nothing.
    """
    from bench.comparison.drift import ASSUMED, Drift, measured_drift
    from bench.comparison.files import compare_files
    from bench.comparison.limits import Limits
    from bench.comparison.reports import compare_reports
    from bench.schema.report import Report

    if (base_cell is None) != (new_cell is None):
        raise BenchError("--base-cell and --new-cell go together; give both")
    if drift is not None and validation is not None:
        raise BenchError("drift and validation exclude each other; give one of them")
    cells = None if base_cell is None or new_cell is None else (base_cell, new_cell)
    limits = Limits(max_regression=share_of(max_regression))
    allowed = ASSUMED if drift is None else Drift(sd=share_of(drift), origin="given")
    if not isinstance(base, Report) and not isinstance(new, Report):
        return compare_files(
            Path(base),
            Path(new),
            limits,
            force=force,
            ignore_noise=ignore_noise,
            cells=cells,
            drift=allowed,
            validation=None if validation is None else Path(validation),
        )
    older, newer = _report(base), _report(new)
    if validation is not None:
        allowed = measured_drift(Path(validation), [older.machine, newer.machine])
    return compare_reports(
        older,
        newer,
        max_regression=limits.max_regression,
        force=force,
        ignore_noise=ignore_noise,
        cells=cells,
        drift=allowed,
    )


def judge_parity(*reports: Path | str) -> JoinedParity:
    """Judges whether all cells of some reports are the same model, as `python -m bench parity` does.

    Args:
        *reports: their directories, which hold `predictions.npz`; one alone is judged again.

    Raises:
        BenchError: they cannot be read or joined, or the prepared ratings are others.
    """
    from bench.parity.load import joined_of

    if not reports:
        raise BenchError("parity needs at least one report")
    return joined_of([Path(path) for path in reports])


def load_report(path: Path | str) -> Report:
    """Reads a report from its directory or its file.

    Raises:
        BenchError: there is none, it cannot be read, or its schema is not one that this version knows.
    """
    from bench.report.file import load_report

    return load_report(Path(path))


def write_page(
    reports: Path | str | Report | Sequence[Path | str] | Mapping[str, Path | str | Report], output: Path | str
) -> str:
    """Writes reports as one self-contained HTML page, or their figure as `.svg` or `.png`.

    Args:
        reports: one, several by their directories, or by a name for each.
        output: the file; one that exists is replaced.

    Returns:
        What a page does not draw, since it would be larger than 3 MiB with it; empty where it draws all.

    Raises:
        BenchError: a report cannot be read, the ending is another, or the file cannot be written.
    """
    from bench.page.write import write_page
    from bench.schema.report import Report

    if isinstance(reports, Report):
        named: Mapping[str, Path | str | Report] = {reports.created: reports}
    elif isinstance(reports, Mapping):
        named = reports
    else:
        named = {str(each): each for each in ([reports] if isinstance(reports, Path | str) else reports)}
    return write_page([(name, _report(report)) for name, report in named.items()], Path(output))


def _report(given: Path | str | Report) -> Report:
    return load_report(given) if isinstance(given, Path | str) else given


def _console(quiet: bool) -> LastingConsole:
    """Returns where progress goes: stderr, in a notebook too, where Rich would make a picture of every line."""
    from bench.text.console import LastingConsole

    return LastingConsole(stderr=True, quiet=quiet, force_jupyter=False)


def measure_and_draw(options: Options, console: Console) -> Report:
    """Measures a report, writes its page beside it, and returns it; raises what `bench.measure.run.measure` raises."""
    from bench.measure.run import measure
    from bench.page.beside import write_page_beside

    report = measure(options, console)
    write_page_beside(options.output)
    return report


def carry_out(options: Options, pythons: tuple[str, str], max_regression: float, console: Console) -> Versus:
    """Measures two environments and compares them; the reports lie in `options.output`, each with its page.

    Args:
        options: for both.
        pythons: interpreters or folders of virtual environments: the older and the newer one.
        max_regression: slowdown that is still fine, as a share.
        console: where progress is shown.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the output, valid.
    """
    from bench.comparison.versus import outcome_of
    from bench.measure.versus import measure_versus
    from bench.page.beside import write_page_beside
    from bench.parity.load import joined_of
    from bench.schema.report import SIDES

    base, new = measure_versus(options, pythons, console)
    for side in SIDES:
        write_page_beside(options.output / side)
    judged = joined_of([options.output / side for side in SIDES]) if base.parity and new.parity else None
    return outcome_of(base, new, options.output, max_regression, judged)
