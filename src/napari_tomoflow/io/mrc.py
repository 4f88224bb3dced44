"""MRC files, lazily: every mode, both byte orders, any axis order, plain or packed with gzip or bzip2."""

import bz2
import gzip
import io
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.files import require_file
from napari_tomoflow.io.mrc_extended import ExtendedHeader, parse_extended
from napari_tomoflow.io.mrc_header import (
    DTYPE_OF_MODE,
    HALF_BYTES_MODE,
    HEADER_BYTES,
    MrcHeader,
    is_cubic,
    parse_header,
    signed_by_smoothness,
    size_error,
)
from napari_tomoflow.io.mrc_write import allocate_mrc, finish_mrc, write_mrc
from napari_tomoflow.io.stack_file import FileHeader, Planes, StackFile

__all__ = ["MRC_SUFFIXES", "PACKED_SUFFIXES", "allocate_mrc", "finish_mrc", "open_mrc", "write_mrc"]

PACKED_SUFFIXES = (".gz", ".bz2")
_PLAIN_SUFFIXES = (".mrc", ".mrcs", ".st", ".ali", ".preali", ".rec", ".map")
MRC_SUFFIXES = (*_PLAIN_SUFFIXES, *(plain + packed for plain in _PLAIN_SUFFIXES for packed in PACKED_SUFFIXES))
"""Endings of the names of MRC files, packed ones included."""

_KIND = "an MRC file"
_SAMPLE_BYTES = 1 << 24
_UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}


def open_mrc(path: Path) -> StackFile:
    """Open an MRC file without reading its values.

    Returns
    -------
    StackFile
        Values in zyx order; the header's facts in ``.header``. A packed file is unpacked into memory.

    Raises
    ------
    DataError
        It is no MRC file, holds no image, or is cut short; the text names file, values and remedy.
    """
    require_file(path, _KIND)
    with _opened(path) as file:
        header = parse_header(_read(file, HEADER_BYTES, path), path)
        extended_bytes = _read(file, header.data_offset - HEADER_BYTES, path)
    signed, byte_notes = _are_bytes_signed(path, header)
    stack = StackFile(path, partial(_load, signed=signed), FileHeader())
    extended = parse_extended(extended_bytes, header)
    stack.header = _facts(header, extended, byte_notes + _leftover_note(path, header))
    return stack


def _facts(header: MrcHeader, extended: ExtendedHeader | None, more_notes: tuple[str, ...]) -> FileHeader:
    """Gather what header and extended header say, and note what is not to be believed."""
    notes = [*header.notes, *more_notes]
    edges, doubt = header.voxel_ang_zyx()
    pixel_ang = edges[2] if edges is not None else extended.pixel_ang if extended is not None else None
    if doubt:
        notes.append(f"The pixel size is unknown: {doubt}." if pixel_ang is None else f"Pixel size: {doubt}.")
    elif edges is not None and not is_cubic(edges[1:]):
        notes.append(f"The pixel size is unknown: the header's pixels are {edges[2]:g} × {edges[1]:g} Å, not square.")
        pixel_ang = None
    if header.axes_zyx != (0, 1, 2):
        notes.append("The file's axes are not in the order x, y, z; they are put in order when read.")
    if extended is not None:
        notes.append(f"Tilt angles are in the extended header ({extended.kind}).")
    return FileHeader(
        pixel_ang=pixel_ang,
        voxel_ang_zyx=edges,
        origin_ang_zyx=_centre_ang_zyx(header, edges),
        voltage_kv=extended.voltage_kv if extended is not None else None,
        tilt_deg=extended.tilt_deg if extended is not None else None,
        labels=header.labels,
        notes=tuple(notes),
    )


def _centre_ang_zyx(header: MrcHeader, edges: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """Turn our header's corner into the position of the centre; others disagree about the sign, so 0 for them."""
    if edges is None or not header.is_ours:
        return (0.0, 0.0, 0.0)
    z, y, x = (
        float(header.raw["origin"][axis]) + (n // 2) * edge
        for axis, n, edge in zip("zyx", header.shape, edges, strict=True)
    )
    return z, y, x


def _load(path: Path, signed: bool) -> Array:
    """Map the values of a file, or unpack them into memory, in zyx order."""
    require_file(path, _KIND)
    with _opened(path) as file:
        header = parse_header(_read(file, HEADER_BYTES, path), path)
        if isinstance(file, io.BufferedReader):
            values = _mapped(path, header)
        else:
            _read(file, header.data_offset - HEADER_BYTES, path)
            values = np.frombuffer(_read(file, header.data_bytes, path), np.uint8)
    if header.mode == HALF_BYTES_MODE:
        return _HalfBytes(values.reshape(*header.shape[:2], header.row_bytes), header.shape[2])
    dtype = np.dtype(DTYPE_OF_MODE[header.mode]).newbyteorder(header.order)
    if header.mode == 0 and not signed:
        dtype = np.dtype(np.uint8)
    return values.view(dtype).reshape(header.shape).transpose(header.axes_zyx)


def _mapped(path: Path, header: MrcHeader) -> NDArray[np.uint8]:
    found = path.stat().st_size
    if found < header.data_offset + header.data_bytes:
        raise size_error(header, found, path)
    return np.memmap(path, np.uint8, mode="r", offset=header.data_offset, shape=(header.data_bytes,))


def _opened(path: Path) -> BinaryIO:
    """Open a file, unpacking by what its first bytes say rather than by its name."""
    with path.open("rb") as file:
        unpack = _UNPACKERS.get(file.read(2), open)
    return cast(BinaryIO, unpack(path, "rb"))


def _read(file: BinaryIO, count: int, path: Path) -> bytes:
    """Read `count` bytes; a file too short for a header is left to `parse_header` to explain."""
    try:
        found = file.read(count)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked: {error}; copy it again from its source.") from error
    if len(found) < count and count != HEADER_BYTES:
        raise DataError(
            f"{path} is cut short: {len(found)} bytes where its header promises {count}; copy it again from its source."
        )
    return found


def _are_bytes_signed(path: Path, header: MrcHeader) -> tuple[bool, tuple[str, ...]]:
    """Settle whether values of mode 0 run from −128 to 127 or from 0 to 255."""
    if header.mode != 0:
        return True, ()
    said = header.says_signed_bytes
    if said is not None:
        return said, (f"Values of one byte are read as {_SIGN_TEXT[said]}, as the header says.",)
    with _opened(path) as file:
        _read(file, header.data_offset, path)
        rows = max(1, min(header.data_bytes, _SAMPLE_BYTES) // header.row_bytes)
        sample = np.frombuffer(file.read(rows * header.row_bytes), np.uint8)
    sample = sample[: len(sample) // header.row_bytes * header.row_bytes].reshape(-1, header.row_bytes)
    if not np.any(sample > 127):
        return True, ()
    signed = signed_by_smoothness(sample)
    return signed, (f"Values of one byte are read as {_SIGN_TEXT[signed]}: neighbouring pixels differ less so.",)


_SIGN_TEXT = {True: "signed, −128 to 127", False: "unsigned, 0 to 255"}


def _leftover_note(path: Path, header: MrcHeader) -> tuple[str, ...]:
    with _opened(path) as file:
        if not isinstance(file, io.BufferedReader):
            return ()
    over = path.stat().st_size - header.data_offset - header.data_bytes
    return (f"The file holds {over} bytes more than its header says; they are not read.",) if over > 0 else ()


class _HalfBytes(Planes):
    """Values of four bits, two to a byte, the first in the low bits: uint8[nz, ny, nx]."""

    def __init__(self, packed: NDArray[np.uint8], nx: int) -> None:
        super().__init__((*packed.shape[:2], nx), packed.dtype)
        self._packed = packed

    def plane(self, index: int) -> NDArray[np.uint8]:
        packed = self._packed[index]
        values = np.stack([packed & 15, packed >> 4], axis=-1)  # (ny, row bytes, 2)
        return values.reshape(len(packed), -1)[:, : self.shape[2]]
