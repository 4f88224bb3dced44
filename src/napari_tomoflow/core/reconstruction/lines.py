"""From a tilt image to the lines that are spread through the volume."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops import filters, resample
from napari_tomoflow.core.ops.backprojection import LineGeometry, angular_spacing, grid_in_image
from napari_tomoflow.core.ops.ctf import dose_envelope, rfft_frequencies
from napari_tomoflow.core.ops.fourier import fourier_crop, next_fast_size
from napari_tomoflow.core.reconstruction.ctf_correction import CtfCorrection, correction_for, margin_px
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting

Image = NDArray[np.float32]

_SIRT_LIKE_ITERATIONS = 10


class ImageMaker:
    """Makes the binned images of a series.

    Each image is mended (isolated pixels), normalised, faded out beyond its border, binned by
    Fourier crop, low-passed and, if wanted, faded with exposure.

    Parameters
    ----------
    setting : Setting
    params : ReconstructParams
    as_splines : bool
        Give the weights of cubic splines instead of pixels, for `resample.sample_affine`.
    """

    def __init__(self, setting: Setting, params: ReconstructParams, as_splines: bool) -> None:
        self._setting, self._params = setting, params
        shape_yx, factor = setting.series.shape_yx, setting.factor
        reach_px = margin_px(setting, params)
        margins = [max(params.edge_taper * n, reach_px) for n in shape_yx]
        self._binned = [
            next_fast_size(int(np.ceil((n + 2 * margin) / factor))) for n, margin in zip(shape_yx, margins, strict=True)
        ]
        self._transfer = filters.lowpass_transfer(self._binned, params.cutoff_per_px, params.rolloff_per_px)
        if as_splines:
            self._transfer *= resample.spline_transfer(self._binned)
        self._fading = _fading_per_dose(setting, params, (self._binned[0], self._binned[1]))

    def __call__(self, index: int) -> Image:
        """Make the image of the `index`-th tilt in use, its margin included; the centre is pixel ``n // 2``."""
        setting = self._setting
        padded = [n * setting.factor for n in self._binned]
        image_yx = readied_image(setting.series, int(setting.tilts[index]), padded, self._params.normalise)
        transfer = self._transfer
        if self._fading is not None:
            exposure = _exposure_e_ang2(setting.series)[setting.tilts[index]]
            transfer = transfer * np.exp(self._fading * np.float32(exposure))
        return fourier_crop(image_yx, self._binned, transfer)


class LineMaker:
    """Makes the lines of any tilt of a series; what all tilts share is prepared once.

    Each image is prepared (`ImageMaker`), corrected for the CTF in strips (if wanted), resampled once
    by a cubic spline so that the tilt axis is y, and filtered along its lines.

    Parameters
    ----------
    setting : Setting
    geometry : LineGeometry
        Of the same setting.
    params : ReconstructParams
    """

    def __init__(self, setting: Setting, geometry: LineGeometry, params: ReconstructParams) -> None:
        self._geometry, self._params = geometry, params
        self.image = ImageMaker(setting, params, as_splines=True)
        self._strips = _strips(setting, geometry, params)
        line_size = filters.padded_line_size(geometry.n_u)
        self._ramp = filters.ramp_weights(line_size, params.low_frequency)
        self._ramp *= filters.undo_linear_interpolation(line_size)
        if params.weighting == "sirt-like":
            iterations = params.iterations or _SIRT_LIKE_ITERATIONS
            self._ramp *= filters.sirt_like_weights(line_size, iterations, _first_per_px(setting))

    def __call__(self, index: int) -> Image:
        """Make the lines of the `index`-th tilt in use: float32[n_v, n_u]."""
        image_yx = self.image(index)
        if self._strips is None:
            return self.lines(image_yx, index)
        versions = (self.lines(version_yx, index) for version_yx in self._strips.versions(image_yx, index))
        return self._strips.in_strips(versions, self._geometry, index)

    def lines(self, image_yx: Image, index: int) -> Image:
        """Resample the image of the `index`-th tilt in use and filter its lines: float32[n_v, n_u]."""
        geometry = self._geometry
        affine = grid_in_image(geometry, index, (image_yx.shape[0], image_yx.shape[1]))
        lines_vu = resample.sample_affine(image_yx, affine, (geometry.n_v, geometry.n_u))
        return filters.filter_lines(lines_vu, self._ramp) if self._params.weighting != "none" else lines_vu


def _strips(setting: Setting, geometry: LineGeometry, params: ReconstructParams) -> CtfCorrection | None:
    """Plan the correction in strips, if that is wanted."""
    if params.ctf != "strips":
        return None
    matrices = setting.alignment.image_from_sample()[setting.tilts]
    return correction_for(setting, params, matrices, geometry.shape_zyx)


def _fading_per_dose(setting: Setting, params: ReconstructParams, shape_yx: tuple[int, int]) -> Image | None:
    """Return the logarithm of what a unit of exposure leaves of each frequency of the binned images."""
    if params.dose_weighting == "none" or not _exposure_e_ang2(setting.series).any():
        return None
    ky, kx = rfft_frequencies(shape_yx, setting.voxel_ang)
    left = dose_envelope(np.hypot(ky, kx), 1.0, setting.series.optics.voltage_kv, params.dose_weighting)
    return np.asarray(np.log(left), np.float32)


def _exposure_e_ang2(series: TiltSeries) -> NDArray[np.float64]:
    """Exposure at the middle of each image: float64[N]."""
    return np.asarray(series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2 / 2)


def _first_per_px(setting: Setting) -> float:
    """Return the frequency up to which one SIRT iteration brings back everything; see `filters.sirt_like_weights`."""
    tilt_deg = setting.tilt_deg
    mean_cosine = np.abs(np.cos(np.deg2rad(tilt_deg))).mean()
    return float(mean_cosine / (setting.shape_zyx[0] * angular_spacing(tilt_deg).sum()))


def readied_image(series: TiltSeries, tilt: int, shape_yx: Sequence[int], normalise: bool) -> Image:
    """Read an image, mend isolated pixels, bring it to mean 0 and standard deviation 1 if wanted, and pad it."""
    image_yx = series.image(tilt)
    if not np.isfinite(image_yx).all():
        raise DataError(f"{series.name}: image {tilt} holds pixels that are not numbers; mend or exclude it.")
    mean, sd = filters.robust_mean_sd(image_yx)
    image_yx = filters.mend_isolated_pixels(image_yx, mean, sd)
    if not normalise:
        return filters.pad_fading(image_yx, shape_yx)
    if sd == 0:
        raise DataError(f"{series.name}: image {tilt} is blank (every pixel is {mean:g}); exclude it.")
    return filters.pad_fading(image_yx, shape_yx, mean, sd)
