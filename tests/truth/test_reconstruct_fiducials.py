"""Gold of a third-party simulation, with its true geometry, comes back round where it was put."""

import json

import mrcfile
import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment, Landmarks, TiltSeries
from napari_tomoflow.core.ops import geometry
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

PIXEL_ANG = 5.0
GOLD_RADIUS_PX = 10


def true_geometry(folder):
    """Alignment and gold in our frame.

    Its specimen is not turned with the tilt axis (85° from +x, so -5° from +y) and its images are
    centred between pixels, half a pixel below ours.
    """
    tilts = json.loads((folder / "truth" / "truth.json").read_text())["tilts"]
    turn = geometry.rotation_z(85.0 - 90.0)
    rotations = np.array([tilt["sample_to_microscope"] for tilt in tilts]) @ turn
    axis_deg, tilt_deg, xtilt_deg = geometry.tilt_angles(rotations)
    shift_ang_yx = np.array([[tilt["shift_y_nm"], tilt["shift_x_nm"]] for tilt in tilts]) * 10 - PIXEL_ANG / 2
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=axis_deg, xtilt_deg=xtilt_deg, shift_ang_yx=shift_ang_yx)
    gold_nm_xyz = np.loadtxt(folder / "truth" / "coords_GOLD.txt", skiprows=2)[:, :3]
    return alignment, (gold_nm_xyz @ turn)[:, ::-1] * 10


def outline(patch_yx):
    """Centre (y, x) and principal widths, small and large, of what is darker than half of the darkest."""
    y, x = np.mgrid[: patch_yx.shape[0], : patch_yx.shape[1]] - patch_yx.shape[0] // 2
    level = np.median(patch_yx)
    inside = (patch_yx - level < 0.5 * (np.percentile(patch_yx, 2) - level)) & (
        y**2 + x**2 <= (1.6 * GOLD_RADIUS_PX) ** 2
    )
    points = np.stack([y[inside], x[inside]])
    return points.mean(axis=1), np.sqrt(np.linalg.eigvalsh(np.cov(points)))


def test_gold_is_round_in_xy_at_every_height(shared_data):
    folder = shared_data("sim_fiducial_A")
    alignment, gold_ang_zyx = true_geometry(folder)
    with mrcfile.mmap(folder / "tilt_series.mrc") as mrc:
        series = TiltSeries(name="A", images=np.array(mrc.data), tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG)
    tomogram = reconstruct(series, alignment, params=ReconstructParams(weighting="ramp", bin=1, thickness_ang=800.0))
    volume, reach = tomogram.volume, 2 * GOLD_RADIUS_PX
    centre = np.array(volume.shape) // 2
    voxels = gold_ang_zyx / tomogram.voxel_ang + centre
    seen = voxels[np.all(np.abs(voxels[:, 1:] - centre[1:]) < centre[1:] - 2 * reach, axis=1)]
    assert np.ptp(seen[:, 0]) * tomogram.voxel_ang > 400, "beads near both faces of the specimen"
    for z, y, x in seen:
        y0, x0 = round(y), round(x)
        found, widths = outline(volume[round(z), y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1])
        assert found == pytest.approx((y - y0, x - x0), abs=0.75)
        # The missing wedge alone takes a fifth off one axis; a misplaced tilt smears a bead into an arc.
        assert widths[0] / widths[1] > 0.75


def test_erased_gold_leaves_neither_bead_nor_fringe(shared_data):
    folder = shared_data("sim_fiducial_A")
    alignment, gold_ang_zyx = true_geometry(folder)
    gold = Landmarks(
        kind="gold", points_ang_zyx=gold_ang_zyx, tilt=[], point=[], position_ang_yx=[], weight=[], size_ang=100.0
    )
    with mrcfile.mmap(folder / "tilt_series.mrc") as mrc:
        series = TiltSeries(name="A", images=np.array(mrc.data), tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG)
    params = ReconstructParams(voxel_ang=10.0, thickness_ang=800.0, erase_beads=True)
    volume = reconstruct(series, alignment.replace(landmarks=gold), params=params).volume
    centre = np.array(volume.shape) // 2

    def mean_around(place):
        return volume[tuple(slice(round(at) - 7, round(at) + 8) for at in place)].mean()

    beads = [place for place in gold_ang_zyx / 10 + centre if np.all(np.abs(place - centre) < centre - 9)]
    rng = np.random.default_rng(0)
    elsewhere = [mean_around(centre + rng.uniform(-1, 1, 3) * (centre - 9)) for _ in range(300)]
    # Measured 0.3 to 4.0; beads left in lie at -11, and erased to 1.3 radii their fringes at 8 to 11.
    assert len(beads) == 7
    assert np.abs([mean_around(place) for place in beads] - np.mean(elsewhere)).max() < 5 * np.std(elsewhere)
