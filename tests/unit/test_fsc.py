import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fsc import ShellSums, resolution_per_px, shell_sums

RNG = np.random.default_rng(5)


def slow_sums(a, b, n_shells):
    """The same sums over the full transform, coefficient by coefficient."""
    a_ft, b_ft = np.fft.fftn(a), np.fft.fftn(b)
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, a.shape), indexing="ij", sparse=True)))
    shell = np.rint(frequency * 2 * n_shells)
    shell[(shell == 0) & (frequency > 0)] = 1
    inside = [shell == s for s in range(n_shells + 1)]
    products = (a_ft * b_ft.conj()).real, np.abs(a_ft) ** 2, np.abs(b_ft) ** 2, np.ones(a.shape)
    return [np.array([p[mask].sum() for mask in inside]) for p in products]


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 12, 15), (20, 13), (8, 30, 24)])
def test_sums_are_those_of_the_full_transform(shape):
    a, b = RNG.normal(size=shape), RNG.normal(size=shape)
    sums = shell_sums(a, b)
    expected = slow_sums(a, b, min(shape) // 2)
    for got, wanted in zip((sums.ab, sums.aa, sums.bb, sums.count), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_a_volume_agrees_with_itself_and_not_with_noise():
    a = RNG.normal(size=(24, 24, 24))
    np.testing.assert_allclose(shell_sums(a, 3 * a).fsc, 1.0, atol=1e-5)
    assert np.abs(shell_sums(a, RNG.normal(size=a.shape)).fsc[3:]).max() < 0.2
    assert not shell_sums(a, np.zeros_like(a)).fsc.any()


def test_noise_of_known_strength_gives_the_known_correlation():
    # Two copies of a signal of variance 1 with noise of variance v correlate by 1 / (1 + v).
    signal = RNG.normal(size=(48, 48, 48))
    a, b = (signal + RNG.normal(0, 2, signal.shape) for _ in range(2))
    np.testing.assert_allclose(shell_sums(a, b).fsc[8:], 0.2, atol=0.06)


def test_pooled_sums_are_the_sums_of_both():
    pairs = [RNG.normal(size=(2, 12, 12, 12)) for _ in range(2)]
    first, second = (shell_sums(*pair) for pair in pairs)
    pooled = first + second
    np.testing.assert_allclose(pooled.ab, first.ab + second.ab)
    np.testing.assert_allclose(pooled.fsc, (first.ab + second.ab) / np.sqrt(pooled.aa * pooled.bb))


def a_curve(fsc):
    values = np.array([1.0, *fsc])
    return ShellSums(np.arange(len(values)) / (2 * len(fsc)), values, np.ones_like(values), *[np.ones_like(values)] * 2)


@pytest.mark.parametrize(
    ("fsc", "threshold", "expected"),
    [
        ([1.0, 0.8, 0.2, 0.0], 0.5, 2.5 / 8),
        ([1.0, 0.8, 0.2, 0.9], 0.143, None),
        ([0.1, 0.8, 0.2, 0.0], 0.143, None),
        ([1.0, 0.443, 0.043, 0.9], 0.143, 2.75 / 8),
    ],
)
def test_the_resolution_lies_where_the_curve_first_crosses(fsc, threshold, expected):
    assert resolution_per_px(a_curve(fsc), threshold) == pytest.approx(expected)


def test_volumes_of_different_shapes_are_refused():
    with pytest.raises(DataError, match="cannot be compared"):
        shell_sums(np.zeros((4, 4)), np.zeros((4, 6)))
