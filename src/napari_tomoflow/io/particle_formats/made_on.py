"""The tomograms that a table was made on, where they are not ours: another size has another corner."""

from pathlib import Path

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.columns import numbers
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.particle_formats.frame import ANY, TomogramFrame
from napari_tomoflow.io.relion import STAR_SUFFIXES
from napari_tomoflow.io.star import read_star, table_of

_SIZES = ("rlnTomoSizeZ", "rlnTomoSizeY", "rlnTomoSizeX")
_PIXEL = "rlnTomoTiltSeriesPixelSize"


def read_frames(path: Path) -> dict[str, TomogramFrame]:
    """Read shape and voxel size of tomograms; their centre is taken to be the specimen's.

    Parameters
    ----------
    path : Path
        A volume, which stands for any tomogram, or RELION's ``tomograms.star``, which has each by name and in
        pixels of the tilt images.

    Raises
    ------
    DataError
        The file is damaged or says no sizes.
    """
    if path.suffix.lower() in STAR_SUFFIXES:
        return _of_relion(path)
    volume = open_mrc(path)
    if len(volume.shape) != 3:
        raise DataError(f"{path} is no volume: its shape is {tuple(volume.shape)}; give the tomogram.")
    nz, ny, nx = map(int, volume.shape)
    edges = volume.header.voxel_ang_zyx
    return {ANY: TomogramFrame((nz, ny, nx), None if edges is None else edges[2])}


def _of_relion(path: Path) -> dict[str, TomogramFrame]:
    table = table_of(read_star(path), _SIZES[0], path)
    lacking = [name for name in (*_SIZES, _PIXEL, "rlnTomoName") if name not in table.columns]
    if lacking:
        raise DataError(f"{path} has no column {lacking[0]}; give the tomograms.star of RELION's Tomograms job.")
    rows = numbers(path, {name: table[name] for name in (*_SIZES, _PIXEL)})
    return {
        str(name): TomogramFrame((int(nz), int(ny), int(nx)), float(pixel), pixel_ang=float(pixel))
        for name, (nz, ny, nx, pixel) in zip(table["rlnTomoName"], rows, strict=True)
    }
