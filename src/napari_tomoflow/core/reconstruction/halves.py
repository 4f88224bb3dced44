"""Two tomograms from halves of the data, and how far they agree."""

from dataclasses import replace
from functools import reduce
from itertools import product
from operator import add
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fsc import ShellSums, resolution_per_px, shell_sums
from napari_tomoflow.core.reconstruction.setting import Setting

_LARGEST_BOX_PX = 128
_BOXES_ACROSS = 3
_SMALLEST_BOX_PX = 8


def halves_of(setting: Setting, of: Literal["none", "tilts", "frames"]) -> tuple[Setting, ...]:
    """Split the data as asked: into none, or two.

    Raises
    ------
    DataError
        Too few tilts, or nobody has summed the odd and the even frames.
    """
    if of == "none":
        return ()
    return odd_and_even(setting) if of == "tilts" else _frame_halves(setting)


def odd_and_even(setting: Setting) -> tuple[Setting, Setting]:
    """Split the tilts in use, every other one in the order of their angles."""
    if len(setting.tilts) < 4:
        raise DataError(
            f"{setting.series.name}: {len(setting.tilts)} tilts are too few to halve; keep 4, or ask for no halves."
        )
    by_angle = setting.tilts[np.argsort(setting.tilt_deg, kind="stable")]
    return setting.only(np.sort(by_angle[0::2])), setting.only(np.sort(by_angle[1::2]))


def _frame_halves(setting: Setting) -> tuple[Setting, Setting]:
    """Take the sums of odd and of even frames for images."""
    series = setting.series
    if series.halves is None:
        raise DataError(
            f"{series.name} has no sums of odd and even frames; import its movies and run motion, "
            "or ask for halves of the tilts."
        )
    odd, even = (replace(setting, series=series.replace(images=half, halves=None)) for half in series.halves)
    return odd, even


def agreement(
    half1: NDArray[Any], half2: NDArray[Any], voxel_ang: float, of: Literal["tilts", "frames"] = "tilts"
) -> dict[str, Any]:
    """Correlate two tomograms shell by shell, pooled over up to nine boxes spread over the field.

    Returns
    -------
    dict
        The curve with its sums AB, AA and BB, and the resolution at 0.143 and at 0.5 in Å, None where
        the curve does not cross. Halves of the tilts see different planes of the transform, so the
        curve falls short of that of halves of the frames.
    """
    nz, ny, nx = half1.shape
    box = min(nz, ny, nx, _LARGEST_BOX_PX)
    if box < _SMALLEST_BOX_PX:
        return {}
    taper = np.hanning(box + 2)[1:-1]
    window = (taper[:, None, None] * taper[:, None] * taper).astype(np.float32)
    planes = slice(nz // 2 - box // 2, nz // 2 - box // 2 + box)

    def windowed(half: NDArray[Any], y: int, x: int) -> NDArray[np.float32]:
        values = np.asarray(half[planes, y : y + box, x : x + box], np.float32)
        return np.asarray(window * (values - values.mean()))

    places = product(_starts(ny, box), _starts(nx, box))
    sums = reduce(add, (shell_sums(windowed(half1, *place), windowed(half2, *place)) for place in places))
    return {"halves": f"odd and even {of}", **_curve(sums, voxel_ang)}


def _curve(sums: ShellSums, voxel_ang: float) -> dict[str, Any]:
    """Turn shells into plain numbers with units."""
    crossings = {name: resolution_per_px(sums, level) for name, level in (("0143", 0.143), ("05", 0.5))}
    return {
        **{f"resolution_{name}_ang": voxel_ang / at if at else None for name, at in crossings.items()},
        "fsc_inv_ang": (sums.frequency_per_px / voxel_ang).tolist(),
        "fsc": sums.fsc.tolist(),
        **{f"fsc_{name}": getattr(sums, name).tolist() for name in ("ab", "aa", "bb")},
    }


def _starts(size: int, box: int) -> list[int]:
    """Spread boxes over an axis, edge to edge."""
    return sorted({round(start) for start in np.linspace(0, size - box, min(_BOXES_ACROSS, -(-size // box)))})
