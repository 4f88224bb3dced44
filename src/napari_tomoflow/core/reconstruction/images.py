"""From the raw tilt image to a clean, binned and filtered one."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops import cleaning, filters, resample
from napari_tomoflow.core.ops.ctf import dose_envelope, rfft_frequencies
from napari_tomoflow.core.ops.deconvolution import wiener_gain
from napari_tomoflow.core.ops.fourier import fourier_crop, next_fast_size
from napari_tomoflow.core.ops.geometry import ang_from_pixels
from napari_tomoflow.core.reconstruction.beads import BeadEraser
from napari_tomoflow.core.reconstruction.ctf_correction import ctf_of, margin_px
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting

Image = NDArray[np.float32]

_TABLE_SIZE = 4096


class ImageMaker:
    """Makes the binned images of a series.

    Each image is mended (isolated pixels), freed of beads and background (if wanted), normalised, faded
    out beyond its border, binned by Fourier crop, low-passed and, if wanted, faded with exposure and
    deconvolved.

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
        cutoff, rolloff = (each / setting.px_per_voxel for each in (params.cutoff_per_px, params.rolloff_per_px))
        self._transfer = filters.lowpass_transfer(self._binned, cutoff, rolloff)
        if as_splines:
            self._transfer *= resample.spline_transfer(self._binned)
        ky, kx = rfft_frequencies((self._binned[0], self._binned[1]), setting.image_px_ang)
        self._k_inv_ang = np.hypot(ky, kx)
        self._fading = _fading_per_dose(setting, params, self._k_inv_ang)
        self._erase = BeadEraser(setting.series, setting.alignment, setting.ctf) if params.erase_beads else None

    def __call__(self, index: int) -> Image:
        """Make the image of the `index`-th tilt in use, its margin included; the centre is pixel ``n // 2``."""
        setting, tilt = self._setting, int(self._setting.tilts[index])
        image_yx, mean, sd = self._cleaned(tilt)
        if not self._params.normalise:
            mean, sd = 0.0, 1.0
        elif sd == 0:
            raise DataError(f"{setting.series.name}: image {tilt} is blank (every pixel is {mean:g}); exclude it.")
        padded_yx = filters.pad_fading(image_yx, [n * setting.factor for n in self._binned], mean, sd)
        return fourier_crop(padded_yx, self._binned, self._transfer_of(tilt))

    def _cleaned(self, tilt: int) -> tuple[Image, float, float]:
        """Read an image and take out what is not the specimen: the image, its mean and standard deviation."""
        series = self._setting.series
        image_yx = series.image(tilt)
        if not np.isfinite(image_yx).all():
            raise DataError(f"{series.name}: image {tilt} holds pixels that are not numbers; mend or exclude it.")
        mean, sd = filters.robust_mean_sd(image_yx)
        image_yx = filters.mend_isolated_pixels(image_yx, mean, sd)
        if self._erase is None and not self._params.flatten:
            return image_yx, mean, sd
        if self._erase is not None:
            image_yx = self._erase(image_yx, tilt)
        if self._params.flatten:
            image_yx = image_yx - cleaning.background(image_yx)
        return image_yx, *filters.robust_mean_sd(image_yx)

    def _transfer_of(self, tilt: int) -> Image:
        """Join all filters of the image of a tilt."""
        transfer = self._transfer
        if self._fading is not None:
            transfer = transfer * np.exp(self._fading * np.float32(_exposure_e_ang2(self._setting.series)[tilt]))
        if self._params.deconvolve:
            transfer = transfer * _deconvolving(self._setting, self._params, tilt, self._k_inv_ang)
        return transfer


class VoxelImageMaker:
    """Makes images whose pixels are as wide as voxels, and as they would be had the specimen stayed rigid.

    Parameters
    ----------
    setting : Setting
    params : ReconstructParams
    """

    def __init__(self, setting: Setting, params: ReconstructParams) -> None:
        self._setting = setting
        self._is_resampled = setting.px_per_voxel != 1.0 or setting.alignment.deformation is not None
        self._image = ImageMaker(setting, params, as_splines=self._is_resampled)

    def __call__(self, index: int) -> Image:
        """Make the image of the `index`-th tilt in use; the centre is pixel ``n // 2``."""
        image_yx = self._image(index)
        if not self._is_resampled:
            return image_yx
        zoom, shape_yx = self._setting.px_per_voxel, (image_yx.shape[0], image_yx.shape[1])
        ny, nx = (2 * int(np.ceil(n / zoom / 2)) for n in shape_yx)
        affine = np.array(
            [[zoom, 0.0, shape_yx[1] // 2 - zoom * (nx // 2)], [0.0, zoom, shape_yx[0] // 2 - zoom * (ny // 2)]]
        )
        return resample.sample_affine(image_yx, affine, (ny, nx), moves_px(self._setting, index, shape_yx))


def moves_px(setting: Setting, index: int, shape_yx: tuple[int, int], height_ang: float = 0.0) -> Image | None:
    """Return how far the deformation moved what a binned image shows, for `resample.sample_affine`.

    Parameters
    ----------
    setting : Setting
    index : int
        Number of the tilt among those in use.
    shape_yx : tuple of int
        Of the binned image.
    height_ang : float
        Of what is to be seen unbent, from the volume's centre.
    """
    deformation = setting.alignment.deformation
    if deformation is None:
        return None
    places = ang_from_pixels(resample.places_of_moves(shape_yx), setting.image_px_ang, shape_yx)
    moves_ang = deformation.displacement(int(setting.tilts[index]), places, height_ang)
    return (moves_ang / setting.image_px_ang).astype(np.float32)


def _fading_per_dose(setting: Setting, params: ReconstructParams, k_inv_ang: NDArray[np.float64]) -> Image | None:
    """Return the logarithm of what a unit of exposure leaves of each frequency of the binned images."""
    if params.dose_weighting == "none" or not _exposure_e_ang2(setting.series).any():
        return None
    left = dose_envelope(k_inv_ang, 1.0, setting.series.optics.voltage_kv, params.dose_weighting)
    return np.asarray(np.log(left), np.float32)


def _exposure_e_ang2(series: TiltSeries) -> NDArray[np.float64]:
    """Exposure at the middle of each image: float64[N]."""
    return np.asarray(series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2 / 2)


def _deconvolving(setting: Setting, params: ReconstructParams, tilt: int, k_inv_ang: NDArray[np.float64]) -> Image:
    """Return the gain of the Wiener filter for the defocus of a tilt: a tomogram of such images is deconvolved."""
    ctf = ctf_of(setting, params)
    table_inv_ang = np.linspace(0.0, float(k_inv_ang.max()), _TABLE_SIZE)
    table = wiener_gain(
        table_inv_ang, setting.voxel_ang, float(ctf.defocus_ang[tilt]), ctf.optics,
        strength=params.deconvolve_strength, falloff=params.deconvolve_falloff, is_flipped=params.ctf != "none",
    )  # fmt: skip
    return np.interp(k_inv_ang, table_inv_ang, table).astype(np.float32)
