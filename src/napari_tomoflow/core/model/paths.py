"""Paths of single particles while the beam is on, as columns of a particle set.

A particle of centre p lies at p + path(s) in a tilt that has had the share s of the exposure: a cubic spline over √s,
as most of the motion comes early, through values at nodes spread evenly from 0 to 1.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops.splines import through_nodes

Floats = NDArray[np.float64]

PATH_NODES = 4
"""Nodes of a path."""

PATH_COLUMNS = tuple(f"path{node}_{axis}_ang" for node in range(1, PATH_NODES + 1) for axis in "zyx")
"""Features of a particle set that hold its paths."""


def path_weights(series: TiltSeries) -> Floats:
    """Return how much each node of a path counts in each tilt: float64[N, nodes]."""
    return through_nodes(np.sqrt(series.exposure_share), PATH_NODES)


def paths_of(features: Mapping[str, NDArray[np.generic]], count: int) -> Floats | None:
    """Take the paths of some particles, float64[P, nodes, 3], out of their features; None where nobody knows any.

    Those of whom nobody knows lie still.
    """
    if not all(name in features for name in PATH_COLUMNS):
        return None
    columns = [np.asarray(features[name], np.float64) for name in PATH_COLUMNS]
    return np.nan_to_num(np.stack(columns, axis=1).reshape(count, PATH_NODES, 3))


def path_features(paths_ang_zyx: Floats) -> dict[str, NDArray[np.generic]]:
    """Lay out paths as features."""
    return dict(zip(PATH_COLUMNS, paths_ang_zyx.reshape(len(paths_ang_zyx), -1).T, strict=True))
