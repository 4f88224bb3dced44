"""Small parts of tilt images, read without the rest: what is needed to look for one point of the specimen.

Legend: H tried points, s side of a patch in pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops.fourier import fourier_bin
from napari_tomoflow.core.ops.peaks import find_peak

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crop:
    """A rectangle of one binned tilt image; dense matter dark.

    Attributes
    ----------
    image_yx : float32[ny, nx]
    centre_ang_yx : float64[2]
        Where its pixel ``n // 2`` lies, Å from the centre of the whole image.
    pixel_ang : float
    """

    image_yx: NDArray[np.float32]
    centre_ang_yx: Floats
    pixel_ang: float

    def pixel_of(self, position_ang_yx: Floats) -> Floats:
        """Turn places of the image, Å from its centre, into pixels of the crop."""
        middle = np.array([n // 2 for n in self.image_yx.shape])
        return np.asarray((position_ang_yx - self.centre_ang_yx) / self.pixel_ang + middle)

    def holds(self, position_ang_yx: Floats, side_px: int) -> NDArray[np.bool_]:
        """Tell around which places, float64[H, 2], a patch lies wholly inside."""
        at = self.pixel_of(position_ang_yx)
        inside = (at >= 0.5 * side_px) & (at <= np.array(self.image_yx.shape) - 1 - 0.5 * side_px)
        return np.asarray(inside.all(axis=-1))

    def patches(self, position_ang_yx: Floats, side_px: int) -> Floats:
        """Interpolate patches around places: float64[H, s, s], each of mean 0 and length 1."""
        at = self.pixel_of(position_ang_yx)
        grid = np.arange(side_px) - (side_px - 1) / 2
        rows = at[:, 0, None, None] + grid[:, None]
        columns = at[:, 1, None, None] + grid
        patches = map_coordinates(self.image_yx, np.broadcast_arrays(rows, columns), np.float64, order=1)
        return normalised(patches)

    def best_match(self, template_yx: Floats, near_ang_yx: Floats, radius_ang: float) -> tuple[Floats, float]:
        """Find the place within a radius whose patch is most like a template of mean 0 and length 1.

        Returns
        -------
        position_ang_yx : float64[2]
        correlation : float
            −1 where there is no room to look.
        """
        side, radius = len(template_yx), max(1, round(radius_ang / self.pixel_ang))
        first = np.rint(self.pixel_of(near_ang_yx) - (side - 1) / 2).astype(int) - radius
        last = first + side + 2 * radius
        if (first < 0).any() or (last > self.image_yx.shape).any():
            return near_ang_yx, -1.0
        region = self.image_yx[first[0] : last[0], first[1] : last[1]].astype(np.float64)
        windows = normalised(sliding_window_view(region, template_yx.shape))
        correlation = np.einsum("ijyx,yx->ij", windows, template_yx)
        peak = find_peak(correlation)
        corner = first + np.array(correlation.shape) // 2 + [peak.y_px, peak.x_px]
        middle = np.array([n // 2 for n in self.image_yx.shape])
        return self.centre_ang_yx + (corner + (side - 1) / 2 - middle) * self.pixel_ang, peak.height


def normalised(patches: Floats) -> Floats:
    """Bring patches, float64[..., s, s], to mean 0 and sum of squares 1."""
    less_mean = patches - patches.mean(axis=(-2, -1), keepdims=True)
    length = np.sqrt((less_mean**2).sum(axis=(-2, -1), keepdims=True))
    return np.asarray(less_mean / np.maximum(length, 1e-12))


def read_crop(
    series: TiltSeries, tilt: int, low_ang_yx: Floats, high_ang_yx: Floats, binning: int, least_px: int
) -> Crop | None:
    """Read a rectangle between two corners, as far as the image shows it.

    Parameters
    ----------
    series, tilt
        Which image.
    low_ang_yx, high_ang_yx : float64[2]
        Å from the image centre.
    binning : int
    least_px : int
        Binned pixels that must be left along either side.

    Returns
    -------
    Crop or None
        None where the image shows too little of it.
    """
    shape = np.array(series.shape_yx)
    # Twice the binning divides the size, so that the middle pixel stays the middle one.
    unit = 2 * binning
    first = np.maximum(np.floor(low_ang_yx / series.pixel_ang + shape // 2).astype(int), 0)
    last = np.minimum(np.ceil(high_ang_yx / series.pixel_ang + shape // 2).astype(int) + 1, shape)
    size = (last - first) // unit * unit
    if (size < binning * least_px).any():
        return None
    part = (tilt, slice(first[0], first[0] + size[0]), slice(first[1], first[1] + size[1]))
    image = np.asarray(series.images[part], np.float32)
    finite = np.isfinite(image)
    if not finite.all():
        image = np.where(finite, image, np.median(image[finite]) if finite.any() else 0.0).astype(np.float32)
    low, middle, high = (float(value) for value in np.percentile(image, (0.1, 50.0, 99.9)))
    image = np.clip(image, 2.0 * low - high, 2.0 * high - low) - middle
    image = fourier_bin(image if series.contrast == "dark" else -image, binning)
    centre_ang = (first + size // 2 - shape // 2) * series.pixel_ang
    return Crop(image, centre_ang, series.pixel_ang * binning)
