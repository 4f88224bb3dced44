import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fourier import (
    binned_shape,
    crop_centred,
    fourier_bin,
    fourier_crop,
    next_fast_size,
    pad_centred,
)

SIZES = st.integers(3, 33)


def band_limited(shape, scale=(1.0, 1.0), seed=0):
    """A periodic field of a few low frequencies, sampled so that pixel n // 2 is the point 0 of a unit square."""
    rng = np.random.default_rng(seed)
    y, x = ((np.arange(n) - n // 2) / n for n in shape)
    field = np.zeros(shape)
    for ky, kx in ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 1)):
        a, b = rng.normal(size=2)
        angle = 2 * np.pi * (ky * y[:, None] + kx * x[None, :])
        field += a * np.cos(angle) + b * np.sin(angle)
    return field


@settings(deadline=None, max_examples=60)
@given(SIZES, SIZES, SIZES, SIZES)
def test_fourier_crop_samples_the_same_field_with_the_same_centre_whatever_the_parities(ny, nx, my, mx):
    my, mx = min(ny, my), min(nx, mx)
    got = fourier_crop(band_limited((ny, nx)), (my, mx))
    # A grid of n even samples holds no sine at n / 2: frequency 1 needs n > 2.
    np.testing.assert_allclose(got, band_limited((my, mx)), atol=2e-5)
    assert got.dtype == np.float32


def test_fourier_crop_to_its_own_shape_changes_nothing():
    for shape in ((6, 8), (7, 9), (1, 1)):
        image = np.random.default_rng(1).normal(size=shape)
        np.testing.assert_allclose(fourier_crop(image, shape), image, atol=1e-6)


def test_fourier_crop_takes_stacks_and_volumes():
    stack = np.random.default_rng(2).normal(size=(3, 12, 15)).astype(np.float32)
    by_image = np.stack([fourier_crop(image, (5, 6)) for image in stack])
    np.testing.assert_allclose(fourier_crop(stack, (5, 6)), by_image, atol=1e-6)
    volume = fourier_crop(stack, (2, 6, 7))
    assert volume.shape == (2, 6, 7)
    assert volume.mean() == pytest.approx(stack.mean(), abs=1e-6)


@pytest.mark.parametrize("size", [64, 65, 66, 67])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_a_bead_off_the_centre_is_found_at_its_offset_over_the_binning(size, factor):
    y, x = np.mgrid[:size, :size] - size // 2
    offset_yx = np.array([7.3, -11.6])
    image = np.exp(-((y - offset_yx[0]) ** 2 + (x - offset_yx[1]) ** 2) / (2 * 4.5**2))
    binned = fourier_bin(image, factor)
    assert binned.shape == binned_shape((size, size), factor)
    centre = [np.average(np.arange(n) - n // 2, weights=binned.sum(1 - axis)) for axis, n in enumerate(binned.shape)]
    np.testing.assert_allclose(np.multiply(centre, factor), offset_yx, atol=0.05)


@given(st.integers(1, 20), st.integers(0, 9))
def test_pad_then_crop_returns_the_image_and_keeps_the_centre(size, more):
    image = np.arange(size * 3.0).reshape(size, 3)
    padded = pad_centred(image, (size + more, 5), "constant")
    assert padded[(size + more) // 2, 2] == image[size // 2, 1]
    np.testing.assert_array_equal(crop_centred(padded, (size, 3)), image)


@given(st.integers(1, 5000))
def test_next_fast_size_is_even_and_smooth_and_no_smaller(size):
    fast = rest = next_fast_size(size)
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert fast % 2 == 0
    assert fast >= size


def test_wrong_sizes_are_refused_with_the_shapes():
    image = np.zeros((4, 4))
    with pytest.raises(DataError, match=r"\(4, 4\) cannot be Fourier-cropped to \(5, 4\)"):
        fourier_crop(image, (5, 4))
    with pytest.raises(DataError, match="not smaller"):
        pad_centred(image, (3, 4))
    with pytest.raises(DataError, match="not larger"):
        crop_centred(image, (3, 5))
    with pytest.raises(DataError, match="binning cannot be 0"):
        fourier_bin(image, 0)
