"""`python -m bench mutants`: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.answer import print_answer
from bench.commands.ending import keeping
from bench.schema.outcome import FINE, WORSE
from movierank.backends import BACKENDS

EXAMPLES = """examples:
  python -m bench mutants --backend torch --clean 10
  python -m bench mutants --faults "epsilon 1e-8" --clean 5 --markdown
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    mutants = commands.add_parser(
        "mutants",
        help="plant faults in a backend's training and see whether parity finds them",
        description="Trains with each of some fifty planted faults, and without any, and judges every training: each "
        "fault must be outside at the earliest stage where it can be seen, and nothing else may be.",
        epilog=EXAMPLES,
    )
    mutants.add_argument("--backend", choices=BACKENDS, default="jax", help="that trains (default: %(default)s)")
    mutants.add_argument("--faults", metavar="NAME,...", help="plant these alone (default: all)")
    mutants.add_argument(
        "--clean", type=int, default=200, metavar="N", help="trainings without a fault (default: %(default)s)"
    )
    mutants.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the weights that faults start from (default: %(default)s)"
    )
    mutants.add_argument("--dataset", default="100k", metavar="NAME", help="(default: %(default)s)")
    form = mutants.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print Markdown instead of a table")
    mutants.add_argument("--overwrite", action="store_true", help="replace the result in --output")
    mutants.add_argument("--output", type=Path, metavar="FILE", help="(default: results/local/mutants-BACKEND.json)")
    mutants.set_defaults(command=_mutants)


def _mutants(arguments: argparse.Namespace) -> int:
    from bench.studies.mutants.catalogue import FAULTS
    from bench.studies.mutants.run import Options, measure_mutants
    from bench.studies.mutants.table import as_markdown, print_mutants
    from bench.system.files import refuse_existing
    from bench.text.console import LastingConsole

    output = arguments.output or Path("results/local") / f"mutants-{arguments.backend}.json"
    refuse_existing(output, overwrite=arguments.overwrite)
    named = [name.strip() for name in arguments.faults.split(",")] if arguments.faults else list(FAULTS)
    options = Options(
        backend=arguments.backend,
        output=output,
        faults=tuple(dict.fromkeys(named)),
        clean=arguments.clean,
        seed=arguments.seed,
        dataset=arguments.dataset,
    )
    with keeping(output, resumes=False):
        result = measure_mutants(options, LastingConsole(stderr=True))
    if arguments.markdown:
        print(as_markdown(result), end="")
    else:
        print_answer(result, print_mutants, arguments, output)
    return FINE if result.as_expected else WORSE
