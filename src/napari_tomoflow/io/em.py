"""Volumes and tables in the EM format of TOM, AV3 and PyTom."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import require_file, written_aside

EM_SUFFIX = ".em"

_HEADER_BYTES = 512
_DTYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 8: "c8", 9: "f8"}
_BIG_ENDIAN_MACHINES = (0, 3, 4, 5)  # OS-9, Convex, SGI, Mac; 1 is VAX and 2, 6 are little-endian
_FLOAT32 = 5
_PC = 6


def read_em(path: Path) -> NDArray[Any]:
    """Read an EM file: array[nz, ny, nx]. The format has no place for the size of a voxel.

    Raises
    ------
    DataError
        The file is missing, is no EM file or is cut short.
    """
    require_file(path, "an EM file")
    raw = path.read_bytes()
    if len(raw) < _HEADER_BYTES or raw[3] not in _DTYPES:
        raise DataError(f"{path} is no EM file: its header does not name a type of number; give another file.")
    order = ">" if raw[0] in _BIG_ENDIAN_MACHINES else "<"
    nx, ny, nz = (int(n) for n in np.frombuffer(raw, order + "i4", 3, 4))
    dtype = np.dtype(order + _DTYPES[raw[3]])
    if min(nx, ny, nz) < 1 or len(raw) < _HEADER_BYTES + nx * ny * nz * dtype.itemsize:
        raise DataError(f"{path} is cut short or no EM file: its header says {nx} × {ny} × {nz}; copy it again.")
    values = np.frombuffer(raw, dtype, nx * ny * nz, _HEADER_BYTES).reshape(nz, ny, nx)
    return values.astype(dtype.newbyteorder("="))


def write_em(path: Path, values_zyx: NDArray[Any]) -> None:
    """Write float32[nz, ny, nx] as an EM file; arrays of fewer axes get leading ones of length 1."""
    volume = np.asarray(values_zyx, "<f4")
    volume = volume.reshape((1,) * (3 - volume.ndim) + volume.shape)
    header = np.zeros(_HEADER_BYTES, np.uint8)
    header[0], header[3] = _PC, _FLOAT32
    header[4:16] = np.array(volume.shape[::-1], "<i4").view(np.uint8)
    with written_aside(path) as aside, aside.open("wb") as file:
        file.write(header.tobytes())
        file.write(np.ascontiguousarray(volume).tobytes())
