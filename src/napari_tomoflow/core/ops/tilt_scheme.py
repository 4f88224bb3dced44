"""Orders of acquisition, the dose that follows from them, and what looks wrong in a list of tilt angles.

Legend: N tilts.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SAME_DEG = 0.05
_GAP = 1.6
"""A step this many times the usual one leaves a tilt out."""

_STEEPEST_DEG = 90.5
_MOSTLY = 0.9
_NAMED_AT_MOST = 5


def monotonic_order(tilt_deg: Floats) -> Ints:
    """Return the place of each tilt in a series taken from the lowest angle to the highest: int64[N]."""
    return _ranks(tilt_deg)


def dose_symmetric_order(tilt_deg: Floats) -> Ints:
    """Return the place of each tilt in a series taken outward from the middle of its range: int64[N].

    Of two tilts equally far out the positive one comes first; groups of several tilts a side are not
    known, so a place may be off by the size of a group.
    """
    middle = 0.5 * (tilt_deg.min() + tilt_deg.max())
    start = tilt_deg[np.argmin(np.abs(tilt_deg - middle))]
    outward = np.round(np.abs(tilt_deg - start), 1)
    in_time = np.lexsort((-tilt_deg, outward))
    return np.argsort(in_time, kind="stable")


def dose_before(dose_of_tilt_e_ang2: Floats, order: Ints) -> Floats:
    """Sum up the exposure the specimen had taken before each image: float64[N]."""
    in_time = np.argsort(order, kind="stable")
    before = np.empty(len(order))
    before[in_time] = np.cumsum(dose_of_tilt_e_ang2[in_time]) - dose_of_tilt_e_ang2[in_time]
    return before


def dose_of_tilts(dose_before_e_ang2: Floats, order: Ints) -> Floats:
    """Take accumulated exposures apart again; the last tilt gets what the others have in the median."""
    if len(order) < 2:
        return np.zeros(len(order))
    in_time = np.argsort(order, kind="stable")
    steps = np.diff(dose_before_e_ang2[in_time])
    doses = np.empty(len(order))
    doses[in_time] = np.append(steps, np.median(steps))
    return np.asarray(np.maximum(doses, 0.0))


def doubtful_angles(tilt_deg: Floats) -> list[str]:
    """Describe in sentences what looks wrong in the angles of a stack: equal, repeated, missing, jumping."""
    if len(tilt_deg) < 2:
        return []
    if np.ptp(tilt_deg) < _SAME_DEG:
        return [f"All {len(tilt_deg)} tilt angles are {tilt_deg[0]:g}°; check the angle file, or use --untilted."]
    found = []
    steep = np.flatnonzero(np.abs(tilt_deg) > _STEEPEST_DEG)
    if len(steep):
        found.append(f"Tilts beyond ±90°: {_listed(tilt_deg[steep])}; check the angle file.")
    inner = np.sort(tilt_deg)
    steps = np.diff(inner)
    repeated = np.flatnonzero(steps < _SAME_DEG)
    if len(repeated):
        found.append(f"Tilts taken more than once: {_listed(inner[repeated])}; leave one of each out if that is wrong.")
    usual = np.median(steps[steps >= _SAME_DEG])
    gaps = np.flatnonzero(steps > _GAP * usual)
    if len(gaps):
        missing = [f"{inner[gap]:g}° to {inner[gap + 1]:g}°" for gap in gaps[:_NAMED_AT_MOST]]
        found.append(f"Tilts seem to be missing from {', '.join(missing)}; the usual step is {usual:.3g}°.")
    return found + _turns_back(tilt_deg)


def _turns_back(tilt_deg: Floats) -> list[str]:
    """In a stack sorted by angle but for a few places, those places are suspicious."""
    steps = np.diff(tilt_deg)
    forward = np.sign(np.median(steps))
    against = np.flatnonzero(steps * forward < -_SAME_DEG)
    if not len(against) or np.mean(steps * forward > 0) < _MOSTLY:
        return []
    places = ", ".join(f"{tilt_deg[one]:g}° → {tilt_deg[one + 1]:g}°" for one in against[:_NAMED_AT_MOST])
    return [f"The angles jump back at {places} in a stack that is sorted otherwise; check the angle file."]


def _listed(angles_deg: Floats) -> str:
    text = ", ".join(f"{angle:g}°" for angle in angles_deg[:_NAMED_AT_MOST])
    return text + (", …" if len(angles_deg) > _NAMED_AT_MOST else "")


def _ranks(values: Floats) -> Ints:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")
