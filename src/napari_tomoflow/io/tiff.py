"""TIFF stacks, lazily. Rows are turned upside down on reading, as every cryo-EM program does.

TIFF starts with the top row and MRC with the bottom row. A stack read without the flip is mirrored, and
so is every map made from it.
"""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.files import require_file
from napari_tomoflow.io.stack_file import FileHeader, Planes, StackFile

if TYPE_CHECKING:
    import tifffile

TIFF_SUFFIXES = (".tif", ".tiff")

_KIND = "a TIFF stack"
FLIPPED_ROWS = "The rows of the TIFF are read bottom to top, as IMOD, RELION and EMAN2 do."
_ANG_PER_UNIT = {"nm": 10.0, "um": 1e4, "µm": 1e4, "micron": 1e4, "angstrom": 1.0, "å": 1.0, "a": 1.0, "pm": 0.01}
_ANG_PER_RESOLUTION_UNIT = {3: 1e8, 2: 2.54e8}  # centimetre, inch

# What is wrong with a file is said in a DataError; tifffile would log it as well.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def open_tiff(path: Path) -> StackFile:
    """Open a TIFF stack, or a single image as a stack of one, without reading its pixels.

    Raises
    ------
    DataError
        It is no TIFF, is damaged, or its pages are colour or of several sizes.
    """
    stack = StackFile(path, _load, FileHeader())
    stack.header = _header(path)
    return stack


def _load(path: Path) -> Array:
    with opened_tiff(path) as file:
        kinds = {(one.shape, str(one.dtype), "S" in one.axes) for one in file.series}
        first, n_series, order = file.series[0], len(file.series), file.byteorder
        if goes_on(file):
            raise DataError(f"{path} is cut short after {len(file.pages)} pages; copy it again from its source.")
    dtype = np.dtype(first.dtype or np.void)
    # Pages written one by one are a series each; a stack has but one kind of them.
    if len(kinds) > 1 or len(first.shape) not in (2, 3) or dtype.kind not in "biuf" or "S" in first.axes:
        found = ", ".join(f"{' × '.join(map(str, shape))} {kind}" for shape, kind, _ in sorted(kinds))
        raise DataError(
            f"{path} is no stack of grey images: it holds {found}; "
            "give a TIFF with one page of the same size for each tilt."
        )
    shape = (n_series * int(np.prod(first.shape[:-2])), int(first.shape[-2]), int(first.shape[-1]))
    if n_series > 1 or first.dataoffset is None:
        return _Pages(path, shape, dtype)
    end = first.dataoffset + int(np.prod(shape)) * dtype.itemsize
    if path.stat().st_size < end:
        raise DataError(f"{path} is cut short: its pages end at byte {end}, the file before; copy it again.")
    return np.memmap(path, dtype.newbyteorder(order), mode="r", offset=first.dataoffset, shape=shape)[:, ::-1]


@contextmanager
def opened_tiff(path: Path, **options: Any) -> Iterator["tifffile.TiffFile"]:
    """Open a TIFF; what tifffile raises and logs of damaged files becomes one sentence.

    Parameters
    ----------
    path : Path
    **options
        Of `tifffile.TiffFile`.
    """
    import tifffile

    require_file(path, _KIND)
    try:
        with tifffile.TiffFile(path, **options) as file:
            yield file
    except DataError:
        raise
    except (tifffile.TiffFileError, LookupError, ValueError, TypeError, OSError, RuntimeError, struct.error) as error:
        raise DataError(f"{path} is not a readable TIFF ({error}); copy it again from its source.") from error


def goes_on(file: "tifffile.TiffFile") -> bool:
    """Tell whether the last page that can be read points to one more: the file is cut short."""
    width = 8 if file.is_bigtiff else 4
    file.filehandle.seek(file.pages.next_page_offset or 0)
    return any(file.filehandle.read(width))


def _header(path: Path) -> FileHeader:
    """Look for the pixel size where ImageJ and the TIFF standard put it."""
    with opened_tiff(path) as file:
        page = file.pages.first
        tags = page.tags
        unit = str((file.imagej_metadata or {}).get("unit", "")).strip().lower().replace("\\u00b5", "µ")
        code = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else 0
        per_unit = tags["XResolution"].value if "XResolution" in tags else (0, 1)
    scale = _ANG_PER_UNIT.get(unit) if unit else _ANG_PER_RESOLUTION_UNIT.get(int(code))
    # Resolutions of 72 dpi and the like say how large to print, not what a pixel shows.
    if scale is None or not per_unit[0] or (not unit and per_unit[0] / per_unit[1] < 1e4):
        return FileHeader(notes=(FLIPPED_ROWS, "The pixel size is unknown: the TIFF does not say it."))
    return FileHeader(pixel_ang=scale * per_unit[1] / per_unit[0], notes=(FLIPPED_ROWS,))


class _Pages(Planes):
    """The pages of a compressed TIFF. Each read opens the file anew, which makes it safe from several threads."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        super().__init__(shape, dtype)
        self._path = path

    def plane(self, index: int) -> NDArray[Any]:
        """Decode one page."""
        with opened_tiff(self._path) as file:
            return np.asarray(file.asarray(key=index))[::-1]
