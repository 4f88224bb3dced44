"""Gain references: which of eight ways they lie on the frames, and whether they belong to them at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

ORIENTATIONS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "as-is": lambda gain: gain,
    "turned-90": lambda gain: np.rot90(gain, -1),  # rows run upward: what numpy calls clockwise is not
    "turned-180": lambda gain: np.rot90(gain, 2),
    "turned-270": lambda gain: np.rot90(gain, 1),
    "flipped-x": lambda gain: gain[:, ::-1],
    "flipped-y": lambda gain: gain[::-1],
    "transposed": lambda gain: gain.T,
    "antitransposed": lambda gain: gain[::-1, ::-1].T,
}
"""The eight ways a rectangle lies on a detector: name → what does it to an array[ny, nx]."""

_SIGNIFICANT_SD = 8.0
_BOX_PX = 5


@dataclass(frozen=True)
class GainVerdict:
    """What the frames say of a gain reference.

    Attributes
    ----------
    orientation : str
        One of `ORIENTATIONS`.
    use : {"multiplied", "divided", "not used"}
        Frames that need the gain are brighter where it is smaller; those brighter where it is larger need
        its inverse; those that show no trace of it have had it already.
    correlation : dict of str to float
        Between the fine structure of the gain in each orientation and that of the frames.
    warning : str
        Empty, or what a person should know.
    """

    orientation: str
    use: str
    correlation: dict[str, float]
    warning: str = ""


def judge_gain(gain_yx: Image, mean_yx: Image) -> GainVerdict:
    """Compare a gain in all orientations with the mean of many frames as recorded.

    Parameters
    ----------
    gain_yx : float32[ny, nx] or float32[nx, ny]
    mean_yx : float32[ny, nx]
    """
    seen = fine_structure(mean_yx)
    seen_sd = float(seen.std())
    correlation = {}
    for name, turn in ORIENTATIONS.items():
        turned = turn(gain_yx)
        if turned.shape == mean_yx.shape:
            fine = fine_structure(turned)
            norm = float(fine.std()) * seen_sd
            correlation[name] = float(np.mean(fine * seen) / norm) if norm > 0 else 0.0
    best = max(correlation, key=lambda name: abs(correlation[name]))
    noise = mean_yx.size**-0.5
    if abs(correlation[best]) > _SIGNIFICANT_SD * noise:
        if correlation[best] < 0:
            return GainVerdict(best, "multiplied", correlation)
        warning = "The frames are brighter where the gain is larger, so they are divided by it; check the reference."
        return GainVerdict(best, "divided", correlation, warning)
    as_given = next(iter(correlation))
    expected = float(fine_structure(ORIENTATIONS[as_given](gain_yx)).std()) / max(seen_sd, 1e-30)
    if expected > 2 * _SIGNIFICANT_SD * noise:
        warning = "The frames show no trace of the gain in any orientation: they have been corrected already, or the "
        return GainVerdict(as_given, "not used", correlation, warning + "reference is of another detector; not used.")
    warning = "The gain is too even for its orientation to be seen in the frames; it is laid on them as it is."
    return GainVerdict(as_given, "multiplied", correlation, warning)


def fine_structure(image_yx: NDArray[Any]) -> Image:
    """Leave only what differs from pixel to pixel, in units of the mean, outliers drawn in."""
    from scipy.ndimage import uniform_filter

    image = np.nan_to_num(np.asarray(image_yx, np.float32), posinf=0.0, neginf=0.0)
    image = image / np.float32(max(abs(float(image.mean(dtype=np.float64))), 1e-30))
    fine = image - uniform_filter(image, _BOX_PX, mode="nearest")
    limit = np.float32(_SIGNIFICANT_SD * np.median(np.abs(fine)) + 1e-12)
    fine = np.clip(fine, -limit, limit)
    return np.asarray(fine - fine.mean(), np.float32)


def fixed_pattern(first_yx: Image, second_yx: Image) -> float:
    """Measure what two means of corrected frames of different tilts share from pixel to pixel.

    Returns
    -------
    float
        Its standard deviation as a share of the mean; 0 where it does not stand out of the noise.
    """
    first, second = fine_structure(first_yx), fine_structure(second_yx)
    shared = float(np.mean(first * second))
    noise = float(first.std() * second.std()) * first.size**-0.5
    return shared**0.5 if shared > _SIGNIFICANT_SD * noise else 0.0
