"""`python -m bench schema`: the JSON Schema of report.json."""

from __future__ import annotations

import argparse

from bench.schema.outcome import FINE

SCHEMA_EXAMPLES = """examples:
  python -m bench schema > report.schema.json
  python -m bench schema | jq '."$defs" | keys'
"""


def _schema(arguments: argparse.Namespace) -> int:
    import msgspec

    from bench.schema.report import Report
    from bench.text.console import print_json

    print_json(msgspec.json.schema(Report))
    return FINE
