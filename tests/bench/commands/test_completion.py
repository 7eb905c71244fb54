"""Shell completion in real shells: what each offers when a user presses the tab key."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.commands.cli import main
from bench.commands.completion import PROGRAM, SHELLS

pytestmark = pytest.mark.backend_free

PATIENCE_S = 60


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def bash_offers(file: Path, words: list[str]) -> set[str]:
    """Call the function that bash calls for the tab key, with the variables that bash sets."""
    lines = f"""
source {file}
COMP_WORDS=({PROGRAM} {" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words)}
$(complete -p {PROGRAM} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", lines], cwd=file.parent, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    return set(done.stdout.splitlines())


def fish_offers(file: Path, words: list[str]) -> set[str]:
    """Ask fish what it would offer; a description follows a tab stop."""
    lines = f"source {file}; complete --do-complete '{' '.join([PROGRAM, *words])}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", lines],
        cwd=file.parent,
        env={**os.environ, "HOME": str(file.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return {line.partition("\t")[0] for line in done.stdout.splitlines()}


# Zsh completes on a terminal alone. What it would offer passes through `compadd`, whose -O asks for what fits.
ZSH = """
unsetopt list_beep
fpath=(FOLDER $fpath); autoload -Uz compinit; compinit -u -D
compadd() {
    if [[ " ${argv[*]%%--*} " != *\\ -[a-zA-Z12]#[OAD]\\ * ]]; then
        local -a fitting; builtin compadd -O fitting "$@"
        print -rl -- $fitting >> FOLDER/offered
    fi
    builtin compadd "$@"
}
zle-line-init() { print -n READ''Y }
zle -N zle-line-init
"""


def zsh_offers(file: Path, words: list[str]) -> set[str]:
    """Press the tab key in an interactive zsh and return what it offers."""
    folder = file.parent
    file.replace(folder / f"_{PROGRAM}")
    (folder / "start").write_text(ZSH.replace("FOLDER", str(folder)))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "vt100", "ZDOTDIR": str(folder), "HOME": str(folder)}
    with subprocess.Popen(
        ["zsh", "-f", "-i"], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as zsh:
        os.close(theirs)
        os.write(ours, f"source {folder}/start\n".encode())
        shown = b""
        while b"READY" not in shown:  # before, the terminal itself would take the keys
            shown += os.read(ours, 4096)
        os.write(ours, f"{' '.join([PROGRAM, *words])}\t\x15exit\n".encode())
        with contextlib.suppress(OSError):  # the other end is closed
            while more := os.read(ours, 4096):
                shown += more
        zsh.wait(PATIENCE_S)
    os.close(ours)
    assert b"not found" not in shown, shown
    offered = folder / "offered"
    return set(offered.read_text().splitlines()) if offered.exists() else set()


OFFERS: dict[str, Callable[[Path, list[str]], set[str]]] = {
    "bash": bash_offers,
    "zsh": zsh_offers,
    "fish": fish_offers,
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["comp"], {"compare", "completion"}),
        (["run", "--back"], {"--backends"}),
        (["run", "--backends", ""], {"jax", "torch", "tensorflow"}),
        (["run", "--init", ""], {"shared", "backend"}),
        (["run", "--dataset", "1"], {"100k", "1m"}),
        (["sweep", "--over", "ta"], {"table-rows"}),
        (["export", "mine", "--to", "ju"], {"junit"}),
        (["completion", ""], set(SHELLS)),
        (["compare", "rep"], {"report of mine"}),
        (["run", "--workload", ""], set()),
        (["run", "--nothing-like-it"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_shell_offers_what_fits(
    shell: str, words: list[str], offered: set[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    (tmp_path / "report of mine").mkdir()
    file = tmp_path / "completion"
    file.write_text(script(shell, capsys))
    found = {word.strip().replace("\\ ", " ").removesuffix("/") for word in OFFERS[shell](file, words)}
    assert found - {""} == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_has_the_options_of_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert PROGRAM in text
    assert "max-regression" in text


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
