import numpy as np
import pytest

from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops.ctf import ctf_1d
from napari_tomoflow.core.ops.deconvolution import deconvolve, signal_to_noise, wiener_gain

OPTICS = Optics()
RNG = np.random.default_rng(29)


def test_the_guessed_ratio_is_that_of_the_formula():
    # By hand, at half of Nyquist of a 10 Å voxel: exp(-100 · 0.5 / 10) · 10³ · 2.
    assert signal_to_noise(0.025, 10.0, 1.0, 1.0, 0.02) == pytest.approx(2000 * np.exp(-5))
    assert signal_to_noise(0.0, 10.0, 1.0, 1.0, 0.02) == 0.0


def test_where_signal_abounds_the_gain_undoes_the_ctf_and_where_none_is_left_it_vanishes():
    k = np.array([0.002, 0.003])
    gain = wiener_gain(k, 10.0, 30000.0, OPTICS, strength=2.0, falloff=0.1)
    np.testing.assert_allclose(gain * ctf_1d(k, 30000.0, OPTICS), 1.0, atol=0.01)
    assert abs(wiener_gain(0.05, 10.0, 30000.0, OPTICS, falloff=3.0)) < 1e-3


def test_flipped_phases_are_not_flipped_again():
    k = np.linspace(0.001, 0.05, 50)
    gain = wiener_gain(k, 10.0, 30000.0, OPTICS, is_flipped=True)
    assert np.all(gain >= 0)
    np.testing.assert_allclose(gain, np.abs(wiener_gain(k, 10.0, 30000.0, OPTICS)))


@pytest.mark.parametrize("shape", [(20, 33, 40), (31, 64)])
def test_a_volume_gets_the_gain_at_every_frequency(shape):
    volume = RNG.normal(size=shape).astype(np.float32)
    got = np.fft.fftn(deconvolve(volume, 10.0, 30000.0, OPTICS))
    k = np.sqrt(sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij"))) / 10.0
    expected = np.fft.fftn(volume) * wiener_gain(k, 10.0, 30000.0, OPTICS)
    np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max())


def test_particles_stand_out_more_from_noise():
    z, y, x = np.mgrid[-24:24, -24:24, -24:24]
    ball = -(z**2 + y**2 + x**2 < 100).astype(np.float32)
    k = np.sqrt(sum(f**2 for f in np.meshgrid(*[np.fft.fftfreq(48)] * 3, indexing="ij"))) / 10.0
    seen = np.fft.ifftn(np.fft.fftn(ball) * ctf_1d(k, 30000.0, OPTICS)).real
    noisy = seen + RNG.normal(0, seen.std(), seen.shape)
    before, after = (
        np.corrcoef(v.ravel(), ball.ravel())[0, 1] for v in (noisy, deconvolve(noisy, 10.0, 30000.0, OPTICS))
    )
    assert after > before + 0.1
