"""The alignment a third-party simulation was made with, given as IMOD's files: taken over, and found to fit."""

import numpy as np

from napari_tomoflow.core.stages.import_ import import_
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.sources import read_raw_stack
from truth.test_reconstruct_fiducials import PIXEL_ANG, true_geometry


def test_the_truth_fits_the_images_and_no_shifts_do_not(shared_data, tmp_path):
    stack = shared_data("sim_fiducial_A/tilt_series.mrc")
    truth, _ = true_geometry(stack.parent)
    apart_ang = []
    for alignment in (truth, truth.replace(shift_ang_yx=np.zeros(2))):
        paths = [tmp_path / f"tilt_series{ending}" for ending in (".xf", ".tlt", ".xtilt")]
        write_imod_alignment(alignment, *paths[:2], xtilt=paths[2], pixel_ang=PIXEL_ANG, shape_yx=(480, 480))
        series = import_(read_raw_stack(stack, from_imod=tmp_path))
        np.testing.assert_allclose(series.alignment.rotations, alignment.rotations, atol=1e-8)
        apart_ang.append(series.quality["alignment"]["neighbours_apart_ang"])
    # Measured: 1.3 Å, a quarter of a pixel, and 107 Å.
    assert apart_ang[0] < 0.5 * PIXEL_ANG
    assert apart_ang[1] > 50
    assert "Neighbouring images disagree" in series.quality["warnings"][-1]
