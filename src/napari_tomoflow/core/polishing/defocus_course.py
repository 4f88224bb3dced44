"""The CTF of all series, refined against the averages there are: defocus, hand, strength, and what the lens does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.reconstruct import sum_halves, whole_sum
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.averaging.sources import RawSources
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Dataset
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.polishing.aberrations import refine_optics
from napari_tomoflow.core.polishing.averaged import Averaged, Species
from napari_tomoflow.core.polishing.defocus import DefocusSettings, RefinedCtf, refine_ctf
from napari_tomoflow.core.polishing.defocus_scales import TiltScales, tilt_scales
from napari_tomoflow.core.polishing.defocus_sums import Band
from napari_tomoflow.core.polishing.magnification import refine_magnification
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Reals = NDArray[np.float32]

_LEAST_DETAIL_ANG = 25.0
"""Averages must be finer: the CTF is compared from 30 Å on."""

_TURNS = 3
"""Times everything is refined, at most: with each the average becomes sharper."""


@dataclass(frozen=True, eq=False)
class RefinedCtfs:
    """What refinement of the CTF came to.

    Attributes
    ----------
    ctfs : mapping of str to CtfSeries
        Of all series that have one, the refined ones among them.
    record : dict of list
        Series → what each turn found, in plain numbers.
    optics : list of list
        What each turn found of every microscope.
    """

    ctfs: Mapping[str, CtfSeries]
    record: dict[str, list[dict[str, Any]]]
    optics: list[list[dict[str, Any]]]


def refine_ctfs(
    dataset: Dataset,
    species: Species,
    dose_weighting: DoseModel,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> RefinedCtfs:
    """Average a species, and refine the CTF of every series against it; again, as long as aberrations are found.

    Parameters
    ----------
    dataset : Dataset
        Particles of that species, of half 1 or 2.
    species : Species
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}
    report, map_batches
        See `core.report` and `core.stage`.

    Raises
    ------
    DataError
        The average is too coarse to tell of the CTF.
    """
    course = _Course(species, dose_weighting, map_batches)
    record: dict[str, list[dict[str, Any]]] = {}
    told = []
    for turn in range(_TURNS):
        dataset, of_series, of_optics = course.turn(dataset, part(report, turn, _TURNS))
        for name, one in of_series.items():
            record.setdefault(name, []).append(one)
        told.append(of_optics)
        if not any(one[kind]["accepted"] for one in of_optics for kind in ("odd", "even", "magnification")):
            break
    report(1, 1, "Refined the CTF")
    return RefinedCtfs(dataset.ctfs, record, told)


def _refined(refined: RefinedCtf, found: TiltScales) -> CtfSeries:
    """Take the CTF that was found, and make the tilts that were compared as strong as they were found to be."""
    scale, b_ang2 = refined.ctf.scale.copy(), refined.ctf.b_ang2.copy()
    scale[refined.tilts] *= found.scale
    b_ang2[refined.tilts] += found.b_ang2
    return refined.ctf.replace(scale=scale, b_ang2=b_ang2)


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change from one turn to the next."""

    species: Species
    dose_weighting: DoseModel
    map_batches: MapBatches

    def turn(self, dataset: Dataset, report: Report) -> tuple[Dataset, dict[str, dict[str, Any]], list[dict[str, Any]]]:
        """Refine defocus, hand and strength, then the lens, against one average; say what was found of both."""
        halves, fine_ang = self._averaged(dataset, part(report, 0, 4))
        if fine_ang > _LEAST_DETAIL_ANG:
            raise DataError(
                f"The average is good to {fine_ang:.3g} Å, and only detail finer than {_LEAST_DETAIL_ANG:g} Å tells of "
                "the CTF; polish without it, or average more particles."
            )
        inner = part(report, 1, 4)
        refined = refine_ctf(self._source(dataset), halves, fine_ang, report=inner, map_batches=self.map_batches)
        scales = tilt_scales(refined)
        # Strength comes first: a series that is weak must not be taken for one whose phases are off.
        ctfs = {**dataset.ctfs, **{name: _refined(one, scales[name]) for name, one in refined.items()}}
        ctfs, record = self._lenses(dataset.replace(ctfs=ctfs), halves, fine_ang, part(report, 1, 2))
        told = {name: one.record | scales[name].record for name, one in refined.items()}
        return dataset.replace(ctfs=ctfs), told, record

    def _lenses(
        self, dataset: Dataset, halves: tuple[Reals, Reals], fine_ang: float, report: Report
    ) -> tuple[dict[str, CtfSeries], list[dict[str, Any]]]:
        """Refine the magnification, then the aberrations, of every microscope; return all CTFs, and what was found."""
        band, ctfs = Band(DefocusSettings().coarse_ang, fine_ang), dict(dataset.ctfs)
        inner, last = part(report, 0, 2), part(report, 1, 2)
        stretched, record = refine_magnification(
            self._source(dataset), halves, band, report=inner, map_batches=self.map_batches
        )
        ctfs |= stretched
        source = self._source(dataset.replace(ctfs=ctfs))
        optics, aberrant = refine_optics(source, halves, band, report=last, map_batches=self.map_batches)
        ctfs |= {name: ctfs[name].replace(optics=one) for name, one in optics.items()}
        # Every series of a microscope was found to be stretched alike.
        of_series = {name: one for one in record for name in one["series"]}
        return ctfs, [{**one, "magnification": of_series[one["series"][0]]} for one in aberrant]

    def _source(self, dataset: Dataset) -> DatasetImages:
        recipe = self.species.recipe
        return RawSources(dataset, recipe.diameter_ang / 2, self.dose_weighting)(recipe.box_px, recipe.pixel_ang)

    def _averaged(self, dataset: Dataset, report: Report) -> tuple[tuple[Reals, Reals], float]:
        """Average the particles: either half, filtered and masked, and the finest detail they agree on, Å."""
        recipe = self.species.recipe
        grid = CubeGrid(recipe.box_px)
        sums = sum_halves(self._source(dataset), grid, self.species.weights, report, self.map_batches)
        known = Averaged.of([whole_sum(cube, recipe.symmetry, grid) for cube in sums], grid, self.species, recipe.seed)
        first, second = known.filtered(self.species.mask)
        return (first, second), recipe.width_ang / known.radius
