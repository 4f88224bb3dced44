"""Fourier transforms with the project's centre: pixel ``n // 2`` stays the centre, whatever the parity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError


def next_fast_size(size: int) -> int:
    """Return the smallest even size of at least `size` whose transform is fast (2ᵃ 3ᵇ 5ᶜ)."""
    return 2 * int(scipy.fft.next_fast_len((max(size, 1) + 1) // 2, real=True))


def pad_centred(array: NDArray[Any], shape: Sequence[int], mode: Any = "edge") -> NDArray[Any]:
    """Enlarge the last axes to `shape`, so that pixel ``n // 2`` of the old is pixel ``n // 2`` of the new.

    Parameters
    ----------
    array : array[..., *shape before]
    shape : sequence of int
        New length of each of the last axes, none shorter than before.
    mode
        How `numpy.pad` fills the margin: ``"edge"``, ``"constant"`` (zeros), ``"reflect"``, ...
    """
    old = array.shape[array.ndim - len(shape) :]
    if any(new < n for n, new in zip(old, shape, strict=True)):
        raise DataError(f"An array of {old} cannot be padded to {tuple(shape)}; give a shape that is not smaller.")
    front = [new // 2 - n // 2 for n, new in zip(old, shape, strict=True)]
    margins = [(before, new - n - before) for n, new, before in zip(old, shape, front, strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - len(shape)) + margins, mode=mode)


def crop_centred(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Cut the last axes down to `shape` around pixel ``n // 2``: the inverse of `pad_centred`. A view."""
    old = array.shape[array.ndim - len(shape) :]
    if any(new > n for n, new in zip(old, shape, strict=True)):
        raise DataError(f"An array of {old} cannot be cut to {tuple(shape)}; give a shape that is not larger.")
    starts = [n // 2 - new // 2 for n, new in zip(old, shape, strict=True)]
    window: Any = (..., *(slice(start, start + new) for start, new in zip(starts, shape, strict=True)))
    return np.asarray(array[window])


def fourier_crop(
    image_yx: NDArray[Any], shape: Sequence[int], transfer_rft: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Resample real images on a coarser grid by cutting their transform; the field of view stays.

    Parameters
    ----------
    image_yx : array[..., ny, nx]
        Images or volumes; the last ``len(shape)`` axes are resampled.
    shape : sequence of int
        New length of each of these axes, none longer than before.
    transfer_rft : array, optional
        Multiplies the half transform of the result, e.g. a filter on `half_frequencies`; spares a
        second pair of transforms.

    Returns
    -------
    float32[..., *shape]
        The band-limited image on a grid whose pixel is ``n / shape`` times as wide. Means are kept.

    Notes
    -----
    Pixel ``n // 2`` before and pixel ``shape // 2`` after show the same point, odd sizes included:
    for those the phase of half a pixel that the change of parity brings is undone. The frequency at
    the new Nyquist, of which an even grid holds only the cosine, is dropped on axes that shrink. The
    image counts as periodic, so opposite borders mix within a few pixels.
    """
    axes = tuple(range(image_yx.ndim - len(shape), image_yx.ndim))
    old = tuple(image_yx.shape[axis] for axis in axes)
    if any(not 1 <= new <= n for n, new in zip(old, shape, strict=True)):
        raise DataError(f"An image of {old} cannot be Fourier-cropped to {tuple(shape)}; give a smaller shape.")
    image_rft = scipy.fft.rfftn(np.asarray(image_yx, np.float32), axes=axes)
    for axis, n, new in zip(axes, old, shape, strict=True):
        if new < n:
            image_rft = _crop_axis(image_rft, axis, n, new, half=axis == axes[-1])
    image_rft *= np.float32(np.prod(shape, dtype=np.float64) / np.prod(old, dtype=np.float64))
    if transfer_rft is not None:
        image_rft *= transfer_rft
    cropped = scipy.fft.irfftn(image_rft, s=tuple(shape), axes=axes, overwrite_x=True)
    return np.asarray(cropped, np.float32)


def half_frequencies(shape: Sequence[int]) -> tuple[NDArray[np.float32], ...]:
    """Return the frequencies of a half transform, one array per axis that broadcast together, cycles per pixel."""
    axes = [scipy.fft.fftfreq(n) for n in shape[:-1]] + [scipy.fft.rfftfreq(shape[-1])]
    grids = np.meshgrid(*axes, indexing="ij", sparse=True)
    return tuple(grid.astype(np.float32) for grid in grids)


def radial_frequencies(shape: Sequence[int]) -> NDArray[np.float32]:
    """Return how far each coefficient of a half transform lies from frequency 0, cycles per pixel."""
    return np.sqrt(np.asarray(sum(axis**2 for axis in half_frequencies(shape)), np.float32))


def _crop_axis(image_ft: NDArray[Any], axis: int, n: int, new: int, *, half: bool) -> NDArray[Any]:
    """Keep the frequencies below the new Nyquist along one axis of a transform, and the centre in place."""
    frequency = np.arange(new // 2 + 1) if half else np.rint(scipy.fft.fftfreq(new) * new)
    taken = np.take(image_ft, frequency.astype(np.int64) % n, axis=axis)
    phase = np.exp(2j * np.pi * frequency * (n // 2 / n - new // 2 / new))
    phase[2 * np.abs(frequency) >= new] = 0.0
    along = [1] * image_ft.ndim
    along[axis] = -1
    return np.asarray(taken * phase.reshape(along).astype(np.complex64))


def fourier_bin(image_yx: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Bin images by a whole factor through `fourier_crop`, so that a pixel is exactly `factor` as wide.

    Parameters
    ----------
    image_yx : array[..., ny, nx]
    factor : int
        At least 1. Sizes it does not divide are first padded with the border's values.

    Returns
    -------
    float32[..., ceil(ny / factor), ceil(nx / factor)]
        An offset of d px from pixel ``n // 2`` becomes one of ``d / factor`` px.
    """
    if factor < 1:
        raise DataError(f"The binning cannot be {factor}; give a whole number of at least 1.")
    if factor == 1:
        return np.asarray(image_yx, np.float32)
    shape = binned_shape(image_yx.shape[-2:], factor)
    return fourier_crop(pad_centred(image_yx, [n * factor for n in shape]), shape)


def binned_shape(shape: Sequence[int], factor: int) -> tuple[int, ...]:
    """Return the sizes after `fourier_bin`: rounded up."""
    return tuple(-(-n // factor) for n in shape)
