"""Every model of clicked points: its fit, and the places on it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.anchors import Anchors
from napari_tomoflow.core.picking.closed import fit_closed
from napari_tomoflow.core.picking.ellipsoid import fit_ellipsoid
from napari_tomoflow.core.picking.filament import fit_filament
from napari_tomoflow.core.picking.fitted import Fitted
from napari_tomoflow.core.picking.height import HeightSurface, fit_membrane, fit_plane, hexagonal
from napari_tomoflow.core.picking.lattice import fit_lattice
from napari_tomoflow.core.picking.params import PickParams
from napari_tomoflow.core.picking.places import (
    Places,
    places_along,
    places_on_dipoles,
    places_on_lattice,
    places_on_surface,
)
from napari_tomoflow.core.picking.radial import RadialSurface
from napari_tomoflow.core.picking.spacing import count_on, even_points
from napari_tomoflow.core.picking.sphere import fit_sphere
from napari_tomoflow.core.report import Report, silent

Floats = NDArray[np.float64]


def fit_places(
    anchors: Anchors, params: PickParams, rng: np.random.Generator, report: Report = silent
) -> tuple[Places, Fitted[Any] | None]:
    """Fit the model to points and put particles on it.

    Returns
    -------
    places : Places
    fitted : Fitted or None
        None for dipoles, where there is nothing to fit.

    Raises
    ------
    DataError, ParamError
        The points do not determine the shape, or it is smaller than the spacing.
    """
    points = anchors.points_ang_zyx
    if params.model == "dipole":
        return places_on_dipoles(points), None
    if params.model == "lattice":
        lattice = fit_lattice(points)
        return places_on_lattice(lattice.shape, params.side, anchors.outside_ang_zyx), lattice
    if params.model == "filament":
        filament = fit_filament(points)
        rise_ang, radius_ang = 10.0 * params.spacing_nm, 10.0 * params.radius_nm
        return places_along(filament.shape, rise_ang, params.twist_deg, radius_ang), filament
    fitted = _SURFACES[params.model](points)
    spread = _spread(fitted.shape, params, rng, report)
    return places_on_surface(fitted.shape, spread, params.side, anchors.outside_ang_zyx), fitted


def _spread(
    surface: RadialSurface | HeightSurface, params: PickParams, rng: np.random.Generator, report: Report
) -> Floats:
    """Spread points over a surface; a sphere starts from a golden spiral, a plane is a hexagonal net."""
    spacing_ang = 10.0 * params.spacing_nm
    if isinstance(surface, HeightSurface) and params.model == "plane":
        count_on(surface.pool(spacing_ang / 4.0)[1], spacing_ang, surface.edge_ang)
        return surface.at(hexagonal(surface.outline_ang, spacing_ang))
    start = None
    if isinstance(surface, RadialSurface) and params.model == "sphere":
        start = surface.at(fibonacci(count_on(surface.pool(spacing_ang)[1], spacing_ang)))
    return even_points(surface, spacing_ang, rng, start, report)


_SURFACES: dict[str, Callable[[ArrayLike], Fitted[RadialSurface] | Fitted[HeightSurface]]] = {
    "sphere": fit_sphere,
    "ellipsoid": fit_ellipsoid,
    "closed": fit_closed,
    "membrane": fit_membrane,
    "plane": fit_plane,
}
