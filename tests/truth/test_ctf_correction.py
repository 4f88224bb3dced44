"""Points at many heights, each imaged with its own defocus: what the correction makes of them.

The best a correction can do is to turn every CTF into its absolute value (flip) or its square
(multiply), at the defocus of each point. Series imaged that way are reconstructed without correction
and are the truth here.
"""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Optics, TiltSeries
from napari_tomoflow.core.ops import filters
from napari_tomoflow.core.ops.ctf import ctf_2d, rfft_frequencies
from napari_tomoflow.core.reconstruction import wbp_by_depth
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

PIXEL_ANG = 1.5
SHAPE_YX = (128, 400)
THICKNESS_ANG = 540.0
PARAMS = ReconstructParams(bin=1, thickness_ang=THICKNESS_ANG, normalise=False, cutoff_per_px=0.4, rolloff_per_px=0.02)
TILT_DEG = np.linspace(-40, 40, 9)
POINTS_PX_ZYX = np.random.default_rng(5).integers(-np.array([162, 20, 53]), [163, 21, 54], (60, 3))
CTF = CtfSeries(
    optics=Optics(100.0, 2.0, 0.1),
    defocus_u_ang=np.linspace(3500.0, 4000.0, 9),
    defocus_v_ang=np.linspace(3400.0, 3900.0, 9),
    azimuth_deg=np.linspace(0.0, 80.0, 9),
    phase_deg=np.array(20.0),
    hand=-1,
)


def series_of(response, xtilt_deg=0.0, axis_deg=0.0):
    """Image 60 points, each through ``response(CTF at its depth)``."""
    alignment = Alignment(tilt_deg=TILT_DEG, axis_deg=axis_deg, xtilt_deg=xtilt_deg)
    centres_yx, depths = alignment.project(POINTS_PX_ZYX * PIXEL_ANG)
    shape = SHAPE_YX if axis_deg == 0 else SHAPE_YX[::-1]
    # On twice the field, so that what leaves it on one side does not come back on the other.
    wide = tuple(2 * n for n in shape)
    ky, kx = rfft_frequencies(wide, PIXEL_ANG)
    images = np.empty((len(TILT_DEG), *shape), np.float32)
    for i, image in enumerate(images):
        image_rft = np.zeros((wide[0], wide[1] // 2 + 1), np.complex128)
        for (v, u), depth in zip(centres_yx[i], depths[i], strict=True):
            shift = CTF.hand * depth
            astigmatism = CTF.defocus_u_ang[i] + shift, CTF.defocus_v_ang[i] + shift, CTF.azimuth_deg[i]
            seen = response(ctf_2d((ky, kx), *astigmatism, CTF.optics, CTF.phase_deg[i]))
            image_rft -= seen * np.exp(-2j * np.pi * (ky * v + kx * u))
        image[:] = np.fft.fftshift(np.fft.irfft2(image_rft, wide))[
            wide[0] // 2 - shape[0] // 2 :, wide[1] // 2 - shape[1] // 2 :
        ][: shape[0], : shape[1]]
    return TiltSeries(name="points", images=images, tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG), alignment


def sharpness(tomogram, truth):
    """Compare how dark the points are with how dark they can be.

    Only where the points are: rays leave streaks far from them, at depths they were not corrected for.
    """
    at = tuple((POINTS_PX_ZYX + np.array(truth.volume.shape) // 2).T)
    return float(tomogram.volume[at].sum() / truth.volume[at].sum())


@pytest.fixture(scope="module", autouse=True)
def points_are_no_hot_pixels():
    """Leave single bright pixels as they are: here they are the specimen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "mend_isolated_pixels", lambda image_yx, mean, sd: image_yx)
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
