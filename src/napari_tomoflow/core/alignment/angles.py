"""Whether each image belongs to the angle on file: only at its own angle do the other tilts predict it well.

Legend: K tilts in use, by increasing angle.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.matching import neighbours_of, predict_from_slab
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.views import turn_views
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops.correlation import band_pass, correlation_map, whitened_product
from napari_tomoflow.core.ops.peaks import find_peak, noise_sd
from napari_tomoflow.core.report import Report, part, watched

Floats = NDArray[np.float64]

_NEAREST = 6
"""An image is compared with so many at the nearest angles: all fit worse the steeper they are."""

_SUSPECT = 0.6
"""An image that fits its angle less than this fraction of what its neighbours do is looked at."""

_MOST_SUSPECTS = 1.0 / 3.0
"""When more are suspect than this, it is not single images that are wrong."""

_BETTER_RATIO, _BETTER_TOGETHER = 1.07, 5.0
"""Two images are exchanged if both fit better by this ratio and together by so many noise. Beside a tilt that is
placed wrongly two sound images reached 1.055; images truly exchanged 1.08 to 1.40. Of the some forty pairs of a
series with little to see, which are right, the best gained 4.1 noise."""

_ELSEWHERE_RATIO, _ELSEWHERE_BY = 1.5, 3.0
"""An image alone belongs to another angle if it fits there better by this ratio and by so many noise."""

_ABOVE_CHANCE = 1.0
"""An image fits if its peak is this much above the highest of as many values of noise."""

_REACH = 0.25
"""How far an image may have to move to fit, as a fraction of the field."""

_LOW_DEG = 15.0
"""Tilts lower than this look much the same from either side."""

_APART_ERRORS = 5.0
"""Images fit their own angles better than others by this many standard errors, or the angles are not theirs."""


@dataclass(frozen=True)
class AngleCheck:
    """What is wrong with the angles on file.

    Attributes
    ----------
    exchanged : tuple of (int, int)
        Pairs of tilts, by their place in the stack, that carry each other's angle.
    excluded : dict of int to str
        Why each tilt, by its place in the stack, belongs to no angle.
    """

    exchanged: tuple[tuple[int, int], ...] = ()
    excluded: dict[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether anything is wrong."""
        return bool(self.exchanged or self.excluded)

    def mended(self, stack: WorkStack) -> WorkStack:
        """Exchange angles, leave out what belongs nowhere, and sort by angle again."""
        tilt_deg = stack.tilt_deg.copy()
        for first, second in self.exchanged:
            tilt_deg[[first, second]] = stack.tilt_deg[[second, first]]
        used = [place for place in np.argsort(tilt_deg, kind="stable") if int(place) not in self.excluded]
        return replace(stack, tilt_deg=tilt_deg).chosen(np.array(used, np.int64))


class Jury:
    """All tilts of a stack, roughly placed, who say how well an image fits an angle.

    Parameters
    ----------
    stack : WorkStack
        Filtered; coarse resolution will do.
    alignment : Alignment
        Axis and rough shifts.
    band : Band
    thickness_ang : float
        Of the slab predictions are made with.
    """

    def __init__(self, stack: WorkStack, alignment: Alignment, band: Band, thickness_ang: float) -> None:
        n = stack.side_px
        self.tilt_deg = stack.tilt_deg
        self._views = turn_views(stack, alignment)
        self._weights = band_pass((n, n), stack.pixel_ang, band.lowpass_ang, band.highpass_ang)
        self._thickness_ang = thickness_ang
        self._reach_px = max(int(_REACH * n), 2)

    def __len__(self) -> int:
        """Return the number of tilts."""
        return len(self.tilt_deg)

    @property
    def chance(self) -> float:
        """The highest of as many values of noise as `fit` looks through, about."""
        return float(np.sqrt(2.0 * np.log((2 * self._reach_px + 1) ** 2)))

    def fit(self, image: int, tilt_deg: float, absent: Collection[int] = ()) -> float:
        """Return the peak over noise of an image with what the tilts around an angle predict, some not asked."""
        angles = self.tilt_deg.copy()
        angles[image] = tilt_deg
        views = replace(self._views, tilt_deg=angles)
        asked = neighbours_of(angles, image, [other for other in range(len(self)) if other not in absent])
        predicted, cover = predict_from_slab(views, image, asked, self._thickness_ang)
        shape = predicted.shape
        seen = views.images[image] * views.masks[image]
        map_yx = correlation_map(whitened_product(seen, predicted * cover, self._weights), shape)
        near = slice(shape[0] // 2 - self._reach_px, shape[0] // 2 + self._reach_px + 1)
        return find_peak(map_yx[near, near]).height / max(noise_sd(map_yx), float(np.finfo(np.float32).tiny))


def check_angles(name: str, jury: Jury, report: Report) -> AngleCheck:
    """Find images whose angle on file is not theirs.

    Raises
    ------
    DataError
        Too few images fit their angles for any to be trusted.
    """
    everyone = range(len(jury))
    own = np.array(
        [jury.fit(image, jury.tilt_deg[image]) for image in watched(everyone, part(report, 0, 3), "Checking angles")]
    )
    suspects = _suspects(own, jury.tilt_deg)
    _refuse_strangers(name, jury, own, suspects)
    pairs = _exchanged(jury, suspects, suspects, part(report, 1, 3))
    excluded = {
        image: reason
        for image in suspects
        if not any(image in pair for pair in pairs) and (reason := _belongs_nowhere(jury, image, suspects))
    }
    trusted = [image for image in everyone if image not in suspects]
    pairs += _exchanged(jury, trusted, (), part(report, 2, 3), next_only=True)
    return AngleCheck(tuple(pairs), excluded)


def _suspects(own: Floats, tilt_deg: Floats) -> list[int]:
    """Return the images that fit their angle much less than the neighbours fit theirs."""
    found = []
    for image in range(len(own)):
        nearest = np.argsort(np.abs(tilt_deg - tilt_deg[image]), kind="stable")[1 : _NEAREST + 1]
        if own[image] < _SUSPECT * np.median(own[nearest]):
            found.append(image)
    return found


def _refuse_strangers(name: str, jury: Jury, own: Floats, suspects: Sequence[int]) -> None:
    """Raise `DataError` unless images fit their angles better than others, half the series away or of opposite sign.

    The sign matters because angles in the order of acquisition put neighbours together, but fold the series at zero.
    """
    n = len(jury)
    far = np.array([max(jury.fit(image, angle) for angle in _other_angles(jury.tilt_deg, image)) for image in range(n)])
    # Suspects may well fit elsewhere; it is the rest that must know where it belongs.
    gain = np.delete(own - far, suspects)
    error = max(float(gain.std()) / np.sqrt(len(gain)), 1e-6)
    if gain.mean() < _APART_ERRORS * error or len(suspects) > _MOST_SUSPECTS * n:
        raise DataError(
            f"{name} cannot be aligned: its images fit their angles on file with peaks of {own.mean():.1f} × noise "
            f"and other angles with {far.mean():.1f}, and {len(suspects)} of {n} fit much worse than "
            "their neighbours; check that the angles belong to this stack and are in its order."
        )


def _other_angles(tilt_deg: Floats, image: int) -> list[float]:
    """Return angles that an image certainly does not belong to, if its own is right."""
    own, n = float(tilt_deg[image]), len(tilt_deg)
    half_away = float(tilt_deg[(image + n // 2) % n])
    return [half_away, -own] if abs(own) > _LOW_DEG else [half_away]


def _exchanged(
    jury: Jury, images: Sequence[int], absent: Collection[int], report: Report, *, next_only: bool = False
) -> list[tuple[int, int]]:
    """Find pairs of images that both fit better with each other's angle, the best first, each image once.

    With ``next_only``, only images next to each other in angle are tried: their angles differ so little that
    neither stands out alone.
    """
    pairs = [
        (first, second)
        for place, first in enumerate(images)
        for second in images[place + 1 : place + 2 if next_only else None]
    ]
    gains = {}
    for pair in watched(pairs, report, "Exchanging angles"):
        # The second is asked only if the first is better off, which is seldom.
        gain_of_first = _gain(jury, *pair, absent)
        gain_of_second = _gain(jury, *pair[::-1], absent) if gain_of_first else 0.0
        if gain_of_second and gain_of_first + gain_of_second > _BETTER_TOGETHER:
            gains[pair] = gain_of_first + gain_of_second
    found: list[tuple[int, int]] = []
    for pair in sorted(gains, key=lambda pair: -gains[pair]):
        if not any(image in taken for image in pair for taken in found):
            found.append(pair)
    return found


def _gain(jury: Jury, image: int, other: int, absent: Collection[int]) -> float:
    """Return how much better an image fits another's angle than its own, neither asked; zero if not clearly."""
    own, elsewhere = (jury.fit(image, jury.tilt_deg[at], {*absent, image, other}) for at in (image, other))
    return elsewhere - own if elsewhere > _BETTER_RATIO * own else 0.0


def _belongs_nowhere(jury: Jury, image: int, absent: Collection[int]) -> str:
    """Say why an image is to be left out, or nothing."""
    here = float(jury.tilt_deg[image])
    fits = np.array([jury.fit(image, angle, absent) for angle in jury.tilt_deg])
    own, best = float(fits[image]), int(fits.argmax())
    if fits[best] > max(_ELSEWHERE_RATIO * own, own + _ELSEWHERE_BY):
        return (
            f"wrong angle: its image fits {jury.tilt_deg[best]:.1f}° ({fits[best]:.1f} × noise), "
            f"not {here:.1f}° as on file ({own:.1f})"
        )
    if own < jury.chance + _ABOVE_CHANCE:
        return f"its image does not fit the others ({own:.1f} × noise, chance reaches {jury.chance:.1f})"
    return ""
