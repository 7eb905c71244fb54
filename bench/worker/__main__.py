"""`python -m bench.worker COMMAND_FD REPLY_FD`, as the supervisor starts a worker."""

import sys

from bench.worker.serve import main

sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
