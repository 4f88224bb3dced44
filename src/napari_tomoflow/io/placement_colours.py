"""Colours of placed averages: the same in files, plots and the viewer."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import MappedBack

Colours = NDArray[np.float32]

_OF_TEXTS = (
    "#4dc3ff", "#ffd24d", "#ff6f91", "#7ddc6a", "#c79bff", "#ff9f43", "#5ee6d0", "#d98c5f", "#9aa7ff", "#e6e65e",
)  # fmt: skip
_SCALE = "viridis"
_UNKNOWN = (0.6, 0.6, 0.6)
_ENDS_PERCENT = (2.0, 98.0)


def colours_of(placed: MappedBack, by: str | None = None) -> Colours:
    """Return red, green and blue, from 0 to 1, of every placed particle: float32[P, 3].

    Parameters
    ----------
    placed : MappedBack
    by : str, optional
        Column of the particles; what the stage was asked for by default. Texts get a colour each, numbers one of
        a scale; a particle that has no number is grey.
    """
    values = placed.column(by or placed.colour_by)
    if values.dtype.kind in "US":
        legend = legend_of(placed, by)
        return np.array([_rgb(legend[str(value)]) for value in values], np.float32).reshape(-1, 3)
    from matplotlib import colormaps

    numbers = np.asarray(values, np.float64)
    low, high = limits_of(placed, by)
    known = np.isfinite(numbers)
    share = np.clip((np.where(known, numbers, low) - low) / (high - low), 0.0, 1.0)
    return np.where(known[:, None], colormaps[_SCALE](share)[:, :3], _UNKNOWN).astype(np.float32)


def legend_of(placed: MappedBack, by: str | None = None) -> Mapping[str, str]:
    """Return the colour, as ``#rrggbb``, of every text in a column; empty for a column of numbers."""
    values = placed.column(by or placed.colour_by)
    if values.dtype.kind not in "US":
        return {}
    return {str(name): _OF_TEXTS[at % len(_OF_TEXTS)] for at, name in enumerate(np.unique(values))}


def limits_of(placed: MappedBack, by: str | None = None) -> tuple[float, float]:
    """Return the numbers at both ends of the scale of a column, a few outliers left out."""
    numbers = np.asarray(placed.column(by or placed.colour_by), np.float64)
    known = numbers[np.isfinite(numbers)]
    low, high = np.percentile(known, _ENDS_PERCENT) if len(known) else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0


def hex_of(colours: Colours) -> list[str]:
    """Write colours as ``#rrggbb``."""
    return ["#" + "".join(f"{round(255 * float(part)):02x}" for part in one) for one in colours]


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
