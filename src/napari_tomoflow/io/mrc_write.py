"""Writing MRC files of any size with bounded memory: allocated aside, filled in slabs, finished, renamed."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import DTypeLike, NDArray

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops.memory_map import release_pages
from napari_tomoflow.io.files import cannot_write, partial, publish
from napari_tomoflow.io.mrc_header import DTYPE_OF_MODE, HEADER_BYTES, OUR_LABEL

_SLAB_BYTES = 1 << 24
_MODE_OF_DTYPE = {np.dtype(dtype): mode for mode, dtype in DTYPE_OF_MODE.items()}
_BLOCK_BYTES = 1 << 24
_CACHED_VALUES = 1 << 16


def allocate_mrc(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap[Any, Any]:
    """Reserve the room of an MRC file and map it for writing, as ``NAME.partial`` beside `path`.

    The blocks are reserved at once: a full disk is an error now, not a crash in the middle of a map.
    `finish_mrc` completes the file and gives it its name.

    Parameters
    ----------
    path : Path
        Final name.
    shape : (nz, ny, nx)
    dtype
        float32, float16, int16, uint16 or int8.

    Raises
    ------
    DataError
        The disk is full, the folder cannot be written, or MRC has no such type.
    """
    kind = np.dtype(dtype)
    if kind not in _MODE_OF_DTYPE or len(shape) != 3:
        raise DataError(
            f"{path} cannot hold {kind} values of shape {tuple(shape)}; "
            f"give three axes and one of {', '.join(map(str, _MODE_OF_DTYPE))}."
        )
    aside = partial(path)
    try:
        with aside.open("wb") as file:
            file.write(_header(shape, kind).tobytes())
            _reserve(file.fileno(), HEADER_BYTES + int(np.prod(shape)) * kind.itemsize)
        return np.memmap(aside, kind, mode="r+", offset=HEADER_BYTES, shape=tuple(shape))
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def finish_mrc(
    path: Path,
    array: NDArray[Any],
    voxel_ang: float,
    *,
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0),
    stack: bool = False,
    label: str = "",
) -> None:
    """Complete a file begun by `allocate_mrc`: voxel size, origin and statistics, then its final name.

    Parameters
    ----------
    path : Path
        Final name, as given to `allocate_mrc`.
    array : memmap
        What `allocate_mrc` returned, filled.
    voxel_ang : float
    origin_ang_zyx : tuple of float
        Position of the volume's centre (voxel ``n // 2``), Å; the header gets that of its first voxel.
    stack : bool
        Images rather than a volume.
    label : str
        What made it; the program's name goes before.
    """
    try:
        header = _header(array.shape, array.dtype)
        _set_geometry(header, array.shape, voxel_ang, origin_ang_zyx, stack)
        _set_statistics(header, array)
        text = f"{OUR_LABEL} {__version__}" + (f": {label}" if label else "")
        header["nlabl"], header["label"][0] = 1, text.encode("ascii", "replace")[:80]
        if isinstance(array, np.memmap):
            array.flush()
        with partial(path).open("rb+") as file:
            file.write(header.tobytes())
        publish(path)
    except OSError as error:
        partial(path).unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def write_mrc(
    path: Path,
    array: Array,
    voxel_ang: float,
    *,
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0),
    stack: bool = False,
    label: str = "",
) -> None:
    """Write an array of any size as MRC, slab by slab, whole or not at all.

    An array that `allocate_mrc` made for `path` is finished where it lies. float64 becomes float32,
    and whole numbers the smallest MRC type that holds them. The parameters are those of `finish_mrc`.

    Raises
    ------
    DataError
        The disk is full, the folder cannot be written, or the values fit no MRC type.
    """
    details: dict[str, Any] = {"origin_ang_zyx": origin_ang_zyx, "stack": stack, "label": label}
    if is_allocated(array, path):
        finish_mrc(path, array, voxel_ang, **details)  # type: ignore[arg-type]  # a memmap, by the test above
        return
    shape = tuple(int(n) for n in array.shape)
    target = allocate_mrc(path, shape, _storable(array, path))
    try:
        for start, stop in _slabs(shape, array.dtype.itemsize):
            target[start:stop] = array[start:stop]
            release_pages(target)
    except BaseException:
        partial(path).unlink(missing_ok=True)
        raise
    finish_mrc(path, target, voxel_ang, **details)


def is_allocated(array: Array, path: Path) -> bool:
    """Tell whether `array` is the whole of what `allocate_mrc` mapped for `path`."""
    if not isinstance(array, np.memmap) or array.filename is None or array.dtype not in _MODE_OF_DTYPE:
        return False
    aside = partial(path)
    return (
        aside.exists()
        and os.path.samefile(str(array.filename), aside)
        and aside.stat().st_size == HEADER_BYTES + array.nbytes
        and array.flags.c_contiguous
    )


def _reserve(descriptor: int, size: int) -> None:
    """Make a file `size` bytes long with its blocks taken, so that writing into a map cannot fail."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(_BLOCK_BYTES)
    os.lseek(descriptor, 0, os.SEEK_END)
    while (missing := size - os.lseek(descriptor, 0, os.SEEK_CUR)) > 0:
        os.write(descriptor, block[: min(missing, len(block))])


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Make a header that says size and type and, as the standard has it, that the rest is not known yet."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder("<"))
    header["nz"], header["ny"], header["nx"] = header["mz"], header["my"], header["mx"] = shape
    header["mode"] = _MODE_OF_DTYPE[dtype]
    header["cellb"] = (90.0, 90.0, 90.0)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = 0, -1, -2, -1
    header["nversion"] = 20141
    header["map"], header["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    return header


def _set_geometry(
    header: Any, shape: tuple[int, ...], voxel_ang: float, origin_ang_zyx: tuple[float, float, float], stack: bool
) -> None:
    header["ispg"] = 0 if stack else 1
    if stack:
        header["mz"] = 1
    header["cella"] = tuple(int(header[name]) * voxel_ang for name in ("mx", "my", "mz"))
    if not stack:
        corner_zyx = [centre - (n // 2) * voxel_ang for centre, n in zip(origin_ang_zyx, shape, strict=True)]
        header["origin"] = tuple(reversed(corner_zyx))


def _set_statistics(header: Any, array: NDArray[Any]) -> None:
    """Compute minimum, maximum, mean and RMS deviation, in float64, few enough values at a time to stay cached."""
    low, high, total, squares = np.inf, -np.inf, 0.0, 0.0
    for start, stop in _slabs(array.shape, array.dtype.itemsize):
        slab = array[start:stop].reshape(-1)
        for first in range(0, slab.size, _CACHED_VALUES):
            values = slab[first : first + _CACHED_VALUES]
            low, high = min(low, values.min()), max(high, values.max())
            wide = values.astype(np.float64)
            total += wide.sum()
            squares += np.square(wide, out=wide).sum()  # a product of vectors would wake other threads
        release_pages(array)
    mean = total / array.size
    header["dmin"], header["dmax"], header["dmean"] = low, high, mean
    header["rms"] = max(squares / array.size - mean**2, 0.0) ** 0.5


def _slabs(shape: tuple[int, ...], itemsize: int) -> list[tuple[int, int]]:
    """Cut the first axis into pieces of about 16 MB."""
    planes = max(1, _SLAB_BYTES // max(1, shape[1] * shape[2] * itemsize))
    return [(start, min(start + planes, shape[0])) for start in range(0, shape[0], planes)]


def _storable(array: Array, path: Path) -> np.dtype[Any]:
    """Choose the MRC type for an array: its own, or the smallest that holds the same values."""
    if array.dtype.newbyteorder("=") in _MODE_OF_DTYPE:
        return array.dtype.newbyteorder("=")
    if array.dtype.kind == "f":
        return np.dtype(np.float32)
    if array.dtype.kind == "b":
        return np.dtype(np.int8)
    if array.dtype.kind not in "iu":
        raise DataError(f"{path} cannot hold {array.dtype} values; MRC stores real numbers: give its magnitude.")
    ends = [
        (int(np.min(slab)), int(np.max(slab)))
        for slab in (array[start:stop] for start, stop in _slabs(array.shape, array.dtype.itemsize))
    ]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    for kind in (np.int8, np.int16, np.uint16):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise DataError(
        f"{path} cannot hold whole numbers from {low} to {high}; MRC has -32768 to 65535: convert to float32 first."
    )
