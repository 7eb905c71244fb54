"""Shell completion in a real bash; the other shells read theirs where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.cli import main

pytestmark = pytest.mark.backend_free


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["comp"], {"compare", "completion"}),
        (["run", "--back"], {"--backends"}),
        (["run", "--backends", ""], {"jax", "torch", "tensorflow"}),
        (["run", "--init", ""], {"shared", "backend"}),
        (["run", "--dataset", "1"], {"100k", "1m"}),
        (["sweep", "--over", "ta"], {"table-rows"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["run", "--nothing-like-it"], set()),
    ],
)
def test_bash_offers_what_fits(
    words: list[str], offered: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "completion.bash"
    file.write_text(script("bash", capsys))
    lines = f"""
source {file}
complete -p movierank-bench >&2
COMP_WORDS=(movierank-bench {" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words)}
$(complete -p movierank-bench | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", lines], capture_output=True, text=True, check=False)
    assert "movierank-bench" in done.stderr
    assert {line.strip() for line in done.stdout.splitlines()} - {""} == offered, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_a_script_that_they_can_read(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "script"
    file.write_text(script(shell, capsys))
    assert "movierank-bench" in file.read_text()
    assert "--max-regression" in file.read_text() or "max-regression" in file.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    subprocess.run([shell, "-n", str(file)], check=True)


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
