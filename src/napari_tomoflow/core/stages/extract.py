"""Stage: from particles in tomograms to their images in every tilt."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import model_validator

from napari_tomoflow.core.model import Dataset, SubtiltSet
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Allocate, Stage, in_memory

if TYPE_CHECKING:
    from napari_tomoflow.core.averaging.sampling import Sampling

__all__ = ["EXTRACT", "ExtractParams", "extract"]

_BOX_PER_DIAMETER = 2.0
_IMAGES, _VOLUMES, _SAMPLING = "subtilts", "subtilt_volumes", "subtilt_sampling"


class ExtractParams(Params):
    """Which particles are cut out, how large, and what is done to them."""

    species: str = param("", help="Kind of particle to cut out; empty for all.")
    name: str = param("", help="Name of the result; empty takes the species.")
    content: Literal["images", "volumes", "both"] = param(
        "images", help="Cut out images of every tilt, reconstruct a volume of each particle, or both."
    )
    diameter_ang: float | None = param(
        None, unit="Å", low=1, help="Diameter of the particles; empty takes what the picks say."
    )
    box_px: int | None = param(
        None, unit="px", low=16, high=1024, help="Edge of the boxes, even; empty takes twice the diameter."
    )
    pixel_ang: float | None = param(
        None, unit="Å", low=0.1, help="Pixel of the boxes; empty takes the coarsest of the series."
    )
    ctf: Literal["none", "flip", "multiply", "weigh"] = param(
        "multiply",
        help="Flip the phases where the CTF is negative, multiply by it, multiply by exposure and tilt besides, as "
        "RELION 5 has its 2-D stacks, or leave it as it is.",
    )
    dtype: Literal["float16", "float32"] = param("float16", help="How numbers are stored.")
    least_seen: float = param(
        0.5, low=0.0, high=1.0, help="Share of the tilts that must show a particle for it to be taken."
    )
    dose_weighting: DoseModel = param(
        "grant-grigorieff", expert=True, help="How exposure fades the tilts of a volume; images are left as they are."
    )

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if self.box_px is not None and self.box_px % 2:
            raise ValueError(f"box_px {self.box_px} is odd; give an even number.")
        if self.content != "images" and self.ctf == "none":
            raise ValueError("Volumes of images with different CTFs need ctf to be 'flip' or 'multiply'; choose one.")
        return self


def extract(
    dataset: Dataset,
    *,
    params: ExtractParams = ExtractParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> SubtiltSet:
    """Cut particles out of the raw tilt images, or reconstruct each by itself.

    Parameters
    ----------
    dataset : Dataset
    params : ExtractParams
    report, allocate
        See `core.report` and `core.stage`.

    Returns
    -------
    SubtiltSet
        A row for each particle in each tilt that shows it, particle by particle and by exposure. Particles come
        series by series.

    Raises
    ------
    DataError
        No particle lies within enough images, or the series differ in pixel or optics.
    ParamError
        The diameter is not known.

    Notes
    -----
    Averaging needs no extraction: it cuts images out of the raw series whenever it wants them. This is for other
    programs. Boxes are cut wide enough for what the CTF carries out of them and are cut down once that is corrected.
    """
    from napari_tomoflow.core.averaging.extraction import fill_images, fill_volumes, subtilts_of
    from napari_tomoflow.core.averaging.series_images import DatasetImages

    source = DatasetImages(dataset, _sampling(dataset, params))
    report(0, 1, "Finding who is seen where")
    subtilts = subtilts_of(source, params.least_seen, params.ctf)
    kept, n, dtype = len(subtilts.particles), source.box_px, np.dtype(params.dtype)
    changes: dict[str, Any] = {"correction": params.ctf}
    shares = 2 if params.content == "both" else 1
    if params.content != "volumes":
        changes["images"] = allocate(_IMAGES, (len(subtilts), n, n), dtype)
        fill_images(changes["images"], subtilts, source, params.ctf, part(report, 0, shares))
    if params.content != "images":
        changes["volumes"] = allocate(_VOLUMES, (kept * n, n, n), dtype)
        changes["sampling"] = allocate(_SAMPLING, (kept * n, n, n // 2 + 1), dtype)
        last = part(report, shares - 1, shares)
        fill_volumes(changes["volumes"], changes["sampling"], subtilts, source, params.ctf, last)
    quality = _quality(subtilts, len(dataset.particles), n) | _warnings(dataset)
    return subtilts.replace(quality=quality, **changes)


def _sampling(dataset: Dataset, params: ExtractParams) -> "Sampling":
    """Choose box and pixel."""
    from napari_tomoflow.core.averaging.sampling import Sampling
    from napari_tomoflow.core.averaging.selection import diameter_ang_of

    names = dict.fromkeys(dataset.particles.tomogram.tolist())
    pixel_ang = params.pixel_ang or max((dataset.series[name].pixel_ang for name in names), default=1.0)
    diameter_ang = params.diameter_ang or diameter_ang_of(dataset.particles)
    box_px = params.box_px or 2 * max(8, int(np.ceil(_BOX_PER_DIAMETER * diameter_ang / pixel_ang / 2)))
    return Sampling(box_px, pixel_ang, diameter_ang / 2, dose_weighting=params.dose_weighting)


def _quality(subtilts: SubtiltSet, given: int, box_px: int) -> dict[str, Any]:
    """Count what was cut out."""
    per_particle = np.bincount(subtilts.particle, minlength=len(subtilts.particles))
    return {
        "particles": len(subtilts.particles),
        "left_out": given - len(subtilts.particles),
        "subtilts": len(subtilts),
        "tilts_per_particle": [int(per_particle.min()), float(np.median(per_particle)), int(per_particle.max())],
        "box_px": box_px,
        "pixel_ang": subtilts.pixel_ang,
    }


def _warnings(dataset: Dataset) -> dict[str, Any]:
    """Say which series have no CTF, and which one that does not know how defocus changes with height."""
    names = dict.fromkeys(dataset.particles.tomogram.tolist())
    without = [name for name in names if name not in dataset.ctfs]
    undecided = [name for name in names if name in dataset.ctfs and dataset.ctfs[name].hand == 0]
    sentences = []
    if without:
        sentences.append(f"No CTF is known of {', '.join(without)}: images are taken as if there were none; run ctf.")
    if undecided:
        sentences.append(
            f"The defocus hand of {', '.join(undecided)} is undecided: all heights have the defocus of the centre; "
            "import again with --defocus-hand."
        )
    return {"warnings": sentences} if sentences else {}


EXTRACT = Stage.of(extract, version=1, cites=("10.1038/s41592-019-0591-8", "10.1002/2211-5463.13873"))
