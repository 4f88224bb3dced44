"""The CTF in Warp's and M's XML of a tilt series; `io.warp` writes it together with the alignment.

Defocus is in µm, its difference whole (u − v), the phase in units of π. Warp's depth is ours, and the defocus grows
with it unless ``AreAnglesInverted``.
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.io.ctf_formats.ctffind import larger_first
from napari_tomoflow.io.warp import read_warp_xml
from napari_tomoflow.io.warp_xml import parsed_xml, read_grid

_UM = 1e4
_HALF_TURNS_DEG = 180.0


def read_warp_ctf(path: Path) -> CtfSeries:
    """Read the CTF of every tilt; of a grid over the image its mean.

    Raises
    ------
    DataError
        The file is no XML of a tilt series, or Warp has not fitted its CTF yet.
    """
    warp = read_warp_xml(path)
    root = parsed_xml(path)
    n_tilts = len(warp.angle_deg)
    ctf = root.find("CTF")
    if ctf is None or root.find("GridCTF") is None:
        raise DataError(f"{path} holds no CTF; run Warp's CTF estimation first.")
    said = {str(one.get("Name")): str(one.get("Value")) for one in ctf.iter("Param")}
    try:
        optics = Optics(float(said["Voltage"]), float(said["Cs"]), float(said["Amplitude"]))
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} does not say the optics: {error}; run Warp's CTF estimation again.") from error
    mean_ang, delta_ang = (_UM * _per_tilt(path, root, name, n_tilts) for name in ("GridCTF", "GridCTFDefocusDelta"))
    return larger_first(
        CtfSeries(
            optics=optics,
            defocus_u_ang=mean_ang + delta_ang / 2,
            defocus_v_ang=mean_ang - delta_ang / 2,
            azimuth_deg=_per_tilt(path, root, "GridCTFDefocusAngle", n_tilts),
            phase_deg=_HALF_TURNS_DEG * _per_tilt(path, root, "GridCTFPhase", n_tilts),
            hand=warp.hand,
        )
    )


def _per_tilt(path: Path, root: ElementTree.Element, name: str, n_tilts: int) -> NDArray[np.float64]:
    """Average a grid over the image: float64[N]; 0 where the file has none."""
    grid = read_grid(path, root, name)
    layers = grid.reshape(-1, *grid.shape[2:]).mean(axis=(1, 2))
    if len(layers) not in (1, n_tilts):
        raise DataError(f"{path}: {name} has {len(layers)} layers for {n_tilts} tilts; write the file again with Warp.")
    return np.array(np.broadcast_to(layers, (n_tilts,)), np.float64)
