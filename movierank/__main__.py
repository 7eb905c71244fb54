"""Entry of `python -m movierank`."""

import sys

from movierank.cli import main

sys.exit(main())
