"""A measured STEM series against its authors' own reconstruction."""

import mrcfile
import numpy as np
import pytest

from mat_series import ta_film_resire, ta_film_tilts, write_ta_film
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops.fourier import crop_centred
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct


@pytest.mark.parametrize("axis_deg", [0.0, 90.0])
def test_the_ta_film_agrees_with_the_authors_reconstruction(shared_data, tmp_path, axis_deg):
    folder = shared_data("real_tilt_Ta_film")
    with mrcfile.open(write_ta_film(folder, tmp_path, axis_deg)) as mrc:
        images, pixel_ang = np.array(mrc.data), float(mrc.voxel_size.x)
    series = TiltSeries(
        name="Ta",
        images=images,
        tilt_deg=ta_film_tilts(folder),
        pixel_ang=pixel_ang,
        axis_deg=axis_deg,
        contrast="bright",
    )
    expected = ta_film_resire(folder)
    tomogram = reconstruct(series, None, params=ReconstructParams(bin=1, thickness_ang=len(expected) * pixel_ang))
    assert tomogram.contrast == "bright"
    got = crop_centred(tomogram.volume, expected.shape)
    middle = len(expected) // 2
    # The issue asks for 0.65; measured 0.898. The angles' sense shows only in the whole volume:
    # 0.76 measured, 0.14 when they turn the other way.
    assert np.corrcoef(got[middle].ravel(), expected[middle].ravel())[0, 1] > 0.85
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.7
