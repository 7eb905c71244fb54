"""`predictions.npz` may have been sent by anybody: what is wrong with it is said in a line, and takes no memory."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.report.predictions import load_arrays

pytestmark = pytest.mark.backend_free

ARRAYS = {"jax/cpu/fit/p0/s0/epoch 1": np.arange(6, dtype=np.float32), "b": np.ones((2, 3)), "empty": np.zeros(0)}


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / f"{compression}.npz"
        path.write_bytes(zipped({f"{name}.npy": npy(array) for name, array in ARRAYS.items()}, compression))
        found = load_arrays(path)
        assert list(found) == list(ARRAYS)
        assert all(
            np.array_equal(found[name], array) and found[name].dtype == array.dtype for name, array in ARRAYS.items()
        )


def with_shape(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(80)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "File is not a zip file"),
        (zipped({"a.npy": npy(np.zeros(2**24))}, zipfile.ZIP_DEFLATED), "more than 20 times its size"),
        (zipped({"a.npy": npy(np.zeros(2**24))}, zipfile.ZIP_LZMA), "more than 20 times its size"),
        (zipped({"a.npy": with_shape((2**40,))}), "holds less than the"),
        (zipped({"a.npy": with_shape((2**62, 2**62))}), "holds less than the"),
        (zipped({"a.npy": with_shape((-8,))}), "holds less than the"),
        (zipped({"a.txt": b"words"}), "magic string"),
        (zipped({"a.npy": npy(np.array([None, {}]))}), "allow_pickle"),
    ],
    ids=["empty", "bomb", "lzma", "larger", "overflow", "negative", "text", "objects"],
)
def test_what_is_no_file_of_arrays_is_said_in_a_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "predictions.npz"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=message) as caught:
        load_arrays(path)
    assert str(caught.value).startswith(f"cannot read {path}: ")
    assert "\n" not in str(caught.value)


def test_devices_fifos_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(BenchError, match="not a regular file"):
            load_arrays(path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_said_or_does_no_harm(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(npz(**ARRAYS))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "predictions.npz"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    with contextlib.suppress(BenchError):
        load_arrays(path)
