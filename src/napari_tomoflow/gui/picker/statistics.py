"""Numbers about picks: how many, how far apart. It knows no viewer."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.gui.picker.picks import CENTERS, TYPE
from napari_tomoflow.gui.picker.session import Session, counted


def neighbour_distances(centers_ang_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the nearest other pick is, float64[P] in Å; nothing where there are fewer than two."""
    if len(centers_ang_zyx) < 2:
        return np.zeros(0)
    # The nearest of all is the pick itself.
    distances, _ = cKDTree(centers_ang_zyx).query(centers_ang_zyx, k=[2])
    return np.asarray(distances, np.float64).ravel()


def describe(name: str, centers_ang_zyx: NDArray[np.float64], diameter_ang: float) -> str:
    """Sum picks of a type up: their number, how far apart they are, how many overlap."""
    distances = neighbour_distances(centers_ang_zyx)
    words = [f"<b>{name}</b>: {counted(len(centers_ang_zyx))}"]
    if len(distances):
        low, middle = float(distances.min()), float(np.median(distances))
        words.append(f"nearest neighbour {middle:.0f} Å (median), {low:.0f} Å (least)")
        overlap = int((distances < diameter_ang).sum())
        if overlap:
            words.append(f"{overlap} nearer to another than their diameter")
    return ", ".join(words)


def summing_up(session: Session) -> Callable[[], Iterator[tuple[str, str]]]:
    """Prepare to describe the picks of every type, a line each; what is returned may run in any thread."""
    rows = session.picks.there()
    types, centers = session.picks[TYPE][rows], session.picks[CENTERS][rows]
    present = [(index, one) for index, one in enumerate(session.types) if one.is_present]

    def sum_up() -> Iterator[tuple[str, str]]:
        texts = [describe(one.name, centers[types == index], one.diameter_ang) for index, one in present]
        yield "statistics", "<br>".join(texts)

    return sum_up
