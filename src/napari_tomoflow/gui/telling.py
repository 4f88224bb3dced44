"""What a person can mend is told to that person, and the widget goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from napari_tomoflow.core.errors import TomoflowError


@contextmanager
def told() -> Iterator[None]:
    """Show an error of the block that a person can mend; others pass."""
    try:
        yield
    except TomoflowError as error:
        show_error(str(error))
