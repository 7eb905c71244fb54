"""The commands as functions, for scripts and notebooks: `from bench import run, compare, load_report`.

They do what the commands of the same name do, with the commands' options as keyword arguments, and return records.
They import what they need when they run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from bench.comparison.limits import Allowances, Limits
from bench.errors import BenchError
from bench.measure.asked import Asked, options_from, share_of, versus_options_from
from bench.measure.option_table import documented

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
    """Add the options to the signature and docstring, for `help`; type checkers read them from `Asked`."""
    signature = inspect.signature(function)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in Asked.__annotations__.items()
    ]
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions:\n{documented()}"
    function.__signature__ = signature.replace(parameters=[*named, *options])  # type: ignore[attr-defined]
    return function


@_shows_options
def run(output: Path | str | None = None, *, quiet: bool = False, **asked: Unpack[Asked]) -> Report:
    """Measure each backend on each device in several worker processes, and write a report.

    Each worker process is a program of its own: neither a script nor a notebook needs a guard, and this process imports
    no framework. If a run fails, the others continue: look at `status` in `report.runs`.

    Args:
        output: directory of the report; by default `results/local/` and the time.
        quiet: whether to print no progress to stderr.
        **asked: the options of `python -m bench run`, listed below.

    Returns:
        The report, which is stored in `output`.

    Raises:
        BenchError: bad input, or the output cannot be written.
        KeyboardInterrupt: passed on; `output` has a valid report of what was measured, which `resume=True` continues.
        TypeError: there is no such option.
    """
    return measure_and_draw(options_from(output, asked), _console(quiet))


@_shows_options
def versus(
    base: Path | str,
    new: Path | str,
    output: Path | str | None = None,
    *,
    max_regression: float | str = Limits.max_regression,
    quiet: bool = False,
    **asked: Unpack[Asked],
) -> Versus:
    """Measure two Python environments in one run, their rounds interleaved, and compare them.

    Args:
        base: interpreter or folder of a virtual environment, the older one.
        new: likewise, the newer one.
        output: directory of both reports; by default `results/local/` and the time.
        max_regression: largest slowdown that is allowed, as a share (0.05 or `5%`).
        quiet: whether to print no progress to stderr.
        **asked: the options of `python -m bench run`, listed below.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; the output has valid reports of what was measured.
        TypeError: there is no such option.
    """
    options = versus_options_from(output, asked)
    return carry_out(options, (str(base), str(new)), Limits(share_of(max_regression)), _console(quiet))


def compare(
    base: Path | str | Report,
    new: Path | str | Report,
    *,
    max_regression: float | str = Limits.max_regression,
    base_cell: str | None = None,
    new_cell: str | None = None,
    force: bool = False,
    ignore_noise: bool = False,
    drift: float | str | None = None,
    validation: Path | str | None = None,
) -> Comparison:
    """Compare two reports cell by cell; `step_time` and `rmse` have a record with a verdict for each cell.

    Args:
        base: the older report: a result of `run` or `load_report`, or its directory or file. Two of pytest-benchmark's
            JSON files, or folders of them, are compared as well.
        new: the newer one; may be `base`, with `base_cell` and `new_cell`.
        max_regression: largest slowdown that is allowed, as a share (0.05 or `5%`).
        base_cell: cell of `base` to compare with `new_cell`, such as `torch/cpu/fit`.
        new_cell: a cell of `new`.
        force: compare step times of different machines or workloads.
        ignore_noise: decide even where other programs were busy during a measurement, or cores shared no cache.
        drift: how far (standard deviation) the machine drifts between two measurements, as a share; 0.03 is assumed.
        validation: result of `bench validate`, whose measured drift is taken instead.

    Raises:
        BenchError: a report cannot be read or did not measure its cell, or a limit is invalid.
    """
    from bench.comparison.drift import Drift
    from bench.comparison.files import compare_files

    if (base_cell is None) != (new_cell is None):
        raise BenchError("--base-cell and --new-cell go together; give both")
    if drift is not None and validation is not None:
        raise BenchError("drift and validation exclude each other; give one of them")
    return compare_files(
        Path(base) if isinstance(base, str) else base,
        Path(new) if isinstance(new, str) else new,
        Limits(share_of(max_regression)),
        Allowances(force, ignore_noise, None if drift is None else Drift(sd=share_of(drift), origin="given")),
        None if base_cell is None or new_cell is None else (base_cell, new_cell),
        None if validation is None else Path(validation),
    )


def judge_parity(*reports: Path | str) -> JoinedParity:
    """Judge whether all cells of some reports are the same model, as `python -m bench parity` does.

    Args:
        *reports: their directories, which hold `predictions.npz`; a single one is judged again.

    Raises:
        BenchError: they cannot be read or joined, or other ratings are prepared here.
    """
    from bench.parity.load import joined_of

    if not reports:
        raise BenchError("parity needs at least one report")
    return joined_of([Path(path) for path in reports])


def load_report(path: Path | str) -> Report:
    """Read a report from its directory or its file.

    Raises:
        BenchError: there is none, it cannot be read, or its schema is not one that this version knows.
    """
    from bench.report.file import load_report

    return load_report(Path(path))


def write_page(
    reports: Path | str | Report | Sequence[Path | str] | Mapping[str, Path | str | Report], output: Path | str
) -> str:
    """Write reports as one self-contained HTML page, or their figure as `.svg` or `.png`.

    Args:
        reports: one, several by their directories, or by a name for each.
        output: the file; one that exists is replaced.

    Returns:
        A sentence on what the page leaves out to stay within 3 MiB; empty if it shows everything.

    Raises:
        BenchError: a report cannot be read, the suffix of `output` is another, or the file cannot be written.
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
    """Return a console on stderr for progress, in a notebook too, where Rich would make a picture of every line."""
    from bench.text.console import LastingConsole

    return LastingConsole(stderr=True, quiet=quiet, force_jupyter=False)


def measure_and_draw(options: Options, console: Console) -> Report:
    """Measure a report, write its page beside it, and return it; raises the errors of `bench.measure.run.measure`."""
    from bench.measure.run import measure
    from bench.page.beside import write_page_beside

    report = measure(options, console)
    write_page_beside(options.output)
    return report


def carry_out(options: Options, pythons: tuple[str, str], limits: Limits, console: Console) -> Versus:
    """Measure two environments, write their reports and pages into `options.output`, and compare them.

    Args:
        options: options of both.
        pythons: interpreters or folders of virtual environments: the older and the newer one.
        limits: largest changes that are allowed.
        console: console for progress.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; the output has valid reports of what was measured.
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
    return outcome_of(base, new, options.output, limits, judged)
