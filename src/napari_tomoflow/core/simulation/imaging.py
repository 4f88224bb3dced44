"""From scatterers to counts: the weak-phase image of a thick, tilted specimen.

The specimen is cut into layers across the beam. Scatterers are shared linearly between the two layers
next to them, each layer is transformed and multiplied by the CTF at its own height, and the sum is the
transform of the contrast::

    counts = mean · (1 − 2 · Σ_layers CTF(defocus_i + hand · height) · damage · phase_layer)

Layers lie so close that going linearly from one CTF to the next errs by at most
(π λ k² dz)² / 8 = 3 % of the contrast at Nyquist, and far less below. They are made a few at a time, so
memory does not grow with the thickness. Their grid is 1.5 times finer than the image and every spot is
widened by one of its pixels, which makes it band-limited; this blur is divided out in Fourier space.
From 0.9 of Nyquist on the response falls to nothing, as a sharp end would ring around every edge.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.splat import splat_planes
from napari_tomoflow.core.model import CtfSeries
from napari_tomoflow.core.ops import ctf
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.report import Report, silent, watched
from napari_tomoflow.core.simulation.molecules import Matter
from napari_tomoflow.core.simulation.view import View

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]
Transfer = Callable[[float], Reals]
"""From the height of a layer in Å to what multiplies its transform."""

METAL_AMPLITUDE_CONTRAST = 0.3
"""Of gold: most of what it scatters never passes the aperture."""

_FINER = 1.5
_ROLL_OFF = 0.9
_THICKEST_LAYER_ANG = 300.0
_PHASE_BETWEEN_LAYERS_RAD = 0.5
# Few layers bound the memory, and the time until a cancel is heard.
_LAYERS_AT_ONCE, _BYTES_AT_ONCE = 4, 2**28


class Camera:
    """The grids and transfer functions that all tilts of a series share.

    Parameters
    ----------
    size_px, pixel_ang
        Of the square images.
    lenses
        The true CTF of every tilt.
    """

    def __init__(self, size_px: int, pixel_ang: float, lenses: CtfSeries) -> None:
        self._size_px = size_px
        self._pixel_ang = pixel_ang
        self._lenses = lenses
        self._margin_px = min(_delocalised_px(pixel_ang, lenses), size_px)
        self._padded_px = next_fast_size(size_px + 2 * self._margin_px)
        self._fine_px = next_fast_size(int(np.ceil(_FINER * self._padded_px)))
        self._fine_ang = pixel_ang * self._padded_px / self._fine_px
        self._k_yx = ctf.rfft_frequencies((self._padded_px, self._padded_px), pixel_ang)
        self.k_inv_ang = np.hypot(*self._k_yx)
        self._per_height = ctf.gamma_per_defocus(self.k_inv_ang, lenses.optics).astype(np.float32)
        self._sharpening = self._window() * np.exp(2 * (np.pi * self.k_inv_ang * self._fine_ang) ** 2)
        spacing_ang = _PHASE_BETWEEN_LAYERS_RAD / float(ctf.gamma_per_defocus(0.5 / pixel_ang, lenses.optics))
        self._layer_ang = min(spacing_ang, _THICKEST_LAYER_ANG)

    @property
    def half_ang(self) -> float:
        """Half the width of what an image sees, its margin included."""
        return 0.5 * self._padded_px * self._pixel_ang

    def transfer(self, tilt: int, matter: Matter) -> Transfer:
        """Return the CTF of a tilt as a function of height, for one kind of matter."""
        lenses = self._lenses
        contrast = METAL_AMPLITUDE_CONTRAST if matter == "metal" else lenses.optics.amplitude_contrast
        gamma = ctf.gamma_2d_rad(
            self._k_yx,
            float(lenses.defocus_u_ang[tilt]),
            float(lenses.defocus_v_ang[tilt]),
            float(lenses.azimuth_deg[tilt]),
            replace(lenses.optics, amplitude_contrast=contrast),
            float(lenses.phase_deg[tilt]),
        ).astype(np.float32)
        return lambda height_ang: np.sin(gamma + np.float32(lenses.hand * height_ang) * self._per_height)

    def phase_rft(self, view: View, transfer: Transfer, report: Report = silent) -> Waves:
        """Return the transform of the phase in rad, each layer times its transfer function, on the padded grid."""
        total = np.zeros(self.k_inv_ang.shape, np.complex64)
        for height_ang, plane in self._planes(view, report):
            total += transfer(height_ang) * self._transform(plane)
        # Spots hold integrals over the plane, an image shows values: hence the area of a pixel.
        volts_to_rad = ctf.interaction_rad_per_volt_ang(self._lenses.optics) / self._pixel_ang**2
        return np.asarray(total * (volts_to_rad * self._sharpening).astype(np.float32), np.complex64)

    def image(self, rft: Waves) -> Reals:
        """Take a transform on the padded grid back to an image, without its margin."""
        padded = scipy.fft.irfft2(rft, s=(self._padded_px, self._padded_px), workers=get_num_threads())
        inside = slice(self._margin_px, self._margin_px + self._size_px)
        return np.ascontiguousarray(padded[inside, inside], np.float32)

    def _planes(self, view: View, report: Report) -> Iterator[tuple[float, Reals]]:
        """Fill the layers that hold anything, a few at a time: (height, plane on the fine grid)."""
        if not len(view):
            return
        lowest, points = self._on_fine_grid(view)
        sigmas = np.sqrt((view.sigmas_ang / np.float32(self._fine_ang)) ** 2 + np.float32(1.0))
        layer = np.floor(points[:, 0]).astype(np.int32)
        held = np.bincount(np.maximum(layer, 0))
        n_layers = len(held) + 1
        # A layer is filled from the scatterers right below and right above it.
        filled = np.convolve(held, [1, 1]) > 0
        at_once = int(np.clip(_BYTES_AT_ONCE // (4 * self._fine_px**2), 1, _LAYERS_AT_ONCE))
        for first in watched(range(0, n_layers, at_once), report, "Imaging the specimen"):
            count = min(at_once, n_layers - first)
            near = np.flatnonzero((layer >= first - 1) & (layer < first + count))
            planes = np.zeros((count, self._fine_px, self._fine_px), np.float32)
            splat_planes(planes, points[near] - np.array([first, 0, 0], np.float32), view.weights[near], sigmas[near])
            for number in np.flatnonzero(filled[first : first + count]):
                yield (lowest + first + int(number)) * self._layer_ang, planes[number]

    def _on_fine_grid(self, view: View) -> tuple[int, Reals]:
        """Return the number of the lowest layer, and the scatterers as (layer from there, y, x) of the fine grid."""
        centre_px = (self._margin_px + self._size_px // 2) * self._fine_px / self._padded_px
        lowest = int(np.floor(view.points_ang_zyx[:, 0].min() / self._layer_ang))
        scale = np.array([1 / self._layer_ang, 1 / self._fine_ang, 1 / self._fine_ang], np.float32)
        return lowest, view.points_ang_zyx * scale + np.array([-lowest, centre_px, centre_px], np.float32)

    def _window(self) -> Floats:
        """Return the response of the camera: 1 up to 0.9 of Nyquist, then half a cosine down to 0."""
        beyond = np.clip((2 * self.k_inv_ang * self._pixel_ang - _ROLL_OFF) / (1 - _ROLL_OFF), 0.0, 1.0)
        window: Floats = 0.5 + 0.5 * np.cos(np.pi * beyond)
        return window

    def _transform(self, plane: Reals) -> Waves:
        """Transform a layer and cut it down to the frequencies of the image; Nyquist itself is dropped."""
        half = self._padded_px // 2
        along_x = scipy.fft.rfft(plane, axis=1, workers=get_num_threads())[:, : half + 1]
        fine = scipy.fft.fft(along_x, axis=0, workers=get_num_threads(), overwrite_x=True)
        coarse: Waves = np.concatenate([fine[:half], fine[-half:]])
        coarse[half] = 0.0
        coarse[:, half] = 0.0
        return coarse


def _delocalised_px(pixel_ang: float, lenses: CtfSeries) -> int:
    """Return how far the CTF carries detail at Nyquist, λ · defocus · k, and a little more."""
    reach_ang = lenses.optics.wavelength_ang * float(np.abs(lenses.defocus_ang).max()) * 0.5 / pixel_ang
    return int(np.ceil(reach_ang / pixel_ang)) + 8
