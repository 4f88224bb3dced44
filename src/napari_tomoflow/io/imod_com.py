"""IMOD's command files, as far as they decide the geometry: ``tilt.com``, ``newst.com``, ``align.com``.

``tilt`` turns and shifts the specimen further than the ``.tlt`` and ``.xf`` say, with p = (x, y, z) our
axes (its volume after ``trimvol -rx``) and p′ those of the volume it writes::

    tilt   += OFFSET (first number)            the axis lies OFFSET (second number) right of the centre
    xtilt   = XTILTFILE − XAXISTILT
    p       = p′ + (−SHIFT_x, 0, +SHIFT_z)     before the tilt about x

Lengths are in unbinned pixels whatever IMAGEBINNED is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.foreign import Shape

_KIND = "a command file of IMOD"
_LEFT_OUT = {
    "LOCALFILE": "local alignments",
    "ZFACTORFILE": "Z factors",
    "LocalAlignments": "local alignments",
}


@dataclass(frozen=True)
class ImodCom:
    """What command files say of the geometry of one series.

    Attributes
    ----------
    options : mapping of str to str
        Every option of the command that was read, as written.
    offset_deg, axis_offset_px : float
        OFFSET.
    xaxistilt_deg : float
    shift_px_xz : (float, float)
        SHIFT.
    thickness_px : float
        THICKNESS of the volume; 0 when it is not said.
    full_image_yx : (int, int) or None
        FULLIMAGE.
    excluded : frozenset of int
        Views left out, from 0.
    warnings : tuple of str
        What it asks for that we do not take over.
    """

    options: Mapping[str, str]
    offset_deg: float = 0.0
    axis_offset_px: float = 0.0
    xaxistilt_deg: float = 0.0
    shift_px_xz: tuple[float, float] = (0.0, 0.0)
    thickness_px: float = 0.0
    full_image_yx: Shape | None = None
    excluded: frozenset[int] = frozenset()
    warnings: tuple[str, ...] = ()


def read_com(path: Path, program: str) -> dict[str, str]:
    """Read the options of a command as text; one that comes again has its values joined by blanks.

    Parameters
    ----------
    path : Path
    program : str
        The command whose options are wanted, e.g. ``tilt``: a file may call several.

    Raises
    ------
    DataError
        The file does not call it.
    """
    options: dict[str, str] = {}
    inside = found = False
    for line in read_text(path, _KIND).splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("$"):
            inside = text[1:].split()[:1] == [program]
            found |= inside
        elif inside and text:
            name, *values = text.replace("=", " ").split()
            options[name] = " ".join([options[name], *values] if name in options else values)
    if not found:
        raise DataError(f"{path} does not call {program}; give IMOD's own {program} command file.")
    return options


def read_tilt_com(path: Path) -> ImodCom:
    """Read ``tilt.com``.

    Raises
    ------
    DataError
        It calls no ``tilt``, or an entry is not made of numbers.
    """
    options = read_com(path, "tilt")

    def numbers(name: str, most: int) -> list[float]:
        values = _numbers(path, name, options.get(name, ""))[:most]
        return values + [0.0] * (most - len(values))

    offset_deg, axis_offset_px = numbers("OFFSET", 2)
    shift_x, shift_z = numbers("SHIFT", 2)
    width, height = map(int, numbers("FULLIMAGE", 2))
    lists = [value for name, value in options.items() if name.upper() in ("EXCLUDELIST", "EXCLUDELIST2")]
    return ImodCom(
        options=options,
        offset_deg=offset_deg,
        axis_offset_px=axis_offset_px,
        xaxistilt_deg=numbers("XAXISTILT", 1)[0],
        shift_px_xz=(shift_x, shift_z),
        thickness_px=numbers("THICKNESS", 1)[0],
        full_image_yx=(height, width) if width > 0 and height > 0 else None,
        excluded=frozenset(view - 1 for text in lists for view in _views(path, text)),
        warnings=tuple(_left_out(path, options)),
    )


def newst_binning(path: Path) -> int:
    """Return ``BinByFactor`` of ``newst.com``, the binning of the aligned stack; 1 when it has none."""
    values = _numbers(path, "BinByFactor", read_com(path, "newstack").get("BinByFactor", "1"))
    return max(1, round(values[0])) if values else 1


def align_com_warnings(path: Path) -> list[str]:
    """Say what ``align.com`` solved for that our geometry has no place for."""
    return _left_out(path, read_com(path, "tiltalign"))


def write_tilt_com(path: Path, name: str, *, shape_yx: Shape, thickness_px: int, excluded: Iterable[int]) -> None:
    """Write a ``tilt.com`` that reconstructs the series ``name`` from ``name.ali``.

    Parameters
    ----------
    path : Path
    name : str
        Stem of the stack, and of the ``.tlt`` and ``.xtilt`` there must be.
    shape_yx : (ny, nx)
        Of the aligned images.
    thickness_px : int
    excluded : iterable of int
        Views left out, from 0.
    """
    left_out = ",".join(str(view + 1) for view in sorted(excluded))
    lines = [
        "$tilt -StandardInput",
        f"InputProjections {name}.ali",
        f"OutputFile {name}_full_rec.mrc",
        "IMAGEBINNED 1",
        f"TILTFILE {name}.tlt",
        f"XTILTFILE {name}.xtilt",
        *([f"EXCLUDELIST2 {left_out}"] if left_out else []),
        f"THICKNESS {thickness_px}",
        "RADIAL 0.35 0.035",
        "FalloffIsTrueSigma 1",
        "XAXISTILT 0.0",
        "PERPENDICULAR",
        "MODE 2",
        f"FULLIMAGE {shape_yx[1]} {shape_yx[0]}",
        "SUBSETSTART 0 0",
        "AdjustOrigin",
        "OFFSET 0.0",
        "SHIFT 0.0 0.0",
    ]
    write_text(path, "\n".join(lines) + "\n")


def centre_shift_ang_zyx(com: ImodCom, pixel_ang: float) -> NDArray[np.float64]:
    """Return where the centre of IMOD's volume lies among ours, before the tilt about x: (z, y, x) in Å."""
    shift_x, shift_z = com.shift_px_xz
    return pixel_ang * np.array([shift_z, 0.0, -shift_x])


def _left_out(path: Path, options: Mapping[str, str]) -> list[str]:
    asked = [name for name in _LEFT_OUT if options.get(name, "0") not in ("", "0")]
    return [
        f"{path.name} asks for {_LEFT_OUT[name]} ({name} {options[name]}), which are left out: expect errors of "
        "some pixels far from the centre, or align the series again here."
        for name in asked
    ]


def _numbers(path: Path, name: str, text: str) -> list[float]:
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        values = [np.nan]
    if not np.all(np.isfinite(values)):
        raise DataError(f"{path}: {name} {text} is not made of numbers; mend the file.")
    return values


def _views(path: Path, text: str) -> list[int]:
    """Spell out a list of views, ``1-3,7``."""
    views: list[int] = []
    for piece in text.replace(",", " ").split():
        first, _, last = piece.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise DataError(f"{path}: {piece!r} is no list of views like 1-3,7; mend the file.")
        views += range(int(first), int(last or first) + 1)
    return views
