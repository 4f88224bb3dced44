"""The CTF of all series, refined against the averages there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.reconstruct import sum_halves, whole_sum
from napari_tomoflow.core.averaging.sources import RawSources
from napari_tomoflow.core.model import CtfSeries, Dataset
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.polishing.course import Averaged, Species
from napari_tomoflow.core.polishing.defocus import refine_ctf
from napari_tomoflow.core.polishing.defocus_scales import series_scales
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order


@dataclass(frozen=True, eq=False)
class RefinedCtfs:
    """What refinement of the CTF came to.

    Attributes
    ----------
    ctfs : mapping of str to CtfSeries
        Of all series that have one, the refined ones among them.
    record : dict
        Series → what was found, in plain numbers.
    """

    ctfs: Mapping[str, CtfSeries]
    record: dict[str, dict[str, Any]]


def refine_ctfs(
    dataset: Dataset,
    species: Species,
    dose_weighting: DoseModel,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> RefinedCtfs:
    """Average a species, and refine the CTF of every series against it.

    Parameters
    ----------
    dataset : Dataset
        Particles of that species, of half 1 or 2.
    species : Species
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}
    report, map_batches
        See `core.report` and `core.stage`.
    """
    recipe = species.recipe
    source = RawSources(dataset, recipe.diameter_ang / 2, dose_weighting)(recipe.box_px, recipe.pixel_ang)
    grid = CubeGrid(recipe.box_px)
    sums = sum_halves(source, grid, species.weights, part(report, 0, 2), map_batches)
    known = Averaged.of([whole_sum(cube, recipe.symmetry, grid) for cube in sums], grid, species, recipe.seed)
    first, second = known.filtered(species.mask)
    fine_ang = recipe.width_ang / known.radius
    refined = refine_ctf(source, (first, second), fine_ang, report=part(report, 1, 2), map_batches=map_batches)
    scales = series_scales(refined)
    return RefinedCtfs(
        ctfs={**dataset.ctfs, **{name: one.ctf for name, one in refined.items()}},
        record={name: one.record | scales[name].record() for name, one in refined.items()},
    )
