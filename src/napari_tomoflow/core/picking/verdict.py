"""What a pick says of itself: every shape with its fit and evenness in plain numbers, and what to look at again."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.picking.anchors import Anchors
from napari_tomoflow.core.picking.fitted import Fitted
from napari_tomoflow.core.picking.params import PickParams
from napari_tomoflow.core.picking.places import Places
from napari_tomoflow.core.picking.spacing import neighbour_distances

_STRAY = 5.0
"""Residual over the usual one of its shape from which on a click is doubted."""

_SLIGHT = 0.1
"""Residual over the spacing below which no click is doubted."""

_POOR = 0.5
"""Residual over the spacing beyond which a fit is doubted."""

_SD_PER_MEDIAN = 1.4826


def fit_record(anchors: Anchors, fitted: Fitted[Any] | None, places: Places) -> dict[str, Any]:
    """Sum up one shape in plain numbers; None for what is not known."""
    record = {
        "tomogram": anchors.tomogram,
        "species": anchors.species,
        "model": anchors.model,
        "points": len(anchors.points_ang_zyx),
        **evenness(places.centers_ang_zyx),
    }
    if fitted is not None:
        residual = fitted.residual_ang[np.isfinite(fitted.residual_ang)]
        record |= {
            "residual_ang": float(np.sqrt(np.mean(residual**2))),
            "largest_residual_ang": float(np.abs(residual).max()),
        }
        record |= {name: value if math.isfinite(value) else None for name, value in fitted.size.items()}
    return record


def evenness(centers_ang_zyx: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Return the number of picks, the mean distance of nearest neighbours, and its relative spread."""
    distance = neighbour_distances(centers_ang_zyx)
    mean = float(distance.mean()) if len(distance) else None
    spread = float(distance.std() / mean) if mean else None
    return {"picks": len(centers_ang_zyx), "neighbour_ang": mean, "neighbour_variation": spread}


def fit_warnings(anchors: Anchors, fitted: Fitted[Any] | None, params: PickParams) -> list[str]:
    """Say which clicks, and which fits, a person should look at again."""
    if fitted is None:
        return []
    size = np.abs(fitted.residual_ang)
    homeless = np.flatnonzero(np.isnan(size))
    warnings = []
    if len(homeless):
        warnings.append(
            f"{len(homeless)} of {len(size)} points of {anchors.name} belong to no node of its lattice, the first of "
            f"them number {homeless[0] + 1}."
        )
    size = np.nan_to_num(size)
    usual = _SD_PER_MEDIAN * float(np.median(size))
    stray = np.flatnonzero(size > max(_STRAY * usual, _SLIGHT * 10.0 * params.spacing_nm))
    warnings += [
        f"Point {index + 1} of {anchors.name} lies {size[index] / 10:.3g} nm off its {params.model}, others "
        f"{usual / 10:.2g} nm; was it meant for another shape?"
        for index in stray[:5]
    ]
    rms = float(np.sqrt(np.mean(size**2)))
    if rms > _POOR * 10.0 * params.spacing_nm:
        warnings.append(
            f"The points of {anchors.name} lie {rms / 10:.3g} nm off its {params.model} in the mean; is it of this "
            "kind, and are its points one shape's?"
        )
    return warnings
