"""The exception of this package."""


class MovierankError(Exception):
    """Bad input or a missing prerequisite; the message says what is wrong and what to do, in one or two lines."""
