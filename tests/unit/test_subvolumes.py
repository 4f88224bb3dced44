import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.reconstruction.subvolumes import subvolumes
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from truth.test_reconstruct_beads import BEADS_ZYX, PIXEL_ANG, bead_series

PARAMS = ReconstructParams(weighting="ramp", bin=1, thickness_ang=640.0, normalise=False)


@pytest.mark.parametrize(
    ("geometry", "changes"),
    [
        ({}, {}),
        ({"axis_deg": 33.0, "jitter_deg": 0.2}, {}),
        ({"axis_deg": 85.0, "xtilt_deg": 5.0}, {}),
        ({}, {"weighting": "exact"}),
        ({}, {"weighting": "sirt-like"}),
    ],
    ids=["plain", "axis 33, jitter", "axis 85, x-tilt 5", "exact", "sirt-like"],
)
def test_a_box_is_what_would_be_cut_from_the_tomogram(geometry, changes):
    series, alignment = bead_series((96, 97), **geometry)
    params = PARAMS.replace(**changes)
    volume = reconstruct(series, alignment, params=params).volume
    whole = np.array([[3, -5, 7], [-10, 12, -20]])
    boxes = subvolumes(series, alignment, whole * PIXEL_ANG, (13, 20, 16), params)
    for place, box in zip(whole, boxes, strict=True):
        z, y, x = place + np.array(volume.shape) // 2 - (6, 10, 8)
        cut = volume[z : z + 13, y : y + 20, x : x + 16]
        assert np.corrcoef(box.ravel(), cut.ravel())[0, 1] > 0.999
        # The lean of x-tilted lines is rounded in the tomogram to a twentieth of a voxel.
        np.testing.assert_allclose(box, cut, atol=0.03 * np.abs(volume).max())


def test_a_point_between_voxels_becomes_the_middle_of_its_box():
    series, alignment = bead_series((96, 96), axis_deg=20.0, xtilt_deg=2.0)
    for box in subvolumes(series, alignment, BEADS_ZYX + np.array([2.5, 3.0, -4.0]), (17, 17, 17), PARAMS):
        dark = np.clip(-box[8] + 0.5 * box[8].min(), 0, None)
        at = [np.average(np.arange(17), weights=dark.sum(axis)) for axis in (1, 0)]
        np.testing.assert_allclose(at, [8 - 0.3, 8 + 0.4], atol=0.15)


def test_no_points_give_no_boxes_and_wrong_ones_are_refused():
    series, alignment = bead_series((64, 64))
    assert list(subvolumes(series, alignment, np.zeros((0, 3)), (8, 8, 8), PARAMS)) == []
    with pytest.raises(DataError, match="one row for each"):
        list(subvolumes(series, alignment, np.zeros(3), (8, 8, 8), PARAMS))
