"""Plant a fault of `bench.studies.mutants.catalogue` in a worker's session.

Each fault changes a session whose model is compiled and has its initial weights, before it trains or predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.worker.faults.data import DATA_FAULTS
from bench.worker.faults.loop import LOOP_FAULTS
from bench.worker.faults.network import NETWORK_FAULTS
from bench.worker.faults.optimizer import OPTIMIZER_FAULTS

if TYPE_CHECKING:
    from bench.worker.session import Session

PLANTED: dict[str, Callable[[Session], None]] = {**NETWORK_FAULTS, **DATA_FAULTS, **OPTIMIZER_FAULTS, **LOOP_FAULTS}


def plant(name: str, session: Session) -> None:
    """Plant the fault of this name.

    Raises:
        ValueError: there is no such fault.
    """
    if name not in PLANTED:
        raise ValueError(f"there is no fault {name!r}")
    PLANTED[name](session)
