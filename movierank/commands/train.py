"""`python -m movierank train`: its options and its output."""

from __future__ import annotations

import argparse
import sys
import time

import msgspec

from movierank.commands.data_options import add_data_options, dataset_from
from movierank.commands.model_options import add_model_options, import_keras
from movierank.data.splits import default_split, split_ratings
from movierank.errors import MovierankError
from movierank.loops import LOOPS
from movierank.model_file import save_model

EXAMPLES = """examples:
  python -m movierank train --backend jax
  python -m movierank train --backend torch --loop fused --model torch.keras
  python -m movierank train --dataset 1m --split 0.9:7 --epochs 3
  python -m movierank train --json | jq .test_rmse
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    train = commands.add_parser(
        "train",
        help="train the model and save it",
        description="Trains the model on the train part of a dataset, prints its RMSE on the test part, and saves it.",
        epilog=EXAMPLES,
    )
    add_data_options(train)
    add_model_options(train)
    train.add_argument("--split", help="tutorial, or FRACTION:SEED such as 0.8:42 (default: by dataset)")
    train.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
    train.add_argument("--batch-size", type=int, default=1000, help="(default: %(default)s)")
    train.add_argument("--seed", type=int, default=0, help="seed of the initial weights (default: %(default)s)")
    train.add_argument(
        "--loop",
        choices=LOOPS,
        default="fit",
        help="Keras's own fit; or an epoch at a time on the device: fused (Keras's step) or native (written by hand) "
        "(default: %(default)s)",
    )
    train.add_argument("--json", action="store_true", help="print JSON, and the epochs to standard error")
    train.set_defaults(command=_train)


def _train(arguments: argparse.Namespace) -> int:
    _check(arguments)
    dataset = dataset_from(arguments)
    split = split_ratings(dataset, arguments.split or default_split(arguments.dataset))
    backend = import_keras(arguments.backend)
    from movierank import training
    from movierank.model import RankingModel
    from movierank.weights import initial_weights

    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1)
    model.load_initial_weights(initial_weights(dataset.num_users, dataset.num_movies, seed=arguments.seed))
    training.compile_model(model)
    lines = sys.stderr if arguments.json else sys.stdout
    began = time.perf_counter()
    history = training.fit(
        model,
        split.train,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        loop=arguments.loop,
        on_epoch=lambda record: print(
            f"epoch {record.epoch}/{arguments.epochs}: train RMSE {record.rmse:.4f}", file=lines
        ),
    )
    seconds = time.perf_counter() - began
    result = training.evaluate(model, split.test, batch_size=arguments.batch_size)
    save_model(model, arguments.model)
    if arguments.json:
        summary = {
            **{"file": str(arguments.model), "backend": backend, "loop": arguments.loop},
            **{"dataset": dataset.name, "sha256": dataset.sha256, "split": split.name},
            **{"seed": arguments.seed, "batch_size": arguments.batch_size, "epochs": arguments.epochs},
            **{"history": history, "test_rmse": result.rmse, "seconds": seconds},
        }
        print(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
        return 0
    print(f"test RMSE {result.rmse:.4f} ({4 * result.rmse:.2f} stars); saved {arguments.model}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.epochs < 1 or arguments.batch_size < 1 or arguments.seed < 0:
        raise MovierankError("--epochs and --batch-size must be at least 1, --seed at least 0")
    if arguments.model.suffix != ".keras":
        raise MovierankError(f"--model must end in .keras; received {arguments.model}")
    if not arguments.model.absolute().parent.is_dir():
        raise MovierankError(f"there is no folder {arguments.model.parent}; create it first")
