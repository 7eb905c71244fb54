"""Examine this machine: backends and devices that work, data, and conditions that could distort a measurement."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure.options import WORKER_COMMAND
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.schema.messages import Available, Probe
from bench.schema.record import Record
from bench.statistics.calm import APART
from bench.system.conditions import SAMPLE_S, conditions_between
from bench.system.environment import usable_cores, worker_environment
from bench.system.handover import Handover
from bench.system.machine import describe_machine
from bench.system.snapshot import take_snapshot
from movierank.backends import BACKENDS
from movierank.install_hint import install_hint

PROBE_TIMEOUT_S = 120.0
LOOKS, LOOK_S = 40, 0.05


class Probed(Record, frozen=True, kw_only=True):
    """Whether one backend works on one device here, with its version or the reason."""

    backend: str
    device: str
    works: bool
    detail: str


class Findings(Record, frozen=True, kw_only=True):
    """What works on this machine.

    Attributes:
        backends: one record for each backend and device.
        data: a sentence about MovieLens 100K.
        noise: conditions that could distort a measurement now, each with a remedy.
        cores: a sentence about how fast the cores hand data over.
    """

    backends: list[Probed]
    data: str
    noise: list[str]
    cores: str

    @property
    def works(self) -> bool:
        """Whether at least one backend can be measured."""
        return any(each.works for each in self.backends)


def examine() -> Findings:
    """Start a worker for each backend and device, and examine the data and the machine."""
    before, machine = take_snapshot(sample_s=SAMPLE_S), describe_machine()  # before the probes make a load of their own
    probed = []
    for backend in BACKENDS:
        for device in ("cpu", "gpu"):
            works, detail = probe(backend, device)
            probed.append(Probed(backend=backend, device=device, works=works, detail=detail))
    noise = conditions_between(before, None, machine, usable_cores()).warnings
    return Findings(backends=probed, data=_data(), noise=list(noise), cores=_cores())


def probe(backend: str, device: str, command: Sequence[str] = WORKER_COMMAND) -> tuple[bool, str]:
    """Start a worker that only imports `backend`; return whether it sees `device`, with its version or the reason."""
    threads = usable_cores()
    environment = worker_environment(backend, device, threads)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder,
            WorkerProcess(command, environment, Path(folder) / "probe.log", PROBE_TIMEOUT_S) as worker,
        ):
            found = worker.ask(Probe(backend=backend, device=device, threads=threads), Available)
    except WorkerLostError as error:
        return False, error.error
    return True, f"{found.version}, {found.device_name}, imported in {found.import_s:.1f} s"


def _cores() -> str:
    seen = sorted(_handover_ratios())
    if not seen:
        return "Cores: how fast they hand data over cannot be measured here"
    words = f"data of another core takes {seen[0]:.1f} to {seen[-1]:.1f} times as long to read as a core's own"
    if seen[-1] <= APART * seen[0]:
        return f"Cores: {words}; steady"
    return f"Noise: {words}: the cores lose their common cache now and then, so that rounds wait (--patience)"


def _handover_ratios() -> Iterator[float]:
    handover = Handover.of_threads(usable_cores())
    if handover is None:
        return
    for _ in range(LOOKS):
        if (ratio := handover.ratio()) is not None:
            yield ratio
        time.sleep(LOOK_S)


def _data() -> str:
    from movierank.data.cache import CacheSlot, cache_root

    prepared = CacheSlot(cache_root(), "100k").prepared()
    state = f"prepared ({', '.join(prepared)})" if prepared else "not prepared; the first run does it"
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return f"100k is {state}; TFDS is not installed, preparing needs {install_hint('data')}"
    return f"100k is {state}; TFDS is installed"
