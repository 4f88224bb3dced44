"""Which labels of a segmentation are meant."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Labels


def chosen_labels(labels: Labels, wanted: str, volume_zyx: NDArray[np.integer]) -> dict[int, str]:
    """Return the values meant and their names: one by name or number, or all there are.

    Parameters
    ----------
    labels : Labels
    wanted : str
        Name or number; empty for all.
    volume_zyx : integer array[nz, ny, nx]
        The labels, in memory.

    Raises
    ------
    MissingError
        There is no such label, or none at all.
    """
    there = [int(value) for value in np.unique(volume_zyx) if value != 0]
    names = {value: labels.names.get(value, f"label {value}") for value in there}
    if not names:
        raise MissingError(
            f"The segmentation of {labels.name} is empty: all {volume_zyx.size} voxels are 0; give another."
        )
    if not wanted:
        return names
    found = {value: name for value, name in names.items() if wanted in (name, str(value))}
    if not found:
        raise MissingError(
            f"{labels.name} has no label {wanted}; choose from "
            f"{', '.join(f'{value} ({name})' for value, name in names.items())}."
        )
    return found
