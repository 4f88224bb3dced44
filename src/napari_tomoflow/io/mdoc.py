"""SerialEM's ``.mdoc`` files: one for a whole series, or a folder with one for each tilt."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import read_text
from napari_tomoflow.io.tilts import ranks

MDOC_SUFFIX = ".mdoc"
_KIND = "a SerialEM .mdoc file"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DATE = re.compile(r"(\d{1,2})-(\w{3})-(\d{2,4})\s+(\d{1,2}):(\d{2}):(\d{2})")
_AXIS = re.compile(r"Tilt axis angle\s*=\s*([-+0-9.]+)")
_SAME_TILT_DEG = 0.1

# mdocfile logs every key it does not know; SerialEM adds keys all the time.
logging.getLogger("mdocfile").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Mdoc:
    """What an mdoc says of a tilt series. None = it does not say. Legend: N sections.

    Attributes
    ----------
    source : str
        File name, for messages.
    tilt_deg : float64[N]
        In the order of the sections, which is that of the stack the mdoc was written with.
    order : int64[N] or None
        Place of each section in time.
    dose_of_tilt_e_ang2, dose_before_e_ang2 : float64[N] or None
    pixel_ang, voltage_kv, axis_deg : float or None
    image_size_xy : (int, int) or None
        Size of the images the pixel size belongs to.
    frame_files : tuple of str, or None
        Name of the file with the frames of each section, its folders left off: they are the microscope's.
    notes : tuple of str
    """

    source: str
    tilt_deg: NDArray[np.float64]
    order: NDArray[np.int64] | None = None
    dose_of_tilt_e_ang2: NDArray[np.float64] | None = None
    dose_before_e_ang2: NDArray[np.float64] | None = None
    pixel_ang: float | None = None
    voltage_kv: float | None = None
    axis_deg: float | None = None
    image_size_xy: tuple[int, int] | None = None
    frame_files: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def rows(self, chosen: NDArray[np.int64]) -> "Mdoc":
        """Return the same with its sections chosen anew: the sections of a re-sorted or thinned stack."""

        def pick(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            tilt_deg=self.tilt_deg[chosen],
            order=None if self.order is None else ranks(self.order[chosen]),
            dose_of_tilt_e_ang2=pick(self.dose_of_tilt_e_ang2),
            dose_before_e_ang2=pick(self.dose_before_e_ang2),
            frame_files=None if self.frame_files is None else tuple(self.frame_files[i] for i in chosen),
        )


def read_mdoc(path: Path) -> Mdoc:
    """Read the mdoc of a series, or a folder that holds one mdoc for each tilt.

    Of a folder, sections come in the order of their tilt angles, the usual order of a stack made of
    single images; `Mdoc.notes` says so.

    Raises
    ------
    DataError
        It is no mdoc, is one of a montage, or gives no tilt angles.
    """
    if not path.is_dir():
        general, titles, sections = _parsed(path)
        return _gathered(path.name, general, titles, sections, ())
    general, titles, sections = {}, [], []
    for file in _one_per_tilt(path):
        general, titles, own = _parsed(file)
        sections.append(_single(own, file))
    if not sections:
        raise DataError(f"{path} holds no .mdoc file; give the folder with one for each tilt, or one .mdoc file.")
    sections.sort(key=lambda section: section.TiltAngle)
    note = f"{len(sections)} mdocs of single tilts are taken in the order of their angles; check that the stack is so."
    return _gathered(path.name, general, titles, sections, (note,))


def _one_per_tilt(folder: Path) -> list[Path]:
    """List the mdocs of a folder; of ``A.mdoc`` and ``A.mrc.mdoc`` one is enough."""
    by_image = {file.stem.removesuffix(".mrc"): file for file in sorted(folder.glob("*.mdoc"))}
    return list(by_image.values())


def _parsed(path: Path) -> tuple[dict[str, Any], list[str], list[Any]]:
    """Parse a file into its general values, titles and sections that are images of tilts."""
    from mdocfile.data_models import Mdoc as ParsedMdoc

    text = read_text(path, _KIND)
    try:
        parsed = ParsedMdoc.from_string(text)
    except (ValueError, IndexError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is not a readable mdoc: {reason}; give the one SerialEM wrote.") from error
    general = parsed.global_data.model_dump()
    sections = parsed.section_data
    if general.get("Montage") or any(section.MontSection is not None for section in sections):
        raise DataError(
            f"{path} describes a montage of {len(sections)} pieces, not a tilt series; give that of the series."
        )
    # A frame set sums up the tilts that follow it; alone, it is the one tilt of the file.
    images = [section for section in sections if section.ZValue is not None] or sections
    without = sum(section.TiltAngle is None for section in images)
    if not images or without:
        raise DataError(
            f"{path} gives no tilt angle for {without} of {len(images)} images; give the mdoc of a tilt series, "
            "or the angles by --angles FILE."
        )
    return general, parsed.titles, images


def _single(sections: Sequence[Any], path: Path) -> Any:
    angles = [section.TiltAngle for section in sections]
    if max(angles) - min(angles) > _SAME_TILT_DEG:
        raise DataError(
            f"{path} holds tilts from {min(angles):g}° to {max(angles):g}°; in a folder of mdocs each has one tilt."
        )
    return sections[0]


def _gathered(
    source: str, general: dict[str, Any], titles: Sequence[str], sections: Sequence[Any], notes: tuple[str, ...]
) -> Mdoc:
    before = _doses(sections, "PriorRecordDose")
    axis_deg, axis_note = _axis_deg(titles, sections)
    size = general.get("ImageSize")
    return Mdoc(
        source=source,
        tilt_deg=np.array([section.TiltAngle for section in sections], np.float64),
        order=_order(sections, before),
        dose_of_tilt_e_ang2=_doses(sections, "ExposureDose"),
        dose_before_e_ang2=before,
        pixel_ang=_first_positive(sections[0].PixelSpacing, general.get("PixelSpacing")),
        voltage_kv=_first_positive(general.get("Voltage"), sections[0].Voltage),
        axis_deg=axis_deg,
        image_size_xy=None if size is None else (int(size[0]), int(size[1])),
        frame_files=_frame_files(sections),
        notes=notes + axis_note,
    )


def _axis_deg(titles: Sequence[str], sections: Sequence[Any]) -> tuple[float | None, tuple[str, ...]]:
    """Find the tilt axis, counter-clockwise from +y.

    SerialEM's title line has it in just that sense. ``RotationAngle`` turns the specimen's x axis into
    the image, which is 90° more: 85.3 and 175.3, 82.9 and 172.9, −86.7 and 3.3 stand together in files.
    """
    found = [match for title in titles if (match := _AXIS.search(title))]
    if found:
        return float(found[-1][1]), ()
    if sections[0].RotationAngle is None:
        return None, ()
    axis = (sections[0].RotationAngle - 90.0 + 180.0) % 360.0 - 180.0
    return axis, (f"The tilt axis is RotationAngle − 90° = {axis:g}°; no title line names it.",)


def _order(sections: Sequence[Any], before: NDArray[np.float64] | None) -> NDArray[np.int64] | None:
    """Rank the sections in time by their dates, by dose where two share a second or dates are missing."""
    times = [_time(section.DateTime) for section in sections]
    if None not in times:
        doses = before if before is not None else np.zeros(len(sections))
        in_time = sorted(range(len(sections)), key=lambda index: (times[index], doses[index]))
        return np.argsort(in_time)
    if before is not None and len(np.unique(before)) == len(before):
        return ranks(before)
    return None


def _time(text: str | None) -> datetime | None:
    """Read ``30-Nov-15  15:21:38``, with a year of two or four digits, whatever the machine's language."""
    match = _DATE.search(text or "")
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
    month = _MONTHS.index(match[2].lower()) + 1
    try:
        return datetime(year, month, int(match[1]), int(match[4]), int(match[5]), int(match[6]))
    except ValueError:
        return None


def _frame_files(sections: Sequence[Any]) -> tuple[str, ...] | None:
    paths = [section.SubFramePath for section in sections]
    return None if None in paths else tuple(PureWindowsPath(path).name for path in paths)


def _doses(sections: Sequence[Any], name: str) -> NDArray[np.float64] | None:
    """Return a column of doses; zeros throughout mean that SerialEM was not calibrated."""
    values = [getattr(section, name) for section in sections]
    if any(value is None for value in values) or not any(value > 0 for value in values):
        return None
    return np.array(values, np.float64)


def _first_positive(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None and value > 0), None)
