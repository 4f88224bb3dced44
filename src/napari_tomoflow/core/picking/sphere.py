"""Spheres through clicked points: vesicles, viruses, liposomes.

Legend: N points.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted, standard_errors
from napari_tomoflow.core.picking.frames import intrinsic_axes
from napari_tomoflow.core.picking.radial import RadialSurface

Floats = NDArray[np.float64]

_FEWEST = 4
_VAGUE = 0.2
"""Error of centre or radius, in radii, beyond which points do not tell a sphere."""


def fit_sphere(points_ang_zyx: ArrayLike) -> Fitted[RadialSurface]:
    """Fit the sphere with the least sum of squared distances to points, float64[N, 3].

    Raises
    ------
    DataError
        There are fewer than four points, or they do not determine a sphere.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A sphere", across=3)
    middle, scale = points.mean(axis=0), points.std()
    local = (points - middle) / scale

    def distances(ball: Floats) -> Floats:
        return np.asarray(np.linalg.norm(local - ball[:3], axis=1) - ball[3])

    found = least_squares(distances, rough_sphere(local), method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    radius, errors = float(found.x[3] * scale), standard_errors(found.jac, found.fun) * scale
    if errors.max() > _VAGUE * radius:
        raise DataError(
            f"{len(points)} points tell the centre of a sphere of {radius / 10:.3g} nm radius only to "
            f"{errors[:3].max() / 10:.2g} nm; click more, in sections above and below too."
        )
    surface = RadialSurface(
        center_ang_zyx=middle + scale * found.x[:3],
        axes_zyx=intrinsic_axes(points),
        radius_ang=lambda directions: np.full(len(directions), radius),
    )
    center_error = float(np.linalg.norm(errors[:3]))
    size = {"radius_ang": radius, "radius_error_ang": float(errors[3]), "center_error_ang": center_error}
    return Fitted(surface, found.fun * scale, size)


def rough_sphere(points: Floats) -> Floats:
    """Return centre and radius, float64[4], from |p|² = 2 c·p + (r² - |c|²), which is linear in c and r² - |c|²."""
    terms = np.column_stack([2.0 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(terms, np.sum(points**2, axis=1))[0]
    return np.append(solution[:3], np.sqrt(solution[3] + solution[:3] @ solution[:3]))
