"""Deconvolution of tomograms for looking at: coarse contrast that the CTF took is given back, noise is not."""

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model.optics import Optics
from napari_tomoflow.core.ops.ctf import ctf_1d
from napari_tomoflow.core.ops.fourier import radial_frequencies

_TABLE_SIZE = 2048
_FALLOFF_PER_NYQUIST = 100.0


def signal_to_noise(
    k_inv_ang: ArrayLike, voxel_ang: float, strength: float, falloff: float, highpass: float
) -> NDArray[np.float64]:
    """Guess the ratio of signal to noise power of a cryo tomogram.

    Parameters
    ----------
    k_inv_ang
        Frequencies, 1/Å.
    voxel_ang : float
    strength : float
        The ratio at 0 is ``10 ** (3 · strength)``.
    falloff : float
        How fast it falls: ``exp(-100 · falloff · f / voxel_ang)`` with f the fraction of Nyquist.
    highpass : float
        Fraction of Nyquist below which it is faded out: coarser than that is gradients of the ice.
    """
    fraction = 2.0 * voxel_ang * np.asarray(k_inv_ang, np.float64)
    rise = 1.0 - np.cos(np.pi * np.minimum(1.0, fraction / highpass))
    decay = np.exp(-_FALLOFF_PER_NYQUIST * falloff * fraction / voxel_ang)
    return np.asarray(decay * 10.0 ** (3.0 * strength) * rise)


def wiener_gain(
    k_inv_ang: ArrayLike,
    voxel_ang: float,
    defocus_ang: float,
    optics: Optics,
    *,
    strength: float = 1.0,
    falloff: float = 1.0,
    highpass: float = 0.02,
    is_flipped: bool = False,
) -> NDArray[np.float64]:
    """Return the gain of the Wiener filter ``CTF / (CTF² + 1 / snr)``; see `deconvolve` for the parameters."""
    ctf = ctf_1d(k_inv_ang, defocus_ang, optics)
    ctf = np.abs(ctf) if is_flipped else ctf
    snr = signal_to_noise(k_inv_ang, voxel_ang, strength, falloff, highpass)
    return np.asarray(ctf * snr / (ctf**2 * snr + 1.0))


def deconvolve(
    volume_zyx: ArrayLike,
    voxel_ang: float,
    defocus_ang: float,
    optics: Optics,
    *,
    strength: float = 1.0,
    falloff: float = 1.0,
    highpass: float = 0.02,
    is_flipped: bool = False,
) -> NDArray[np.float32]:
    """Deconvolve a tomogram, or an image, by one CTF: a Wiener filter whose noise is guessed.

    Parameters
    ----------
    volume_zyx : array[...]
    voxel_ang : float
    defocus_ang : float
        Mean defocus of the series, underfocus positive.
    optics : Optics
    strength, falloff, highpass : float
        See `signal_to_noise`.
    is_flipped : bool
        Whether the phases were corrected before.

    Returns
    -------
    float32[...]
        Dark stays dark; the mean becomes 0.

    References
    ----------
    Tegunov, D. and Cramer, P. Nat. Methods 16, 1146 (2019), doi:10.1038/s41592-019-0580-y.
    """
    volume_rft = scipy.fft.rfftn(np.asarray(volume_zyx, np.float32))
    shape = np.shape(volume_zyx)
    k_inv_ang = radial_frequencies(shape) / np.float32(voxel_ang)
    # The gain depends on |k| alone, and a table is read fifty times faster than sines are computed.
    table_inv_ang = np.linspace(0.0, float(k_inv_ang.max()), _TABLE_SIZE * max(1, max(shape) // 256))
    table = wiener_gain(
        table_inv_ang, voxel_ang, defocus_ang, optics,
        strength=strength, falloff=falloff, highpass=highpass, is_flipped=is_flipped,
    )  # fmt: skip
    volume_rft *= np.interp(k_inv_ang, table_inv_ang, table).astype(np.float32)
    return np.asarray(scipy.fft.irfftn(volume_rft, s=shape, overwrite_x=True), np.float32)
