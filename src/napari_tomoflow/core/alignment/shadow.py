"""Find what hides the specimen in a tilt image: grid bars and anything else that lets next to no electrons through.

A shadow is darker than the rest and quieter too, because the noise of counting falls with the light. Where it
is dark but as noisy as the rest there is dense matter, which is what an alignment lives on. Neither needs to
know which grey value means no light.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, gaussian_filter, uniform_filter

Floats = NDArray[np.float32]

_CELL = 1.0 / 32.0
"""Side of the cells a shadow is made of, as a fraction of the field."""

_QUIET = 0.5
"""A shadow has less than this fraction of the usual noise: a quarter of the light, or less."""

_DARKER_SD = 3.0
"""It is darker than the usual grey value by this much of the usual noise of a pixel."""

_OPEN = 0.2
"""The brightest fifth of an image is taken to be open."""

_FADE = 1.0 / 24.0
"""Width over which a mask fades beside a shadow, as a fraction of the field."""

_LEAST = 0.02
"""Less of the image than this is no shadow: a large lump of ice, or chance."""


def find_shadow(image_yx: Floats, seen_yx: Floats) -> tuple[Floats, float]:
    """Find the shadow in one image.

    Parameters
    ----------
    image_yx : float32[ny, nx]
        Dense is dark.
    seen_yx : float32[ny, nx]
        Where the image holds anything: zero in dead borders.

    Returns
    -------
    open_yx : float32[ny, nx]
        One where the specimen shows, zero in the shadow, fading towards it from outside.
    hidden : float
        Fraction of the image in shadow.
    """
    cell = max(round(_CELL * max(image_yx.shape)), 3)
    live = seen_yx > 0.0
    if not live.any():
        return np.ones_like(image_yx), 0.0
    level = uniform_filter(image_yx, cell, mode="nearest")
    # Neighbours differ by noise: matter, which is smoother, hardly counts.
    rough = np.hypot(*(np.diff(image_yx, axis=axis, append=image_yx.take([-1], axis)) for axis in (0, 1)))
    noise = uniform_filter(rough, cell, mode="nearest")
    bright = live & (level >= np.percentile(level[live], 100.0 * (1.0 - _OPEN)))
    usual_noise, usual_level = float(np.median(noise[bright])), float(np.median(level[bright]))
    dark = live & (noise < _QUIET * usual_noise) & (level < usual_level - _DARKER_SD * usual_noise)
    # Most of a cell decides for it, and what is narrower than a cell is no bar.
    dark = uniform_filter(dark.astype(np.float32), cell, mode="nearest") > 0.5
    dark = binary_opening(dark, iterations=max(cell // 2, 1))
    hidden = float(np.count_nonzero(dark) / np.count_nonzero(live))
    if hidden < _LEAST:
        return np.ones_like(image_yx), 0.0
    soft_px = _FADE * max(image_yx.shape)
    # Twice the blurred shadow, cut at one: all of the shadow is hidden and the fade lies outside it.
    hiding = np.clip(2.0 * gaussian_filter(dark.astype(np.float32), 0.5 * soft_px), 0.0, 1.0)
    return np.asarray(1.0 - hiding, np.float32), hidden
