"""Tiles: what a pick looks like, projected over its own depth; and what tiles can be sorted by. It knows no viewer."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.model.paths import PATH_COLUMNS
from napari_tomoflow.core.ops.poses import matrices_from_quaternions
from napari_tomoflow.gui.picker.picks import CENTERS, QUATERNIONS, TYPE, Rows
from napari_tomoflow.gui.picker.planes import AXES_ZYX
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.gui.picker.statistics import neighbour_distances
from napari_tomoflow.gui.tomogram_view.slabs import Filter, oblique_slab

DIRECTIONS: Mapping[str, str] = {"along z": "xy", "along y": "xz", "along x": "yz", "along its own z": ""}
"""How picks are looked at → the pane that looks the same way; none for the frame of each."""

_UNFILTERED = Filter()

_SPREAD_SD = 2.5
"""Grey values this many standard deviations off the mean are black and white."""

_MOST_VOXELS = 48
"""Bigger boxes are sampled this finely: a tile is not larger on the screen."""


def tile(
    tomogram: Tomogram,
    center_ang_zyx: NDArray[np.float64],
    quaternion_xyzw: NDArray[np.float64],
    direction: str,
    box_ang: float,
    depth_ang: float,
    chosen: Filter = _UNFILTERED,
) -> NDArray[np.uint8]:
    """Project the box around a pick over the depth of the particle.

    Parameters
    ----------
    tomogram : Tomogram
    center_ang_zyx : float64[3]
    quaternion_xyzw : float64[4]
        Counts only for ``along its own z``.
    direction : str
        One of `DIRECTIONS`.
    box_ang, depth_ang : float
    chosen : Filter
        What is done to slices is done to tiles.

    Returns
    -------
    uint8[n, n]
    """
    if DIRECTIONS[direction]:
        axes_zyx = np.eye(3)[list(AXES_ZYX[DIRECTIONS[direction]])]
    else:
        axes_zyx = matrices_from_quaternions(quaternion_xyzw[None])[0].T[:, ::-1]
    image = oblique_slab(tomogram, center_ang_zyx, axes_zyx, box_ang, depth_ang)
    image = chosen.apply(image, tomogram.voxel_ang)
    every = max(1, len(image) // _MOST_VOXELS)
    n = len(image) // every
    image = image[: n * every, : n * every].reshape(n, every, n, every).mean(axis=(1, 3))
    spread = _SPREAD_SD * float(image.std()) or 1.0
    return np.asarray(np.clip(127.5 + 127.5 * (image - image.mean()) / spread, 0, 255), np.uint8)


def columns(session: Session) -> dict[str, NDArray[np.generic]]:
    """Return what the picks there are can be sorted by, in the order of their rows."""
    particles = session.particle_set(session.tomogram)
    z, y, x = particles.centers_ang_zyx.T
    distances = neighbour_distances(particles.centers_ang_zyx)
    alone = np.full(len(particles), np.inf)
    scores = {"score": particles.score}
    return {
        **(scores if np.isfinite(particles.score).any() else {}),
        "number": particles.ids,
        "x (Å)": x,
        "y (Å)": y,
        "z (Å)": z,
        "nearest pick (Å)": distances if len(distances) else alone,
        **{name: column for name, column in particles.features.items() if name not in PATH_COLUMNS},
        **scores,
    }


def sorted_rows(session: Session, by: str, falls: bool, of_type: int | None) -> tuple[Rows, list[str]]:
    """Return the picks of a type (None: of all) in order, and what each has in the column sorted by.

    Picks that have nothing there come last either way.
    """
    rows = session.picks.there()
    values = columns(session)[by]
    if of_type is not None:
        chosen = session.picks[TYPE][rows] == of_type
        rows, values = rows[chosen], values[chosen]
    is_number = values.dtype.kind in "iufb"
    has_none = np.isnan(values.astype(np.float64)) if is_number else values == ""
    order = np.argsort(values, kind="stable")
    order = order[::-1] if falls else order
    order = np.concatenate([order[~has_none[order]], order[has_none[order]]])
    texts = [f"{value:.4g}" if is_number else str(value) for value in values[order].tolist()]
    n_known = len(order) - int(has_none.sum())
    return rows[order], texts[:n_known] + ["–"] * (len(order) - n_known)


def key_of(session: Session, row: int, direction: str, chosen: Filter) -> tuple[object, ...]:
    """Return all that the tile of a pick depends on; another key is another picture."""
    one = session.types[int(session.picks[TYPE][row])]
    turn = b"" if DIRECTIONS[direction] else session.picks[QUATERNIONS][row].tobytes()
    center = session.picks[CENTERS][row].tobytes()
    return (session.tomogram, center, turn, direction, one.box_ang, one.diameter_ang, chosen)
