import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.averaging.fsc_curve import fsc_curve, settled_fsc
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fourier import half_frequencies
from napari_tomoflow.core.ops.masks import mask_of_map, soft_cylinder, soft_sphere

RNG = np.random.default_rng(11)
N = 48


def filtered(volume, gain):
    frequency = np.sqrt(sum(axis**2 for axis in half_frequencies(volume.shape)))
    return scipy.fft.irfftn(scipy.fft.rfftn(volume) * gain(frequency), volume.shape).astype(np.float32)


@pytest.fixture(scope="module")
def halves():
    """A ball of detail whose signal falls below the noise at about 0.2 cycles per voxel."""
    signal = filtered(RNG.normal(size=(N, N, N)), lambda f: np.exp(-((f / 0.12) ** 2))) * soft_sphere(N, 12)
    return [signal + 0.05 * RNG.normal(size=signal.shape).astype(np.float32) for _ in range(2)]


def test_noise_has_no_resolution_in_any_mask():
    for mask in (None, soft_sphere(N, 10), soft_sphere(N, 6, edge_px=1)):
        for _ in range(5):
            noise = RNG.normal(size=(2, N, N, N)).astype(np.float32)
            assert fsc_curve(*noise, 2.0, mask).resolution_ang() is None


def test_a_map_and_itself_agree_to_nyquist(halves):
    curve = fsc_curve(halves[0], halves[0], 2.0, soft_sphere(N, 12))
    assert curve.resolution_ang() == pytest.approx(4.0)
    np.testing.assert_allclose(curve.corrected, 1.0, atol=1e-5)


def test_a_mask_brings_out_the_signal_but_not_that_of_its_own_shape(halves):
    loose = fsc_curve(*halves, 2.0)
    round_one = fsc_curve(*halves, 2.0, soft_sphere(N, 13))
    assert round_one.resolution_ang() < loose.resolution_ang()
    # A rough mask agrees with itself at any frequency; random phases take that off.
    rough = soft_sphere(N, 13) * (RNG.uniform(size=(N, N, N)) > 0.3)
    spoilt = fsc_curve(*halves, 2.0, rough)
    high = slice(-8, None)
    assert spoilt.masked[high].mean() > 0.2
    assert abs(spoilt.corrected[high].mean()) < 0.3 * spoilt.masked[high].mean()


def test_resolutions_are_in_angstrom_and_those_of_the_curve(halves):
    curve = fsc_curve(*halves, 2.0)
    for threshold in (0.143, 0.5):
        at = 1.0 / curve.resolution_ang(threshold)
        assert np.interp(at, curve.frequency_inv_ang, curve.corrected) == pytest.approx(threshold, abs=1e-6)
    assert curve.record()["resolution_at_half_ang"] == curve.resolution_ang(0.5)


def test_spheres_and_cylinders_have_their_size():
    sphere, cylinder = soft_sphere(40, 10, 4), soft_cylinder(40, 8, 20, 4)
    assert sphere[20, 20, 20 + 10] == 1.0
    assert 0 < sphere[20, 20, 20 + 12] < 1
    assert sphere[20, 20, 20 + 14] == 0.0
    assert cylinder[20 + 10, 20, 20] == 1.0
    assert cylinder[20 + 14, 20, 20] == 0.0
    assert cylinder[20, 20, 20 + 12] == 0.0


def test_the_mask_of_a_map_holds_its_body_alone():
    body = soft_sphere(40, 8, 2)
    speck = np.roll(soft_sphere(40, 1.5, 1), (14, 14, 14), axis=(0, 1, 2))
    mask = mask_of_map(body + speck + 0.05 * RNG.normal(size=body.shape), 4.0)
    assert np.all(mask[body == 1] == 1)
    assert mask[34, 34, 34] == 0
    # A ball of 9 voxels, 3 more, and half of the soft edge: 15.
    assert mask.sum() < 5 * body.sum()
    with pytest.raises(DataError, match="no body"):
        mask_of_map(-body, 4.0)


def test_the_mask_of_a_barrel_holds_all_its_rings():
    """Two discs, five voxels apart, of which noise makes one a little larger."""
    disc = soft_cylinder(N, 8, 5, 1)
    rings = np.roll(disc, 5, axis=0) + 0.9 * np.roll(disc, -5, axis=0)
    mask = mask_of_map(rings, 5.0)
    assert np.all(mask[rings > 0.8] == 1)
    apart = np.roll(disc, 14, axis=0) + 0.9 * np.roll(disc, -14, axis=0)
    assert mask_of_map(apart, 5.0)[: N // 2 - 10].max() == 0


def seen_by_chance(rng, shells=33, span=1.6):
    """FSC of halves whose signal fades by a factor of 2 a shell, as 0.1 of the coefficients of each shell tell it."""
    shell = np.arange(shells)
    weight = np.sin(0.29 * shell) ** 2
    ratio = 300.0 * weight * 0.5**shell
    true = ratio / (1.0 + ratio)
    chance = rng.normal(size=shells) / np.sqrt(0.1 * 2 * np.pi * np.maximum(shell, 1) ** 2)
    return true, weight, true + (1.0 - true**2) * chance


def test_a_shell_that_chance_took_below_zero_is_as_good_as_those_around_it():
    rng = np.random.default_rng(4)
    off, off_before = [], []
    for _ in range(200):
        true, weight, seen = seen_by_chance(rng)
        settled = settled_fsc(seen, weight, 1.6)
        faint = (seen < 0.143) & (true > 0.01)
        off.append(np.mean((settled - true)[faint] ** 2))
        off_before.append(np.mean((np.clip(seen, 0.0, 1.0) - true)[faint] ** 2))
    assert np.sqrt(np.mean(off)) < 0.8 * np.sqrt(np.mean(off_before))


def test_shells_in_which_halves_agree_are_believed_and_zeros_of_the_ctf_stay_empty():
    _, weight, seen = seen_by_chance(np.random.default_rng(5))
    agree = seen >= 0.143
    settled = settled_fsc(seen, np.where(np.arange(33) == 12, 0.0, weight), 1.6)
    np.testing.assert_array_equal(settled[agree], seen[agree])
    assert settled[12] == 0.0
    assert np.all((settled >= 0.0) & (settled < 1.0))


def test_noise_passes_for_less_signal_than_by_the_curve_itself():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(100, 33)) / np.sqrt(0.1 * 2 * np.pi * np.arange(1, 34) ** 2)
    settled = np.array([settled_fsc(one, np.ones(33), 1.6) for one in noise])
    # In shells below the tenth chance alone passes 0.143 now and then.
    assert settled[:, 10:].mean() < 0.7 * np.clip(noise, 0.0, 1.0)[:, 10:].mean()
