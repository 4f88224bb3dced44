"""How a command ends, in one number."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ``tomoflow``."""

    DONE = 0
    BUG = 1
    MEND = 2
    """The person can mend it; also when every item of a job failed so."""
    PARTIAL = 3
    """Some items failed, the others are done."""
    CANCELLED = 130
