"""Points at many heights, each imaged with its own defocus: what the correction makes of them.

The best a correction can do is to turn every CTF into its absolute value (flip) or its square
(multiply), at the defocus of each point. Series imaged that way are reconstructed without correction
and are the truth here.
"""

import numpy as np
import pytest

from benchmarks import bench_ctf_correction
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.core.reconstruction import wbp_by_depth
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from truth import imaged_points
from truth.imaged_points import CTF

THICKNESS_ANG = 540.0
PARAMS = ReconstructParams(
    weighting="ramp", bin=1, thickness_ang=THICKNESS_ANG, normalise=False, cutoff_per_px=0.4, rolloff_per_px=0.02
)
POINTS_PX_ZYX = np.random.default_rng(5).integers(-np.array([162, 20, 53]), [163, 21, 54], (60, 3))


def series_of(response, **geometry):
    return imaged_points.series_of(POINTS_PX_ZYX, response, **geometry)


def sharpness(tomogram, truth):
    return imaged_points.sharpness(tomogram.volume, truth.volume, POINTS_PX_ZYX)


@pytest.fixture(scope="module", autouse=True)
def points_are_no_hot_pixels():
    with pytest.MonkeyPatch.context() as patch:
        imaged_points.leave_bright_pixels(patch)
        yield


@pytest.fixture(scope="module")
def plain():
    return series_of(lambda ctf: ctf)


@pytest.fixture(scope="module")
def truth():
    return reconstruct(*series_of(np.abs), params=PARAMS)


def test_slabs_beat_strips_beat_none_and_a_wrong_hand_is_worse_than_one_defocus(plain, truth):
    choices = {
        "slabs": (CTF, "slabs"),
        "strips": (CTF, "strips"),
        "one defocus": (CTF.replace(hand=0), "slabs"),
        "wrong hand": (CTF.replace(hand=1), "slabs"),
        "none": (None, "none"),
    }
    found = {
        name: sharpness(reconstruct(*plain, ctf=ctf, params=PARAMS.replace(ctf=kind)), truth)
        for name, (ctf, kind) in choices.items()
    }
    assert found["slabs"] > found["strips"] > found["none"], found
    assert found["slabs"] > found["one defocus"] > found["wrong hand"], found
    # Depths fall evenly within a step, whose ends are off by π / 4: a mean of cos γ of 0.95 at the finest detail.
    assert found["slabs"] > 0.95, found
    assert found["slabs"] - found["strips"] > 0.1, found


@pytest.mark.parametrize("geometry", [{"xtilt_deg": 8.0}, {"axis_deg": 90.0}], ids=["x-tilt", "axis across"])
def test_slabs_are_as_good_in_any_geometry(geometry):
    series, alignment = series_of(lambda ctf: ctf, **geometry)
    best = reconstruct(*series_of(np.abs, **geometry), params=PARAMS)
    assert sharpness(reconstruct(series, alignment, ctf=CTF, params=PARAMS.replace(ctf="slabs")), best) > 0.95


def test_multiplication_turns_the_ctf_into_its_square(plain):
    params = PARAMS.replace(ctf_filter="multiply")
    best = reconstruct(*series_of(np.square), params=params)
    assert sharpness(reconstruct(*plain, ctf=CTF, params=params.replace(ctf="slabs")), best) > 0.95


def test_bands_of_rows_change_nothing(plain, monkeypatch):
    params = PARAMS.replace(ctf="slabs")
    whole = reconstruct(*plain, ctf=CTF, params=params)
    monkeypatch.setattr(wbp_by_depth, "_BYTES_OF_LINES", 1.0)
    banded = reconstruct(*plain, ctf=CTF, params=params)
    assert (whole.quality["bands_of_rows"], banded.quality["bands_of_rows"]) == (1, 2)
    # A band resamples its lines from another corner of the image: rounding differs.
    np.testing.assert_allclose(banded.volume, whole.volume, atol=1e-5 * np.abs(whole.volume).max())


def test_an_undecided_hand_means_one_defocus_and_a_warning(plain):
    undecided = CTF.replace(hand=0)
    results = [reconstruct(*plain, ctf=undecided, params=PARAMS.replace(ctf=kind)) for kind in ("strips", "slabs")]
    np.testing.assert_array_equal(results[0].volume, results[1].volume)
    assert "undecided" in results[0].quality["ctf_warning"]


def test_a_missing_or_foreign_ctf_is_named(plain):
    with pytest.raises(DataError, match=r"points: nothing is known of its CTF, but ctf is 'slabs'; run ctf first"):
        reconstruct(*plain, params=PARAMS.replace(ctf="slabs"))
    short = CtfSeries(optics=Optics(), defocus_u_ang=np.ones(3), defocus_v_ang=np.ones(3))
    with pytest.raises(DataError, match="known for 3 tilts, the series has 9"):
        reconstruct(*plain, ctf=short, params=PARAMS.replace(ctf="strips"))


@pytest.mark.slow
@pytest.mark.timeout(2400)  # ten reconstructions of 390 million voxels
def test_in_a_simulated_slab_of_300_nm_the_corrections_rank_as_they_should(tmp_path):
    found, k_inv_ang, ctf = bench_ctf_correction.measure(tmp_path, (1500, 512, 512), step_deg=4.0)
    beyond = (k_inv_ang > bench_ctf_correction.first_zero_inv_ang(ctf)) & (k_inv_ang < 0.2)
    for noise, curves in found.items():
        mean = {name: np.mean(np.array(curve["fsc"])[beyond]) for name, curve in curves.items()}
        assert mean["3D-CTF"] > 1.15 * mean["strips"] > mean["none"], noise
        assert mean["one defocus per tilt"] > 1.15 * mean["3D-CTF, wrong hand"], noise
