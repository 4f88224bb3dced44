"""IMOD's fiducial models (``.fid``): where beads or patches were seen, one contour for each.

A point (x, y, z) of a contour lies in view z, x and y in pixels from the image's lower left corner, so that
the first pixel's centre is at 0.5. eTomo tracks beads on the pre-aligned stack, binned and shifted by its
``.prexg``; their places in the raw images follow by undoing both.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Landmarks
from napari_tomoflow.core.model.landmarks import Kind
from napari_tomoflow.core.ops.geometry import ang_from_pixels, pixels_from_ang
from napari_tomoflow.io.files import require_file, written_aside
from napari_tomoflow.io.foreign import Shape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_KIND = "an IMOD model"


@dataclass(frozen=True, eq=False)
class ImodTracks:
    """A fiducial model. Legend: M measurements.

    Attributes
    ----------
    view, track : int64[M]
        Tilt image and bead of each measurement, from 0.
    position_px_yx : float64[M, 2]
        Pixels of the stack the model was made on, from its lower left corner.
    shape_yx : (ny, nx)
        Size of those images.
    """

    view: Ints
    track: Ints
    position_px_yx: Floats
    shape_yx: Shape


def read_fid(path: Path) -> ImodTracks:
    """Read a fiducial model; objects follow each other, empty contours are passed over.

    Raises
    ------
    DataError
        The file is no IMOD model, is cut short, or holds no points.
    """
    from imodmodel import ImodModel

    require_file(path, _KIND)
    if path.read_bytes()[:8] != b"IMODV1.2":
        raise DataError(f"{path} is not an IMOD model; give the .fid of the series.")
    try:
        model = ImodModel.from_file(path)
    except (ValueError, IndexError, KeyError, TypeError, OSError, EOFError, struct.error) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is damaged: {reason}; copy it again from its source.") from error
    contours = [contour.points for one in model.objects for contour in one.contours if len(contour.points)]
    if not contours:
        raise DataError(f"{path} holds no points; give the .fid of the series.")
    points = np.concatenate(contours).astype(np.float64)
    if not np.all(np.isfinite(points)):
        raise DataError(f"{path} holds points that are not numbers; track the beads again.")
    track = np.repeat(np.arange(len(contours)), [len(points) for points in contours])
    shape_yx = (int(model.header.ymax), int(model.header.xmax))
    return ImodTracks(np.rint(points[:, 2]).astype(np.int64), track, points[:, 1::-1], shape_yx)


def write_fid(path: Path, tracks: ImodTracks, *, pixel_ang: float) -> None:
    """Write a fiducial model, an open contour for each track."""
    from imodmodel.models import Contour, ImodModel, Object

    beads = Object()
    beads.header.flags.open = True
    beads.header.name = "beads"
    for track in np.unique(tracks.track):
        rows = np.flatnonzero(tracks.track == track)
        rows = rows[np.argsort(tracks.view[rows])]
        points = np.column_stack([tracks.position_px_yx[rows, ::-1], tracks.view[rows]])
        beads.contours.append(Contour(points=points))
    beads.update_sizes()
    model = ImodModel(objects=[beads])
    model.header.ymax, model.header.xmax = tracks.shape_yx
    model.header.zmax = int(tracks.view.max()) + 1
    model.header.pixelsize, model.header.units = pixel_ang / 10, -9  # nanometres
    model.update_sizes()
    with written_aside(path) as aside:
        model.to_file(aside)


def tracks_on_raw(
    tracks: ImodTracks, shape_yx: Shape, *, prexg: tuple[Floats, Floats] | None = None, binning: int = 1
) -> ImodTracks:
    """Bring tracks from the pre-aligned stack to the raw one.

    Parameters
    ----------
    tracks : ImodTracks
    shape_yx : (ny, nx)
        Of the raw images.
    prexg : transforms, optional
        From `imod.read_xf` of the ``.prexg``, raw to pre-aligned, in raw pixels.
    binning : int
        Of the pre-aligned stack, by averaging.
    """
    from_centre_xy: Floats = binning * (tracks.position_px_yx - np.array(tracks.shape_yx) / 2)[:, ::-1]
    if prexg is not None:
        matrices, shifts = prexg[0][tracks.view], prexg[1][tracks.view]
        from_centre_xy = np.asarray(np.linalg.solve(matrices, (from_centre_xy - shifts)[..., None])[..., 0], np.float64)
    position_px_yx = from_centre_xy[:, ::-1] + np.array(shape_yx) / 2
    return ImodTracks(tracks.view, tracks.track, position_px_yx, shape_yx)


def landmarks_from_tracks(
    tracks: ImodTracks, alignment: Alignment, *, pixel_ang: float, kind: Kind = "gold", size_ang: float | None = None
) -> Landmarks:
    """Make landmarks of tracks on the raw stack, each point where the alignment's views of it meet.

    Parameters
    ----------
    tracks : ImodTracks
    alignment : Alignment
    pixel_ang : float
        Of the raw images.
    kind, size_ang
        Of the landmarks.
    """
    position_ang_yx = ang_from_pixels(tracks.position_px_yx - 0.5, pixel_ang, tracks.shape_yx)
    return Landmarks(
        kind=kind,
        points_ang_zyx=_points_seen(tracks, position_ang_yx, alignment),
        tilt=tracks.view,
        point=tracks.track,
        position_ang_yx=position_ang_yx,
        weight=np.ones(len(tracks.view)),
        size_ang=size_ang,
    )


def tracks_of_landmarks(landmarks: Landmarks, *, pixel_ang: float, shape_yx: Shape) -> ImodTracks:
    """Lay the believed measurements of landmarks out as tracks on the raw stack."""
    believed = landmarks.believed
    position_px_yx = pixels_from_ang(landmarks.position_ang_yx[believed], pixel_ang, shape_yx) + 0.5
    return ImodTracks(landmarks.tilt[believed], landmarks.point[believed], position_px_yx, shape_yx)


def _points_seen(tracks: ImodTracks, position_ang_yx: Floats, alignment: Alignment) -> Floats:
    """Find each point from its views by least squares; NaN for one seen in fewer than two."""
    matrices = alignment.image_from_sample()
    points_zyx = np.full((int(tracks.track.max()) + 1, 3), np.nan)
    for track in np.unique(tracks.track):
        rows = np.flatnonzero(tracks.track == track)
        if len(rows) < 2:
            continue
        seen = matrices[tracks.view[rows], :2]
        right = (position_ang_yx[rows, ::-1] - seen[:, :, 3]).reshape(-1)
        points_zyx[track] = np.linalg.lstsq(seen[:, :, :3].reshape(-1, 3), right)[0][::-1]
    return points_zyx
