"""CTF results of other programs, read and written.

All of them, like us, count underfocus positive and the azimuth of the larger defocus counter-clockwise from +x;
units differ. None but Warp and RELION says the defocus hand: it is 0, undecided, unless the file tells.
"""

from pathlib import Path

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics, TiltSeries
from napari_tomoflow.io.ctf_formats.ctffind import read_ctffind, write_ctffind
from napari_tomoflow.io.ctf_formats.gctf import read_gctf, write_gctf
from napari_tomoflow.io.ctf_formats.imod_defocus import read_imod_defocus, write_imod_defocus
from napari_tomoflow.io.ctf_formats.warp_ctf import read_warp_ctf
from napari_tomoflow.io.relion import read_relion_series, relion_ctf

__all__ = [
    "read_ctf",
    "read_ctffind",
    "read_gctf",
    "read_imod_defocus",
    "read_warp_ctf",
    "write_ctffind",
    "write_gctf",
    "write_imod_defocus",
]


def read_ctf(path: Path, series: TiltSeries) -> CtfSeries:
    """Read the CTF of a series from a file of whatever program, told by its name and content.

    Parameters
    ----------
    path : Path
        ``.defocus``, ``.xml``, ``.star`` (RELION or Gctf) or a table of CTFFIND or AreTomo (``.txt``, ``.ctf``).
    series : TiltSeries
        Gives the tilts, and the optics where the file does not.

    Raises
    ------
    DataError
        The file is damaged, or is for another number of tilts.
    """
    # Most programs know of no magnification: theirs is the CTF as images show it.
    ctf = _read(path, series.replace(optics=series.optics.unstretched()))
    if ctf.n_tilts != series.n_tilts:
        raise DataError(
            f"{path} holds the CTF of {ctf.n_tilts} tilts, {series.name} has {series.n_tilts}; give the file of "
            "this series."
        )
    return ctf if ctf.optics.is_stretched else ctf.magnified(series.optics.magnification)


def _read(path: Path, series: TiltSeries) -> CtfSeries:
    suffix = path.suffix.lower()
    if suffix == ".defocus":
        return read_imod_defocus(path, series.tilt_deg, series.optics)
    if suffix == ".xml":
        return read_warp_ctf(path)
    if suffix == ".star":
        return _read_star(path, series.optics)
    return read_ctffind(path, series.optics)


def _read_star(path: Path, optics: Optics) -> CtfSeries:
    try:
        found = relion_ctf(read_relion_series(path))
    except DataError:
        return read_gctf(path)  # no table of tilts
    if found is None:
        raise DataError(f"{path} tells no CTF with its optics; give the table of all series, or run RELION's CTF job.")
    return found
