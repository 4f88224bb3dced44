"""Follow one landmark that a person points at in one tilt through all the others.

The alignment says where a point of each height would be seen in every tilt. At the right height the
patches around those places are alike, so all tilts together find it, however noisy each is; only then is
the landmark measured tilt by tilt.

Legend: T tilts that show the place, H heights, s side of a patch in pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.alignment.crops import Crop, normalised, read_crop
from napari_tomoflow.core.alignment.gold import find_spots, gold_binning
from napari_tomoflow.core.alignment.mend import with_point
from napari_tomoflow.core.alignment.tracking import on_ray
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Landmarks, TiltSeries
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Measure = Callable[[int, Floats, float], Floats | None]
"""``measure(tilt, predicted_ang_yx, radius_ang)``: where the landmark is, or None."""

_PATCH_PX = 24
"""Images are binned as long as the side of a feature is no smaller."""

_SIZE_OF_FIELD = 1 / 30
"""Size of a landmark, as a fraction of the field, where there is none yet to tell."""

_PATCH_DIAMETERS = 2.0
"""Side of the patch around a bead: with its surroundings it is told from the next."""

_DEPTH_OF_FIELD = 0.5
_DEPTH_OF_THICKNESS = 2.0
"""Depth searched, as a fraction of the field, or of the specimen's thickness where that is known."""

_RADII = (0.8, 0.6, 0.5)
"""How far from its prediction a landmark is looked for in each round, in diameters or sides."""

_LEAST_CORRELATION = 4.0
"""A feature is believed where it correlates with its mean by this many times what noise does."""

_ALIKE_WITHIN_DEG = 20.0
"""Views this much apart still look alike: how fast the weight of a view falls in what another is compared with."""

_LEAST_TILTS = 4
_LEAST_SHARE = 1 / 3
"""A landmark is one if it is found in so many of the tilts that show its place."""


@dataclass(frozen=True)
class _Target:
    """What is looked for and on which grid."""

    is_gold: bool
    size_ang: float
    binning: int
    pixel_ang: float
    side_px: int

    @classmethod
    def of(cls, landmarks: Landmarks, series: TiltSeries) -> "_Target":
        size_ang = landmarks.size_ang or _PATCH_PX * series.pixel_ang
        is_gold = landmarks.kind == "gold"
        longest = int(size_ang / (_PATCH_PX * series.pixel_ang))
        binning = gold_binning(size_ang, series.pixel_ang) if is_gold else max(1, longest)
        pixel_ang = series.pixel_ang * binning
        patch_ang = _PATCH_DIAMETERS * size_ang if is_gold else size_ang
        return cls(is_gold, size_ang, binning, pixel_ang, max(8, round(patch_ang / pixel_ang)))


def follow(
    series: TiltSeries, alignment: Alignment, tilt: int, position_ang_yx: ArrayLike, report: Report = silent
) -> Landmarks:
    """Add the landmark seen at one place of one tilt, measured in all tilts that show it.

    Parameters
    ----------
    series : TiltSeries
    alignment : Alignment
        Right to about half the size of a landmark. It says what is looked for: the kind and the size of
        its landmarks; features where it has none.
    tilt : int
    position_ang_yx : float64[2]
        Å from the image centre; to about half the size of the landmark.
    report
        Told each tilt.

    Returns
    -------
    Landmarks
        Those of the alignment and one more.

    Raises
    ------
    DataError
        It cannot be followed, or it is a landmark already.
    """
    landmarks = alignment.landmarks or _none_yet(series)
    target = _Target.of(landmarks, series)
    position = np.asarray(position_ang_yx, np.float64)
    ray = on_ray(alignment, tilt, position, _heights(series, alignment, target))
    crops = _read_crops(series, alignment, ray, target, report)
    predicted, _ = alignment.project(ray)
    height = _best_height(predicted, crops, target)
    point = ray[height]
    _refuse_known(landmarks, point, target.size_ang)
    measure = (
        _gold_measure(crops, target)
        if target.is_gold
        else _feature_measure(crops, target, series.tilt_deg, predicted[:, height])
    )
    point, found = _measured(alignment, point, measure, target.size_ang, list(crops))
    if len(found) < max(_LEAST_TILTS, _LEAST_SHARE * len(crops)):
        raise DataError(
            f"The place at y = {position[0]:.0f} Å, x = {position[1]:.0f} Å of tilt {tilt} is found in {len(found)} of "
            f"{len(crops)} tilts; choose something that stands out more."
        )
    tilts = np.array(sorted(found), np.int64)
    return with_point(landmarks, point, tilts, np.stack([found[one] for one in tilts]))


def _none_yet(series: TiltSeries) -> Landmarks:
    size_ang = series.pixel_ang * max(_PATCH_PX, _SIZE_OF_FIELD * min(series.shape_yx))
    nothing = np.zeros(0, np.int64)
    return Landmarks(
        kind="feature", points_ang_zyx=np.zeros((0, 3)), tilt=nothing, point=nothing,
        position_ang_yx=np.zeros((0, 2)), weight=np.zeros(0), size_ang=size_ang,
    )  # fmt: skip


def _heights(series: TiltSeries, alignment: Alignment, target: _Target) -> Floats:
    field_ang = min(series.shape_yx) * series.pixel_ang
    thickness_ang = alignment.thickness_ang
    depth_ang = _DEPTH_OF_THICKNESS * thickness_ang if thickness_ang else _DEPTH_OF_FIELD * field_ang
    half = 0.5 * max(depth_ang, 4.0 * target.size_ang)
    return np.arange(-half, half + target.pixel_ang, target.pixel_ang)


def _read_crops(
    series: TiltSeries, alignment: Alignment, ray: Floats, target: _Target, report: Report
) -> dict[int, Crop]:
    """Read from every tilt in use the strip in which the landmark must lie."""
    predicted, _ = alignment.project(ray)
    margin_ang = (0.5 * target.side_px + 2.0) * target.pixel_ang + _RADII[0] * target.size_ang
    crops = {}
    for tilt in watched([int(one) for one in np.flatnonzero(alignment.kept)], report, "Following the landmark"):
        low, high = predicted[tilt].min(axis=0) - margin_ang, predicted[tilt].max(axis=0) + margin_ang
        crop = read_crop(series, tilt, low, high, target.binning, target.side_px + 2)
        if crop is not None:
            crops[tilt] = crop
    if len(crops) < _LEAST_TILTS:
        raise DataError(f"The place clicked is shown by {len(crops)} tilts; choose one nearer the middle.")
    return crops


def _best_height(predicted_ang_yx: Floats, crops: Mapping[int, Crop], target: _Target) -> int:
    """Return the height at which the patches of all tilts are most alike, by their mean correlation in pairs."""
    n_heights = predicted_ang_yx.shape[1]
    total = np.zeros((n_heights, target.side_px, target.side_px))
    count = np.zeros(n_heights)
    for tilt, crop in crops.items():
        shown = crop.holds(predicted_ang_yx[tilt], target.side_px)
        total[shown] += crop.patches(predicted_ang_yx[tilt][shown], target.side_px)
        count += shown
    # |Σ patches|² holds every pair twice, and each patch with itself.
    pairs = np.maximum(count * (count - 1.0), 1.0)
    alike = ((total**2).sum(axis=(1, 2)) - count) / pairs
    return int(np.where(count >= _LEAST_SHARE * len(crops), alike, -np.inf).argmax())


def _refuse_known(landmarks: Landmarks, point: Floats, size_ang: float) -> None:
    distance = np.linalg.norm(landmarks.points_ang_zyx - point, axis=1)
    known = np.flatnonzero(distance < 0.5 * size_ang)
    if len(known):
        raise DataError(f"Landmark {known[0]} is there already; move it, or choose another place.")


def _measured(
    alignment: Alignment, point: Floats, measure: Measure, size_ang: float, tilts: list[int]
) -> tuple[Floats, dict[int, Floats]]:
    """Measure the landmark and place it in the specimen, in turns, the radius shrinking."""
    found: dict[int, Floats] = {}
    for radius in _RADII:
        predicted = alignment.project(point[None])[0][:, 0]
        seen = {tilt: measure(tilt, predicted[tilt], radius * size_ang) for tilt in tilts}
        found = {tilt: position for tilt, position in seen.items() if position is not None}
        if len(found) < _LEAST_TILTS:
            break
        point = _triangulated(alignment, point, found)
    return point, found


def _triangulated(alignment: Alignment, point: Floats, found: Mapping[int, Floats]) -> Floats:
    """Move a point to where its measurements meet; those far off count little (weights of Cauchy)."""
    tilts = np.array(list(found))
    measured = np.stack(list(found.values()))
    toward_yx = alignment.rotations[tilts][:, 1::-1, ::-1]  # how (v, u) change as (z, y, x) do
    for _ in range(4):
        residual = measured - alignment.project(point[None])[0][tilts, 0]
        length = np.linalg.norm(residual, axis=1)
        weight = 1.0 / (1.0 + (length / (2.0 * np.median(length) + 1e-6)) ** 2)
        design = (toward_yx * weight[:, None, None]).reshape(-1, 3)
        step = np.linalg.lstsq(design, (residual * weight[:, None]).ravel(), rcond=None)[0]
        point = point + step
    return point


def _gold_measure(crops: Mapping[int, Crop], target: _Target) -> Measure:
    """Measure a bead as the spot next to where it is predicted."""
    spots = {}
    for tilt, crop in crops.items():
        position_px, _ = find_spots(crop.image_yx, target.size_ang / target.pixel_ang)
        spots[tilt] = crop.centre_ang_yx + position_px * crop.pixel_ang

    def measure(tilt: int, predicted_ang_yx: Floats, radius_ang: float) -> Floats | None:
        distance = np.linalg.norm(spots[tilt] - predicted_ang_yx, axis=1)
        near = int(distance.argmin()) if len(distance) else -1
        return spots[tilt][near] if near >= 0 and distance[near] <= radius_ang else None

    return measure


def _feature_measure(crops: Mapping[int, Crop], target: _Target, tilt_deg: Floats, predicted_ang_yx: Floats) -> Measure:
    """Measure a feature by correlation with what the other tilts show where it was last found, or is predicted."""
    patches = {
        tilt: crop.patches(predicted_ang_yx[tilt][None], target.side_px)[0]
        for tilt, crop in crops.items()
        if crop.holds(predicted_ang_yx[tilt][None], target.side_px)[0]
    }
    threshold = _LEAST_CORRELATION / target.side_px  # noise correlates by one over the root of its pixels

    def template_for(tilt: int) -> Floats:
        others = [other for other in patches if other != tilt]
        apart = tilt_deg[others] - tilt_deg[tilt]
        weight = np.exp(-0.5 * (apart / _ALIKE_WITHIN_DEG) ** 2)
        return normalised(np.tensordot(weight, np.stack([patches[other] for other in others]), axes=1))

    def measure(tilt: int, predicted_ang_yx: Floats, radius_ang: float) -> Floats | None:
        if tilt not in patches:
            return None
        position, correlation = crops[tilt].best_match(template_for(tilt), predicted_ang_yx, radius_ang)
        if correlation < threshold:
            return None
        patches[tilt] = crops[tilt].patches(position[None], target.side_px)[0]
        return position

    return measure
