"""From how many rows on embedding tables are trained faster in the rows that a batch looked up than whole.

    python docs/reproductions/rows_or_tables.py [OPTIONS] [BACKEND ...]
    python docs/reproductions/rows_or_tables.py --show FILE

The script times epochs of the ranking model, `fused-rows` beside `fused-tables` (and `native-…` with --loops), for two
tables of several sizes in one process, all interleaved in random order, in several processes a backend. It adds the
results of a process to FILE at once, so that the measurement may be made in pieces. Rounds are timed while the
machine's cores share a cache (docs/machine-state.md), where that can be seen.

It prints the ratio of step times, rows over tables, with its 95 % interval over processes; and from how many rows of
both tables together, and of one for each id that a batch looks up in it, rows are faster.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.statistics.intervals import typical
from bench.system.compile_cache import with_cache
from bench.system.environment import usable_cores, worker_environment
from bench.text.numbers import with_interval
from movierank.backends import BACKENDS

SIZES = "2600,5k,10k,20k,40k,100k,500k"
STEPS = 60  # a round; fewer with long tables, of which a step takes long
WARM_UPS = 2
PATIENCE_S = 20.0  # of a process, for the machine's usual state


def number(text: str) -> int:
    """Read 2600 or 20k."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def measure(arguments: argparse.Namespace) -> None:
    """Print a JSON line for each loop and size: step times by rows and by tables, in ms, one each a round."""
    import keras

    from bench.system.watch import watch_of
    from movierank import training
    from movierank.data.ratings import Ratings
    from movierank.model import RankingModel

    generator, epochs = np.random.default_rng(arguments.process), {}
    for rows in arguments.sizes:
        each, steps = rows // 2, max(8, min(STEPS, STEPS * 20_000 // rows))
        count = steps * arguments.batch_size
        ids = [generator.integers(0, each, count).astype(np.int32) for _ in range(2)]
        ratings = Ratings(*ids, generator.uniform(0, 1, count).astype(np.float32))
        for loop in arguments.loops:
            for way in ("rows", "tables"):
                keras.utils.set_random_seed(0)
                model = RankingModel(each, each)
                model.build({"user_id": (None,), "movie_id": (None,)})
                training.compile_model(model)
                epochs[loop, rows, way] = (model, ratings, steps)

    def step_time_ms(loop: str, rows: int, way: str) -> float:
        model, ratings, steps = epochs[loop, rows, way]
        started = time.perf_counter()
        training.fit(model, ratings, batch_size=arguments.batch_size, epochs=1, loop=f"{loop}-{way}")
        return 1000 * (time.perf_counter() - started) / steps

    for key in epochs:
        for _ in range(WARM_UPS):
            step_time_ms(*key)
    watch = watch_of(usable_cores(), PATIENCE_S)
    times: dict[tuple[str, int], list[tuple[float, float, float | None]]] = defaultdict(list)
    for _ in range(arguments.rounds):
        for loop, rows in generator.permutation([(loop, rows) for loop, rows, way in epochs if way == "rows"]).tolist():
            found: dict[str, float] = {}
            watch.before_round()
            for way in generator.permutation(["rows", "tables"]).tolist():
                found[way] = step_time_ms(loop, int(rows), way)
            times[loop, int(rows)].append((found["rows"], found["tables"], watch.after_round()))
    for (loop, rows), rounds in times.items():
        calm = [each for each in rounds if not watch.is_apart(each[2])] or rounds
        by_rows, by_tables, _ = zip(*calm, strict=True)
        print(json.dumps({"loop": loop, "rows": rows, "by_rows": by_rows, "by_tables": by_tables}), flush=True)


def crossing(ratios: dict[int, float]) -> float | None:
    """Return from how many rows on rows are faster, by a line between sizes on logarithms; None where nowhere."""
    sizes = sorted(ratios)
    if all(ratio < 1 for ratio in ratios.values()):
        return float(sizes[0])
    for below, above in reversed(list(pairwise(sizes))):
        if ratios[below] >= 1 > ratios[above]:
            at, to = math.log(ratios[below]), math.log(ratios[above])
            return math.exp(math.log(below) + at / (at - to) * math.log(above / below))
    return None


def ratio_of(line: dict[str, Any]) -> float:
    """Return the ratio of rows to tables in one process, the median over its rounds, which hold one of each."""
    return median(a / b for a, b in zip(line["by_rows"], line["by_tables"], strict=True))


def show(lines: list[dict[str, Any]]) -> None:
    """Print a table and the crossing for each backend, loop and batch size."""
    cells: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        cells[line["backend"], line["loop"], line["batch_size"]].append(line)
    for (backend, loop, batch_size), of_cell in cells.items():
        print(f"{backend} {loop}, batches of {batch_size}")
        print(f"{'rows':>9}  {'ms by rows':>10}  {'ms whole':>8}  rows / whole [95 %]")
        for rows in sorted({line["rows"] for line in of_cell}):
            of_size = [line for line in of_cell if line["rows"] == rows]
            by_rows, whole = (typical([median(line[way]) for line in of_size]) for way in ("by_rows", "by_tables"))
            ratio = typical([ratio_of(line) for line in of_size])
            print(f"{rows:9,}  {by_rows.value:10.3f}  {whole.value:8.3f}  {with_interval(ratio.value, ratio.ci95)}")
        processes: dict[int, dict[int, float]] = defaultdict(dict)
        for line in of_cell:
            processes[line["process"]][line["rows"]] = ratio_of(line)
        found = [at for at in map(crossing, processes.values()) if at is not None]
        print(f"{backend} {loop}: processes in which rows are faster somewhere = {len(found)} of {len(processes)}")
        if found:
            at = typical(found)
            each = at.value / 2 / batch_size
            print(f"{backend} {loop}: rows of both tables from which on they are = {with_interval(at.value, at.ci95)}")
            print(f"{backend} {loop}: rows of one table for each id of a batch, there = {each:.2f}")
        print(flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("backends", nargs="*", metavar="BACKEND", help=f"of {', '.join(BACKENDS)} (default: all)")
parser.add_argument("--loops", default="fused", help="fused, native or both, by commas (default: %(default)s)")
parser.add_argument("--sizes", default=SIZES, help="rows of both tables together (default: %(default)s)")
parser.add_argument("--batch-size", type=int, default=1000, help="examples a step (default: %(default)s)")
parser.add_argument("--processes", type=int, default=5, help="of each backend (default: %(default)s)")
parser.add_argument("--first-process", type=int, default=0, metavar="N", help="number of the first, to go on with FILE")
parser.add_argument("--rounds", type=int, default=9, help="of each size in a process (default: %(default)s)")
parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="JSON lines to add to")
parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where compiled code is kept (default: nowhere)")
parser.add_argument("--show", type=Path, metavar="FILE", help="print what was measured before")
parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
arguments = parser.parse_args()
arguments.loops, arguments.sizes = arguments.loops.split(","), [number(size) for size in arguments.sizes.split(",")]

if arguments.process is not None:
    measure(arguments)
    raise SystemExit
if arguments.show is not None:
    show([json.loads(line) for line in arguments.show.read_text().splitlines()])
    raise SystemExit
measured: list[dict[str, Any]] = []
with tempfile.TemporaryDirectory() as folder:
    for process in range(arguments.first_process, arguments.first_process + arguments.processes):
        for backend in arguments.backends or BACKENDS:
            environment = with_cache(
                worker_environment(backend, "cpu", usable_cores()), (arguments.cache or Path(folder)) / backend
            )
            command = [sys.executable, __file__, *sys.argv[1:], "--process", str(process)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            for line in done.stdout.splitlines():
                head = {"backend": backend, "batch_size": arguments.batch_size, "process": process}
                measured.append({**head, **json.loads(line)})
                if arguments.output is not None:
                    with arguments.output.open("a") as lines:
                        lines.write(json.dumps(measured[-1]) + "\n")
            print(f"{backend} process {process} measured", file=sys.stderr, flush=True)
show(measured if arguments.output is None else [json.loads(line) for line in arguments.output.read_text().splitlines()])
