"""From two halves to a map as it is shown, and all that they tell of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.resizing import fitted, shell_filtered
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Curve, DensityMap, FinishedMap
from napari_tomoflow.core.ops.local_fsc import LocalFilter, local_filter, window_px
from napari_tomoflow.core.postprocessing.directional import directional_fsc
from napari_tomoflow.core.postprocessing.guinier import Guinier, guinier, signal_share
from napari_tomoflow.core.postprocessing.local_scaling import model_on_grid, scaled_to_model
from napari_tomoflow.core.postprocessing.mask import Masked, automatic_mask, given_mask
from napari_tomoflow.core.postprocessing.params import PostprocessParams
from napari_tomoflow.core.postprocessing.sharpening import Sharpening, sharpening_for, up_to
from napari_tomoflow.core.report import Report, part, silent

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_PARTS = 4
_BINS = 40
_MASK_ALONE = 0.2
"""FSC of random phases at the resolution from which on a mask is doubted; chance makes about half of it."""

_INSIDE = 0.5
"""Of the mask: what is more counts for the statistics of local resolution."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a person gives beside the halves.

    Attributes
    ----------
    mask, model : DensityMap or None
    structure_factor, mtf : Curve or None
    """

    mask: DensityMap | None = None
    model: DensityMap | None = None
    structure_factor: Curve | None = None
    mtf: Curve | None = None


def finish_map(
    density: DensityMap,
    given: Given = Given(),
    params: PostprocessParams = PostprocessParams(),
    report: Report = silent,
) -> FinishedMap:
    """Mask, measure, sharpen and filter a map.

    Parameters
    ----------
    density : DensityMap
        Has halves.
    given : Given
    params : PostprocessParams
    report : Report

    Raises
    ------
    DataError
        The halves are missing or not cubic, or the mask is empty.
    """
    halves = _bright_halves(density)
    report(0, _PARTS, "Masking")
    finish = _Finish(density, halves, given, params, _masked(density, halves, given, params))
    report(1, _PARTS, "Sharpening")
    fall = finish.fall()
    sharpening = sharpening_for(fall, params.b_factor_ang2, given.structure_factor, finish.resolution_ang)
    volume = finish.sharpened(sharpening)
    report(2, _PARTS, "Comparing directions")
    quality = finish.record(fall, sharpening)
    local_ang, local_volume = None, None
    if params.local_resolution and finish.resolution_ang is not None:
        local = finish.local(sharpening, part(report, 3, _PARTS))
        local_ang = np.asarray(density.voxel_ang / local.frequency_per_px, np.float32)
        local_volume = np.asarray((local.halves[0] + local.halves[1]) / 2, np.float32)
        quality["local_resolution"] = _spread(local_ang[finish.masked.mask > _INSIDE])
    report(_PARTS, _PARTS, "Finished")
    return FinishedMap(
        name=density.name,
        volume=volume,
        voxel_ang=density.voxel_ang,
        mask=finish.masked.mask,
        halves=halves,
        local_resolution_ang=local_ang,
        local_volume=local_volume,
        symmetry=density.symmetry,
        quality=quality,
    )


@dataclass(frozen=True, eq=False)
class _Finish:
    """A map with all it is finished by."""

    density: DensityMap
    halves: tuple[Reals, Reals]
    given: Given
    params: PostprocessParams
    masked: Masked

    @property
    def resolution_ang(self) -> float | None:
        return self.masked.curve.resolution_ang()

    @property
    def mean(self) -> Reals:
        return np.asarray((self.halves[0] + self.halves[1]) / 2, np.float32)

    @property
    def width_px(self) -> float:
        """Width of the windows that local things are measured under."""
        voxel_ang = self.density.voxel_ang
        if self.params.window_ang is not None:
            return self.params.window_ang / voxel_ang
        return window_px(self.resolution_ang or 0.0, voxel_ang)

    def fall(self) -> Guinier:
        """Measure how the amplitudes fall."""
        curve, mtf = self.masked.curve, None
        if self.given.mtf is not None:
            pixel_ang = self.params.mtf_pixel_ang or self.density.voxel_ang
            mtf = self.given.mtf.at(curve.frequency_inv_ang * pixel_ang)
        return guinier(self.mean * self.masked.mask, curve, self.resolution_ang, self.params.fit_from_ang, mtf)

    def sharpened(self, sharpening: Sharpening) -> Reals:
        """Filter and sharpen the mean of the halves; without any resolution there is nothing to filter it to."""
        curve, mean = self.masked.curve, self.mean
        end_ang = self.params.lowpass_ang or self.resolution_ang
        if end_ang is None:
            return mean
        kept = up_to(end_ang, self.density.voxel_ang, len(curve.corrected))
        if self.resolution_ang is not None:
            kept *= signal_share(curve.corrected)
        if self.given.model is None:
            return shell_filtered(mean, kept * sharpening.gain)
        model = model_on_grid(self.given.model, len(mean), self.density.voxel_ang)
        return scaled_to_model(shell_filtered(mean, kept), shell_filtered(model, kept), self.width_px)

    def local(self, sharpening: Sharpening, report: Report) -> LocalFilter:
        """Measure the resolution around each voxel, and filter sharpened halves by it."""
        first, second = (shell_filtered(half, sharpening.gain) for half in self.halves)
        return local_filter(first, second, self.width_px, signal_share, report=report)

    def record(self, fall: Guinier, sharpening: Sharpening) -> dict[str, Any]:
        """Say in plain numbers what the halves tell."""
        masked, plain = self.masked, self.given.model is None
        first, second = (half * masked.mask for half in self.halves)
        along = directional_fsc(first, second, masked.curve, self.density.voxel_ang)
        quality = {
            **masked.curve.record(),
            "mask": masked.record(),
            "b_factor_ang2": sharpening.b_factor_ang2 if plain else 0.0,
            "sharpening": sharpening.method if plain else "model",
            "guinier": fall.record(),
            "directional": along.record(),
            "warnings": [*_doubts(masked), *([sharpening.warning] if plain and sharpening.warning else [])],
        }
        subsets = self.density.quality.get("subsets")
        return quality if subsets is None else {**quality, "subsets": subsets}


def _bright_halves(density: DensityMap) -> tuple[Reals, Reals]:
    """Return the halves of a map with dense matter bright."""
    shape = tuple(density.volume.shape)
    if density.halves is None:
        raise DataError(f"{density.name} has no halves; refine it, or name two half maps with --map and --other-half.")
    if len(set(shape)) != 1 or shape[0] < 8:
        raise DataError(f"{density.name} has shape {shape}; give halves that are cubes of at least 8 voxels.")
    sign = np.float32(1.0 if density.contrast == "bright" else -1.0)
    first, second = (np.asarray(half, np.float32) * sign for half in density.halves)
    if not (np.isfinite(first).all() and np.isfinite(second).all() and np.ptp(first) and np.ptp(second)):
        raise DataError(f"{density.name}: a half is empty or holds NaN; give two halves of one map.")
    return first, second


def _masked(density: DensityMap, halves: tuple[Reals, Reals], given: Given, params: PostprocessParams) -> Masked:
    """Compare the halves under the mask of a person, or under one made from them."""
    if given.mask is None:
        return automatic_mask(halves, density.voxel_ang, params.seed, params.mask_lowpass_ang, params.mask_extend_px)
    mask = fitted(given.mask.replace(contrast="bright"), len(halves[0]), density.voxel_ang)
    return given_mask(halves, density.voxel_ang, mask, params.seed)


def _doubts(masked: Masked) -> list[str]:
    """Say what a person should not overlook."""
    doubts = []
    if masked.source == "ball":
        doubts.append("No body stands out of the map, so it was measured under a ball; give --mask.")
    resolution_ang = masked.curve.resolution_ang()
    if resolution_ang is None:
        doubts.append("The halves agree no better than noise does; the map is neither filtered nor sharpened.")
    elif np.interp(1.0 / resolution_ang, masked.curve.frequency_inv_ang, masked.curve.randomised) > _MASK_ALONE:
        doubts.append("The mask alone makes the halves agree at the resolution; give one that is wider and softer.")
    return doubts


def _spread(values_ang: Reals) -> dict[str, Any]:
    """Sum up local resolutions."""
    if not len(values_ang):
        return {}
    low, median, high = (round(float(one), 3) for one in np.percentile(values_ang, (5, 50, 95)))
    counts, edges = np.histogram(values_ang, _BINS)
    return {
        "percentile_5_ang": low,
        "median_ang": median,
        "percentile_95_ang": high,
        "counts": counts.tolist(),
        "edges_ang": np.round(edges, 4).tolist(),
    }
