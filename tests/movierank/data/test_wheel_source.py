from __future__ import annotations

from pathlib import Path

import pytest

from movierank.data.wheel_source import WHEEL, fetch_wheel, unpack_wheel
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"not the wheel")
    with pytest.raises(MovierankError, match="does not have the known SHA-256"):
        unpack_wheel(tmp_path / WHEEL, tmp_path / "extracted")


def test_pips_own_reason_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(MovierankError, match=r"pip download recbole==1\.2\.1 failed: .*recbole==1\.2\.1"):
        fetch_wheel(tmp_path)
