"""Any voxel, any size: everything stays where it was, and the file says how large it is."""

import mrcfile
import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.io.mrc import allocate_mrc
from napari_tomoflow.io.results import save
from truth.test_reconstruct_beads import BEADS_ZYX, PIXEL_ANG, bead_series, fit_blob

PARAMS = ReconstructParams(weighting="ramp", thickness_ang=640.0, normalise=False)


def misplaced_px(tomogram):
    """Fit every bead in its x-y slice: how many pixels of the images it lies off at most."""
    voxel_ang, volume = tomogram.voxel_ang, np.asarray(tomogram.volume, np.float32)
    sigma = max(2.0 * PIXEL_ANG / voxel_ang, 1.2)
    places = BEADS_ZYX / voxel_ang + np.array(volume.shape) // 2
    offsets = [fit_blob(volume[round(z)], np.array([y, x]), sigma)[0] for z, y, x in places]
    return np.abs(offsets).max() * voxel_ang / PIXEL_ANG


@pytest.mark.parametrize("method", ["wbp", "tiles", "sirt"])
@pytest.mark.parametrize(("voxel_ang", "shape"), [(10.0, (64, 96, 98)), (12.5, (52, 78, 78)), (23.0, (28, 42, 44))])
def test_at_any_voxel_size_beads_lie_where_they_are(method, voxel_ang, shape):
    series, alignment = bead_series((96, 97), axis_deg=12.0, xtilt_deg=2.0)
    params = PARAMS.replace(method=method, voxel_ang=voxel_ang, iterations=8 if method == "sirt" else None)
    tomogram = reconstruct(series, alignment, params=params)
    assert tomogram.volume.shape == shape
    assert tomogram.voxel_ang == pytest.approx(voxel_ang, rel=1e-6)
    assert misplaced_px(tomogram) < 0.2


def test_a_whole_number_of_pixels_is_binning():
    series, alignment = bead_series((96, 97))
    binned, sized = (
        reconstruct(series, alignment, params=PARAMS.replace(**how)).volume for how in ({"bin": 2}, {"voxel_ang": 20.0})
    )
    np.testing.assert_array_equal(binned, sized)


def test_the_field_may_be_narrower_or_wider_than_the_images():
    series, alignment = bead_series((96, 97))
    whole, cut = (
        reconstruct(series, alignment, params=PARAMS.replace(bin=1, **how)).volume
        for how in ({}, {"width_ang": 500.0, "height_ang": 1100.0})
    )
    assert cut.shape == (64, 110, 50)
    # The same voxels, but for the length of the lines the filter works on.
    expected = whole[:, :, 24:74]
    np.testing.assert_allclose(cut[:, 7:103], expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "int8"])
def test_the_header_tells_voxel_place_and_statistics(tmp_path, dtype):
    series, alignment = bead_series((63, 97))
    params = PARAMS.replace(voxel_ang=12.5, thickness_ang=160.0, dtype=dtype)
    tomogram = reconstruct(
        series, alignment, params=params, allocate=lambda name, *what: allocate_mrc(tmp_path / f"{name}.mrc", *what)
    )
    save(tomogram, tmp_path)
    with mrcfile.open(tmp_path / "tomogram.mrc") as mrc:
        assert mrc.is_volume()
        assert mrc.data.dtype == np.dtype(dtype)
        assert mrc.voxel_size.tolist() == pytest.approx((12.5, 12.5, 12.5))
        # The centre, voxel n // 2, lies at 0.
        assert mrc.header.origin.tolist() == pytest.approx([-12.5 * (n // 2) for n in mrc.data.shape[::-1]])
        data, header = mrc.data.astype(np.float64), mrc.header
        stated = [float(value) for value in (header.dmin, header.dmax, header.dmean, header.rms)]
        assert stated == pytest.approx([data.min(), data.max(), data.mean(), data.std()], rel=1e-4, abs=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quality.json", "tomogram.json", "tomogram.mrc"]


def test_a_voxel_finer_than_the_pixels_and_two_sizes_at_once_are_refused():
    series, alignment = bead_series((64, 64))
    with pytest.raises(DataError, match=r"beads: a voxel of 9.9 Å is finer than the pixels of 10 Å"):
        reconstruct(series, alignment, params=PARAMS.replace(voxel_ang=9.9))
    with pytest.raises(ParamError, match="give one of them"):
        PARAMS.replace(voxel_ang=20.0, bin=2)
