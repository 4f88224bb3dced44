"""The two kinds of ending that are not bugs: what a person can mend, and what a person stopped."""


class TomoflowError(Exception):
    """Something the person can mend.

    The message is one sentence of the form *what is wrong; what was got; what to do*. It is shown
    without a traceback and ends a command with exit code 2.
    """


class ParamError(TomoflowError, ValueError):
    """A parameter has a value it may not have."""


class DataError(TomoflowError, ValueError):
    """A file or an array does not hold what it should."""


class MissingError(TomoflowError, LookupError):
    """Something asked for by name is not there."""


class Cancelled(Exception):
    """The person stopped the work. Never an error."""
