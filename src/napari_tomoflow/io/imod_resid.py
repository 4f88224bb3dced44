"""Reader of what IMOD's tiltalign says of its points: residuals (``.resid``) and positions (``fid.xyz``).

A ``.resid`` line is ``x y view dx dy``: where a point was measured, in pixels of the image file from
its lower left corner, the view counted from 0, and the residual, so that measured + residual is what
the model predicts. Points follow each other, and a view that does not rise begins the next one. The
residual error tiltalign states is the root mean square (or mean) length of the vectors (dx, dy).

A ``fid.xyz`` line is ``number x y z object contour``, in pixels of the aligned stack; the first one
ends in ``Pix: pixel size in Å Dim: nx ny``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import read_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImodResiduals:
    """A ``.resid`` file. Legend: M measurements.

    Attributes
    ----------
    view, track : int64[M]
        Tilt image and point of each measurement, from 0; tracks in the order of the file.
    position_px_yx : float64[M, 2]
        Pixels from the image's lower left corner, so that the first pixel's centre is at 0.5.
    residual_px_yx : float64[M, 2]
        Predicted minus measured.
    """

    view: Ints
    track: Ints
    position_px_yx: Floats
    residual_px_yx: Floats

    @property
    def rms_px(self) -> float:
        """Root mean square length of the residual vectors."""
        return float(np.sqrt(np.mean(np.sum(self.residual_px_yx**2, axis=1))))

    def position_ang_yx(self, pixel_ang: float, shape_yx: tuple[int, int]) -> Floats:
        """Return the positions in Å from the centre of images of `shape_yx`, pixel ``n // 2``: float64[M, 2]."""
        from_centre_px = self.position_px_yx - 0.5 - np.array([n // 2 for n in shape_yx])
        return np.asarray(from_centre_px * pixel_ang, np.float64)


@dataclass(frozen=True, eq=False)
class ImodPoints:
    """A ``fid.xyz`` file. Legend: P points.

    Attributes
    ----------
    position_px_xyz : float64[P, 3]
        Pixels of the aligned stack; x and y from its lower left corner, z from the middle.
    contour : int64[P]
        Contour of the fiducial model, from 1.
    pixel_ang : float
    shape_yx : tuple of int
        Size of the images.
    """

    position_px_xyz: Floats
    contour: Ints
    pixel_ang: float
    shape_yx: tuple[int, int]


def read_resid(path: Path) -> ImodResiduals:
    """Read the residuals of tiltalign.

    Raises
    ------
    DataError
        A line does not hold five numbers, or there are not as many as the first line says.
    """
    first, *lines = _lines(path, "a .resid file of IMOD")
    if len(first.split()) != 2 or not first.split()[0].isdigit():
        raise DataError(
            f"{path} does not begin with a number of residuals but with {first!r}; give a .resid file of IMOD."
        )
    rows = np.array([_numbers(path, number, line, 5) for number, line in enumerate(lines, start=2)]).reshape(-1, 5)
    if len(rows) != int(first.split()[0]):
        raise DataError(f"{path} announces {first} but holds {len(rows)}; copy it again, it may be cut short.")
    view = rows[:, 2].astype(np.int64)
    track = np.concatenate([[0], np.cumsum(np.diff(view) <= 0)]).astype(np.int64)
    return ImodResiduals(view, track, rows[:, 1::-1], rows[:, :2:-1])


def read_fid_xyz(path: Path) -> ImodPoints:
    """Read the 3-D points of tiltalign.

    Raises
    ------
    DataError
        A line does not hold six numbers, or the first one lacks pixel size and dimensions.
    """
    lines = _lines(path, "a fid.xyz file of IMOD")
    words = lines[0].replace("Dim:", "Pix:").split("Pix:")
    if len(words) != 3:
        raise DataError(f"{path}, line 1 lacks 'Pix:' and 'Dim:'; give the fid.xyz file of a later IMOD.")
    rows = np.array([_numbers(path, n, line.split("Pix:")[0], 6) for n, line in enumerate(lines, start=1)])
    (pixel_ang,) = _numbers(path, 1, words[1], 1)
    nx, ny = _numbers(path, 1, words[2], 2)
    return ImodPoints(rows[:, 1:4], rows[:, 5].astype(np.int64), pixel_ang, (int(ny), int(nx)))


def _lines(path: Path, kind: str) -> list[str]:
    """Read the lines that are not blank."""
    lines = [line.strip() for line in read_text(path, kind).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} holds only blank lines; give {kind}.")
    return lines


def _numbers(path: Path, number: int, line: str, count: int) -> list[float]:
    """Read the first `count` numbers of a line."""
    try:
        values = [float(word) for word in line.split()[:count]]
    except ValueError:
        values = []
    if len(values) < count or not np.all(np.isfinite(values)):
        raise DataError(f"{path}, line {number}: {line!r} does not begin with {count} numbers; mend the line.")
    return values
