"""What finishing a map asks for, what it warns of, and what it leaves alone."""

import numpy as np
import pytest

from half_maps import atoms, halves_of_two_resolutions, of_halves, with_noise
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Curve, DensityMap, FinishedMap
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.stages.postprocess import PostprocessParams, postprocess

N = 32


@pytest.fixture(scope="module")
def density():
    rng = np.random.default_rng(1)
    return of_halves(with_noise(atoms(N, 2.0, 100.0, rng, count=400), 0.01, rng), 2.0)


def test_dark_maps_come_out_bright_and_otherwise_the_same(density):
    first, second = density.halves
    dark = density.replace(volume=-density.volume, halves=(-first, -second), contrast="dark")
    bright, turned = (postprocess(one) for one in (density, dark))
    np.testing.assert_array_equal(bright.volume, turned.volume)
    np.testing.assert_array_equal(turned.halves[0], first)


def test_two_files_are_as_good_as_a_map_with_halves(density):
    first, second = (density.replace(volume=half, halves=None) for half in density.halves)
    np.testing.assert_array_equal(postprocess(first, other_half=second).volume, postprocess(density).volume)


def test_the_halves_are_kept_as_they_came(density):
    finished = postprocess(density)
    assert isinstance(finished, FinishedMap)
    for old, new in zip(density.halves, finished.halves, strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_edge_of_the_mask_is_two_resolutions_wide_or_more():
    rng = np.random.default_rng(2)
    coarse = of_halves(halves_of_two_resolutions(48, 3.0, 20.0, 20.0, rng, sharp=False), 3.0)
    mask = postprocess(coarse, params=PostprocessParams(local_resolution=False)).quality["mask"]
    assert mask["source"] == "automatic"
    assert mask["edge_px"] * 3.0 >= 2 * 17.0  # the resolution comes out within 15 %


def test_a_given_mask_is_used_as_it_is(density):
    soft = soft_sphere(N, 9, 4)
    finished = postprocess(density, mask=density.replace(volume=2 * soft, halves=None, contrast="dark"))
    np.testing.assert_allclose(finished.mask, np.clip(2 * soft, 0, 1), atol=1e-6)
    assert finished.quality["mask"]["source"] == "file"


def test_a_mask_that_makes_halves_agree_is_doubted(density):
    rough = soft_sphere(N, 9) * (np.random.default_rng(5).uniform(size=(N, N, N)) > 0.4)
    coarse = PostprocessParams(local_resolution=False)
    noisy = of_halves(
        [half + 0.1 * np.random.default_rng(n).normal(size=half.shape) for n, half in enumerate(density.halves)], 2.0
    )
    finished = postprocess(noisy, mask=density.replace(volume=rough, halves=None), params=coarse)
    assert any("mask alone" in said for said in finished.quality["warnings"])
    assert not any("mask alone" in said for said in postprocess(noisy, params=coarse).quality["warnings"])


def test_a_given_b_factor_goes_before_the_fit_and_zero_leaves_the_map(density):
    forty, none = (
        postprocess(density, params=PostprocessParams(b_factor_ang2=b, local_resolution=False)) for b in (40.0, 0.0)
    )
    assert (forty.quality["sharpening"], forty.quality["b_factor_ang2"]) == ("given B factor", 40.0)
    assert (none.quality["sharpening"], none.quality["b_factor_ang2"]) == ("none", 0.0)
    assert none.quality["warnings"] == []
    assert np.std(forty.volume) > np.std(none.volume)


def test_noise_is_neither_filtered_nor_sharpened_and_said_to_be_noise():
    rng = np.random.default_rng(3)
    finished = postprocess(of_halves(with_noise(np.zeros((N, N, N), np.float32), 1.0, rng), 5.0))
    assert finished.quality["resolution_ang"] is None
    assert finished.local_resolution_ang is None
    assert any("no better than noise" in said for said in finished.quality["warnings"])
    np.testing.assert_array_equal(finished.volume, (finished.halves[0] + finished.halves[1]) / 2)


def test_a_map_too_coarse_for_a_b_factor_says_so():
    rng = np.random.default_rng(4)
    coarse = of_halves(halves_of_two_resolutions(48, 3.0, 15.0, 15.0, rng, sharp=False), 3.0)
    finished = postprocess(coarse, params=PostprocessParams(local_resolution=False))
    assert finished.quality["sharpening"] == "none"
    assert any("give --b-factor-ang2" in said for said in finished.quality["warnings"])


def test_detail_beyond_the_end_is_gone(density):
    finished = postprocess(density, params=PostprocessParams(lowpass_ang=12.0, local_resolution=False))
    power = np.abs(np.fft.fftn(finished.volume)) ** 2
    frequency = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*[np.fft.fftfreq(N, 2.0)] * 3, indexing="ij")))
    assert power[frequency > 1 / 8.0].sum() < 1e-6 * power[frequency > 0].sum()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"halves": None}, "has no halves; refine it"),
        ({"halves": (np.zeros((N, N, N)), np.zeros((N, N, N)))}, "a half is empty"),
        ({"volume": np.ones((8, 8, 9)), "halves": (np.ones((8, 8, 9)),) * 2}, "give halves that are cubes"),
    ],
)
def test_halves_that_cannot_be_compared_are_refused(density, change, words):
    with pytest.raises(DataError, match=words):
        postprocess(density.replace(**change))


def test_files_that_do_not_belong_together_are_refused(density):
    other = DensityMap(name="other", volume=np.ones((N, N, N)), voxel_ang=3.0)
    with pytest.raises(DataError, match=r"made and other are no halves of one map.* of 2 Å.* of 3 Å"):
        postprocess(density, other_half=other)
    with pytest.raises(DataError, match="mask is empty"):
        postprocess(density, mask=density.replace(volume=np.zeros((N, N, N)), halves=None))


@pytest.mark.parametrize(
    ("given", "words"),
    [({"other_half": "b.mrc"}, "other_half is given without map"), ({"model": "m", "structure_factor": "s"}, "both")],
)
def test_parameters_that_do_not_go_together_are_refused(given, words):
    with pytest.raises(ParamError, match=words):
        PostprocessParams(**given)


@pytest.mark.parametrize(
    ("frequency", "value"), [([0.1], [1.0]), ([0.2, 0.1], [1.0, 1.0]), ([0.1, 0.2], [1.0, 0.0]), ([0.1, 0.2], [1.0])]
)
def test_a_curve_rises_in_frequency_and_is_positive(frequency, value):
    with pytest.raises(DataError, match=r"^c: value has|^c is no curve"):
        Curve(name="c", frequency=np.array(frequency), value=np.array(value))
