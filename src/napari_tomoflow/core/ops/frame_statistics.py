"""Statistics of tilt images, and which images are dark, dead or not like their neighbours.

Legend: N tilts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEIGHBOURS = 5
_FAINT = 0.2
_STRONG = 5.0


@dataclass(frozen=True)
class FrameStatistics:
    """What one image holds.

    Attributes
    ----------
    mean, sd : float
        Of the finite pixels.
    n_not_numbers : int
        Pixels that are NaN or infinite.
    """

    mean: float
    sd: float
    n_not_numbers: int


def frame_statistics(image_yx: NDArray[np.float32]) -> FrameStatistics:
    """Measure one image, summing in float64."""
    finite = np.isfinite(image_yx)
    bad = int(image_yx.size - np.count_nonzero(finite))
    values = image_yx if not bad else image_yx[finite]
    if not values.size:
        return FrameStatistics(0.0, 0.0, bad)
    return FrameStatistics(float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)), bad)


def unlike_neighbours(mean: Floats, sd: Floats, tilt_deg: Floats) -> dict[int, str]:
    """Find the images to leave out: constant, dark, or far brighter than those at similar angles.

    Images are compared with the median of the five at the nearest angles, because all of them darken
    steadily with tilt.

    Returns
    -------
    dict of int to str
        Index → reason, as a phrase.
    """
    found = {int(tilt): f"it is constant at {mean[tilt]:g}" for tilt in np.flatnonzero(sd == 0)}
    lit = np.array([tilt for tilt in range(len(mean)) if tilt not in found])
    if len(lit) < 3:
        return found
    brightness_counts = bool(np.all(mean[lit] >= 0))
    for tilt in lit:
        others = lit[lit != tilt]
        near = others[np.argsort(np.abs(tilt_deg[others] - tilt_deg[tilt]), kind="stable")[:_NEIGHBOURS]]
        reason = _reason(sd[tilt], float(np.median(sd[near])), "contrast (SD)", strong=np.inf)
        if not reason and brightness_counts:
            reason = _reason(mean[tilt], float(np.median(mean[near])), "mean", strong=_STRONG)
        if reason:
            found[int(tilt)] = reason
    return found


def _reason(value: float, usual: float, what: str, strong: float) -> str:
    if usual <= 0 or _FAINT * usual <= value <= strong * usual:
        return ""
    return f"its {what} is {value:.3g} where its neighbours have {usual:.3g}"
