"""A tomogram and a template brought together: everything a search needs, chosen once."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.matching.exclusion import gold_in, inside_slab, widened
from napari_tomoflow.core.matching.fast import VOXELS_PER_BLOCK, FastSearch, coarse_voxel_ang, coarsened
from napari_tomoflow.core.matching.level import Level, Transfer
from napari_tomoflow.core.matching.params import MatchParams
from napari_tomoflow.core.matching.preparation import clipped, dense_bright
from napari_tomoflow.core.matching.search import ExhaustiveSearch, Search
from napari_tomoflow.core.matching.template import Template, prepare_template
from napari_tomoflow.core.model import DensityMap, Tomogram
from napari_tomoflow.core.ops.so3 import rotation_grid

Marks = NDArray[np.bool_]

_USUAL_RESOLUTION_VOX = 2.5
_FINEST_VOX = 2.2
"""The low-pass has ended before Nyquist from here on."""

_STEP_LIMITS_DEG = (2.0, 30.0)
_COARSE_STEP = 1.2
"""Of the turn up to which the details of the coarse search are alike."""

USUAL_DISTANCE = 0.6
"""In diameters: nearer to each other two particles of the usual shapes do not lie."""

_GOLD_MARGIN = 0.4
"""In diameters: a particle's centre is not nearer to a bead than its narrower half."""

_LEAST_PEAKS = 1000
"""Peaks kept of a search, at least: the null needs some hundred."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A tomogram and a template, brought together.

    Attributes
    ----------
    level : Level
        The tomogram at full sampling.
    template : Template
    step_deg : float
        Between orientations.
    allowed_zyx : bool[nz, ny, nx]
        Where particles may lie.
    distance_vox : float
        Between two of them, at least.
    search : Search
    quality : dict
        What was chosen.
    """

    level: Level
    template: Template
    step_deg: float
    allowed_zyx: Marks
    distance_vox: float
    search: Search
    quality: dict[str, Any]

    @property
    def trials(self) -> float:
        """Voxels searched times orientations."""
        return float(self.allowed_zyx.sum()) * float(self.quality["orientations"])

    @classmethod
    def of(cls, tomogram: Tomogram, density: DensityMap, sampling: Transfer, params: MatchParams) -> Self:
        """Choose what the parameters leave open, filter the tomogram, and find what is to be left out."""
        voxel_ang = tomogram.voxel_ang
        template = prepare_template(density, voxel_ang, params.diameter_ang, params.symmetry)
        diameter_ang = template.diameter_ang
        resolution_ang = _resolution_ang(params, voxel_ang)
        step_deg = params.angular_step_deg or crowther_step_deg(resolution_ang, diameter_ang)
        volume = dense_bright(tomogram)
        allowed, counts = _allowed(tomogram.name, volume, voxel_ang, diameter_ang, params)
        volume = clipped(volume)
        level = Level.of(volume, voxel_ang, diameter_ang, resolution_ang, params.whiten, sampling)
        distance_vox = (params.min_distance_ang or USUAL_DISTANCE * diameter_ang) / voxel_ang
        rotations = rotation_grid(step_deg, template.symmetry)
        whole = ExhaustiveSearch(level, rotations, allowed, distance_vox, max(_LEAST_PEAKS, params.at_most))
        search: Search = whole
        if params.search == "fast":
            wide_ang = coarse_voxel_ang(voxel_ang)
            details_ang = max(_FINEST_VOX * wide_ang, resolution_ang)
            coarse = Level.of(
                coarsened(volume), wide_ang, diameter_ang, details_ang, params.whiten, sampling, VOXELS_PER_BLOCK
            )
            coarse_deg = max(step_deg, _COARSE_STEP * crowther_step_deg(details_ang, diameter_ang))
            search = FastSearch(whole, coarse, step_deg, coarse_deg, template.symmetry)
        quality = {
            "search": params.search,
            "diameter_ang": diameter_ang,
            "symmetry": template.symmetry,
            "resolution_ang": resolution_ang,
            "angular_step_deg": step_deg,
            "orientations": len(rotations),
            **counts,
        }
        return cls(level, template, step_deg, allowed, distance_vox, search, quality)


def crowther_step_deg(resolution_ang: float, diameter_ang: float) -> float:
    """Return the turn up to which details of this size are alike all over a particle, within 2° and 30°."""
    return float(np.clip(np.rad2deg(resolution_ang / diameter_ang), *_STEP_LIMITS_DEG))


def _resolution_ang(params: MatchParams, voxel_ang: float) -> float:
    """Choose the finest detail that is compared, or refuse what the voxels do not hold."""
    if params.resolution_ang is None:
        return _USUAL_RESOLUTION_VOX * voxel_ang
    finest_ang = _FINEST_VOX * voxel_ang
    if params.resolution_ang < finest_ang:
        raise ParamError(
            f"resolution_ang cannot be {params.resolution_ang:g}: voxels of {voxel_ang:.4g} Å hold no detail finer "
            f"than {finest_ang:.3g} Å; give at least that, or match in finer voxels."
        )
    return params.resolution_ang


def _allowed(
    name: str, volume_zyx: NDArray[np.float32], voxel_ang: float, diameter_ang: float, params: MatchParams
) -> tuple[Marks, dict[str, Any]]:
    """Mark where particles may lie, and count what is left out."""
    gold = gold_in(volume_zyx, voxel_ang, params.gold_sd)
    nz, ny, nx = volume_zyx.shape
    slab = inside_slab(
        (nz, ny, nx), diameter_ang / 2 / voxel_ang, params.thickness_ang and params.thickness_ang / voxel_ang
    )
    allowed = slab & ~widened(gold, _GOLD_MARGIN * diameter_ang / voxel_ang)
    if not allowed.any():
        raise DataError(
            f"{name}: no place is left for a particle of {diameter_ang:.3g} Å in {nz} × {ny} × {nx} voxels "
            f"of {voxel_ang:.4g} Å; give a larger tomogram, or a smaller diameter_ang."
        )
    return allowed, {"gold_share": float(gold.mean()), "searched_share": float(allowed.mean())}
