"""On the PYTHONPATH of a command that measures: it draws no page, which takes as long as a small measurement."""

import sys

sys.modules["altair"] = None
