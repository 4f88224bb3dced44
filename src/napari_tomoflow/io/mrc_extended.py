"""What microscopes store between the header and the values of an MRC file: the tilt angle of every image."""

from dataclasses import dataclass

import numpy as np
from mrcfile.dtypes import get_ext_header_dtype
from numpy.typing import NDArray

from napari_tomoflow.io.mrc_header import MrcHeader

# SerialEM: bit of the flags → bytes it takes in the record of an image, in this order.
_SERIALEM_ITEMS = {1: 2, 2: 6, 4: 4, 8: 2, 16: 2, 32: 4, 64: 2, 128: 4, 256: 2, 512: 4, 1024: 2}
_HAS_TILT = 1
_STEEPEST_DEG = 180.0


@dataclass(frozen=True)
class ExtendedHeader:
    """Columns of an extended header. Legend: N images.

    Attributes
    ----------
    tilt_deg : float64[N]
    pixel_ang, voltage_kv : float or None
    kind : str
        Who wrote it, for the notes.
    """

    tilt_deg: NDArray[np.float64]
    kind: str
    pixel_ang: float | None = None
    voltage_kv: float | None = None


def parse_extended(raw: bytes, header: MrcHeader) -> ExtendedHeader | None:
    """Read the extended header of a stack, or return None when it holds no believable tilt angles."""
    kind = bytes(header.raw["exttyp"])
    found = (
        _fei(raw, header, kind)
        if kind in (b"FEI1", b"FEI2")
        else _serialem(raw, header)
        if kind == b"SERI" or _is_serialem(header)
        else _agard(raw, header)
    )
    if found is None or not np.all(np.abs(found.tilt_deg) <= _STEEPEST_DEG):  # NaN fails too
        return None
    return found


def _fei(raw: bytes, header: MrcHeader, kind: bytes) -> ExtendedHeader | None:
    """Read the records of Thermo Fisher's programs: degrees, metres and volts."""
    n = header.shape[0]
    dtype = get_ext_header_dtype(kind, header.order)
    stride = int(np.frombuffer(raw, f"{header.order}i4", count=1)[0]) if len(raw) >= 4 else 0
    if stride < dtype.itemsize or len(raw) < n * stride:
        return None
    records = np.ndarray((n,), dtype, raw, strides=(stride,))
    pixel_ang = float(records["Pixel size X"][0]) * 1e10
    voltage_kv = float(records["HT"][0]) * 1e-3
    return ExtendedHeader(
        tilt_deg=records["Alpha tilt"].astype(np.float64),
        kind=kind.decode(),
        pixel_ang=pixel_ang if 0 < pixel_ang < 1e5 else None,
        voltage_kv=voltage_kv if 1 <= voltage_kv <= 3000 else None,
    )


def _is_serialem(header: MrcHeader) -> bool:
    nint, flags = header.nint_nreal
    wanted = sum(size for bit, size in _SERIALEM_ITEMS.items() if flags & bit)
    return nint > 0 and nint == wanted


def _serialem(raw: bytes, header: MrcHeader) -> ExtendedHeader | None:
    """Read SerialEM's records; the tilt comes first, in hundredths of a degree."""
    n = header.shape[0]
    stride, flags = header.nint_nreal
    if not _is_serialem(header) or not flags & _HAS_TILT or len(raw) < n * stride:
        return None
    hundredths = np.ndarray((n,), f"{header.order}i2", raw, strides=(stride,))
    return ExtendedHeader(tilt_deg=hundredths / 100.0, kind="SerialEM")


def _agard(raw: bytes, header: MrcHeader) -> ExtendedHeader | None:
    """Read records of nint whole and nreal real numbers, as old FEI programs wrote them.

    The first real number is the tilt; in FEI's record of 32 the twelfth is the pixel size in metres
    and the fourteenth the voltage in volts.
    """
    n = header.shape[0]
    nint, nreal = header.nint_nreal
    stride = 4 * (nint + nreal)
    if nint < 0 or nreal < 1 or len(raw) < n * stride:
        return None
    reals = np.ndarray((n, nreal), f"{header.order}f4", raw, offset=4 * nint, strides=(stride, 4))
    # A header of nothing but zeros is reserved space, not 0° for every image.
    if not np.any(reals):
        return None
    pixel_ang = float(reals[0, 11]) * 1e10 if nreal == 32 else 0.0
    voltage_kv = float(reals[0, 13]) * 1e-3 if nreal == 32 else 0.0
    return ExtendedHeader(
        tilt_deg=reals[:, 0].astype(np.float64),
        kind="FEI" if nreal == 32 else "Agard",
        pixel_ang=pixel_ang if 0 < pixel_ang < 1e5 else None,
        voltage_kv=voltage_kv if 1 <= voltage_kv <= 3000 else None,
    )
