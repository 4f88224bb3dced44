"""RELION 5's particles as stacks of 2-D images: a stack for each particle, an image for each tilt that shows it.

RELION finds the pose of an image by the tables of its series, so a stack holds pixels only. Images are in the order of
the rows of the series' table, of which ``rlnTomoVisibleFrames`` marks those that have one. They are multiplied by the
CTF at the particle's height, by ``rlnCtfScalefactor`` and by what ``rlnMicrographPreExposure`` leaves
(``rlnCtfDataAreCtfPremultiplied``), or are as they were cut out; dense matter is bright.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Optics, ParticleSet, SubtiltSet, TiltSeries
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import OPTICS_COLUMNS, column_if_any, optics_columns, optics_from_columns
from napari_tomoflow.io.files import naming
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.particles import CENTERS, gather, read_particles, table_with_optics
from napari_tomoflow.io.relion import ListedImages, read_relion_series, relion_alignment, relion_ctf, resolve
from napari_tomoflow.io.relion_motion import PARTICLE_NAME, with_names
from napari_tomoflow.io.star import labels_of, read_star, table_of

if TYPE_CHECKING:
    import pandas as pd

STACKS_FOLDER = "Subtomograms"
VISIBLE = "rlnTomoVisibleFrames"
IN_SET = "rlnTomoParticlesFile"
_TOMOGRAMS = "rlnTomoTomogramsFile"
_IMAGE = "rlnImageName"
_SET_STAR = "optimisation_set.star"
_TOMOGRAMS_STAR = "tomograms.star"
_SUFFIX = "_stack2d.mrcs"
_DOSE, _SCALE = "rlnMicrographPreExposure", "rlnCtfScalefactor"
_ONE_FOR_ALL = ("rlnImagePixelSize", "rlnImageSize")


def write_relion_stacks(
    folder: Path, series: TiltSeries, alignment: Alignment, subtilts: SubtiltSet
) -> tuple[ParticleSet, list[Path]]:
    """Write a stack for each particle of a series.

    Parameters
    ----------
    folder : Path
        Where RELION is to be started.
    series, alignment
        Of one series; tilts either leaves out have no row in RELION's table, and no image.
    subtilts : SubtiltSet
        With images; particles of other series are passed over.

    Returns
    -------
    particles : ParticleSet
        With the features RELION reads: where the images are, which tilts they are of, and their optics.
    files : list of Path

    Raises
    ------
    DataError
        The images are not what RELION takes, or a disk is full.
    """
    images = _images_for_relion(subtilts)
    used = np.flatnonzero(series.kept & alignment.kept)
    mine = np.flatnonzero(subtilts.particles.tomogram == series.name)
    particles = with_names(subtilts.particles[mine])
    rows = list(_rows_by_tilt(subtilts, mine, used))
    seen = np.array([len(one) > 0 for one in rows], np.bool_)
    files, marks = [], []
    for name, own in zip(np.asarray(particles.features[PARTICLE_NAME], np.str_), rows, strict=True):
        if not len(own):
            continue
        path = folder / STACKS_FOLDER / f"{name}{_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        stack = np.stack([np.asarray(images[int(row)]) for row in own])
        write_mrc(path, stack, subtilts.pixel_ang, stack=True, label="sub-tilts of one particle")
        files.append(path)
        marks.append(np.isin(used, subtilts.tilt[own]))
    particles = particles[seen]
    own_features = {
        _IMAGE: np.array([path.relative_to(folder).as_posix() for path in files], np.str_),
        VISIBLE: np.array([f"[{','.join(map(str, one.astype(int)))}]" for one in marks], np.str_),
    }
    shared = _of_all(series, subtilts, images.shape[1])
    spread = {name: np.full(len(particles), value) for name, value in shared.items()}
    return particles.replace(features={**particles.features, **own_features, **spread}), files


def _images_for_relion(subtilts: SubtiltSet) -> Array:
    """Return the images, if RELION can be told what was done to them."""
    if subtilts.images is None:
        raise DataError("These sub-tilts have no images, so no stacks; run extract with content images.")
    if subtilts.correction not in ("weigh", "none") or subtilts.contrast != "bright":
        raise DataError(
            f"RELION does not take {subtilts.contrast} images whose CTF was treated by {subtilts.correction!r}; "
            "extract again with ctf weigh."
        )
    return subtilts.images


def _rows_by_tilt(
    subtilts: SubtiltSet, particles: NDArray[np.int64], used: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each particle in the order of tilts, those of `used` alone."""
    order = np.lexsort((subtilts.tilt, subtilts.particle))
    order = order[np.isin(subtilts.tilt[order], used)]
    owner = subtilts.particle[order]
    starts, stops = np.searchsorted(owner, particles), np.searchsorted(owner, particles, side="right")
    for start, stop in zip(starts, stops, strict=True):
        yield order[start:stop]


def _of_all(series: TiltSeries, subtilts: SubtiltSet, box_px: int) -> dict[str, Any]:
    """Say what RELION says once for all particles, or once for each group of the same optics."""
    return {
        "rlnTomoSubTomosAre2DStacks": 1,
        **optics_columns(subtilts.optics),
        "rlnTomoTiltSeriesPixelSize": series.pixel_ang,
        "rlnCtfDataAreCtfPremultiplied": int(subtilts.correction == "weigh"),
        "rlnImageDimensionality": 2,
        "rlnTomoSubtomogramBinning": subtilts.pixel_ang / series.pixel_ang,
        "rlnImagePixelSize": subtilts.pixel_ang,
        "rlnImageSize": box_px,
    }


def are_relion_stacks(path: Path) -> bool:
    """Tell whether a STAR file is a table of RELION's 2-D stacks, or an optimisation set."""
    labels = labels_of(path)
    return f"_{VISIBLE}" in labels or f"_{IN_SET}" in labels


def read_relion_stacks(path: Path, *, contrast: Literal["bright", "dark"] = "bright") -> SubtiltSet:
    """Read RELION 5's 2-D stacks with the geometry of their series; images stay in their files.

    Parameters
    ----------
    path : Path
        The optimisation set, or the table of particles beside it.
    contrast : {"bright", "dark"}
        RELION writes dense matter bright unless told otherwise.

    Returns
    -------
    SubtiltSet
        A row for each image, particle by particle. Particles lie where they were refined to; where their images were
        cut elsewhere, `shift_ang_yx` says so.

    Raises
    ------
    DataError
        A table is damaged or not there, or they contradict each other; the text names the file.
    """
    star, tomograms = _tables(path)
    table = _particle_table(star)
    pixel_ang, box_px = gather(star, table, _ONE_FOR_ALL)[0]
    now = read_particles(star)
    seen = _visible(star, table)
    cut_zyx = gather(star, table, CENTERS)[:, ::-1]
    parts = []
    for name in dict.fromkeys(now.tomogram.tolist()):
        mine = np.flatnonzero(now.tomogram == name)
        parts.append(_of_series(star, tomograms, name, [seen[one] for one in mine], cut_zyx[mine], now[mine], mine))
    joined = {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}
    order = np.lexsort((joined["tilt"], joined["particle"]))
    rows: dict[str, Any] = {field: values[order] for field, values in joined.items()}
    names = [
        f"{number + 1}@{table[_IMAGE].iloc[one]}" for one, marks in enumerate(seen) for number in range(marks.sum())
    ]
    with naming(star):
        return SubtiltSet(
            particles=now,
            pixel_ang=float(pixel_ang),
            optics=optics_from_columns(table.iloc[0]),
            images=ListedImages(star, tuple(names), (int(box_px), int(box_px))),
            correction="weigh" if gather(star, table, ("rlnCtfDataAreCtfPremultiplied",))[0, 0] else "none",
            contrast=contrast,
            **rows,
        )


def _tables(path: Path) -> tuple[Path, Path]:
    """Find the table of particles, and that of tomograms."""
    labels = labels_of(path)
    listed = path if f"_{IN_SET}" in labels else path.parent / _SET_STAR
    if listed.exists():
        row = table_of(read_star(listed), IN_SET, listed).iloc[0]
        if _TOMOGRAMS not in row:
            raise DataError(f"{listed} names no {_TOMOGRAMS}; give the optimisation set of the extraction.")
        star = resolve(str(row[IN_SET]), listed) if listed == path else path
        tomograms = resolve(str(row[_TOMOGRAMS]), listed)
    else:
        star, tomograms = path, path.parent / _TOMOGRAMS_STAR
    if not tomograms.exists():
        raise DataError(f"{path} needs the table of its tomograms, but {tomograms} is not there; put it back.")
    return star, tomograms


def _particle_table(star: Path) -> "pd.DataFrame":
    """Read the table of particles, and check that it is of stacks all alike."""
    table = table_with_optics(star, CENTERS)
    needed = (_IMAGE, VISIBLE, "rlnTomoName", *_ONE_FOR_ALL, *optics_columns(Optics()))
    lacking = [name for name in needed if name not in table.columns]
    if lacking or not len(table):
        what = f"no column {lacking[0]}" if lacking else "no particles"
        raise DataError(f"{star} has {what}; give particles that RELION 5 extracted as 2-D stacks.")
    for name, values in zip(_ONE_FOR_ALL, gather(star, table, _ONE_FOR_ALL).T, strict=True):
        if np.ptp(values) > 1e-3 * values[0]:
            raise DataError(
                f"{star}: {name} is {values.min():g} and {values.max():g}; give stacks all alike, part these."
            )
    for name in table.columns.intersection(list(OPTICS_COLUMNS)):
        different = table[name].unique()
        if len(different) > 1:
            raise DataError(f"{star}: {name} is {different[0]} and {different[1]}; give stacks all alike, part these.")
    return table


def _visible(star: Path, table: "pd.DataFrame") -> list[NDArray[np.bool_]]:
    """Read which tilts have an image: a mark for each row of the series' table."""
    marks = []
    for number, text in enumerate(map(str, table[VISIBLE])):
        words = text.strip("[] ").split(",")
        if not set(map(str.strip, words)) <= {"0", "1"}:
            raise DataError(f"{star}: {VISIBLE} of particle {number + 1} is {text}; it must be like [0,1,1].")
        marks.append(np.array([word.strip() == "1" for word in words]))
    return marks


def _of_series(
    star: Path,
    tomograms: Path,
    name: str,
    seen: list[NDArray[np.bool_]],
    cut_zyx: NDArray[np.float64],
    now: ParticleSet,
    numbers: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """Lay out the sub-tilts of the particles of one series: where they are seen, and through what."""
    series = read_relion_series(tomograms, name)
    alignment, ctf = relion_alignment(series), relion_ctf(series)
    if alignment is None or ctf is None:
        lacking = "alignment" if alignment is None else "CTF"
        raise DataError(
            f"{series.path} holds no {lacking}, without which {star} cannot be understood; give one that does."
        )
    wrong = [len(one) for one in seen if len(one) != alignment.n_tilts]
    if wrong:
        raise DataError(
            f"{star}: {VISIBLE} of particles in {name} marks {wrong[0]} tilts, but {series.path} has "
            f"{alignment.n_tilts}; give the tables these particles were extracted with."
        )
    with naming(series.path):
        dose, weight = _per_tilt(series.table, _DOSE, 0.0), _per_tilt(series.table, _SCALE, 1.0)
    mine, tilt = np.nonzero(np.stack(seen))
    _, depth_ang = alignment.project(cut_zyx)
    rotations = alignment.rotations[tilt]
    moved_xyz = (now.centers_ang_zyx - cut_zyx)[mine, ::-1]
    return {
        "particle": numbers[mine],
        "tilt": tilt,
        "quaternions_xyzw": poses.quaternions_from_matrices(rotations),
        "shift_ang_yx": np.einsum("mij,mj->mi", rotations, moved_xyz)[:, 1::-1],
        **_lens(ctf, tilt, depth_ang[tilt, mine]),
        "dose_e_ang2": dose[tilt],
        "weight": weight[tilt],
    }


def _lens(ctf: CtfSeries, tilt: NDArray[np.int64], depth_ang: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the CTF of tilts at some heights."""
    return {
        "defocus_u_ang": ctf.defocus_u_ang[tilt] + ctf.hand * depth_ang,
        "defocus_v_ang": ctf.defocus_v_ang[tilt] + ctf.hand * depth_ang,
        "azimuth_deg": ctf.azimuth_deg[tilt],
        "phase_deg": ctf.phase_deg[tilt],
    }


def _per_tilt(table: "pd.DataFrame", name: str, otherwise: float) -> NDArray[np.float64]:
    found = column_if_any(table, name)
    return np.full(len(table), otherwise) if found is None else found
