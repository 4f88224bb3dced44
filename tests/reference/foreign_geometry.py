"""Where other programs put a point of the specimen, from the text of their files and their own formulas.

Every function takes points (x, y, z) in pixels from the specimen's centre, in our axes, and returns pixel
indices (x, y), counted from 0, for each tilt and point: float64[N, P, 2]. Nothing of the package is used.
"""

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np


def rx(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def ry(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rz(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def imod(points_xyz, shape_yx, xf, tlt, xtilt=None, com=None):
    """Tilt as ``tilt`` does in its native volume, whose height I is −z, then undo the transform.

    ``xaxistilt``: a section whose native height rises as I = Y tan(a) is flat after XAXISTILT a; angles of
    XTILTFILE have it subtracted. SHIFT moves the volume that is written right and up. Centre (N − 1) / 2.
    """
    com = com or {}
    centre = (np.array(shape_yx[::-1]) - 1) / 2
    tilts, rows = np.loadtxt(tlt), np.loadtxt(xf)
    xtilts = np.zeros(len(tilts)) if xtilt is None else np.loadtxt(xtilt)
    found = []
    for row, tilt, along in zip(rows, tilts, xtilts, strict=True):
        x, y, height = points_xyz[:, 0], points_xyz[:, 1], -points_xyz[:, 2]
        x, height = x - com.get("shift", (0, 0))[0], height - com.get("shift", (0, 0))[1]
        a = np.deg2rad(com.get("xaxistilt", 0.0) - along)
        y, height = y * np.cos(a) - height * np.sin(a), y * np.sin(a) + height * np.cos(a)
        t = np.deg2rad(tilt + com.get("offset", (0, 0))[0])
        aligned = np.stack([x * np.cos(t) - height * np.sin(t) + com.get("offset", (0, 0))[1], y], axis=1)
        found.append(np.linalg.solve(row[:4].reshape(2, 2), (aligned - row[4:]).T).T + centre)
    return np.array(found)


def aretomo(points_xyz, shape_yx, aln):
    """``r = Rz(ROT) a + LS + T + N / 2`` with pixel centres at i + 0.5; rows of the aligned tilts by section."""
    text = aln.read_text()
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    table = [[float(word) for word in line] for line in lines if len(line) == 10]
    patches = np.array([[float(word) for word in line] for line in lines if len(line) == 7])
    n_patches = int(re.search(r"NumPatches = (\d+)", text)[1])
    size = np.array(shape_yx[::-1], float)
    found = {}
    for place, row in enumerate(table):
        t = np.deg2rad(row[9])
        aligned = np.stack([points_xyz[:, 0] * np.cos(t) + points_xyz[:, 2] * np.sin(t), points_xyz[:, 1]], axis=1)
        raw = aligned @ rz(row[1])[:2, :2].T
        if n_patches:
            own = patches[place * n_patches : (place + 1) * n_patches]
            raw = raw + np.array([_local_shift(one, own[own[:, 6] > 0.9], size) for one in raw])
        found[int(row[0])] = raw + row[3:5] + size / 2 - 0.5
    return found


def _local_shift(point, patches, size):
    weights = [np.exp(-100 * np.sum(((point - patch[2:4]) / size) ** 2)) for patch in patches]
    return sum(weight * patch[4:6] for weight, patch in zip(weights, patches, strict=True)) / sum(weights)


def relion(points_xyz, shape_yx, columns, pixel_ang):
    """``s2 · s1 · Rz(ZRot) · Ry(YTilt) · Rx(XTilt)`` with the centre at int(N / 2)."""
    found = []
    for tilt in range(len(columns["rlnTomoYTilt"])):
        x, y, z = (columns[f"rlnTomo{name}"][tilt] for name in ("XTilt", "YTilt", "ZRot"))
        turned = points_xyz @ (rz(z) @ ry(y) @ rx(x)).T
        shift = [columns[f"rlnTomo{axis}ShiftAngst"][tilt] / pixel_ang for axis in "XY"]
        found.append(turned[:, :2] + shift + np.array(shape_yx[::-1]) // 2)
    return np.array(found)


def warp(points_xyz, shape_yx, xml, pixel_ang):
    """``Euler(0, t + LevelY, −axis) · RotX(LevelX)`` about physical size / 2, sample i at i · pixel."""
    root = ElementTree.fromstring(xml.read_bytes())
    lists = {name: [float(word) for word in root.findtext(name).split()] for name in _WARP_LISTS}
    level_x, level_y = float(root.get("LevelAngleX", 0)), float(root.get("LevelAngleY", 0))
    found = []
    doses = np.array([float(word) for word in root.findtext("Dose").split()])
    for tilt, (angle, axis, dx, dy) in enumerate(zip(*lists.values(), strict=True)):
        moved = points_xyz + _warp_of_volume(root, points_xyz * pixel_ang, doses, tilt) / pixel_ang
        leveled = moved @ rx(level_x).T
        t = np.deg2rad(angle + level_y)
        q = (
            np.stack([leveled[:, 0] * np.cos(t) - leveled[:, 2] * np.sin(t), leveled[:, 1]], axis=1)
            @ rz(axis)[:2, :2].T
        )
        physical = q * pixel_ang + [dx, dy] + np.array(shape_yx[::-1]) * pixel_ang / 2
        found.append(physical / pixel_ang)
    return np.array(found)


def _warp_of_volume(root, points_ang, doses, tilt):
    """Read GridVolumeWarp between its 16 nearest nodes; coordinates are those from a corner over the volume."""
    if root.find("GridVolumeWarpX") is None or root.get("VolumeDimensionsAngstrom") is None:
        return np.zeros_like(points_ang)
    size = np.array([float(word) for word in root.get("VolumeDimensionsAngstrom").split(",")])
    passed = (doses[tilt] - doses.min()) / (doses.max() - doses.min())
    moves = []
    for axis in "XYZ":
        grid = root.find(f"GridVolumeWarp{axis}")
        dims = [int(grid.get(side)) for side in ("Width", "Height", "Depth", "Duration")]
        nodes = {tuple(int(node.get(one)) for one in "XYZW"): float(node.get("Value")) for node in grid}
        found = []
        for point in points_ang:
            at = np.append((point + size / 2) / size, passed) * (np.array(dims) - 1)
            low = np.clip(at.astype(int), 0, np.array(dims) - 1)
            high, part = np.minimum(low + 1, np.array(dims) - 1), at - low
            corners = [[(a, 1 - f), (b, f)] for a, b, f in zip(low, high, part, strict=True)]
            value = 0.0
            for corner in itertools.product(*corners):
                value += nodes[tuple(int(n) for n, _ in corner)] * np.prod([weight for _, weight in corner])
            found.append(value)
        moves.append(found)
    return np.array(moves).T


_WARP_LISTS = ("Angles", "AxisAngle", "AxisOffsetX", "AxisOffsetY")


def eman2(points_xyz, shape_yx, info):
    """``Rz(−ztilt) · Ry(−ytilt) · Rx(−xtilt)`` then (tx, ty), the centre at N // 2."""
    found = []
    for tx, ty, ztilt, ytilt, xtilt in json.loads(info.read_text())["tlt_params"]:
        turned = points_xyz @ (rz(-ztilt) @ ry(-ytilt) @ rx(-xtilt)).T
        found.append(turned[:, :2] + [tx, ty] + np.array(shape_yx[::-1]) // 2)
    return np.array(found)
