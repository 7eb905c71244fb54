"""A joined parity on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from bench.parity.join import JoinedParity, JoinedReport
from bench.schema.parity import ORACLE, ParityResult, breaks_parity, counts, group_of, worst_by_group
from bench.text.parity import breaks, headline, short_names, times
from bench.text.table import FittingTable

MOST_PAIRS = 6  # in full; of more, those that are outside and each cell with the oracle
WIDTH = 80  # at most: beyond it the eye loses the line
GAP = 2  # between columns
LEGEND = "Worst distance of each group of stages, over what rounding explains; above 1 is outside."

Pair = tuple[str, str]


def render(joined: JoinedParity, width: int = WIDTH) -> RenderableType:
    """Return the answer, the table of stages and pairs, and details of each pair that is outside.

    Args:
        joined: parity that was judged.
        width: width of the terminal in characters.
    """
    names = short_names(joined)
    style = "bold red" if joined.outside else "bold"
    parts: list[RenderableType] = [Text(headline(joined), style=style)]
    pairs = _shown(joined.results)
    if pairs:
        parts += [Text(LEGEND), *_tables(joined.results, pairs, names, min(width, WIDTH))]
    parts += [Text(line, style="red") for line in breaks(joined)]
    parts += [Text(note, style="yellow") for note in joined.notes]
    parts += [Text(_with_what(joined))] if joined.reports else []
    return Group(*parts)


def _shown(results: Sequence[ParityResult]) -> list[Pair]:
    pairs = list(dict.fromkeys((result.a, result.b) for result in results))
    if len(pairs) <= MOST_PAIRS:
        return pairs
    outside = {(result.a, result.b) for result in results if breaks_parity(result)}
    return [pair for pair in pairs if pair[1] == ORACLE or pair in outside]


def _tables(
    results: Sequence[ParityResult], pairs: Sequence[Pair], names: Mapping[str, str], width: int
) -> list[RenderableType]:
    """Return as many tables as it takes for each to be narrow enough; long names become numbers."""
    worst = {((r.a, r.b), group_of(r.stage)): r for r in worst_by_group(results)}
    groups = list(dict.fromkeys(group for _, group in worst))
    cells = dict.fromkeys(cell for pair in pairs for cell in pair if cell != ORACLE)
    called = {cell: names[cell] for cell in cells}
    parts: list[RenderableType] = []
    if max(map(len, called.values())) > len("tensorflow"):
        called = {cell: str(number) for number, cell in enumerate(cells, start=1)}
        parts += [Text(f"{number} = {names[cell]}") for cell, number in called.items()]
    called[ORACLE] = ORACLE
    columns = {
        (a, b): [Text(f"{called[a]}\n{called[b]}"), *(_cell(worst.get(((a, b), group))) for group in groups)]
        for a, b in pairs
    }
    return parts + [_table(groups, [columns[pair] for pair in some]) for some in _side_by_side(groups, columns, width)]


def _side_by_side(groups: Sequence[str], columns: Mapping[Pair, Sequence[Text]], total: int) -> list[list[Pair]]:
    """Return which pairs go into one table, so that each is no wider than `total`."""
    free = start = total - GAP - max(map(len, groups))
    tables: list[list[Pair]] = [[]]
    for pair, texts in columns.items():
        width = GAP + max(len(line) for text in texts for line in text.plain.splitlines())
        if width > free and tables[-1]:
            tables.append([])
            free = start
        tables[-1].append(pair)
        free -= width
    return tables


def _table(groups: Sequence[str], columns: Sequence[Sequence[Text]]) -> FittingTable:
    table = FittingTable(padding=(0, 0, 0, 1))
    table.add_column("stage", no_wrap=True)
    for head, *_ in columns:
        table.add_column(head, justify="right", no_wrap=True)
    for place, group in enumerate(groups, start=1):
        table.add_row(group, *(texts[place] for texts in columns))
    return table


def _cell(result: ParityResult | None) -> Text:
    if result is None:
        return Text("–")
    if result.verdict == "within":
        return Text(times(result))
    if result.known is not None:
        return Text("known", style="yellow")
    ratio = times(result)
    return Text(f"OUT {ratio}{'' if ratio == 'nan' else 'x'}", style="red" if counts(result) else "yellow")


def _with_what(joined: JoinedParity) -> str:
    return "\n".join(
        f"{report.name}: "
        + ", ".join(f"{package} {version or 'unknown'}" for package, version in _versions(report))
        + f", on {report.machine}"
        for report in joined.reports
    )


def _versions(report: JoinedReport) -> list[tuple[str, str | None]]:
    return [("keras", report.keras), *report.backends.items()]
