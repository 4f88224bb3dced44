"""Particles cut out of their tilt series, for other programs or for later.

*Images* are those of `core.averaging.series_images` before any weight but, if asked for, the CTF: background 0, noise
of SD 1, dense matter bright, the particle on pixel ``n // 2``. *Volumes* are the sums of such images as slices, in the
frame of the tomogram, with the sum of the weights they were seen with beside them. With X an image, w what exposure and
tilt leave of the signal and s = CTF (multiplied, weighed) or its sign (flipped)::

    volume = Σ slices of w · s · X             sampling = Σ slices of w² · s · CTF

so that the expected volume is the particle's density times the sampling, frequency by frequency.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import Indices, batches, boxes_of, cut_to_box, round_window
from napari_tomoflow.core.averaging.reconstruct import complete_plane
from napari_tomoflow.core.averaging.series_images import DatasetImages, SeriesImages, WideBoxes
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.model import Optics, ParticleSet, SubtiltSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.core.report import Report, silent

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

CtfHandling = Literal["none", "flip", "multiply", "weigh"]
"""What is done about the CTF of an image: nothing, its phases flipped, multiplied by it once more, or by all that
RELION 5 takes to have weakened the image."""

_BATCH = 16


def subtilts_of(source: DatasetImages, least_seen: float, ctf: CtfHandling = "none") -> SubtiltSet:
    """Lay out the sub-tilts of all particles that enough tilts show, each particle's by exposure; without images.

    Parameters
    ----------
    source : DatasetImages
    least_seen : float
        Share of the tilts in use that must show a particle for it to be taken.
    ctf : {"none", "flip", "multiply", "weigh"}
        What will be done to the images.

    Raises
    ------
    DataError
        No particle is shown by enough tilts, or the series differ in pixel or optics.
    """
    parts, columns, count = [], [], 0
    for chosen in batches(source.particles, max(len(source.particles), 1)):
        series = source.of_series(str(source.particles.tomogram[chosen[0]]))
        particles = source.particles[chosen]
        seen = series.seen(particles.centers_ang_zyx, particles.paths_ang_zyx)
        enough = seen.any(axis=1) & (seen.mean(axis=1) >= least_seen)
        parts.append(particles[enough])
        columns.append(_columns(series, parts[-1], seen[enough], count))
        if ctf == "weigh":
            # An image is weighed by what RELION counts, the exposure at its start.
            index = np.searchsorted(series.tilts, columns[-1]["tilt"])
            columns[-1]["dose_e_ang2"] = series.dose_before_e_ang2[index]
        count += len(parts[-1])
    if not count:
        raise DataError("No particle lies within enough images; take a smaller diameter, or ask for fewer tilts.")
    joined: dict[str, Any] = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    pixel_ang, optics = _one_kind(source, [str(part.tomogram[0]) for part in parts if len(part)])
    # What is cut out has had its odd aberrations taken out.
    optics = replace(optics, aberrations=optics.aberrations.without_odd())
    return SubtiltSet(particles=ParticleSet.joined(parts), pixel_ang=pixel_ang, optics=optics, **joined)


def _columns(series: SeriesImages, particles: ParticleSet, seen: NDArray[np.bool_], first: int) -> dict[str, Any]:
    """Lay out the sub-tilts of the particles of one series, the first of which has a number."""
    by_dose = np.argsort(series.dose_e_ang2, kind="stable")
    particle, place = np.nonzero(seen[:, by_dose])
    index = by_dose[place]
    _, depth_ang = series.places(particles.centers_ang_zyx, particles.paths_ang_zyx)
    lenses = np.stack([series.lens(at, depth_ang[tilt]) for at, tilt in enumerate(series.tilts)])  # (T, 4, P)
    u_ang, v_ang, azimuth_deg, phase_deg = lenses[index, :, particle].T
    rotations = series.alignment.rotations[series.tilts[index]]
    return {
        "particle": first + particle,
        "tilt": series.tilts[index],
        "quaternions_xyzw": poses.quaternions_from_matrices(rotations),
        "defocus_u_ang": u_ang,
        "defocus_v_ang": v_ang,
        "azimuth_deg": azimuth_deg,
        "phase_deg": phase_deg,
        "dose_e_ang2": series.dose_e_ang2[index],
        "weight": np.abs(rotations[:, 2, 2]) * series.strength[index],
    }


def _one_kind(source: DatasetImages, names: list[str]) -> tuple[float, Optics]:
    """Return the pixel and the optics all series share; a stack has room for one of each."""
    series = [source.of_series(name) for name in names]
    for name, each in zip(names, series, strict=True):
        if each.optics != series[0].optics or abs(each.pixel_ang / series[0].pixel_ang - 1.0) > 1e-3:
            raise DataError(
                f"{name} has a pixel of {each.pixel_ang:.4g} Å and {each.optics}, {names[0]} "
                f"{series[0].pixel_ang:.4g} Å and {series[0].optics}; extract them apart."
            )
    return series[0].pixel_ang, series[0].optics


def fill_images(
    images: NDArray[Any], subtilts: SubtiltSet, source: DatasetImages, ctf: CtfHandling, report: Report = silent
) -> None:
    """Cut out all sub-tilts.

    Parameters
    ----------
    images : array[M, n, n]
        Written.
    subtilts : SubtiltSet
        Of `subtilts_of` for the same source.
    source : DatasetImages
    ctf : {"none", "flip", "multiply", "weigh"}
        What is corrected is cut down to the box afterwards, and ends in a soft circle.
    report
    """
    n = source.box_px
    window = np.float32(1.0) if ctf == "none" else np.fft.fftshift(round_window(n))

    def whole(series: SeriesImages, index: int, boxes: WideBoxes) -> Reals:
        factor = _corrected(boxes.ctf, ctf) * (series.left_by_relion(index) if ctf == "weigh" else np.float32(1.0))
        return np.fft.fftshift(boxes_of(boxes.images_rft * factor, n), axes=(1, 2)) * window

    for first, rows, pictures in _by_batch(subtilts, source, whole, report, "Cutting out images"):
        block = np.stack([pictures[tilt][one - first] for one, tilt in zip(*_places(subtilts, rows), strict=True)])
        images[rows] = block


def fill_volumes(
    volumes: NDArray[Any],
    sampling: NDArray[Any],
    subtilts: SubtiltSet,
    source: DatasetImages,
    ctf: CtfHandling,
    report: Report = silent,
) -> None:
    """Reconstruct every particle from its own sub-tilts, in the frame of the tomogram.

    Parameters
    ----------
    volumes : array[P · n, n, n]
        Written: the planes of one particle after those of another.
    sampling : array[P · n, n, n // 2 + 1]
        Written: half transforms whose first cell is frequency 0.
    subtilts, source, ctf, report
        See `fill_images`.
    """
    n = source.box_px
    grid = CubeGrid(n)

    def weighed(series: SeriesImages, index: int, boxes: WideBoxes) -> tuple[Waves, Reals]:
        factor = _corrected(boxes.ctf, ctf) * boxes.left
        return cut_to_box(boxes.images_rft * factor, factor * boxes.left * boxes.ctf, n)

    for first, rows, pictures in _by_batch(subtilts, source, weighed, report, "Reconstructing particles"):
        particle, tilt = _places(subtilts, rows)
        rotations = subtilts.optics.stretch @ poses.matrices_from_quaternions(subtilts.quaternions_xyzw[rows])
        for one in np.unique(particle):
            mine = particle == one
            pairs = [pictures[each] for each in tilt[mine]]
            images_rft, power = (np.stack([pair[which][one - first] for pair in pairs]) for which in (0, 1))
            planes = slice(one * n, (one + 1) * n)
            volumes[planes], sampling[planes] = _volume(grid, images_rft, power, rotations[mine])


def _by_batch(
    subtilts: SubtiltSet,
    source: DatasetImages,
    make: Callable[[SeriesImages, int, WideBoxes], Any],
    report: Report,
    doing: str,
) -> Iterator[tuple[int, slice, dict[int, Any]]]:
    """Yield of a few particles at a time: the first one's number, their rows, and what is made of each tilt's boxes."""
    parts = batches(subtilts.particles, _BATCH)
    for done, chosen in enumerate(parts):
        report(done, len(parts), doing)
        some = subtilts.particles[chosen]
        series = source.of_series(str(some.tomogram[0]))
        image_ang_yx, depth_ang = series.places(some.centers_ang_zyx, some.paths_ang_zyx)
        pictures = {
            int(tilt): make(series, index, series.wide_boxes(index, image_ang_yx[tilt], depth_ang[tilt]))
            for index, tilt in enumerate(series.tilts)
        }
        start, stop = np.searchsorted(subtilts.particle, [chosen[0], chosen[-1] + 1])
        yield int(chosen[0]), slice(int(start), int(stop)), pictures
    report(len(parts), len(parts), doing)


def _places(subtilts: SubtiltSet, rows: slice) -> tuple[Indices, Indices]:
    return subtilts.particle[rows], subtilts.tilt[rows]


def _corrected(ctf: Reals, how: CtfHandling) -> Reals | np.float32:
    """Return what an image is multiplied by."""
    if how == "none":
        return np.float32(1.0)
    return np.asarray(np.sign(ctf), np.float32) if how == "flip" else ctf


def _volume(grid: CubeGrid, images_rft: Waves, power: Reals, rotations: Floats) -> tuple[Reals, Reals]:
    """Insert the slices of one particle: its volume, and the sampling as a half transform."""
    cube = np.zeros((*grid.shape, 4), np.float32)
    axes, ones = np.ascontiguousarray(rotations[:, :2], np.float32), np.ones(len(power), np.float32)
    slices.insert_slices(cube, images_rft, power, ones, axes, grid.scale, grid.reach, get_num_threads())
    complete_plane(cube)
    volume = grid.map_of(cube[..., 0] + 1j * cube[..., 1])
    # The weights as a map are what a point becomes; cut to the box like the volume, they belong to it.
    point = grid.map_of(cube[..., 2].astype(np.complex64))
    sampling = np.fft.rfftn(np.fft.ifftshift(point)).real / grid.box_px
    return volume, np.asarray(np.maximum(sampling, 0.0), np.float32)
