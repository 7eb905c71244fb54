"""Errors that end a command with exit code 2 and one or two lines on stderr."""


class BenchError(Exception):
    """Bad input or bad usage; the message says what is wrong and what to do."""
