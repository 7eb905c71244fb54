"""Errors that have a meaning to the user."""


class BenchError(Exception):
    """Bad input or bad usage; the message says what is wrong and what to do. Ends a command with exit code 2."""


class NotWrittenError(BenchError):
    """A file cannot be written, such as on a full disk; what lay in its place is untouched."""


class UnavailableError(Exception):
    """A backend, device, loop or precision is not available on this machine; the run is recorded as skipped."""


class WorkloadError(Exception):
    """A mistake in a custom workload; the message is for its author, in one or two lines."""
