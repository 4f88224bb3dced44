"""Warp's and M's metadata of a tilt series (XML, UTF-8 or UTF-16).

Warp puts a point p of the volume, from its centre, at::

    q       = Rz(AxisAngle) · Ry(−(Angle + LevelAngleY)) · Rx(LevelAngleX) · p
    (u, v)  = q_xy + AxisOffset + image size / 2 − GridMovement(u, v)      pixel i lies at i · pixel size

so its angles are ours with the other sign, and its offsets and movements our shifts and displacements. Before that,
GridVolumeWarp moves p (`io.warp_bending`).
Warp's defocus grows with q_z, or falls where ``AreAnglesInverted``. Its ``Dose`` is that after each tilt.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Deformation, TiltSeries
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.foreign import SAME_DEG, StackFacts, centre_at_half
from napari_tomoflow.io.warp_bending import VolumeWarp, deformation_of_warp, warp_of_slopes
from napari_tomoflow.io.warp_xml import add_grid, attribute, parsed_xml, per_tilt, read_grid, read_sizes

Floats = NDArray[np.float64]

_PER_TILT = ("Angles", "AxisAngle", "AxisOffsetX", "AxisOffsetY", "Dose")
_WORTH_TELLING_ANG = 0.5
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
    warp_ang : float64[T, D, H, W, 3]
        GridVolumeWarpX, Y and Z.
    volume_ang_xyz : (float, float, float) or None
        Size of the volume these are spread over, where the file says it.
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
    warp_ang: Floats = field(default_factory=lambda: np.zeros((1, 1, 1, 1, 3)))
    volume_ang_xyz: tuple[float, float, float] | None = None
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
    root = parsed_xml(path)
    angle_deg = per_tilt(path, root, "Angles", None)
    n = len(angle_deg)
    lists = {name: per_tilt(path, root, name, n) for name in _PER_TILT[1:]}
    used = [word.lower() == "true" for word in (root.findtext("UseTilt") or "True " * n).split()]
    if len(used) != n:
        raise DataError(f"{path} has {n} angles but says of {len(used)} tilts whether to use them; write it again.")
    movement, warnings = _movement(path, root, n)
    sizes_ang = read_sizes(path, root, "VolumeDimensionsAngstrom", 3)
    return WarpSeries(
        path=path,
        angle_deg=angle_deg,
        axis_deg=lists["AxisAngle"],
        dose_e_ang2=lists["Dose"],
        offset_ang_xy=np.stack([lists["AxisOffsetX"], lists["AxisOffsetY"]], axis=1),
        used=np.array(used),
        level_deg_xy=(attribute(path, root, "LevelAngleX"), attribute(path, root, "LevelAngleY")),
        movement_ang=movement,
        warp_ang=_warp_nodes(path, root),
        volume_ang_xyz=None if sizes_ang is None else (sizes_ang[0], sizes_ang[1], sizes_ang[2]),
        hand=-1 if root.get("AreAnglesInverted", "False").lower() == "true" else 1,
        movie_names=tuple((root.findtext("MoviePath") or "").split()),
        warnings=(*warnings, *_turns(path, root)),
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
    alignment = Alignment(
        tilt_deg=-(file.angle_deg + file.level_deg_xy[1]),
        axis_deg=file.axis_deg,
        xtilt_deg=np.array(file.level_deg_xy[0]),
        shift_ang_yx=shift_ang_xy[:, ::-1],
        kept=file.used,
        deformation=deformation,
        quality={"warnings": list(file.warnings)},
    )
    return _bent(alignment, file, stack) if np.any(file.warp_ang) else alignment


def write_warp_xml(
    path: Path,
    series: TiltSeries,
    alignment: Alignment,
    ctf: CtfSeries | None,
    hand: int,
    volume_ang_xyz: tuple[float, float, float] | None = None,
) -> list[str]:
    """Write what Warp and M need of an alignment, and of the CTF where there is one.

    Parameters
    ----------
    path : Path
    series, alignment, ctf
        Of one series.
    hand : {-1, +1}
        Sign with which the defocus changes with height.
    volume_ang_xyz : (float, float, float), optional
        Size of the volume, without which it cannot be said how a specimen is bent at its different heights.

    Returns
    -------
    list of str
        What Warp cannot say and was left out, and what the person must see to.
    """
    level_deg = float(np.median(alignment.xtilt_deg))
    left_deg = float(np.abs(alignment.xtilt_deg - level_deg).max())
    root = ElementTree.Element(
        "TiltSeries", AreAnglesInverted=str(hand < 0), LevelAngleX=repr(level_deg), LevelAngleY="0"
    )
    columns = _columns(series, alignment)
    for name, values in columns.items():
        ElementTree.SubElement(root, name).text = "\n".join(map(str, values))
    if ctf is not None:
        _add_ctf(root, series, ctf)
    if volume_ang_xyz is not None:
        size_ang = [series.pixel_ang * n for n in series.shape_yx[::-1]]
        root.set("ImageDimensionsAngstrom", ", ".join(map(repr, size_ang)))
        root.set("VolumeDimensionsAngstrom", ", ".join(repr(float(side)) for side in volume_ang_xyz))
    untold = _add_bending(root, alignment, volume_ang_xyz, _dose_after(series))
    ElementTree.indent(root, "\t")
    write_text(path, '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n")
    first, *_, last = columns["MoviePath"]
    warnings = [f"Warp wants a file for each tilt: split the stack into {first} … {last} beside {path.name}."]
    if left_deg > SAME_DEG:
        warnings.append(f"Warp knows one tilt about x for all: up to {left_deg:.3g}° of single tilts are left out.")
    return warnings + untold


def _columns(series: TiltSeries, alignment: Alignment) -> dict[str, Iterable[Any]]:
    """Lay out what Warp says of each tilt."""
    shift_ang_xy = alignment.shift_ang_yx[:, ::-1] - series.pixel_ang * centre_at_half(series.shape_yx)
    return {
        "Angles": -alignment.tilt_deg,
        "Dose": _dose_after(series),
        "UseTilt": (series.kept & alignment.kept).tolist(),
        "AxisAngle": alignment.axis_deg,
        "AxisOffsetX": shift_ang_xy[:, 0],
        "AxisOffsetY": shift_ang_xy[:, 1],
        "MoviePath": [f"{series.name}_{tilt + 1:03d}.mrc" for tilt in range(series.n_tilts)],
    }


def _dose_after(series: TiltSeries) -> Floats:
    return np.asarray(series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2)


def _movement(path: Path, root: ElementTree.Element, n: int) -> tuple[Floats, list[str]]:
    """Read the movements of the images; a grid that runs over the tilts in other steps is left out, and it is said."""
    x, y = (read_grid(path, root, f"GridMovement{axis}") for axis in "XY")
    margins = [attribute(path, one, f"Margin{axis}") for one in root.iter("GridMovementX") for axis in "XY"]
    x, y = (one.reshape(-1, *one.shape[2:]) for one in (x, y))
    if x.shape != y.shape or x.shape[0] not in (1, n) or any(margins):
        size = " × ".join(map(str, x.shape))
        return np.zeros((1, 1, 1, 2)), [
            f"{path.name} has GridMovement on {size} nodes in a way we do not know: left out."
        ]
    return np.stack([x, y], axis=-1), []


def _turns(path: Path, root: ElementTree.Element) -> list[str]:
    """Say what is left out: turns of single tilts that change over the volume."""
    worst = max(float(np.abs(read_grid(path, root, f"GridAngle{axis}")).max()) for axis in "XYZ")
    return [f"{path.name} holds turns of single tilts (GridAngle, up to {worst:.3g}), which are left out."] * (
        worst > 0
    )


def _warp_nodes(path: Path, root: ElementTree.Element) -> Floats:
    """Read how the volume is bent: float64[duration, depth, height, width, 3]."""
    grids = [read_grid(path, root, f"GridVolumeWarp{axis}") for axis in "XYZ"]
    largest = max((grid.shape for grid in grids), key=np.prod)
    if any(grid.shape != largest and grid.size > 1 for grid in grids):
        sizes = ", ".join(" × ".join(map(str, grid.shape[::-1])) for grid in grids)
        raise DataError(f"{path}: GridVolumeWarp has {sizes} nodes along its axes; write the file again with Warp.")
    return np.stack([np.broadcast_to(grid, largest) for grid in grids], axis=-1)


def _bent(alignment: Alignment, file: WarpSeries, stack: StackFacts) -> Alignment:
    """Add the bending of the volume to what is known of the images."""
    warp = VolumeWarp(file.warp_ang, file.volume_ang_xyz or (1.0, 1.0, 1.0), file.dose_e_ang2)
    if warp.is_uniform:
        moves = np.stack([warp.moves_ang(tilt, np.zeros((1, 3)))[0] for tilt in range(file.n_tilts)])
        moved_uv = np.einsum("nij,nj->ni", alignment.rotations[:, :2], moves)
        return alignment.replace(shift_ang_yx=alignment.shift_ang_yx + moved_uv[:, ::-1])
    warnings = list(alignment.quality["warnings"])
    if file.volume_ang_xyz is None:
        worst = float(np.abs(file.warp_ang).max())
        sentence = (
            f"{file.path.name} bends its volume (GridVolumeWarp, up to {worst:.3g} Å) but does not say how large it "
        )
        return alignment.replace(quality={"warnings": [*warnings, f"{sentence}is: left out."]})
    known = _deformation(file, stack)
    start = alignment.replace(deformation=known)
    finest = max(file.warp_ang.shape[2:4])
    n_y, n_x = ((n - 1) * -(-2 * (finest - 1) // (n - 1)) + 1 for n in known.nodes_ang_yx.shape[1:3])
    deformation, left_ang = deformation_of_warp(start, warp, (max(n_y, 2), max(n_x, 2)))
    if left_ang > _WORTH_TELLING_ANG:
        warnings.append(
            f"{file.path.name} bends its volume unevenly over the height: up to {left_ang:.3g} Å are left out."
        )
    return alignment.replace(deformation=deformation, quality={"warnings": warnings})


def _add_bending(
    root: ElementTree.Element, alignment: Alignment, volume_ang_xyz: tuple[float, float, float] | None, dose: Floats
) -> list[str]:
    """Add how images are bent, and how that changes with height; say what cannot be told."""
    deformation = alignment.deformation
    if deformation is None:
        return []
    add_grid(root, "GridMovementX", deformation.nodes_ang_yx[..., 1])
    add_grid(root, "GridMovementY", deformation.nodes_ang_yx[..., 0])
    if deformation.slopes_yx is None or not np.any(deformation.slopes_yx):
        return []
    warp = None if volume_ang_xyz is None else warp_of_slopes(alignment, volume_ang_xyz, dose)
    if warp is None:
        why = "tilts share an exposure" if volume_ang_xyz is not None else "the size of the volume is not known"
        return [f"How bending changes with height is left out: {why}, which Warp tells it by."]
    for axis, name in enumerate("XYZ"):
        add_grid(root, f"GridVolumeWarp{name}", warp.nodes_ang[..., axis])
    size = " × ".join(f"{side:.0f}" for side in warp.volume_ang_xyz)
    return [f"The bending is that of a volume of {size} Å: give Warp and M these dimensions."]


def _deformation(file: WarpSeries, stack: StackFacts) -> Deformation:
    """Take Warp's movements as our displacements: both fall from where a rigid specimen would be seen."""
    nodes = np.broadcast_to(file.movement_ang, (file.n_tilts, *file.movement_ang.shape[1:]))
    repeats = [2 if side == 1 else 1 for side in nodes.shape[1:3]]
    nodes = nodes.repeat(repeats[0], axis=1).repeat(repeats[1], axis=2)
    height, width = (stack.pixel_ang * size for size in stack.shape_yx)
    return Deformation(nodes_ang_yx=nodes[..., ::-1], field_ang_yx=(height, width))


def _add_ctf(root: ElementTree.Element, series: TiltSeries, ctf: CtfSeries) -> None:
    """Add the optics and the defocus of each tilt as images show it, in micrometres; the phase in units of π."""
    ctf = ctf.magnified()
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
    for name, layers in grids.items():
        add_grid(root, name, layers.reshape(-1, 1, 1))
