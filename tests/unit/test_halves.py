import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries, Tomogram
from napari_tomoflow.core.ops.ctf import dose_envelope
from napari_tomoflow.core.reconstruction.halves import agreement
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.io.results import load, save

RNG = np.random.default_rng(23)
TILT_DEG = np.linspace(-50, 50, 11)
IMAGES = RNG.normal(100, 5, (11, 40, 48)).astype(np.float32)
SMALL = ReconstructParams(weighting="ramp", bin=1, thickness_ang=160.0)


def a_series(**changes):
    return TiltSeries(
        **{"name": "TS", "images": IMAGES, "tilt_deg": TILT_DEG, "pixel_ang": 10.0, "axis_deg": 0.0} | changes
    )


def test_halves_are_what_every_other_tilt_gives():
    order = RNG.permutation(11)
    series = a_series(images=IMAGES[order], tilt_deg=TILT_DEG[order])
    tomogram = reconstruct(series, params=SMALL.replace(halves="tilts"))
    np.testing.assert_array_equal(tomogram.volume, reconstruct(series, params=SMALL).volume)
    for half, first in zip(tomogram.halves, (0, 1), strict=True):
        kept = np.isin(TILT_DEG[order], TILT_DEG[first::2])
        fewer = a_series(images=series.images[kept], tilt_deg=series.tilt_deg[kept])
        alone = reconstruct(fewer, params=SMALL)
        np.testing.assert_array_equal(half, alone.volume)
    assert tomogram.quality["halves"] == "odd and even tilts"


def test_halves_of_frames_are_what_their_sums_alone_give():
    halves = RNG.normal(50, 5, (2, *IMAGES.shape)).astype(np.float32)
    series = a_series(images=halves.sum(axis=0), halves=(halves[0], halves[1]))
    tomogram = reconstruct(series, params=SMALL.replace(halves="frames"))
    np.testing.assert_array_equal(tomogram.volume, reconstruct(a_series(images=series.images), params=SMALL).volume)
    for half, images in zip(tomogram.halves, halves, strict=True):
        np.testing.assert_array_equal(half, reconstruct(a_series(images=images), params=SMALL).volume)
    assert tomogram.quality["halves"] == "odd and even frames"
    with pytest.raises(DataError, match="TS has no sums of odd and even frames; import its movies and run motion"):
        reconstruct(a_series(), params=SMALL.replace(halves="frames"))


def test_halves_of_noise_do_not_agree_and_equal_ones_do():
    noise = RNG.normal(size=(2, 24, 60, 70))
    assert np.abs(agreement(*noise, 10.0)["fsc"][4:]).max() < 0.2
    same = agreement(noise[0], noise[0], 10.0)
    np.testing.assert_allclose(same["fsc"], 1.0, atol=1e-5)
    assert same["resolution_0143_ang"] is None
    assert same["fsc_inv_ang"][-1] == pytest.approx(0.05)


def test_resolution_is_found_where_the_signal_ends():
    # Signal up to 0.2 cycles per voxel of 10 Å, noise above and below: 50 Å.
    z, y, x = (np.fft.fftfreq(64)[:, None, None], np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    signal = np.fft.ifftn(np.fft.fftn(RNG.normal(size=(64,) * 3)) * (np.sqrt(z**2 + y**2 + x**2) < 0.2)).real
    halves = (signal + 2.0 * signal.std() * RNG.normal(size=signal.shape) for _ in range(2))
    found = agreement(*halves, 10.0)
    assert found["resolution_05_ang"] == pytest.approx(50.0, rel=0.05)
    assert found["resolution_0143_ang"] == pytest.approx(50.0, rel=0.1)


def test_halves_survive_their_files_and_their_shape_is_checked(tmp_path):
    tomogram = reconstruct(a_series(), params=SMALL.replace(halves="tilts"))
    save(tomogram, tmp_path)
    assert {path.name for path in tmp_path.glob("*.mrc")} == {
        "tomogram.mrc", "tomogram_half1.mrc", "tomogram_half2.mrc"
    }  # fmt: skip
    again = load(Tomogram, tmp_path)
    for saved, half in zip(again.halves, tomogram.halves, strict=True):
        np.testing.assert_array_equal(saved[:], half)
    with pytest.raises(DataError, match="a half has shape"):
        tomogram.replace(halves=(np.zeros((2, 2, 2)),) * 2)


def test_too_few_tilts_to_halve_are_named():
    with pytest.raises(DataError, match="3 tilts are too few to halve"):
        reconstruct(a_series(kept=np.arange(11) < 3), params=SMALL.replace(halves="tilts"))


def test_int8_spans_ten_standard_deviations():
    exact = reconstruct(a_series(), params=SMALL).volume
    tomogram = reconstruct(a_series(), params=SMALL.replace(dtype="int8"))
    assert tomogram.volume.dtype == np.int8
    densities = tomogram.volume / tomogram.quality["stored_per_density"]
    # Half a unit in the last place: 10 SD / 127 / 2.
    np.testing.assert_allclose(densities, exact, atol=0.045 * exact.std())


@pytest.mark.parametrize("model", ["grant-grigorieff", "b-factor"])
def test_exposure_fades_each_image_by_its_envelope(model):
    # A wave of 40 Å in every image must lose what the envelope takes.
    wave = np.cos(2 * np.pi * np.arange(48) / 4)
    images = np.broadcast_to(wave, (11, 40, 48)).astype(np.float32)
    dose = np.full(11, 160.0)
    series = a_series(images=images, tilt_deg=np.zeros(11), dose_before_e_ang2=dose, dose_of_tilt_e_ang2=4.0)
    params = SMALL.replace(normalise=False)
    plain, faded = (
        reconstruct(series, params=params.replace(dose_weighting=each)).volume[8, 12:28, 16:32]
        for each in ("none", model)
    )
    expected = dose_envelope(1 / 40, 162.0, series.optics.voltage_kv, model)
    assert np.vdot(plain, faded) / np.vdot(plain, plain) == pytest.approx(expected, abs=0.01)
    assert expected < 0.95


def test_without_exposures_nothing_fades():
    weighted = reconstruct(a_series(), params=SMALL.replace(dose_weighting="b-factor")).volume
    np.testing.assert_array_equal(weighted, reconstruct(a_series(), params=SMALL).volume)


def test_cosine_weights_favour_low_tilts_and_keep_the_sum():
    weights = reconstruct(a_series(), params=SMALL.replace(cosine_weights=True)).quality["tilt_weights_deg"]
    usual = reconstruct(a_series(), params=SMALL).quality["tilt_weights_deg"]
    assert sum(weights) == pytest.approx(sum(usual))
    ratio = np.array(weights) / usual
    np.testing.assert_allclose(ratio / ratio[5], np.cos(np.deg2rad(TILT_DEG)))
