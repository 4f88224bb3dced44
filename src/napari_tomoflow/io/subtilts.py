"""Stacks of sub-tilts: a row of a STAR file for each particle in each tilt, as Warp, M, tomoDRGN and cryoDRGN have it.

Each row names an image ``number@stack`` and has the whole rotation from the particle to that image in its angles. Of
which particle it is tells ``rlnGroupName``. Exposure is told by the B-factor, −4 Å² for each e/Å², and what the tilt
leaves of the signal by the scale factor. What RELION has no name for starts with ``tomoflow``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet, SubtiltSet
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import column, column_if_any, numbers, optics_columns, optics_from_columns
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.particles import read_particles, write_particles
from napari_tomoflow.io.relion_stacks import are_relion_stacks, read_relion_stacks
from napari_tomoflow.io.stack_file import Planes, StackFile
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.star import read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

SUBTILTS_STAR = "subtilts.star"
_STACK = "subtilts.mrcs"
_ALLOCATED = "subtilts.mrc"
_PARTICLES = "subtilt_particles.star"
_VOLUMES = {"volumes": "subtilt_volumes.mrc", "sampling": "subtilt_sampling.mrc"}

_IMAGE = "rlnImageName"
_PARTICLE = "rlnGroupName"
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_QUATERNION = tuple(f"tomoflowTiltQuaternion{part}" for part in "XYZW")
_DOSE_PER_B = -0.25
_OURS = "tomoflowSubtilt"
_WEIGHED = "tomoflowWeighed"
_TEXTS = (_PARTICLE, "tomoflowContrast")


def read_subtilts(
    path: Path, *, contrast: Literal["bright", "dark"] = "bright", pixel_ang: float | None = None
) -> SubtiltSet:
    """Read a stack of sub-tilts and the table that describes it; images stay in their file.

    Parameters
    ----------
    path : Path
        STAR file with ``rlnImageName`` and ``rlnGroupName``; or RELION 5's of 2-D stacks, or the optimisation set of
        such (`io.relion_stacks`).
    contrast : {"bright", "dark"}
        Whether dense matter is bright or dark where the CTF is positive; a table of ours says so itself.
    pixel_ang : float, optional
        Of the images, where the table has that of images before they were binned.

    Returns
    -------
    SubtiltSet
        The pose of each particle is that of its first image, and every R is relative to it. Particles lie at 0, as
        such tables do not tell where they were cut.

    Raises
    ------
    DataError
        The table or its stack is not there or is damaged, or lacks what describes sub-tilts.
    """
    if are_relion_stacks(path):
        return read_relion_stacks(path, contrast=contrast)
    table = table_of(read_star(path, text_columns=_TEXTS), _ANGLES[0], path)
    if _PARTICLE not in table.columns:
        raise DataError(f"{path} has no column {_PARTICLE}, which tells sub-tilts of one particle from others; add it.")
    is_ours = _OURS in table.columns
    names, first, particle = _numbered(table[_PARTICLE])
    whole = poses.matrices_from_relion(numbers(path, {name: table[name] for name in _ANGLES}))
    if is_ours:
        particles = read_particles(path.parent / _PARTICLES)
        rotations = numbers(path, {name: table[name] for name in _QUATERNION})
        contrast = _contrast_of(table)
    else:
        particles = _particles_of(table, names, first, whole)
        rotations = poses.quaternions_from_matrices(whole @ np.swapaxes(whole[first][particle], 1, 2))
    pixel_ang = pixel_ang or _pixel_ang(table, path)
    return SubtiltSet(
        particles=particles,
        particle=particle,
        tilt=column(table, _OURS).astype(np.int64) if is_ours else _counted(particle),
        pixel_ang=pixel_ang,
        quaternions_xyzw=rotations,
        shift_ang_yx=-_origins_ang_yx(table, pixel_ang),
        optics=optics_from_columns(table.iloc[0]),
        images=_images_of(table, path) if _IMAGE in table.columns else None,
        correction=_correction(table),
        contrast=contrast,
        **_lens_columns(table),
    )


def save_subtilts(subtilts: SubtiltSet, folder: Path) -> str:
    """Write ``subtilts.star`` with its stack, and the particles beside it.

    Images that `allocate_mrc` reserved for the stack are finished where they lie; others are copied.
    """
    table = _table_of(subtilts)
    folder.mkdir(parents=True, exist_ok=True)
    if subtilts.images is not None:
        # Other programs take only .mrcs for a stack.
        write_mrc(folder / _ALLOCATED, subtilts.images, subtilts.pixel_ang, stack=True, label="sub-tilts")
        (folder / _ALLOCATED).replace(folder / _STACK)
    else:
        table = table.drop(columns=_IMAGE)
    for field, name in _VOLUMES.items():
        volumes = getattr(subtilts, field)
        if volumes is not None:
            write_mrc(folder / name, volumes, subtilts.pixel_ang, label=field)
    write_particles(folder / _PARTICLES, subtilts.particles)
    write_star(folder / SUBTILTS_STAR, {"subtilts": table})
    return SUBTILTS_STAR


def _table_of(subtilts: SubtiltSet) -> "pd.DataFrame":
    """Describe every image in a row, stack and all."""
    import pandas as pd

    whole = subtilts.rotations @ subtilts.particles.matrices[subtilts.particle]
    return pd.DataFrame(
        {
            _IMAGE: [f"{number + 1:06d}@{_STACK}" for number in range(len(subtilts))],
            _PARTICLE: [_group(subtilts.particles, one) for one in subtilts.particle],
            "rlnDetectorPixelSize": subtilts.pixel_ang,
            "rlnMagnification": 10000.0,
            "rlnImagePixelSize": subtilts.pixel_ang,
            **optics_columns(subtilts.optics),
            "rlnDefocusU": subtilts.defocus_u_ang,
            "rlnDefocusV": subtilts.defocus_v_ang,
            "rlnDefocusAngle": subtilts.azimuth_deg,
            "rlnPhaseShift": subtilts.phase_deg,
            **dict(zip(_ANGLES, poses.relion_from_matrices(whole).T, strict=True)),
            "rlnOriginXAngst": -subtilts.shift_ang_yx[:, 1],
            "rlnOriginYAngst": -subtilts.shift_ang_yx[:, 0],
            "rlnCtfBfactor": subtilts.dose_e_ang2 / _DOSE_PER_B,
            "rlnCtfScalefactor": subtilts.weight,
            "rlnRandomSubset": subtilts.particles.half[subtilts.particle],
            "rlnCtfDataAreCtfPremultiplied": int(subtilts.correction in ("multiply", "weigh")),
            _WEIGHED: int(subtilts.correction == "weigh"),
            "rlnCtfDataArePhaseFlipped": int(subtilts.correction == "flip"),
            _OURS: subtilts.tilt,
            "tomoflowScore": subtilts.score,
            "tomoflowContrast": subtilts.contrast,
            **dict(zip(_QUATERNION, subtilts.quaternions_xyzw.T, strict=True)),
        }
    )


def load_subtilts(folder: Path) -> SubtiltSet:
    """Read what `save_subtilts` wrote; images and volumes stay in their files."""
    volumes: dict[str, Any] = {
        field: open_mrc(folder / name) for field, name in _VOLUMES.items() if (folder / name).exists()
    }
    return read_subtilts(folder / SUBTILTS_STAR).replace(**volumes)


class _Listed(Planes):
    """Images of one or more stacks in the order of a table."""

    def __init__(self, stacks: Sequence[StackFile], stack: NDArray[np.int64], number: NDArray[np.int64]) -> None:
        super().__init__((len(stack), *stacks[0].shape[1:]), stacks[0].dtype)
        self._stacks, self._stack, self._number = stacks, stack, number

    def plane(self, index: int) -> NDArray[Any]:
        return np.asarray(self._stacks[self._stack[index]][int(self._number[index])])


def _images_of(table: "pd.DataFrame", path: Path) -> Array | None:
    """Open the stacks a table names, beside the table or as their paths say."""
    parts = [str(name).partition("@") for name in table[_IMAGE]]
    if not all(at and number.isdigit() for number, at, _ in parts):
        raise DataError(f"{path}: {_IMAGE} must be number@stack for every sub-tilt; got {table[_IMAGE].iloc[0]!s}.")
    files, _, stack = _numbered([name for _, _, name in parts])
    stacks = [open_stack(_found(path, name)) for name in files]
    number = np.array([int(number) - 1 for number, _, _ in parts])
    for which, one in enumerate(stacks):
        last = int(number[stack == which].max())
        if last >= len(one) or one.shape[1:] != stacks[0].shape[1:]:
            raise DataError(
                f"{one.path} holds {len(one)} images of {one.shape[1:]} px, but {path} wants image {last + 1} of "
                f"{stacks[0].shape[1:]} px; give the stack this table was written with."
            )
    if len(stacks) == 1 and np.array_equal(number, np.arange(len(stacks[0]))):
        return stacks[0]
    return _Listed(stacks, stack, number)


def _found(table: Path, name: str) -> Path:
    """Find a stack: as its path says from the table's folder, or right beside the table."""
    for place in (table.parent / name, table.parent / Path(name).name):
        if place.exists():
            return place
    raise DataError(f"{table} names the stack {name}, which is neither there nor beside the table; put it there.")


def _particles_of(table: "pd.DataFrame", names: Sequence[str], first: NDArray[np.int64], whole: Floats) -> ParticleSet:
    """Take particles from the first of their rows."""
    half = _optional(table, "rlnRandomSubset", 0.0)[first].astype(np.int64)
    return ParticleSet(
        centers_ang_zyx=np.zeros((len(first), 3)),
        quaternions_xyzw=poses.quaternions_from_matrices(whole[first]),
        half=half,
        features={_PARTICLE: np.array(names, np.str_)},
    )


def _lens_columns(table: "pd.DataFrame") -> dict[str, Any]:
    return {
        "defocus_u_ang": column(table, "rlnDefocusU"),
        "defocus_v_ang": column(table, "rlnDefocusV"),
        "azimuth_deg": _optional(table, "rlnDefocusAngle", 0.0),
        "phase_deg": _optional(table, "rlnPhaseShift", 0.0),
        "dose_e_ang2": _optional(table, "rlnCtfBfactor", 0.0) * _DOSE_PER_B,
        "weight": _optional(table, "rlnCtfScalefactor", 1.0),
        "score": _optional(table, "tomoflowScore", np.nan),
    }


def _optional(table: "pd.DataFrame", name: str, otherwise: float) -> Floats:
    found = column_if_any(table, name)
    return np.full(len(table), otherwise) if found is None else found


def _origins_ang_yx(table: "pd.DataFrame", pixel_ang: float) -> Floats:
    """Return what RELION would move each image by: Å, or pixels in older tables."""
    if "rlnOriginXAngst" in table.columns:
        return np.stack([column(table, f"rlnOrigin{axis}Angst") for axis in "YX"], axis=1)
    return pixel_ang * np.stack([_optional(table, f"rlnOrigin{axis}", 0.0) for axis in "YX"], axis=1)


def _pixel_ang(table: "pd.DataFrame", path: Path) -> float:
    """Find the pixel: said outright, or that of the detector in µm by the magnification."""
    if "rlnImagePixelSize" in table.columns:
        return float(column(table, "rlnImagePixelSize")[0])
    if "rlnDetectorPixelSize" not in table.columns:
        raise DataError(f"{path} does not tell the pixel of its images; give it.")
    detector = float(column(table, "rlnDetectorPixelSize")[0])
    magnification = column_if_any(table, "rlnMagnification")
    return detector if magnification is None else 1e4 * detector / float(magnification[0])


def _numbered(names: Any) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Give names numbers in the order they appear: (names, row of the first of each, number of each row)."""
    texts = np.array(names, np.str_)
    unique, first, number = np.unique(texts, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return unique[order].tolist(), first[order], place[number]


def _counted(particle: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the rows of each particle, from 0."""
    order = np.argsort(particle, kind="stable")
    starts = np.flatnonzero(np.diff(particle[order], prepend=-1))
    count = np.empty(len(particle), np.int64)
    count[order] = np.arange(len(particle)) - np.repeat(starts, np.diff(np.append(starts, len(particle))))
    return count


def _contrast_of(table: "pd.DataFrame") -> Literal["bright", "dark"]:
    return "dark" if str(table["tomoflowContrast"].iloc[0]) == "dark" else "bright"


def _correction(table: "pd.DataFrame") -> Literal["none", "flip", "multiply", "weigh"]:
    if _optional(table, "rlnCtfDataAreCtfPremultiplied", 0.0)[0]:
        return "weigh" if _optional(table, _WEIGHED, 0.0)[0] else "multiply"
    return "flip" if _optional(table, "rlnCtfDataArePhaseFlipped", 0.0)[0] else "none"


def _group(particles: ParticleSet, number: int) -> str:
    return f"{particles.tomogram[number] or 'tomogram'}_{particles.ids[number]:07d}"
