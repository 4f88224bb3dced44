"""Which picks are seen in a slab, and how large. It knows no viewer."""

import numpy as np

from napari_tomoflow.gui.picker.picks import CENTERS, TYPE, Rows
from napari_tomoflow.gui.picker.planes import Floats, Plane, seen_radius
from napari_tomoflow.gui.picker.session import Session

SHAPES = ("sphere", "box")


def cut_by(session: Session, rows: Rows, plane: Plane, shape: str, thickness_ang: float) -> tuple[Rows, Floats, Floats]:
    """Find the picks that a slab cuts, as spheres of their diameter or as boxes of their edge.

    Returns
    -------
    rows : int64[k]
    places_ang : float64[k, 2]
        In the plane, to the right and down.
    radius_ang : float64[k]
        Of what is seen: both shapes shrink away from the slab as a sphere does.
    """
    centers = session.picks[CENTERS][rows]
    sizes = np.array([one.diameter_ang if shape == "sphere" else one.box_ang for one in session.types])
    radius_ang = sizes[session.picks[TYPE][rows]] / 2.0
    across_ang = centers @ plane.axes_zyx[2] - plane.origin_ang_zyx @ plane.axes_zyx[2]
    seen_ang = seen_radius(across_ang, radius_ang, thickness_ang)
    near = np.flatnonzero(seen_ang > 0)
    return rows[near], plane.coordinates(centers[near])[:, :2], seen_ang[near]
