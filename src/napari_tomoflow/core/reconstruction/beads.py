"""Where the gold lies in every tilt image, to be erased before reconstruction."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Landmarks, TiltSeries
from napari_tomoflow.core.ops.cleaning import fill_disks
from napari_tomoflow.core.ops.geometry import pixels_from_ang

_LEAST_RADIUS = 0.65
"""Radius of what is erased, in diameters of a bead, at least: 1.3 of its radii."""

_FRINGE = 1.5
"""How far the bright fringe around a bead reaches, in √(wavelength · defocus)."""

_USUAL_DEFOCUS_ANG = 3e4


class BeadEraser:
    """Fills the beads of any tilt image.

    Parameters
    ----------
    series : TiltSeries
    alignment : Alignment
        With gold as landmarks.
    ctf : CtfSeries or None
        Tells how wide the fringes are; 3 µm of defocus are assumed without it.
    """

    def __init__(self, series: TiltSeries, alignment: Alignment, ctf: CtfSeries | None) -> None:
        gold = alignment.landmarks
        if gold is None or gold.kind != "gold" or gold.size_ang is None:
            raise DataError(
                f"{series.name}: erase_beads is on, but the alignment knows no beads; align by gold, or switch it off."
            )
        self._places_px_yx = pixels_from_ang(_places_ang_yx(alignment, gold), series.pixel_ang, series.shape_yx)
        defocus_ang = _USUAL_DEFOCUS_ANG if ctf is None else float(np.abs(ctf.defocus_ang).max())
        fringe_ang = _FRINGE * np.sqrt(series.optics.wavelength_ang * defocus_ang)
        radius_ang = max(_LEAST_RADIUS * gold.size_ang, gold.size_ang / 2 + fringe_ang)
        self._radius_px = radius_ang / series.pixel_ang

    def __call__(self, image_yx: NDArray[np.float32], tilt: int) -> NDArray[np.float32]:
        """Return the image of a tilt without its beads, the same at every call."""
        return fill_disks(image_yx, self._places_px_yx[tilt], self._radius_px, np.random.default_rng(tilt))


def _places_ang_yx(alignment: Alignment, gold: Landmarks) -> NDArray[np.float64]:
    """Where every bead is in every tilt: measured where that is believed, predicted elsewhere: float64[N, P, 2]."""
    kept = np.flatnonzero(np.isfinite(gold.points_ang_zyx).all(axis=1))
    places, _ = alignment.project(gold.points_ang_zyx[kept])
    number = np.full(gold.n_points, -1)
    number[kept] = np.arange(len(kept))
    measured = gold.believed
    places[gold.tilt[measured], number[gold.point[measured]]] = gold.position_ang_yx[measured]
    return places
