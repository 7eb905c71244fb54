"""The one exception a user of this package has to know."""


class MovierankError(Exception):
    """Bad input or a missing prerequisite; the message says what is wrong and what to do, in one or two lines."""
