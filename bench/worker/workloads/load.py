"""Import a custom workload in a worker, take its arrays, build its model, and report its author's mistakes."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

import bench
from bench.errors import WorkloadError
from bench.schema.workload import Arrays, Workload
from bench.worker.workload import Examples, Parts

LONGEST = 300  # characters of an error in a message; the log has all


def load_workload(target: str) -> Workload:
    """Import the workload that `target` names, `package.module:object` or `/path/file.py:object`.

    Raises:
        WorkloadError: it cannot be imported, or is not a workload.
    """
    where, _, name = target.rpartition(":")
    with reporting(f"the workload's module {where} cannot be imported"):
        module = _import_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    found = getattr(module, name, None)
    if isinstance(found, Workload):
        return found
    there = [key for key, value in vars(module).items() if isinstance(value, Workload)]
    what = f"has no {name}" if found is None else f"has {name}, which is no bench.Workload but {type(found).__name__}"
    raise WorkloadError(f"{where} {what}; it has {', '.join(there) if there else 'no workload'}")


def load_parts(workload: Workload) -> Parts:
    """Return the workload's arrays, float64 rounded to float32.

    Raises:
        WorkloadError: its function fails, or the arrays are of unequal length, empty, not finite, or less than a batch.
    """
    with reporting(f"arrays() of {workload.name} failed"):
        arrays = workload.arrays()
    if not isinstance(arrays, Arrays):
        raise WorkloadError(f"arrays() of {workload.name} returned {type(arrays).__name__}, not bench.Arrays")
    parts = Parts(
        train=_examples(workload.name, "train", arrays.train_x, arrays.train_y),
        test=_examples(workload.name, "test", arrays.test_x, arrays.test_y),
    )
    if workload.batch_size > len(parts.train):
        raise WorkloadError(
            f"{workload.name}: batch_size {workload.batch_size} is larger than the train part ({len(parts.train):,})"
        )
    return parts


def build_model(workload: Workload, seed: int, parts: Parts) -> keras.Model:
    """Build the model with Keras's random state at `seed`, and its optimizer's variables.

    Raises:
        WorkloadError: `build` fails, or returns no compiled model that takes the examples.
    """
    keras.utils.set_random_seed(seed)
    with reporting(f"build({seed}) of {workload.name} failed"):
        model = workload.build(seed)
    if not isinstance(model, keras.Model):
        raise WorkloadError(f"build() of {workload.name} returned {type(model).__name__}, not keras.Model")
    if not getattr(model, "compiled", False) or getattr(model, "optimizer", None) is None:
        raise WorkloadError(
            f"build() of {workload.name} returned a model that is not compiled with a loss and optimizer"
        )
    if not model.built:
        with reporting(f"the model of {workload.name} does not take its examples"):
            model(keras.tree.map_structure(keras.ops.convert_to_tensor, parts.train.take(slice(1)).features))
    model.optimizer.build(model.trainable_variables)
    return model


@contextlib.contextmanager
def reporting(what: str) -> Iterator[None]:
    """Report an error in the user's code in two lines, the second with its file and line; the log has the traceback.

    Args:
        what: what has failed, for the first line.

    Raises:
        WorkloadError: instead of any exception.
    """
    try:
        yield
    except WorkloadError:
        raise
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        raise WorkloadError(f"{what}: {type(error).__name__}: {lines[0][:LONGEST]}\n  {_place(error)}") from error


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    harness = str(Path(bench.__file__).parent)
    users = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((harness, "<frozen"))]
    frame = (users or list(frames))[-1]
    return f"{frame.filename}, line {frame.lineno}: {frame.line or ''}"[:LONGEST]


def _import_file(path: Path) -> ModuleType:
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # a script finds the modules beside it
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _examples(name: str, part: str, x: Any, y: Any) -> Examples:
    with reporting(f"the {part} arrays of {name} are no arrays"):
        examples = Examples(keras.tree.map_structure(_array, x), keras.tree.map_structure(_array, y))
    named = {f"{part}_x": keras.tree.flatten(examples.features), f"{part}_y": keras.tree.flatten(examples.label)}
    sizes = {key: len(array) for key, arrays in named.items() for array in arrays}
    lengths = {len(array) for arrays in named.values() for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        found = ", ".join(f"{key} {size:,}" for key, size in sizes.items())
        raise WorkloadError(f"{name}: the {part} arrays must be of one length, and not empty; there are {found}")
    for key, arrays in named.items():
        if wrong := sum(int((~np.isfinite(array)).sum()) for array in arrays if array.dtype.kind == "f"):
            raise WorkloadError(f"{name}: {key} holds {wrong:,} numbers that are not finite")
    return examples


def _array(value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise TypeError(f"give NumPy arrays of numbers, [N, ...]; one is {type(value).__name__} of {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array
