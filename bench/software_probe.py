"""Says what another Python has installed: started there as `python -m bench.software_probe`, prints JSON.

It fails, with the name of the package, where that Python lacks something that a worker imports before its backend.
"""

from __future__ import annotations

import importlib.util
import os
import sys

import msgspec

from bench.software import describe_software

if __name__ == "__main__":
    for name in ("scipy", "keras"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
    sys.stdout.buffer.write(msgspec.json.encode(describe_software(os.environ)))
