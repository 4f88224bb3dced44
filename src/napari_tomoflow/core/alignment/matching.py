"""What each tilt should look like, predicted from the others, and how far it is off."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.alignment.views import Views
from napari_tomoflow.core.ops.correlation import correlation_map, whitened_product
from napari_tomoflow.core.ops.peaks import Peak, find_peak, noise_sd
from napari_tomoflow.core.report import Report, watched

Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_REACH_DEG = 20.5
"""Tilts further apart share little in a slab: the box filter takes it away."""

_NEIGHBOURS = 10

_LEAST_COVER = 0.05
"""Pixels that the neighbours show less than this are not predicted."""

_STRENGTH_SD = 2.0
"""Voxels of a back-projection below this many standard deviations are taken for noise."""

_FOLDS = 2
"""Tilts are predicted from those of the other folds, so that no image ever meets itself."""

_STRIPS = 8
"""The field is cut into this many strips along the axis; even and odd ones are two independent witnesses."""


class Steps(NamedTuple):
    """How far each tilt is from where the others say it should be. Legend: K tilts.

    Attributes
    ----------
    steps_ang_yx : float64[K, 2]
        In the frame of the axis: along it, across it.
    height : float64[K]
        Peak over noise of the correlation map.
    split_ang : float64[K]
        Distance between what the two halves of the field say.
    held_out : float64[K]
        Correlation in each half of the field at the step that the other half asks for, in units of the
        noise, both added up: how well the prediction holds on matter that nothing was fitted to.
    """

    steps_ang_yx: Floats
    height: Floats
    split_ang: Floats
    held_out: Floats

    @property
    def confirmed_ang_yx(self) -> Floats:
        """The steps, each shortened to the share of its correlation that held-out matter confirms."""
        share = np.clip(self.held_out / np.maximum(self.height, 1e-6), 0.0, 1.0)
        return np.asarray(self.steps_ang_yx * share[:, None])

    @property
    def residual_ang(self) -> Floats:
        """Half of what the halves of the field disagree by and the step still to go, as one length per tilt."""
        return np.asarray(np.hypot(0.5 * self.split_ang, np.hypot(*self.steps_ang_yx.T)))

    @property
    def score(self) -> float:
        """Mean held-out correlation: what passes and predictors are judged by."""
        return float(self.held_out.mean())


def neighbours_of(tilt_deg: Floats, tilt: int, pool: Sequence[int], most: int = _NEIGHBOURS) -> list[int]:
    """Return the tilts of the pool that may predict one, nearest first; two at least, if the pool has them."""
    apart = np.abs(tilt_deg - tilt_deg[tilt])
    nearest = [other for other in sorted(pool, key=lambda other: (apart[other], other)) if other != tilt]
    within = sum(apart[other] <= _REACH_DEG for other in nearest)
    return nearest[: min(max(within, 2), most)]


def predict_from_slab(
    views: Views, tilt: int, others: Sequence[int], thickness_ang: float
) -> tuple[Floats32, Floats32]:
    """Predict a view from other tilts as if the specimen were a uniform slab.

    Returns
    -------
    predicted : float32[n, n]
        Mean over the other tilts where they show it.
    cover : float32[n, n]
        How much of it they show, 0 to 1.
    """
    from napari_tomoflow.core.kernels.slab import add_slab_views

    predicted, cover = np.zeros((2, *views.images.shape[1:]), np.float32)
    chosen = np.array(others, np.int64)
    weights, own = views.stretch[chosen], views.stretch[tilt]
    apart = np.deg2rad(views.tilt_deg[chosen] - views.tilt_deg[tilt])
    widths_px = thickness_ang / views.pixel_ang * np.abs(np.sin(apart)) / own
    add_slab_views(predicted, cover, views.images, views.masks, chosen, weights / own, widths_px, weights)
    total = float(weights.sum())
    shown = cover > _LEAST_COVER * total
    return np.where(shown, predicted / np.where(shown, cover, 1.0), 0.0), np.clip(cover / total, 0.0, 1.0)


def predict_all_from_slab(views: Views, thickness_ang: float, report: Report) -> Floats32:
    """Predict every view from its neighbours as in `predict_from_slab`, weighted by what they show."""
    predicted = np.empty_like(views.images)
    for tilt in watched(range(len(views)), report, "Predicting projections"):
        others = neighbours_of(views.tilt_deg, tilt, range(len(views)))
        mean, cover = predict_from_slab(views, tilt, others, thickness_ang)
        predicted[tilt] = mean * cover
    return predicted


def ramp_weighted(views: Views) -> Floats32:
    """Weight the rows of all views for back-projection: a ramp across the axis, the mean kept a little."""
    n = views.images.shape[2]
    ramp = (scipy.fft.rfftfreq(n) + 0.5 / n).astype(np.float32)
    rows = scipy.fft.irfft(scipy.fft.rfft(views.images * views.masks, workers=-1) * ramp, n=n, workers=-1)
    return np.asarray(rows, np.float32)


def predict_all_from_features(views: Views, thickness_ang: float, report: Report) -> Floats32:
    """Predict every view from the strong features of a back-projection of the other folds' tilts.

    A slab holds its matter at all heights alike; features are where they are. This takes away the slow
    drift across the axis that a slab leaves, because a feature must stay at one height in all tilts.
    """
    from napari_tomoflow.core.kernels.rows import reproject_rows

    rows = ramp_weighted(views)
    angle = np.deg2rad(views.tilt_deg)
    cosines, sines = np.cos(angle), np.sin(angle)
    n_depths = depth_count(thickness_ang, views.pixel_ang)
    predicted = np.zeros_like(rows)
    fold_of = np.arange(len(views)) % _FOLDS
    for fold in watched(range(_FOLDS), report, "Predicting projections"):
        chosen = fold_of != fold
        # Voxels add up the chosen tilts, whose noise is independent.
        spread = float(np.sqrt((rows[chosen].var(axis=(1, 2))).sum()))
        reproject_rows(predicted, rows, cosines, sines, chosen, n_depths, _STRENGTH_SD * spread)
    return predicted


def depth_count(thickness_ang: float, pixel_ang: float) -> int:
    """Return the number of slices of a slab, even and at least 8."""
    return max(2 * int(np.ceil(0.5 * thickness_ang / pixel_ang)), 8)


def measure_steps(views: Views, predicted: Floats32, weights_rft: Floats32, radius_px: float, report: Report) -> Steps:
    """Find for every tilt the step that fits its prediction best.

    Parameters
    ----------
    views : Views
    predicted : float32[K, n, n]
    weights_rft : float32[n, n // 2 + 1]
        Band-pass of the correlation.
    radius_px : float
        How far a step may go along each axis.
    """
    n = views.images.shape[1]
    reach = min(max(int(np.ceil(radius_px)), 2), n // 2 - 1)
    near = slice(n // 2 - reach, n // 2 + reach + 1)
    even = (np.arange(n) * _STRIPS // n) % 2 == 0
    halves = np.stack([even, ~even]).astype(np.float32)[:, :, None]
    found = []
    for i in watched(range(len(views)), report, "Matching projections"):
        image, prediction = views.images[i] * views.masks[i], predicted[i] * views.masks[i]
        maps = correlation_map(whitened_product(image * halves, prediction, weights_rft), (n, n))
        noise = max(noise_sd(maps.sum(axis=0)), float(np.finfo(np.float32).tiny))
        found.append(_read_maps(maps[:, near, near] / noise))
    steps, height, split, held_out = (np.array(column) for column in zip(*found, strict=True))
    return Steps(steps * views.pixel_ang, height, split * views.pixel_ang, held_out)


def _read_maps(maps: Floats32) -> tuple[tuple[float, float], float, float, float]:
    """Read one tilt's ``(step yx px, height, split px, held out)`` off the maps of the two halves of the field."""
    whole, first, second = find_peak(maps.sum(axis=0)), find_peak(maps[0]), find_peak(maps[1])
    split = float(np.hypot(first.y_px - second.y_px, first.x_px - second.x_px))
    held_out = _value_at(maps[1], first) + _value_at(maps[0], second)
    return (whole.y_px, whole.x_px), whole.height, split, held_out


def _value_at(map_yx: Floats32, peak: Peak) -> float:
    """Read a map at the place of a peak, linearly interpolated."""
    centre = len(map_yx) // 2
    return float(map_coordinates(map_yx, [[peak.y_px + centre], [peak.x_px + centre]], order=1, mode="nearest")[0])
