"""A tomogram made ready to be matched: dense matter bright, outliers clipped, its noise white."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.matching.template import lowpass
from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.ops.fourier import half_frequencies, next_fast_size, radial_frequencies
from napari_tomoflow.core.ops.peaks import noise_sd

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

_CLIPPED_SD = 8.0
"""Gold lies further out than this, molecules do not: clipped, a bead no longer outshines everything around it."""

_SHELLS = 64
_TILE = 64
_TILES = 64


@dataclass(frozen=True, eq=False)
class RadialFilter:
    """A filter that depends on the frequency alone.

    Attributes
    ----------
    values : float64[S]
        At frequencies evenly spaced from 0 to Nyquist; straight lines in between, the last one beyond.
    """

    values: Floats

    def __call__(self, frequency_per_vox: NDArray[np.floating]) -> Image:
        """Return the filter at some frequencies, cycles per voxel."""
        place = np.linspace(0.0, 0.5, len(self.values))
        return np.asarray(np.interp(frequency_per_vox, place, self.values), np.float32)


def dense_bright(tomogram: Tomogram) -> Image:
    """Load a tomogram with dense matter bright, in standard deviations of its bulk from its median."""
    volume = np.array(tomogram.volume[:], np.float32)
    sample = volume.ravel()[:: max(1, volume.size // 1_000_000)]
    sd = noise_sd(sample) or 1.0
    volume -= np.float32(np.median(sample))
    volume *= np.float32((1.0 if tomogram.contrast == "bright" else -1.0) / sd)
    return volume


def clipped(volume_zyx: Image) -> Image:
    """Clip in place what lies further out than molecules do, and take the mean away."""
    np.clip(volume_zyx, -_CLIPPED_SD, _CLIPPED_SD, out=volume_zyx)
    volume_zyx -= np.float32(volume_zyx.mean(dtype=np.float64))
    return volume_zyx


def whitening_filter(volume_zyx: Image) -> RadialFilter:
    """Measure what brings every frequency to the same power, that at the strongest being 1.

    The power is the mean over tiles spread through the volume, each faded towards its sides.
    """
    side = tuple(min(_TILE, n) for n in volume_zyx.shape)
    fade = [np.hanning(n + 2)[1:-1].astype(np.float32) for n in side]
    window = fade[0][:, None, None] * fade[1][:, None] * fade[2]
    rng = np.random.default_rng(0)
    corners = [[rng.integers(0, n - s + 1) for n, s in zip(volume_zyx.shape, side, strict=True)] for _ in range(_TILES)]
    power = np.zeros((side[0], side[1], side[2] // 2 + 1))
    for corner in corners:
        tile = volume_zyx[tuple(slice(c, c + s) for c, s in zip(corner, side, strict=True))]
        power += np.square(np.abs(scipy.fft.rfftn((tile - tile.mean()) * window)))
    shell = np.rint(radial_frequencies(side) * 2 * _SHELLS).astype(np.int64).ravel()
    count = np.bincount(shell, minlength=_SHELLS + 1)[: _SHELLS + 1]
    total = np.bincount(shell, power.ravel(), _SHELLS + 1)[: _SHELLS + 1]
    filled = np.flatnonzero(count[1:]) + 1  # shell 0 is the mean, which was taken away
    radial = np.interp(np.arange(_SHELLS + 1), filled, total[filled] / count[filled])
    amplitude = np.sqrt(np.maximum(radial, 1e-6 * radial.max()))
    return RadialFilter(amplitude.min() / amplitude)


def filtered(volume_zyx: Image, whitening: RadialFilter | None, cutoff_per_vox: float) -> Image:
    """Low-pass a volume, and whiten it if wanted. It fades to 0 beyond its borders; the mean is 0."""
    shape = tuple(next_fast_size(n + min(_TILE // 2, n // 4)) for n in volume_zyx.shape)
    volume_rft = scipy.fft.rfftn(volume_zyx, shape, workers=get_num_threads())
    z, y, x = half_frequencies(shape)
    for plane, along_z in zip(volume_rft, z[:, 0, 0], strict=True):
        frequency = np.sqrt(along_z**2 + y[0] ** 2 + x[0] ** 2)
        plane *= lowpass(frequency, cutoff_per_vox)
        if whitening is not None:
            plane *= whitening(frequency)
    volume_rft[0, 0, 0] = 0.0
    nz, ny, nx = volume_zyx.shape
    whole = scipy.fft.irfftn(volume_rft, shape, workers=get_num_threads(), overwrite_x=True)
    return np.ascontiguousarray(whole[:nz, :ny, :nx])


def transfer_of(size: int, whitening: RadialFilter | None, cutoff_per_vox: float) -> Image:
    """Return the same filter for a box: float32[size, size, size // 2 + 1]."""
    frequency = radial_frequencies((size,) * 3)
    transfer = lowpass(frequency, cutoff_per_vox)
    return transfer if whitening is None else transfer * whitening(frequency)
