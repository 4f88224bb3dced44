"""An alignment as layers: tilts in the order of their angles, landmarks, predictions, residual arrows, tracks.

All share one frame: place in the order of tilt, then y and x in Å from the image centre. As in
`gui.layers`, one tilt counts as one pixel so that all layers agree on their units.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.gui.inspector.session import Session
from napari_tomoflow.gui.layers import TILT_AXES, LayerTuple, tilt_series_to_layer
from napari_tomoflow.gui.tilt_order import in_tilt_order

Floats = NDArray[np.float64]

USED, REJECTED = (0.35, 1.0, 0.45, 1.0), (1.0, 0.42, 0.35, 1.0)
"""Colours of measurements that are believed, and that are not."""

_PREDICTED = (0.3, 0.76, 1.0, 0.9)
_ARROW = (1.0, 0.82, 0.3, 1.0)
_DEFAULT_SIZE_ANG = 150.0
_CROSS_OF_SIZE = 0.35
_ARROW_OF_SIZE = 0.12
_TAIL_TILTS = 4


def stack_layer(session: Session) -> LayerTuple:
    """Show the tilts in the order of their angles."""
    data, attributes, kind = tilt_series_to_layer(in_tilt_order(session.series, session.order))
    return data, attributes | {"name": f"{session.series.name} alignment"}, kind


def landmark_places(session: Session) -> tuple[Floats, NDArray[np.float64], dict[str, Any]]:
    """Return data float64[M, 3], colours float64[M, 4] and features of the measured landmarks."""
    landmarks = session.landmarks
    if landmarks is None:
        return np.zeros((0, 3)), np.zeros((0, 4)), {"landmark": [], "residual_nm": [], "weight": []}
    places = np.column_stack([session.rank[landmarks.tilt], landmarks.position_ang_yx])
    used = landmarks.believed & session.alignment.kept[landmarks.tilt]
    colours = np.where(used[:, None], USED, REJECTED)
    length_nm = np.linalg.norm(session.residuals_ang(), axis=1) / 10.0
    return places, colours, {"landmark": landmarks.point, "residual_nm": length_nm, "weight": landmarks.weight}


def predicted_places(session: Session) -> tuple[Floats, NDArray[np.int64]]:
    """Return where every landmark is predicted in every tilt, float64[K, 3], and which landmark each is."""
    landmarks = session.landmarks
    known = np.zeros(0, np.int64)
    if landmarks is not None:
        known = np.flatnonzero(np.isfinite(landmarks.points_ang_zyx).all(axis=1))
    if landmarks is None or not len(known):
        return np.zeros((0, 3)), known
    predicted, _ = session.alignment.project(landmarks.points_ang_zyx[known])
    n_tilts = session.alignment.n_tilts
    rank = np.repeat(session.rank, len(known))
    return np.column_stack([rank, predicted.reshape(-1, 2)]), np.tile(known, n_tilts)


def residual_arrows(session: Session, factor: float) -> NDArray[np.float64]:
    """Return an arrow from every measurement towards its prediction, so many times as long: float64[K, 2, 3]."""
    places, _, _ = landmark_places(session)
    if not len(places):
        return np.zeros((0, 2, 3))
    toward = np.column_stack([np.zeros(len(places)), -factor * session.residuals_ang()])
    known = np.isfinite(toward).all(axis=1)
    return np.stack([places[known], toward[known]], axis=1)


def track_vertices(session: Session) -> Floats:
    """Return the believed measurements as (landmark, tilt, y, x), float64[K, 4], landmark by landmark."""
    landmarks = session.landmarks
    if landmarks is None:
        return np.zeros((0, 4))
    places, _, _ = landmark_places(session)
    vertices = np.column_stack([landmarks.point, places])[landmarks.believed]
    return np.asarray(vertices[np.lexsort((vertices[:, 1], vertices[:, 0]))])


def size_ang(session: Session) -> float:
    """Return how large landmarks are drawn."""
    return (session.landmarks and session.landmarks.size_ang) or _DEFAULT_SIZE_ANG


def fitting_factor(session: Session) -> float:
    """Return the round number by which residuals come out about as long as landmarks are wide."""
    length = np.linalg.norm(session.residuals_ang(), axis=1)
    typical_ang = float(np.median(length[np.isfinite(length)])) if np.isfinite(length).any() else 0.0
    if typical_ang <= 0:
        return 1.0
    wanted = max(1.0, size_ang(session) / typical_ang)
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * power for step in (1, 2, 5) if step * power <= wanted))


def overlay_layers(session: Session) -> dict[str, LayerTuple]:
    """Give the empty layers that lie over the tilts, by what they show, from the lowest to the topmost."""
    frame = {
        "scale": (session.series.pixel_ang, 1.0, 1.0),
        "units": ("angstrom",) * 3,
        "axis_labels": TILT_AXES,
        "blending": "translucent_no_depth",
    }
    size = size_ang(session)
    nothing = np.zeros((0, 3))
    arrows = {"edge_color": [_ARROW], "edge_width": _ARROW_OF_SIZE * size, "vector_style": "arrow"}
    rings = {"face_color": "transparent", "border_width": 0.06, "size": size}
    crosses = {"face_color": [_PREDICTED], "border_width": 0.0, "size": _CROSS_OF_SIZE * size, "symbol": "cross"}
    whose = session.series.name
    # Tilts are not slices of a volume: a landmark belongs to its own tilt alone, however thick a slab is shown.
    alone = {"projection_mode": "none"}
    return {
        "predicted": (nothing, frame | crosses | alone | {"name": f"{whose} predicted"}, "points"),
        "residuals": (np.zeros((0, 2, 3)), frame | arrows | alone | {"name": f"{whose} residuals"}, "vectors"),
        "landmarks": (nothing, frame | rings | alone | {"name": f"{whose} landmarks"}, "points"),
    }


def track_layer(session: Session) -> LayerTuple:
    """Show the path of each landmark through the tilts before and after the one in view."""
    attributes = {
        "name": f"{session.series.name} tracks",
        "scale": (session.series.pixel_ang, 1.0, 1.0),
        "units": ("angstrom",) * 3,
        "axis_labels": TILT_AXES,
        "tail_length": _TAIL_TILTS,
        "head_length": _TAIL_TILTS,
        "tail_width": 2,
        "opacity": 0.6,
    }
    return track_vertices(session), attributes, "tracks"
