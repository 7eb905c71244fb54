from __future__ import annotations

import builtins
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.commands.cli import main
from bench.report.file import load_report
from movierank.install_hint import install_hint

pytestmark = pytest.mark.backend_free


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", missing)


READ = """
import json, sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
found = EventMultiplexer().AddRunsFromDirectory(sys.argv[1])
found.Reload()
print("READ", json.dumps({
    run: {
        "scalars": {tag: [(e.step, e.value) for e in found.Scalars(run, tag)] for tag in tags["scalars"]},
        "tensors": tags["tensors"],
    }
    for run, tags in found.Runs().items()
}))
"""


def read(folder: Path) -> dict[str, Any]:
    """Returns what TensorBoard's own reader finds; in a process of its own, as it imports TensorFlow where it can."""
    done = subprocess.run([sys.executable, "-c", READ, folder], capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("READ ")] or [done.stderr]
    found: dict[str, Any] = json.loads(line.removeprefix("READ "))
    return found


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed")
def test_tensorboard_reads_what_was_written(real: Path, broken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # In a process of its own, which shows that no framework was imported.
    program = (
        "import sys; from bench.commands.cli import main; code = main(sys.argv[1:])\n"
        "assert not {'tensorflow', 'torch', 'jax', 'keras'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "export", real, broken, "--to", "tensorboard", "-o", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = read(out)
    assert len(runs) == 1 + 45 + 6
    assert runs["."]["tensors"] == ["_hparams_/experiment"]
    first = load_report(real).runs[0]
    scalars = runs["loops-2cores/jax-cpu-fit/0"]["scalars"]
    assert scalars["train/rmse"] == [[n, pytest.approx(value)] for n, value in enumerate(first.train_rmse, start=1)]
    assert scalars["test/rmse"] == [[5, pytest.approx(first.test_rmse)]]
    assert [value for _, value in scalars["step_time_ms/steady"]] == pytest.approx(first.step_time_ms)
    assert runs["loops-2cores/jax-cpu-fit/0"]["tensors"] == ["_hparams_/session_start_info"]
    assert runs["broken/tensorflow-cpu-fit/0"]["scalars"] == {"seconds/import_s": [[1, 1.5]]}
    assert runs["broken/torch-cpu-fit/2"]["scalars"] == {}
    assert "test/rmse" not in runs["broken/jax-cpu-fit/1"]["scalars"]


def test_without_tensorboard_the_extra_to_install_is_named(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(monkeypatch, "tensorboard")
    assert main(["export", str(real), "--to", "tensorboard", "-o", str(tmp_path / "out")]) == 2
    assert install_hint("tensorboard") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
