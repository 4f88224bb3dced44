"""The alignments third-party simulations were made with, given as IMOD's files: taken over, and found to fit."""

import json

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops import geometry
from napari_tomoflow.core.stages.import_ import import_
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.sources import read_raw_stack


def true_alignment(folder, axis_from_x_deg, pixel_ang):
    """Turn the specimen's axis to y, and the centre between pixels into ours."""
    tilts = json.loads((folder / "truth" / "truth.json").read_text())["tilts"]
    rotations = np.array([tilt["sample_to_microscope"] for tilt in tilts]) @ geometry.rotation_z(axis_from_x_deg - 90)
    axis_deg, tilt_deg, xtilt_deg = geometry.tilt_angles(rotations)
    shift_ang_yx = np.array([[tilt["shift_y_nm"], tilt["shift_x_nm"]] for tilt in tilts]) * 10 - pixel_ang / 2
    return Alignment(tilt_deg=tilt_deg, axis_deg=axis_deg, xtilt_deg=xtilt_deg, shift_ang_yx=shift_ang_yx)


# Measured: 1.3 and 2.3 Å with the truth. C has no gold and so little dose that few pairs alone show anything.
@pytest.mark.parametrize(
    ("name", "size_px", "pixel_ang", "axis_from_x_deg"),
    [("sim_fiducial_A", 480, 5.0, 85.0), ("sim_cell_C", 320, 10.0, 5.0)],
)
def test_the_truth_fits_the_images_and_no_shifts_do_not(
    shared_data, tmp_path, name, size_px, pixel_ang, axis_from_x_deg
):
    stack = shared_data(f"{name}/tilt_series.mrc")
    truth = true_alignment(stack.parent, axis_from_x_deg, pixel_ang)
    series = []
    for alignment in (truth, truth.replace(shift_ang_yx=np.zeros(2))):
        paths = [tmp_path / f"tilt_series{ending}" for ending in (".xf", ".tlt", ".xtilt")]
        write_imod_alignment(alignment, *paths[:2], xtilt=paths[2], pixel_ang=pixel_ang, shape_yx=(size_px, size_px))
        series.append(import_(read_raw_stack(stack, from_imod=tmp_path)))
        np.testing.assert_allclose(series[-1].alignment.rotations, alignment.rotations, atol=1e-8)
    right, wrong = (one.quality for one in series)
    assert right["alignment"]["neighbours_apart_ang"] < 0.5 * pixel_ang
    assert not [warning for warning in right["warnings"] if "the alignment that came" in warning]
    assert [warning for warning in wrong["warnings"] if "the alignment that came" in warning]
