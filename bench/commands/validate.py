"""`python -m bench validate`: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.commands.answer import print_answer
from bench.commands.ending import keeping
from bench.measure.option_table import BY_NAME
from bench.schema.outcome import FINE
from movierank.backends import BACKENDS

QUICK: dict[str, Any] = {"comparisons": 2, "processes": 3, "rounds": 3, "round_s": 0.1, "patience_s": 15.0}
GIVEN = ("comparisons", "processes", "rounds", "patience_s")

EXAMPLES = """examples:
  python -m bench validate --quick               see it work, in two minutes
  python -m bench validate --backend torch --together
  python -m bench validate --resume --comparisons 80   go on with what was cut off, or was too little
  python -m bench validate --judge results/validation/jax.json
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    validate = commands.add_parser(
        "validate",
        help="measure whether the verdicts keep their promises on this machine",
        description="Compares a cell with itself and with itself slowed down by 5 and 10 %, again and again with "
        "fresh processes, and counts what is said. Takes some forty minutes, of a machine that does nothing else.",
        epilog=EXAMPLES,
    )
    validate.add_argument(
        "--backend", choices=BACKENDS, default="jax", help="whose step to time (default: %(default)s)"
    )
    validate.add_argument("--comparisons", type=int, metavar="N", help="for each difference (default: 40; quick: 2)")
    validate.add_argument("--processes", type=int, metavar="N", help="for either side (default: 5; quick: 3)")
    validate.add_argument("--rounds", type=int, metavar="N", help="of a process (default: 5; quick: 3)")
    validate.add_argument(
        "--together", action="store_true", help="measure sides side by side, as `versus` does, not one after the other"
    )
    BY_NAME["patience"].add(
        validate,
        dest="patience_s",
        help="how long to wait for each side while the machine's cores do not share a cache, and to repeat rounds "
        "timed meanwhile (default: 2m; quick: 15s)",
    )
    validate.add_argument("--quick", action="store_true", help="see it work in two minutes; shows no more than that")
    validate.add_argument(
        "--output", type=Path, metavar="FILE", help="(default: results/local/validation-BACKEND.json)"
    )
    existing = validate.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume", action="store_true", help="go on with the result in --output, up to --comparisons in all"
    )
    existing.add_argument("--overwrite", action="store_true", help="replace the result in --output")
    validate.add_argument("--judge", type=Path, metavar="FILE", help="measure nothing: judge a result's trials anew")
    validate.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    validate.set_defaults(command=_validate)


def _validate(arguments: argparse.Namespace) -> int:
    from bench.studies.validate.options import Options
    from bench.studies.validate.run import judge_anew, validate
    from bench.studies.validate.table import print_validation
    from bench.system.files import refuse_existing
    from bench.text.console import LastingConsole

    if arguments.judge is not None:
        print_answer(judge_anew(arguments.judge), print_validation, arguments)
        return FINE
    given = {name: value for name in GIVEN if (value := getattr(arguments, name)) is not None}
    how = "-together" if arguments.together else ""
    output = arguments.output or Path("results/local") / f"validation{how}-{arguments.backend}.json"
    refuse_existing(output, overwrite=arguments.overwrite or arguments.resume)
    options = Options(
        backend=arguments.backend,
        output=output,
        together=arguments.together,
        resume=arguments.resume,
        **{**(QUICK if arguments.quick else {}), **given},
    )
    with keeping(output):
        result = validate(options, LastingConsole(stderr=True))
        if result.trials:
            print_answer(result, print_validation, arguments, output)
        if result.finished is None:
            raise KeyboardInterrupt
    return FINE
