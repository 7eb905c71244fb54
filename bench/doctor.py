"""Say what would work here: backends and devices, data, and what could spoil a measurement."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.conditions import SAMPLE_S, conditions_between
from bench.environment import usable_cores, worker_environment
from bench.handover import Handover
from bench.machine import describe_machine
from bench.machine_state import APART
from bench.protocol import Available, Failed, Probe, Unavailable
from bench.snapshot import take_snapshot
from bench.worker_process import WorkerLostError, WorkerProcess
from movierank.backends import BACKENDS

PROBE_TIMEOUT_S = 120.0
LOOKS, LOOK_S = 40, 0.05


def examine(console: Console) -> bool:
    """Prints what works and what does not; returns whether at least one backend can be measured."""
    before, machine = take_snapshot(sample_s=SAMPLE_S), describe_machine()  # before the probes make a load of their own
    backends = Table(title="Backends")
    for column in ("Backend", "Device", "Works", "Detail"):
        backends.add_column(column)
    works = False
    for backend in BACKENDS:
        for device in ("cpu", "gpu"):
            found, detail = probe(backend, device)
            works |= found
            backends.add_row(backend, device, "yes" if found else "no", escape(detail))
    console.print(backends)
    console.print(f"Data: {_data()}", markup=False, highlight=False)
    for warning in conditions_between(before, None, machine, usable_cores()).warnings:
        console.print(f"Noise: {warning}", markup=False, highlight=False)
    console.print(_cores(), markup=False, highlight=False)
    return works


def probe(backend: str, device: str) -> tuple[bool, str]:
    """Starts a worker that only imports `backend`; returns whether it sees `device`, and a word on it."""
    command = (sys.executable, "-m", "bench.worker")
    threads = usable_cores()
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder:
        worker = WorkerProcess(command, worker_environment(backend, device, threads), Path(folder) / "probe.log")
        try:
            reply = worker.ask(Probe(backend=backend, device=device, threads=threads), PROBE_TIMEOUT_S)
        except WorkerLostError as error:
            return False, error.error
        finally:
            worker.kill()
    match reply:
        case Available():
            return True, f"{reply.version}, {reply.device_name}, imported in {reply.import_s:.1f} s"
        case Unavailable():
            return False, reply.reason
        case Failed():
            return False, reply.error
        case _:
            return False, f"unexpected answer {type(reply).__name__}"


def _cores() -> str:
    seen = sorted(_handover_ratios())
    if not seen:
        return "Cores: how fast they hand data over cannot be measured here"
    told = f"data of another core takes {seen[0]:.1f} to {seen[-1]:.1f} times as long to read as a core's own"
    if seen[-1] <= APART * seen[0]:
        return f"Cores: {told}; steady"
    return f"Noise: {told}: the cores lose their common cache now and then, so that rounds wait (--patience)"


def _handover_ratios() -> Iterator[float]:
    handover = Handover.of_threads(usable_cores())
    if handover is None:
        return
    for _ in range(LOOKS):
        if (ratio := handover.ratio()) is not None:
            yield ratio
        time.sleep(LOOK_S)


def _data() -> str:
    from movierank.cache import CacheSlot, cache_root

    prepared = CacheSlot(cache_root(), "100k").prepared()
    state = f"prepared ({', '.join(prepared)})" if prepared else "not prepared; the first run does it"
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return f"100k is {state}; TFDS is not installed, preparing needs pip install 'movierank-bench[data]'"
    return f"100k is {state}; TFDS is installed"
