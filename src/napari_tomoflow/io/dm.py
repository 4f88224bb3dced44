"""DM3 and DM4 files of Gatan's DigitalMicrograph, lazily: stacks of tilt images with what their tags say."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.files import require_file
from napari_tomoflow.io.stack_file import FileHeader, StackFile

DM_SUFFIXES = (".dm3", ".dm4")

_KIND = "a DM3 or DM4 stack"
_FLIPPED = "The rows of the DM file are read bottom to top, as for TIFF: DigitalMicrograph counts them from the top."
_ANG_PER_UNIT = {"nm": 10.0, "µm": 1e4, "um": 1e4, "μm": 1e4, "å": 1.0, "a": 1.0, "pm": 0.01}
_DEGREE_UNITS = ("deg", "°", "degrees")
# What ncempy raises on files that are damaged or no DM files at all.
_DAMAGED = (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)
_SETUP = "Tomography.Tomography setup.Tilt angles."


def open_dm(path: Path) -> StackFile:
    """Open a DM3 or DM4 file, a single image as a stack of one, without reading its pixels.

    Raises
    ------
    DataError
        It is no such file, is damaged, or holds no stack of grey images.
    """
    require_file(path, _KIND)
    file, index = _parsed(path)
    shape = (int(file.zSize[index]), int(file.ySize[index]), int(file.xSize[index]))
    dtype = np.dtype(file._DM2NPDataTypes.get(int(file.dataType[index]), np.void))
    if dtype.kind not in "iuf" or int(file.zSize2[index]) > 1:
        raise DataError(
            f"{path} is no stack of grey images: it holds {dtype} values in {file.dataShape[index]} dimensions; "
            "export a tilt series of real numbers."
        )
    # Where the images lie goes along, so that another process need not parse the tags again.
    load = partial(_load, dtype=dtype, offset=int(file.dataOffset[index]), shape=shape)
    return StackFile(path, load, _header(file, index))


def _load(path: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, int, int]) -> Array:
    require_file(path, _KIND)
    size = path.stat().st_size
    if size < offset + int(np.prod(shape)) * dtype.itemsize:
        raise DataError(f"{path} is cut short: its images end beyond its {size} bytes; copy it again from its source.")
    return np.memmap(path, dtype.newbyteorder("<"), mode="r", offset=offset, shape=shape)[:, ::-1]


def _parsed(path: Path) -> tuple[Any, int]:
    """Read the tags; return them with the number of the data set that is no thumbnail."""
    from ncempy.io import dm

    try:
        # ncempy numbers groups in 8 bits; only long lists of positions overflow, which are not used here.
        with np.errstate(over="ignore"), path.open("rb") as opened:
            file = dm.fileDM(opened)
    except _DAMAGED as error:
        raise DataError(
            f"{path} is not a readable DM3 or DM4 file ({error}); copy it again from its source."
        ) from error
    if not file.dataType:
        raise DataError(f"{path} holds tags but no image; give {_KIND}.")
    return file, len(file.dataType) - 1


def _header(file: Any, index: int) -> FileHeader:
    tags = _tags_of_image(file.allTags, index + 1)
    notes = [_FLIPPED]
    pixel_ang = _pixel_ang(tags)
    if pixel_ang is None:
        notes.append("The pixel size is unknown: the DM file has none in units of length.")
    volts = float(tags.get("ImageTags.Microscope Info.Voltage", 0.0))
    return FileHeader(
        pixel_ang=pixel_ang,
        voltage_kv=volts * 1e-3 if volts >= 1e3 else None,
        tilt_deg=_tilts_deg(tags, int(file.zSize[index])),
        notes=tuple(notes),
    )


def _tags_of_image(tags: dict[str, Any], number: int) -> dict[str, Any]:
    prefix = f".ImageList.{number}."
    return {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}


def _calibration(tags: dict[str, Any], dimension: int) -> tuple[float, float, str]:
    """Return (origin, scale, unit) of an axis; a value is ``(index - origin) * scale``."""
    stem = f"ImageData.Calibrations.Dimension.{dimension}."
    origin, scale = (float(str(tags.get(stem + name, 0.0))) for name in ("Origin", "Scale"))
    return origin, scale, str(tags.get(stem + "Units", "")).strip().lower()


def _pixel_ang(tags: dict[str, Any]) -> float | None:
    _, scale, unit = _calibration(tags, 1)
    return scale * _ANG_PER_UNIT[unit] if unit in _ANG_PER_UNIT and scale > 0 else None


def _tilts_deg(tags: dict[str, Any], n: int) -> NDArray[np.float64] | None:
    """Take the angles from the calibration of the third axis, else from the plan of the acquisition."""
    origin, scale, unit = _calibration(tags, 3)
    if n > 1 and unit in _DEGREE_UNITS and scale:
        return np.asarray((np.arange(n) - origin) * scale, np.float64)
    setup = "ImageTags." + _SETUP
    start, stop, step = (
        float(tags.get(setup + name, 0.0))
        for name in ("Minimum tilt angle (deg)", "Maximum tilt angle (deg)", "Tilt angle step (deg)")
    )
    if tags.get(setup + "Tilt model") != "equal" or step <= 0 or n != round((stop - start) / step) + 1:
        return None
    falls = tags.get(setup + "Tilt direction") == "max -> min"
    return np.linspace(stop, start, n) if falls else np.linspace(start, stop, n)
