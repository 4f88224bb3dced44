"""An alignment, points and a stack for the tests of other programs' files."""

from pathlib import Path

import numpy as np

from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.io.foreign import StackFacts

PIXEL_ANG = 4.0
TILT_DEG = np.array([-60.0, -38.5, -21.0, 0.4, 19.0, 41.2, 59.6])
SHAPES = [(64, 96), (65, 97), (64, 97), (97, 64)]
POINTS_ZYX = np.random.default_rng(5).uniform(-1, 1, (9, 3)) * [60, 120, 120]
POINTS_PX_XYZ = POINTS_ZYX[:, ::-1] / PIXEL_ANG


def alignment(xtilt_deg=None, kept=True):
    """Make an alignment that is nowhere simple."""
    rng, n = np.random.default_rng(6), len(TILT_DEG)
    return Alignment(
        tilt_deg=TILT_DEG + rng.normal(0, 0.3, n),
        axis_deg=85.3 + rng.normal(0, 0.2, n),
        xtilt_deg=rng.normal(0, 1, n) if xtilt_deg is None else xtilt_deg,
        shift_ang_yx=rng.normal(0, 40, (n, 2)),
        kept=kept,
    )


def facts(shape_yx, pixel_ang=PIXEL_ANG, tilt_deg=TILT_DEG, name="TS"):
    """Describe a stack nobody opens."""
    return StackFacts(name, Path(f"{name}.mrc"), pixel_ang, shape_yx, len(TILT_DEG), tilt_deg)


def pixels_xy(ours, shape_yx, points_zyx=POINTS_ZYX, pixel_ang=PIXEL_ANG):
    """Project as the project's own formula says: pixel indices (x, y)."""
    return pixels_from_ang(ours.project(points_zyx)[0], pixel_ang, shape_yx)[..., ::-1]


def unbinned(pixels, binning, binned_by, shape_yx):
    """Find where places in binned images lie among the unbinned ones."""
    if binned_by == "average":
        return binning * pixels + (binning - 1) / 2
    size = np.array(shape_yx[::-1])
    return binning * (pixels - (size // binning) // 2) + size // 2


def assert_same(got, expected, names=("tilt_deg", "axis_deg", "xtilt_deg", "shift_ang_yx", "kept"), atol=1e-6):
    """Compare alignments field by field."""
    for name in names:
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), atol=atol, err_msg=name)
