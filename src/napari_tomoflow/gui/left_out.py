"""Tilts that a person leaves out or takes in, with the reason as text."""

import numpy as np

from napari_tomoflow.core.model import TiltSeries

BY_HAND = "left out by hand"


def with_tilt_toggled(reasons: tuple[str, ...], tilt: int, *, is_kept: bool) -> tuple[str, ...]:
    """Return the reasons after a tilt that is in use was left out, or one that is not was taken in."""
    changed = list(reasons)
    changed[tilt] = BY_HAND if is_kept else ""
    return tuple(changed)


def with_reasons(series: TiltSeries, reasons: tuple[str, ...]) -> TiltSeries:
    """Leave out the tilts of a series that have a reason for it.

    One that was left out without a word stays out unless somebody took it in.
    """
    kept = np.array([not reason for reason in reasons])
    untouched = [a == b for a, b in zip(reasons, series.excluded_because, strict=True)]
    return series.replace(kept=np.where(untouched, series.kept, kept), excluded_because=reasons)
