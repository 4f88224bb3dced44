"""The question what positions of a table are counted in."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import napari
from qtpy.QtWidgets import QInputDialog

from napari_tomoflow.io.particle_formats import Unit, UnitMissingError

T = TypeVar("T")

UNIT_WORDS: dict[str, Unit] = {
    "voxels, from the corner": "px",
    "Å, from the centre": "ang",
    "Å, from the corner": "ang-corner",
}
"""Words of the dialog → what they mean."""


def asked_unit(path: Path) -> Unit | None:
    """Ask a person what the positions of a table are counted in; None where they do not want to say."""
    chosen, is_said = QInputDialog.getItem(
        None, "Particles", f"What are the positions in {path.name} counted in?", list(UNIT_WORDS), 0, False
    )
    return UNIT_WORDS[chosen] if is_said else None


def read_asking(path: Path, read: Callable[[Unit | None], T]) -> T:
    """Read a table; what its positions are counted in is asked for where it does not say.

    Raises
    ------
    UnitMissingError
        There is nobody to ask, or they do not want to say.
    """
    try:
        return read(None)
    except UnitMissingError:
        unit = asked_unit(path) if napari.current_viewer() is not None else None
        if unit is None:
            raise
        return read(unit)
