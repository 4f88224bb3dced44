"""Images of particles straight from raw tilt series, through alignment and CTF.

Boxes are cut at whole pixels around where each particle is seen, wide enough for what the CTF carries out of
them; the remainder of the shift is a phase. Their transforms are cropped to the wanted pixel, divided by the
spectrum of the noise of their tilt, and multiplied by the CTF at the height of the particle, by what exposure and
tilt leave of the signal, and cut down to the box (`images.cut_to_box`).

Legend: N tilts of the series, T of them in use, P particles.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices, ParticleImages, cut_to_box, shift_phases
from napari_tomoflow.core.averaging.noise import noise_of
from napari_tomoflow.core.averaging.relion_fading import relion_fading
from napari_tomoflow.core.averaging.sampling import Response, Sampling, cropped_rft, even, on_half_transform
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Dataset, ParticleSet, TiltSeries
from napari_tomoflow.core.model.paths import path_weights
from napari_tomoflow.core.ops.filters import mend_isolated_pixels
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.ops.geometry import pixels_from_ang

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

_SPARE_PX = 4
_MOST_MARGIN = 1.0
"""Margin on either side at most, in boxes."""

_CLIP_SD = 4.0


@dataclass(frozen=True, eq=False)
class WideBoxes:
    """Transforms of wide boxes around some particles in one tilt, and what the microscope did to them.

    Attributes
    ----------
    images_rft : complex64[P, m, m // 2 + 1]
        Orthonormal, dense matter bright, the particle at pixel 0, background 0; 0 where it is not seen.
    ctf : float32[P, m, m // 2 + 1]
    left : float32[m, m // 2 + 1]
        What exposure and tilt leave of the signal.
    noise : float32[m, m // 2 + 1]
        Standard deviation of the noise.
    visible : bool[P]
    """

    images_rft: Waves
    ctf: Reals
    left: Reals
    noise: Reals
    visible: NDArray[np.bool_]

    def weighed(self) -> tuple[Waves, Reals]:
        """Return D and P of `core.averaging.images`, in the wide boxes."""
        transfer = self.ctf * (self.left / self.noise)
        return self.images_rft * (transfer / self.noise), transfer**2


class SeriesImages:
    """Cuts particles out of one tilt series.

    Parameters
    ----------
    series : TiltSeries
    alignment : Alignment
    ctf : CtfSeries or None
        Without it images count as if the microscope had none.
    sampling : Sampling
    """

    def __init__(self, series: TiltSeries, alignment: Alignment, ctf: CtfSeries | None, sampling: Sampling) -> None:
        _check_counts(series, alignment, ctf)
        self._series, self.alignment, self._ctf, self._sampling = series, alignment, ctf, sampling
        self.tilts: Indices = np.flatnonzero(series.kept & alignment.kept)
        if not len(self.tilts):
            raise DataError(f"{series.name}: no tilt is in use; keep some.")
        self._path_weights = path_weights(series)
        self._wide_px, self._raw_px = self._box_sizes()
        self.pixel_ang = series.pixel_ang * self._raw_px / self._wide_px
        self.optics = series.optics if ctf is None else ctf.optics
        self._response = Response(self._wide_px, self.pixel_ang, self.optics, sampling.dose_weighting)
        # Curves, not planes: they go along with every batch that is sent to another process.
        self._noise = [noise_of(series, int(tilt), self._raw_px, self._wide_px) for tilt in self.tilts]

    def _box_sizes(self) -> tuple[int, int]:
        """Choose the wide box in wanted pixels and in raw ones, so that they span the same field."""
        series, sampling = self._series, self._sampling
        if sampling.pixel_ang < series.pixel_ang * (1 - 1e-3):
            raise DataError(
                f"{series.name}: a pixel of {sampling.pixel_ang:g} Å is finer than the {series.pixel_ang:g} Å of the "
                "images; give a coarser one."
            )
        binning = sampling.pixel_ang / series.pixel_ang
        least = next_fast_size(sampling.box_px + 2 * self._margin_px())
        choices = [next_fast_size(least + spare) for spare in range(0, max(8, least // 4), 2)]
        error = [abs(even(wide * binning) / (wide * binning) - 1.0) for wide in choices]
        wide = choices[int(np.argmin(np.round(error, 5)))]
        return wide, even(wide * binning)

    def _margin_px(self) -> int:
        """Return how far the CTF carries the finest detail: λ · defocus · k, in wanted pixels."""
        if self._ctf is None:
            return _SPARE_PX
        pixel_ang = self._sampling.pixel_ang
        defocus_ang = float(np.abs(self._ctf.defocus_ang[self.tilts]).max())
        reach_px = self._ctf.optics.wavelength_ang * defocus_ang * 0.5 / pixel_ang**2
        return int(np.ceil(min(reach_px, _MOST_MARGIN * self._sampling.box_px))) + _SPARE_PX

    def places(self, centers_ang_zyx: Floats, paths_ang_zyx: Floats | None = None) -> tuple[Floats, Floats]:
        """Return where each tilt shows particles and how high they lie, as `Alignment.project` does.

        Parameters
        ----------
        centers_ang_zyx : float64[P, 3]
            Å from the tomogram's centre.
        paths_ang_zyx : float64[P, nodes, 3], optional
            How they move as they are exposed.
        """
        if paths_ang_zyx is None:
            return self.alignment.project(centers_ang_zyx)
        return self.alignment.project(centers_ang_zyx, np.einsum("nk,pka->npa", self._path_weights, paths_ang_zyx))

    def images(self, centers_ang_zyx: Floats, paths_ang_zyx: Floats | None = None) -> ParticleImages:
        """Return the images of particles; see `places`."""
        n, count = self._sampling.box_px, len(centers_ang_zyx)
        shape = (count, len(self.tilts), n, n // 2 + 1)
        images_rft, power = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        visible = np.zeros(shape[:2], np.bool_)
        image_ang_yx, depth_ang = self.places(centers_ang_zyx, paths_ang_zyx)
        for index, tilt in enumerate(self.tilts):
            boxes = self.wide_boxes(index, image_ang_yx[tilt], depth_ang[tilt])
            images_rft[:, index], power[:, index] = cut_to_box(*boxes.weighed(), n)
            visible[:, index] = boxes.visible
        power *= visible[..., None, None]
        return ParticleImages(
            images_rft=images_rft,
            power=power,
            rotations=np.tile(self.rotations, (count, 1, 1, 1)),
            visible=visible,
            pixel_ang=self.pixel_ang,
        )

    def wide_boxes(self, index: int, image_ang_yx: Floats, depth_ang: Floats) -> WideBoxes:
        """Cut particles out of the `index`-th tilt in use, seen at some places and heights."""
        shape_yx = self._series.shape_yx
        seen_px = pixels_from_ang(image_ang_yx, self._series.pixel_ang, shape_yx)
        whole = np.rint(seen_px).astype(np.int64)
        visible = self._are_inside(seen_px)
        boxes = self._raw_boxes(index, whole, visible)
        images_rft = cropped_rft(boxes, self._wide_px)
        # Pixel n // 2 of the box and the fraction beyond it become pixel 0.
        back_px = -(self._raw_px // 2 + seen_px - whole) * (self._wide_px / self._raw_px)
        images_rft *= shift_phases(self._wide_px, back_px)
        self._response.set_right(images_rft)
        noise = on_half_transform(self._noise[index].amplitude, self._wide_px)
        return WideBoxes(images_rft, self._ctf_at(index, depth_ang), self._left(index), noise, visible)

    def seen(self, centers_ang_zyx: Floats, paths_ang_zyx: Floats | None = None) -> NDArray[np.bool_]:
        """Tell which particles lie wholly within which of the images in use: bool[P, T]; see `places`."""
        image_ang_yx, _ = self.places(centers_ang_zyx, paths_ang_zyx)
        places = pixels_from_ang(image_ang_yx[self.tilts], self._series.pixel_ang, self._series.shape_yx)
        return self._are_inside(places).T

    def _are_inside(self, seen_px: Floats) -> NDArray[np.bool_]:
        radius_px = self._sampling.radius_ang / self._series.pixel_ang
        last = np.array(self._series.shape_yx) - 1 - radius_px
        return np.asarray(np.all((seen_px >= radius_px) & (seen_px <= last), axis=-1))

    def _raw_boxes(self, index: int, centre_px: Indices, visible: NDArray[np.bool_]) -> Reals:
        """Read boxes about some pixels, background 0 and its standard deviation 1, dense matter bright."""
        size, mean, sd = self._raw_px, self._noise[index].mean, self._noise[index].sd
        boxes = np.zeros((len(centre_px), size, size), np.float32)
        read = _Reader(self._series, int(self.tilts[index]), int(visible.sum()) * size**2)
        for number in np.flatnonzero(visible):
            inside = read.into(boxes[number], centre_px[number] - size // 2)
            pixels = mend_isolated_pixels(boxes[number][inside], mean, sd)
            boxes[number][inside] = pixels - self._background(pixels, inside, mean, sd)
        sign = -1.0 if self._series.contrast == "dark" else 1.0
        boxes *= np.float32(sign / sd)
        return boxes

    def _background(self, pixels_yx: Reals, inside: tuple[slice, slice], mean: float, sd: float) -> np.float32:
        """Average the pixels beyond the radius of the particle, each kept within a few SD of the tilt's mean."""
        offset = np.arange(self._raw_px) - self._raw_px // 2
        y, x = offset[inside[0]][::2], offset[inside[1]][::2]
        radius_px = self._sampling.radius_ang / self._series.pixel_ang
        outside = y[:, None] ** 2 + x**2 > radius_px**2
        sample = pixels_yx[::2, ::2][outside]
        if not len(sample):
            return np.float32(mean)
        return np.float32(np.clip(sample, mean - _CLIP_SD * sd, mean + _CLIP_SD * sd).mean(dtype=np.float64))

    def _left(self, index: int) -> Reals:
        """Return what exposure and tilt leave of the signal: float32[m, m // 2 + 1]."""
        tilt = int(self.tilts[index])
        left = self._response.fading(self.dose_e_ang2[index], 0.0 if self._ctf is None else self._ctf.b_ang2[tilt])
        weight = abs(self.alignment.rotations[tilt, 2, 2]) if self._sampling.tilt_weighting else 1.0
        return left * np.float32(weight * self.strength[index])

    def left_by_relion(self, index: int) -> Reals:
        """Return what RELION 5 takes exposure and tilt to leave, whatever the sampling: float32[m, m // 2 + 1]."""
        fading = relion_fading(self._wide_px, self.pixel_ang, self.dose_before_e_ang2[index])
        return fading * np.float32(abs(self.alignment.rotations[self.tilts[index], 2, 2]) * self.strength[index])

    def _ctf_at(self, index: int, depth_ang: Floats) -> Reals:
        """Return the CTF at some heights: float32[P, m, m // 2 + 1]."""
        if self._ctf is None:
            return np.ones((len(depth_ang), self._wide_px, self._wide_px // 2 + 1), np.float32)
        return self._response.ctf(*self.lens(index, depth_ang))

    @property
    def wide_px(self) -> int:
        """Edge of the wide boxes, m."""
        return self._wide_px

    @property
    def rotations(self) -> Floats:
        """R of each tilt in use, stretched as the microscope stretches what lies within a box: float64[T, 3, 3].

        Where boxes are is the alignment's: it was fitted to where things are seen, stretched or not.
        """
        return np.asarray(self.optics.stretch @ self.alignment.rotations[self.tilts])

    @property
    def dose_before_e_ang2(self) -> Floats:
        """Exposure before each image in use, e/Å²: float64[T]."""
        return np.asarray(self._series.dose_before_e_ang2[self.tilts])

    @property
    def dose_e_ang2(self) -> Floats:
        """Exposure at the middle of each image in use, e/Å²: float64[T]."""
        series = self._series
        return np.asarray((series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2 / 2)[self.tilts])

    @property
    def strength(self) -> Floats:
        """Amplitude of each image in use, over what exposure and tilt leave: float64[T]."""
        return np.ones(len(self.tilts)) if self._ctf is None else self._ctf.scale[self.tilts]

    def lens(self, index: int, depth_ang: Floats) -> Floats:
        """Return how the `index`-th tilt in use sees particles at some heights, zeros where no CTF is known.

        Returns
        -------
        float64[4, P]
            Defocus u and v in Å, azimuth and phase shift in degrees.
        """
        lens = np.zeros((4, len(depth_ang)))
        if self._ctf is not None:
            ctf, tilt = self._ctf, int(self.tilts[index])
            lens[:2] = ctf.hand * depth_ang
            central = (ctf.defocus_u_ang, ctf.defocus_v_ang, ctf.azimuth_deg, ctf.phase_deg)
            lens += np.array([column[tilt] for column in central])[:, None]
        return lens


class _Reader:
    """Reads boxes of one tilt: the whole image at once where boxes would touch most of it."""

    def __init__(self, series: TiltSeries, tilt: int, wanted_px: int) -> None:
        self._shape_yx = series.shape_yx
        self._images, self._tilt = series.images, tilt
        self._whole = series.image(tilt) if 2 * wanted_px > np.prod(series.shape_yx) else None

    def into(self, box_yx: Reals, corner_yx: Indices) -> tuple[slice, slice]:
        """Fill what lies inside the image, and say which part of the box that is."""
        low = np.maximum(corner_yx, 0)
        high = np.minimum(corner_yx + box_yx.shape, self._shape_yx)
        here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        inside = (
            slice(int(low[0] - corner_yx[0]), int(high[0] - corner_yx[0])),
            slice(int(low[1] - corner_yx[1]), int(high[1] - corner_yx[1])),
        )
        box_yx[inside] = self._images[(self._tilt, *here)] if self._whole is None else self._whole[here]
        return inside


@dataclass(frozen=True, eq=False)
class DatasetImages:
    """An `ImageSource` that cuts images out of the raw tilt series of a data set whenever asked.

    Attributes
    ----------
    dataset : Dataset
    sampling : Sampling
    """

    dataset: Dataset
    sampling: Sampling
    _prepared: dict[str, SeriesImages] = field(default_factory=dict)

    @property
    def particles(self) -> ParticleSet:
        """The particles, where they lie now."""
        return self.dataset.particles

    @property
    def box_px(self) -> int:
        """Edge of the boxes."""
        return self.sampling.box_px

    @property
    def pixel_ang(self) -> float:
        """Pixel of the boxes."""
        return self.sampling.pixel_ang

    def at(self, particles: ParticleSet) -> "DatasetImages":
        """Return the same source for particles moved or turned."""
        return replace(self, dataset=self.dataset.replace(particles=particles))

    def images(self, chosen: Indices) -> ParticleImages:
        """Cut out some particles of one tomogram."""
        some = self.particles[chosen]
        return self.of_series(str(some.tomogram[0])).images(some.centers_ang_zyx, some.paths_ang_zyx)

    def of_series(self, name: str) -> SeriesImages:
        """Return what cuts particles out of one series; what its boxes share is worked out once."""
        if name not in self._prepared:
            data = self.dataset
            self._prepared[name] = SeriesImages(
                data.series[name], data.alignments[name], data.ctfs.get(name), self.sampling
            )
        return self._prepared[name]


def _check_counts(series: TiltSeries, alignment: Alignment, ctf: CtfSeries | None) -> None:
    for what, count in (("alignment", alignment.n_tilts), ("CTF", series.n_tilts if ctf is None else ctf.n_tilts)):
        if count != series.n_tilts:
            raise DataError(
                f"{series.name}: the {what} is of {count} tilts, the series has {series.n_tilts}; "
                "give those of one series."
            )
