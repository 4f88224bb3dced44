"""Magnification that is not the same along all directions, told by the particles of all series of a microscope.

How much images are stretched along one direction and shrunk across it is fitted to sums over all of them
(`stretch_sums`), together with the amplitude that each ring of the map has in the images of each series, and judged by
particles left out. What makes images larger or turns them is not looked for: nothing in the images tells it from the
pixel of the map and the tilt axis.

Only what is within a particle's box is stretched. Where boxes are is the alignment's, which was fitted to images as
they are and has taken up what a stretch does to places (`polishing.geometry`).

References
----------
Zivanov et al., IUCrJ 7 (2020) 253, doi:10.1107/S2052252520000081. Slopes of slices, and sums over all images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import CtfSeries
from napari_tomoflow.core.model.optics import MOST_STRETCH, Magnification
from napari_tomoflow.core.polishing.defocus import LEAST_GAIN, SURE
from napari_tomoflow.core.polishing.defocus_sums import Band
from napari_tomoflow.core.polishing.microscopes import by_microscope
from napari_tomoflow.core.polishing.stretch_sums import STRETCHES, StretchSums, SumStretches
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_TURNS = 3
"""Times stretch and amplitudes are fitted in turn."""

_EXPECTED = 0.01
"""How large a stretch may well be: fits that see little shall not run away."""

_LEAST_COMMON = 0.05
"""Share of its power that the halves of the average have in common in rings that are listened to."""


@dataclass(frozen=True, eq=False)
class FoundStretch:
    """A stretch that all images have in common, and the amplitude of the map in them.

    Attributes
    ----------
    stretch : float64[2]
        Along `STRETCHES`.
    amplitude : float64[R]
    """

    stretch: Floats
    amplitude: Floats

    @classmethod
    def of(cls, sums: StretchSums, stretched: bool) -> "FoundStretch":
        """Fit the likeliest stretch, or none, and the amplitude of each ring."""
        stretch: Floats = np.zeros(2)
        amplitude = _amplitude(sums, stretch)
        for _ in range(_TURNS if stretched else 0):
            agreement, power = sums.measured(stretch, sums.common)
            # How much a ring counts is a matter of the noise in it, how strong the map is in it is none.
            telling = power > _LEAST_COMMON * sums.measured(stretch)[1]
            true = np.divide(agreement, power, out=np.zeros(len(power)), where=telling)
            weight = np.where(telling, amplitude, 0.0)
            square = sums.common[1:, 1:] @ (weight * true) + np.eye(2) / (2 * _EXPECTED**2)
            wanted = sums.products[1:] @ weight - sums.common[1:, 0] @ (weight * true)
            stretch = np.asarray(np.linalg.solve(square, wanted))
            amplitude = _amplitude(sums, stretch)
        return cls(stretch, amplitude)

    def likelihood(self, sums: StretchSums) -> float:
        """Return the log likelihood of other particles."""
        agreement, power = sums.measured(self.stretch)
        return float(np.sum(2 * self.amplitude * agreement - self.amplitude**2 * power))


def _amplitude(sums: StretchSums, stretch: Floats) -> Floats:
    agreement, power = sums.measured(stretch)
    return np.divide(np.maximum(agreement, 0.0), power, out=np.zeros(len(power)), where=power > 0)


def fit_magnification(folds: Sequence[StretchSums], known: Magnification) -> tuple[Magnification, dict[str, Any]]:
    """Find how a microscope stretches its images, as far as particles left out agree.

    Parameters
    ----------
    folds : sequence of StretchSums
        Of different particles, of the same rings.
    known : two rows of two numbers
        What the images were compared with.

    Returns
    -------
    magnification : two rows of two numbers
        Changed where the change was believed.
    record : dict
        In plain numbers.
    """
    if len(folds) < 2:
        return known, {"accepted": False, **_told(known)}
    gains = []
    for one in folds:
        rest = _pooled([other for other in folds if other is not one])
        with_it, without = (FoundStretch.of(rest, stretched).likelihood(one) for stretched in (True, False))
        gains.append(with_it - without)
    gain, error = float(np.sum(gains)), float(np.std(gains) * np.sqrt(len(gains)))
    accepted = gain > max(LEAST_GAIN, SURE * error)
    found = _added(known, FoundStretch.of(_pooled(folds), stretched=True).stretch) if accepted else known
    judged = {"accepted": accepted, "gain_left_out": round(gain, 2), "gain_error": round(error, 2)}
    return found, judged | _told(found)


def _pooled(folds: Sequence[StretchSums]) -> StretchSums:
    return reduce(add, folds)


def _added(known: Magnification, stretch: Floats) -> Magnification:
    """Stretch images more, as far as `Optics` has room for; nothing becomes larger by it."""
    axes, lengths, others = np.linalg.svd(expm(np.tensordot(stretch, STRETCHES, 1)) @ np.array(known))
    (xx, xy), (yx, yy) = (axes @ np.diag(np.clip(lengths, 1 / MOST_STRETCH, MOST_STRETCH)) @ others).tolist()
    return (xx, xy), (yx, yy)


def _told(known: Magnification) -> dict[str, Any]:
    """Say by how much images are longer along one direction than across it, and which: counter-clockwise from +x."""
    directions, lengths, _ = np.linalg.svd(np.transpose(known))
    along_x, along_y = directions[:, 0]
    return {
        "matrix": [[round(one, 6) for one in row] for row in known],
        "stretch_percent": round(100.0 * float(lengths[0] / lengths[1] - 1.0), 4),
        "azimuth_deg": round(float(np.rad2deg(np.arctan2(along_y, along_x)) % 180.0), 2),
    }


def refine_magnification(
    source: DatasetImages,
    halves: tuple[Reals, Reals],
    band: Band,
    n_folds: int = 4,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[dict[str, CtfSeries], list[dict[str, Any]]]:
    """Refine how every microscope stretches its images.

    Parameters
    ----------
    source, halves, band, n_folds, report, map_batches
        See `core.polishing.aberrations.refine_optics`.

    Returns
    -------
    ctfs : dict
        Series → its CTF with the magnification of its microscope: the same fringes in the images as before.
    record : list of dict
        What was found of each microscope, in plain numbers.
    """
    ctfs: dict[str, CtfSeries] = {}
    record = []
    work = partial(SumStretches.of, source, halves=halves, band=band)
    known = source.dataset.ctfs
    for series, folds in by_microscope(source, StretchSums, work, n_folds, report, map_batches):
        found, told = fit_magnification(folds, known[series[0]].optics.magnification)
        ctfs |= {name: known[name].magnified(found) for name in series}
        record.append({"series": series, **told})
    return ctfs, record
