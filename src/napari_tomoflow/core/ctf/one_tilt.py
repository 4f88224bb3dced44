"""One tilt by itself: its curve for any defocus, the best defocus near a given one, and its picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from napari_tomoflow.core.ctf.curves import Curve, curve_of
from napari_tomoflow.core.ctf.heights import RingHeights
from napari_tomoflow.core.ctf.joint import peak
from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra, image_and_gold
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.core.ops.ctf import gamma_2d_rad, gamma_per_defocus, gamma_rad
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_LEAST_ANG, _STEP_ANG = 1000.0, 50.0
_PICTURE_CLIP, _PICTURE_BLUR_PX, _RINGS_TOGETHER = 2.0, 1.5, 8.0
_ALONE = np.array([True])


@dataclass(frozen=True, eq=False)
class OneTilt:
    """The spectra of one tilt, with the geometry and the astigmatism that a fit of all tilts found.

    Attributes
    ----------
    tilt : int
        Its place in the series.
    ctf : CtfSeries
        The fit that is looked at.
    spectrum_yx : float32[S, S]
        Power, mean of all tiles, relative to the background; k = 0 in the middle, S // 2.
    pixel_ang : float
    """

    tilt: int
    ctf: CtfSeries
    spectrum_yx: Reals
    pixel_ang: float
    _measured: SeriesSpectra
    _model: CtfModel

    @classmethod
    def measure(
        cls,
        series: TiltSeries,
        alignment: Alignment | None,
        ctf: CtfSeries,
        tilt: int,
        params: CtfParams = CtfParams(),
        report: Report = silent,
    ) -> Self:
        """Read one image.

        Raises
        ------
        DataError
            It holds nothing.
        """
        if alignment is None and series.axis_deg is not None:
            alignment = Alignment.nominal(series)
        image_yx = image_and_gold(series, tilt)[0] if ctf.quality.get("gold_taken_out") else series.image(tilt)
        alone = TiltSeries(
            name=f"{series.name}, tilt {tilt}",
            images=image_yx[None],
            tilt_deg=series.tilt_deg[[tilt]],
            pixel_ang=series.pixel_ang,
            dose_before_e_ang2=series.dose_before_e_ang2[[tilt]],
            optics=series.optics,
        )
        rigid = None if alignment is None else alignment.rigid_part(np.array([tilt]))
        measured = SeriesSpectra.measure(alone, rigid, params, report)
        model = CtfModel(
            defocus_ang=ctf.defocus_ang[[tilt]],
            gradient=float(ctf.hand),
            slope_xy=_slope_xy(ctf.quality),
            astigmatism_ang=np.array([_astigmatism_ang(ctf, tilt), [0.0, 0.0]]),
            phase_rad=np.deg2rad([ctf.phase_deg[tilt], 0.0]),
        )
        return cls(tilt, ctf, _spectrum(image_yx, measured), series.pixel_ang, measured, model)

    @property
    def k_inv_ang(self) -> Floats:
        """Frequency of each ring of the curves, float64[K]."""
        return self._measured.plan.k_inv_ang

    def curve(self, defocus_ang: float) -> Curve:
        """Compare the spectrum with a defocus."""
        model = self._model.replace(defocus_ang=np.array([defocus_ang]))
        return curve_of(self._measured, 0, model, RingHeights(self._measured).measure(model, _ALONE)[0])

    def refit(self, defocus_ang: float, within_ang: float, report: Report = silent) -> float:
        """Find the likeliest defocus near a given one, each tried with ring heights of its own."""
        trials_ang = np.arange(max(_LEAST_ANG, defocus_ang - within_ang), defocus_ang + within_ang, _STEP_ANG)
        trials = watched(list(trials_ang), report, "Fitting the defocus of one tilt")
        explained = np.array([self._explained(float(one)) for one in trials])
        return peak(trials_ang, explained)[0]

    def with_defocus(self, defocus_ang: float) -> CtfSeries:
        """Return the CTF with another mean defocus of this tilt, its astigmatism kept, its score that of the curve.

        Raises
        ------
        DataError
            There is no focus below it.
        """
        ctf, tilt = self.ctf, self.tilt
        half_ang = 0.5 * (ctf.defocus_u_ang[tilt] - ctf.defocus_v_ang[tilt])
        if not defocus_ang > half_ang:
            raise DataError(
                f"Tilt {tilt} cannot have a defocus of {1e-4 * defocus_ang:g} µm; give more than half its astigmatism, "
                f"{1e-4 * half_ang:.3f} µm."
            )
        curve = self.curve(defocus_ang)
        values = {
            "defocus_u_ang": defocus_ang + half_ang,
            "defocus_v_ang": defocus_ang - half_ang,
            "score": curve.score,
            "fit_ang": curve.fit_ang,
        }
        return ctf.replace(**{name: _with(getattr(ctf, name), tilt, value) for name, value in values.items()})

    def picture(self, defocus_ang: float) -> Reals:
        """Put the measured spectrum beside its fit: left half measured, right half fitted, 0 to 1, float32[S, S]."""
        size_px = len(self.spectrum_yx)
        half_ang = 0.5 * float(self.ctf.defocus_u_ang[self.tilt] - self.ctf.defocus_v_ang[self.tilt])
        k_yx = _frequencies(size_px, self.pixel_ang)
        gamma = gamma_2d_rad(
            k_yx, defocus_ang + half_ang, defocus_ang - half_ang, float(self.ctf.azimuth_deg[self.tilt]),
            self._measured.optics, float(self.ctf.phase_deg[self.tilt]),
        )  # fmt: skip
        k = np.hypot(*k_yx)
        picture = np.where(np.arange(size_px) < size_px // 2, self._rings_of_equal_height(k), np.sin(gamma) ** 2)
        compared = (k >= self.k_inv_ang[0]) & (k <= self.k_inv_ang[-1])
        return np.asarray(np.where(compared, picture, 0.0), np.float32)

    def _explained(self, defocus_ang: float) -> float:
        """Return the log-likelihood of rings as high as they are measured under a defocus, over that of none."""
        measured, model = self._measured, self._model.replace(defocus_ang=np.array([defocus_ang]))
        plan, one = measured.plan, measured.spectra[0]
        heights = RingHeights(measured).measure(model, _ALONE)[0]
        reference = 2 * (gamma_rad(plan.k_inv_ang, defocus_ang, measured.optics) + model.phase_rad[0])
        offsets_ang = measured.geometry.offsets_of_tilt(model, 0)[one.used]
        angles = reference + offsets_ang[..., None] * (2 * gamma_per_defocus(plan.k_inv_ang, measured.optics))
        contrast = plan.ring_contrast(defocus_ang, measured.optics)
        rings = measured.smooth.without(heights * (1.0 - contrast * np.cos(angles)))
        return float(np.sum(plan.counts * rings * (one.excess[one.used] - 0.5 * rings)))

    def _rings_of_equal_height(self, k_inv_ang: Floats) -> Floats:
        """Scale the spectrum ring by ring, so that faint ones are seen as well: 0 … 1."""
        ring = np.rint(k_inv_ang * len(self.spectrum_yx) * self.pixel_ang).astype(np.int64).ravel()
        spectrum = self.spectrum_yx.ravel()
        held = np.bincount(ring)
        offset = gaussian_filter1d(np.bincount(ring, spectrum) / held, _RINGS_TOGETHER)
        squares = np.bincount(ring, (spectrum - offset[ring]) ** 2) / held
        spread = np.sqrt(gaussian_filter1d(squares, _RINGS_TOGETHER))
        scaled = 0.5 + (spectrum - offset[ring]) / (2 * _PICTURE_CLIP * np.maximum(spread[ring], 1e-12))
        return np.asarray(np.clip(scaled, 0.0, 1.0).reshape(self.spectrum_yx.shape), np.float64)


def _spectrum(image_yx: Reals, measured: SeriesSpectra) -> Reals:
    """Average the tiles' power, divide it by the background and smooth out some noise: float32[S, S]."""
    plan = measured.plan
    window = np.hanning(plan.size_px + 1)[:-1].astype(np.float32)
    power = np.zeros((plan.size_px, plan.size_px), np.float32)
    used = measured.spectra[0].used
    for y, x in plan.starts_yx[used]:
        cut = image_yx[y : y + plan.size_px, x : x + plan.size_px]
        power += np.abs(scipy.fft.fft2((cut - cut.mean()) * window[:, None] * window)) ** 2
    k = np.hypot(*_frequencies(plan.size_px, plan.size_ang / plan.size_px))
    background = np.exp(np.interp(k, plan.k_inv_ang, np.log(measured.spectra[0].background)))
    relative = np.fft.fftshift(power) / (int(used.sum()) * background)
    return np.asarray(gaussian_filter(relative, _PICTURE_BLUR_PX), np.float32)


def _frequencies(size_px: int, pixel_ang: float) -> tuple[Floats, Floats]:
    """Return (ky[S, 1], kx[1, S]) with k = 0 in the middle, 1/Å."""
    k = np.fft.fftshift(np.fft.fftfreq(size_px, pixel_ang))
    return k[:, None], k[None, :]


def _slope_xy(quality: Mapping[str, Any]) -> Floats:
    """Read the slope of the specimen that a fit has told; flat where it has not."""
    slope_deg_xy: Floats = np.array(quality.get("slope_deg_xy", (0.0, 0.0)), np.float64)
    return np.tan(np.deg2rad(slope_deg_xy))


def _astigmatism_ang(ctf: CtfSeries, tilt: int) -> Floats:
    half_ang = 0.5 * float(ctf.defocus_u_ang[tilt] - ctf.defocus_v_ang[tilt])
    azimuth = float(np.deg2rad(2 * ctf.azimuth_deg[tilt]))
    return half_ang * np.array([np.cos(azimuth), np.sin(azimuth)])


def _with(values: Floats, tilt: int, value: float) -> Floats:
    changed = np.array(values)
    changed[tilt] = value
    return changed
