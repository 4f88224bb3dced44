"""Where a table of particles has its zero: voxels of a tomogram, and the Å from its centre that we count in.

Most programs count voxels from a corner, so their tables say nothing without the tomogram. A position in
voxels here is counted from 0, the first voxel's centre; what each program adds to that is its own reader's
matter. The centre of a tomogram is voxel ``n // 2`` along each axis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import ParticleSet, Tomogram

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
Unit = Literal["px", "ang", "ang-corner"]
UNITS: tuple[Unit, ...] = ("px", "ang", "ang-corner")
"""Voxels from the corner, Å from the centre, Å from the corner."""

ANY = ""
"""Name under which `Told.frames` holds the frame of a tomogram of whatever name."""


class UnitMissingError(DataError):
    """Nobody says what the positions of a table are counted in."""


@dataclass(frozen=True)
class TomogramFrame:
    """What must be known of a tomogram to say where in it a particle lies.

    Attributes
    ----------
    shape_zyx : tuple of int, or None
    voxel_ang : float or None
    origin_ang_zyx : tuple of float
        Position of its centre in the specimen's frame, Å; zero for a whole tomogram.
    pixel_ang : float or None
        Of the tilt images, for programs that count in those.
    """

    shape_zyx: tuple[int, int, int] | None = None
    voxel_ang: float | None = None
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pixel_ang: float | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        for size in (self.voxel_ang, self.pixel_ang):
            if size is not None and not (np.isfinite(size) and size > 0):
                raise ParamError(f"A voxel or pixel cannot measure {size:g} Å; give its edge in Å.")
        if self.shape_zyx is not None and (len(self.shape_zyx) != 3 or min(self.shape_zyx) < 1):
            raise ParamError(f"A tomogram cannot have the shape {self.shape_zyx}; give (nz, ny, nx).")

    @classmethod
    def of(cls, tomogram: Tomogram, pixel_ang: float | None = None) -> Self:
        """Take the frame of a tomogram."""
        nz, ny, nx = (int(n) for n in tomogram.volume.shape)
        return cls((nz, ny, nx), tomogram.voxel_ang, tomogram.origin_ang_zyx, pixel_ang)

    @property
    def is_whole(self) -> bool:
        """Whether shape and voxel size are both known."""
        return self.shape_zyx is not None and self.voxel_ang is not None

    @property
    def smallest_ang(self) -> float:
        """Pixel size of the tilt images, or the voxel size where nobody says it."""
        return self.pixel_ang or self.voxel_ang or 1.0

    def voxels_zyx(self, centers_ang_zyx: ArrayLike) -> Floats:
        """Return where in the volume points lie, in voxels from 0; the frame must be whole."""
        if self.shape_zyx is None or self.voxel_ang is None:
            raise ParamError(f"{self} has no voxels; give both shape and voxel size.")
        middle = np.array(self.shape_zyx) // 2
        return np.asarray((np.asarray(centers_ang_zyx) - self.origin_ang_zyx) / self.voxel_ang + middle)


@dataclass(frozen=True)
class Told:
    """What a person tells of a table of particles besides its file.

    Attributes
    ----------
    frames : mapping of str to TomogramFrame
        By name of tomogram; `ANY` for whatever name.
    tomogram : str
        Name of the tomogram, where the file does not say it.
    unit : {"px", "ang", "ang-corner"} or None
        What positions are counted in, where the file does not say it.
    pixel_ang : float or None
        Å per pixel the positions are counted in, where the file does not say it or is mistaken.
    """

    frames: Mapping[str, TomogramFrame] = field(default_factory=dict)
    tomogram: str = ""
    unit: Unit | None = None
    pixel_ang: float | None = None

    def __post_init__(self) -> None:
        """Check the unit and the pixel size."""
        if self.unit is not None and self.unit not in UNITS:
            raise ParamError(f"Positions cannot be counted in {self.unit!r}; give one of {', '.join(UNITS)}.")
        if self.pixel_ang is not None and not self.pixel_ang > 0:
            raise ParamError(f"A pixel cannot measure {self.pixel_ang:g} Å; give its edge in Å.")

    def frame(self, name: str) -> TomogramFrame:
        """Return the frame of a tomogram; an empty one where nothing is known of it."""
        return self.frames.get(name) or self.frames.get(ANY) or TomogramFrame()

    def whole_frame(self, name: str, path: Path) -> TomogramFrame:
        """Return the frame of a tomogram, of which the table needs shape and voxel size.

        Raises
        ------
        DataError
            Nobody says them; the text asks for what is missing by name.
        """
        frame = self.frame(name)
        if not frame.is_whole:
            raise _asks(path, name, shape=frame.shape_zyx is None, voxel=frame.voxel_ang is None)
        return frame

    def centers(
        self, path: Path, position_px_xyz: ArrayLike, names: Names, pixel_ang: ArrayLike | None = None
    ) -> Floats:
        """Turn positions in pixels from the corner into Å from the centre.

        Parameters
        ----------
        path : Path
            Of the table, for the messages.
        position_px_xyz : float[P, 3]
            Counted from 0.
        names : str array[P]
        pixel_ang : float or float[P], optional
            What the table says a pixel is; left out, a voxel of the tomogram.

        Returns
        -------
        float64[P, 3]
            Å, zyx.
        """
        positions = np.asarray(position_px_xyz, np.float64).reshape(-1, 3)
        said = self.pixel_ang if self.pixel_ang is not None else pixel_ang
        pixels = None if said is None else np.broadcast_to(np.asarray(said, np.float64), len(positions))
        if pixels is not None and not np.all(np.isfinite(pixels) & (pixels > 0)):
            raise DataError(f"{path} says that a pixel measures {pixels.min():g} to {pixels.max():g} Å; mend that.")
        centers = np.empty_like(positions)
        for name in np.unique(names):
            rows = names == name
            frame = self.frame(str(name))
            unknown = frame.voxel_ang is None and pixels is None
            if frame.shape_zyx is None or unknown:
                raise _asks(path, str(name), shape=frame.shape_zyx is None, voxel=unknown)
            edge = np.full(int(rows.sum()), frame.voxel_ang) if pixels is None else pixels[rows]
            voxel = edge if frame.voxel_ang is None else frame.voxel_ang
            middle = np.multiply.outer(voxel, np.array(frame.shape_zyx) // 2)
            centers[rows] = positions[rows, ::-1] * edge[:, None] - middle + frame.origin_ang_zyx
        return centers

    def positions(self, path: Path, particles: ParticleSet) -> Floats:
        """Return where particles lie in their tomograms: float64[P, 3], voxels (x, y, z) counted from 0."""
        voxels = np.empty_like(particles.centers_ang_zyx)
        for name in np.unique(particles.tomogram):
            rows = particles.tomogram == name
            voxels[rows] = self.whole_frame(str(name), path).voxels_zyx(particles.centers_ang_zyx[rows])
        return voxels[:, ::-1]

    def one_name(self, path: Path, drop: str = "") -> str:
        """Name the tomogram of a file that has one and does not say which: as told, or by the file's stem."""
        return self.tomogram or path.stem.removesuffix(drop)


def only_tomogram(particles: ParticleSet) -> str:
    """Name the tomogram of particles that are all of one."""
    return str(particles.tomogram[0]) if len(particles) else ""


def _asks(path: Path, name: str, *, shape: bool, voxel: bool) -> DataError:
    wanted: Sequence[str] = [*(["shape"] if shape else []), *(["voxel size"] if voxel else [])]
    return DataError(
        f"{path} counts voxels from a corner, but nobody says the {' and the '.join(wanted)} of the tomogram"
        f"{f' {name}' if name else ''}; open or import the tomogram first, or give a TomogramFrame."
    )
