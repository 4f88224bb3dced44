"""Warp's and M's metadata of a tilt series (XML, UTF-8 or UTF-16).

Warp puts a point p of the volume, from its centre, at::

    q       = Rz(AxisAngle) · Ry(−(Angle + LevelAngleY)) · Rx(LevelAngleX) · p
    (u, v)  = q_xy + AxisOffset + image size / 2 − GridMovement(u, v)      pixel i lies at i · pixel size

so its angles are ours with the other sign, and its offsets and movements our shifts and displacements.
Warp's defocus grows with q_z, or falls where ``AreAnglesInverted``. Its ``Dose`` is that after each tilt.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Deformation, TiltSeries
from napari_tomoflow.io.files import require_file, write_text
from napari_tomoflow.io.foreign import SAME_DEG, StackFacts, centre_at_half

Floats = NDArray[np.float64]

_KIND = "Warp's .xml of a tilt series"
_PER_TILT = ("Angles", "AxisAngle", "AxisOffsetX", "AxisOffsetY", "Dose")
_NOT_TAKEN = {
    "GridVolumeWarp": "bendings of the volume over the exposure",
    "GridAngle": "turns of single tilts",
}
_UM = 1e4
"""Å in a micrometre."""


@dataclass(frozen=True, eq=False)
class WarpSeries:
    """What a Warp XML says of the geometry. Legend: N tilts.

    Attributes
    ----------
    path : Path
    angle_deg, axis_deg, dose_e_ang2 : float64[N]
        As written.
    offset_ang_xy : float64[N, 2]
    used : bool[N]
    level_deg_xy : (float, float)
        LevelAngleX, LevelAngleY.
    movement_ang : float64[D, H, W, 2]
        GridMovementX and Y; D is 1 or N.
    hand : int
        Sign of the defocus with height in our sense, from ``AreAnglesInverted``.
    movie_names : tuple of str
    warnings : tuple of str
        What it holds that we do not take over.
    """

    path: Path
    angle_deg: Floats
    axis_deg: Floats
    dose_e_ang2: Floats
    offset_ang_xy: Floats
    used: NDArray[np.bool_]
    level_deg_xy: tuple[float, float] = (0.0, 0.0)
    movement_ang: Floats = field(default_factory=lambda: np.zeros((1, 1, 1, 2)))
    hand: int = 1
    movie_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def n_tilts(self) -> int:
        """Number of tilts, those not used counted too."""
        return len(self.angle_deg)


def read_warp_xml(path: Path) -> WarpSeries:
    """Read a Warp XML as it is.

    Raises
    ------
    DataError
        It is no Warp tilt series, is cut short, or its lists differ in length.
    """
    root = _parsed(path)
    angle_deg = _list(path, root, "Angles", None)
    n = len(angle_deg)
    lists = {name: _list(path, root, name, n) for name in _PER_TILT[1:]}
    used = [word.lower() == "true" for word in (root.findtext("UseTilt") or "True " * n).split()]
    if len(used) != n:
        raise DataError(f"{path} has {n} angles but says of {len(used)} tilts whether to use them; write it again.")
    movement, warnings = _movement(path, root, n)
    return WarpSeries(
        path=path,
        angle_deg=angle_deg,
        axis_deg=lists["AxisAngle"],
        dose_e_ang2=lists["Dose"],
        offset_ang_xy=np.stack([lists["AxisOffsetX"], lists["AxisOffsetY"]], axis=1),
        used=np.array(used),
        level_deg_xy=(_attribute(path, root, "LevelAngleX"), _attribute(path, root, "LevelAngleY")),
        movement_ang=movement,
        hand=-1 if root.get("AreAnglesInverted", "False").lower() == "true" else 1,
        movie_names=tuple((root.findtext("MoviePath") or "").split()),
        warnings=(*warnings, *_not_taken(path, root)),
    )


def read_warp_alignment(path: Path, stack: StackFacts) -> Alignment:
    """Read a Warp alignment for a stack of the same tilts in the same order.

    Raises
    ------
    DataError
        The file is damaged, or is not for this stack.
    """
    file = read_warp_xml(path)
    if file.n_tilts != stack.n_tilts:
        raise DataError(
            f"{path} holds {file.n_tilts} tilts but {stack.path} {stack.n_tilts} images; "
            "give the stack Warp made of the series."
        )
    shift_ang_xy = file.offset_ang_xy + stack.pixel_ang * centre_at_half(stack.shape_yx)
    deformation = None
    if file.movement_ang.shape[1:3] == (1, 1):
        shift_ang_xy = shift_ang_xy - file.movement_ang[:, 0, 0]
    else:
        deformation = _deformation(file, stack)
    return Alignment(
        tilt_deg=-(file.angle_deg + file.level_deg_xy[1]),
        axis_deg=file.axis_deg,
        xtilt_deg=np.array(file.level_deg_xy[0]),
        shift_ang_yx=shift_ang_xy[:, ::-1],
        kept=file.used,
        deformation=deformation,
        quality={"warnings": list(file.warnings)},
    )


def write_warp_xml(path: Path, series: TiltSeries, alignment: Alignment, ctf: CtfSeries | None, hand: int) -> list[str]:
    """Write what Warp and M need of an alignment, and of the CTF where there is one.

    Parameters
    ----------
    path : Path
    series, alignment, ctf
        Of one series.
    hand : {-1, +1}
        Sign with which the defocus changes with height.

    Returns
    -------
    list of str
        What Warp cannot say and was left out, and what the person must see to.
    """
    level_deg = float(np.median(alignment.xtilt_deg))
    left_deg = float(np.abs(alignment.xtilt_deg - level_deg).max())
    shift_ang_xy = alignment.shift_ang_yx[:, ::-1] - series.pixel_ang * centre_at_half(series.shape_yx)
    root = ElementTree.Element(
        "TiltSeries", AreAnglesInverted=str(hand < 0), LevelAngleX=repr(level_deg), LevelAngleY="0"
    )
    used = series.kept & alignment.kept
    movies = [f"{series.name}_{tilt + 1:03d}.mrc" for tilt in range(series.n_tilts)]
    columns: dict[str, Iterable[Any]] = {
        "Angles": -alignment.tilt_deg,
        "Dose": series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2,
        "UseTilt": used.tolist(),
        "AxisAngle": alignment.axis_deg,
        "AxisOffsetX": shift_ang_xy[:, 0],
        "AxisOffsetY": shift_ang_xy[:, 1],
        "MoviePath": movies,
    }
    for name, values in columns.items():
        ElementTree.SubElement(root, name).text = "\n".join(map(str, values))
    if ctf is not None:
        _add_ctf(root, series, ctf)
    if alignment.deformation is not None:
        nodes = alignment.deformation.nodes_ang_yx
        _add_grid(root, "GridMovementX", nodes[..., 1])
        _add_grid(root, "GridMovementY", nodes[..., 0])
    ElementTree.indent(root, "\t")
    write_text(path, '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n")
    warnings = [f"Warp wants a file for each tilt: split the stack into {movies[0]} … {movies[-1]} beside {path.name}."]
    if left_deg > SAME_DEG:
        warnings.append(f"Warp knows one tilt about x for all: up to {left_deg:.3g}° of single tilts are left out.")
    return warnings


def _parsed(path: Path) -> ElementTree.Element:
    require_file(path, _KIND)
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, UnicodeError, LookupError, ValueError) as error:
        raise DataError(f"{path} is not readable XML: {error}; copy {_KIND} again.") from error
    if root.tag != "TiltSeries" or root.find("Angles") is None:
        raise DataError(f"{path} is not about a tilt series but {root.tag!r} without angles; give {_KIND}.")
    return root


def _list(path: Path, root: ElementTree.Element, name: str, n: int | None) -> Floats:
    """Read one value per tilt; zeros where Warp has not written any."""
    text = root.findtext(name)
    if text is None and n is not None:
        return np.zeros(n)
    values = _floats(path, name, (text or "").split())
    if not len(values) or (n is not None and len(values) != n):
        raise DataError(f"{path} has {n or 'no'} angles but {len(values)} values of {name}; write it again with Warp.")
    return values


def _floats(path: Path, name: str, words: Sequence[str]) -> Floats:
    try:
        values = np.array([float(word) for word in words], np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.all(np.isfinite(values)):
        raise DataError(f"{path}: {name} is not made of numbers; write it again with Warp.")
    return values


def _attribute(path: Path, element: ElementTree.Element, name: str, default: str = "0") -> float:
    return float(_floats(path, name, [element.get(name, default)])[0])


def _grid(path: Path, root: ElementTree.Element, name: str) -> Floats:
    """Read a grid as float64[depth, height, width]; zero where there is none."""
    element = root.find(name)
    if element is None:
        return np.zeros((1, 1, 1))
    shape = [int(_attribute(path, element, side, "1")) for side in ("Depth", "Height", "Width")]
    shape[0] *= int(_attribute(path, element, "Duration", "1"))
    nodes = element.findall("Node")
    if len(nodes) != np.prod(shape):
        raise DataError(f"{path}: {name} announces {np.prod(shape)} nodes but holds {len(nodes)}; copy it again.")
    order = [tuple(int(_attribute(path, node, axis)) for axis in "WZYX") for node in nodes]
    values = [_attribute(path, node, "Value") for node in nodes]
    in_order = sorted(range(len(nodes)), key=order.__getitem__)
    return np.array([values[index] for index in in_order]).reshape(shape)


def _movement(path: Path, root: ElementTree.Element, n: int) -> tuple[Floats, list[str]]:
    """Read the movements of the images; a grid that runs over the tilts in other steps is left out, and it is said."""
    x, y = (_grid(path, root, f"GridMovement{axis}") for axis in "XY")
    margins = [_attribute(path, one, f"Margin{axis}") for one in root.iter("GridMovementX") for axis in "XY"]
    if x.shape != y.shape or x.shape[0] not in (1, n) or any(margins):
        size = " × ".join(map(str, x.shape))
        return np.zeros((1, 1, 1, 2)), [
            f"{path.name} has GridMovement on {size} nodes in a way we do not know: left out."
        ]
    return np.stack([x, y], axis=-1), []


def _not_taken(path: Path, root: ElementTree.Element) -> list[str]:
    found = []
    for prefix, what in _NOT_TAKEN.items():
        worst = max(float(np.abs(_grid(path, root, prefix + axis)).max()) for axis in "XYZ")
        if worst > 0:
            found.append(f"{path.name} holds {what} ({prefix}, up to {worst:.3g}), which are left out.")
    return found


def _deformation(file: WarpSeries, stack: StackFacts) -> Deformation:
    """Take Warp's movements as our displacements: both fall from where a rigid specimen would be seen."""
    nodes = np.broadcast_to(file.movement_ang, (file.n_tilts, *file.movement_ang.shape[1:]))
    repeats = [2 if side == 1 else 1 for side in nodes.shape[1:3]]
    nodes = nodes.repeat(repeats[0], axis=1).repeat(repeats[1], axis=2)
    height, width = (stack.pixel_ang * size for size in stack.shape_yx)
    return Deformation(nodes_ang_yx=nodes[..., ::-1], field_ang_yx=(height, width))


def _add_grid(root: ElementTree.Element, name: str, values: Floats) -> None:
    depth, height, width = values.shape
    element = ElementTree.SubElement(root, name, Width=str(width), Height=str(height), Depth=str(depth))
    for (z, y, x), value in np.ndenumerate(values):
        ElementTree.SubElement(element, "Node", X=str(x), Y=str(y), Z=str(z), Value=repr(float(value)))


def _add_ctf(root: ElementTree.Element, series: TiltSeries, ctf: CtfSeries) -> None:
    """Add the optics and the defocus of each tilt, in micrometres; the phase in units of π."""
    element = ElementTree.SubElement(root, "CTF")
    values = {
        "PixelSize": series.pixel_ang,
        "Defocus": float(ctf.defocus_ang.mean()) / _UM,
        "Voltage": ctf.optics.voltage_kv,
        "Cs": ctf.optics.cs_mm,
        "Amplitude": ctf.optics.amplitude_contrast,
    }
    for name, value in values.items():
        ElementTree.SubElement(element, "Param", Name=name, Value=repr(value))
    grids = {
        "GridCTF": ctf.defocus_ang / _UM,
        "GridCTFDefocusDelta": (ctf.defocus_u_ang - ctf.defocus_v_ang) / _UM,
        "GridCTFDefocusAngle": ctf.azimuth_deg,
        "GridCTFPhase": ctf.phase_deg / 180,
    }
    for name, per_tilt in grids.items():
        _add_grid(root, name, per_tilt.reshape(-1, 1, 1))
