"""Runs `python -m bench run` many times in a row, each time in a fork of a process that has imported all it needs.

Usage: forking_runner.py; each line on stdin is JSON: `arguments` of the command, `worker` (program and arguments of a
worker), `output` (a file for its stdout and stderr) and `file_bytes` (largest file that may be written, null for any).
For each it prints two lines: the process id, and at its end the exit code, or minus the signal that ended it.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import signal
import sys
import traceback

import bench.measure.options
import bench.measure.run
import bench.page.beside
import bench.system.conditions
import bench.text.report
from bench.commands import cli
from bench.measure.options import Options


def run(request: dict) -> int:
    log = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if request["file_bytes"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    # The command line has no option for the program of a worker, nor for how long to watch other processes.
    bench.measure.options.Options = functools.partial(
        Options, worker_command=request["worker"], watch_s=0.0, patience_s=0.0
    )
    bench.page.beside.write_page_beside = lambda output: None  # takes a second, and the report is finished before
    return cli.main(request["arguments"])


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(request)
            except KeyboardInterrupt:  # before the command line could take it
                code = 3
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


main()
