"""Does an alignment from elsewhere fit the images? A quick look, before anything is built on it.

Each image is laid on its neighbour in tilt as the alignment says a thin specimen would be seen, and the two
are correlated: under the right alignment nothing is left to move. Matter far from the specimen's middle
moves across the axis by its height times the step in tilt; the median over all pairs hardly notices.

Legend: N images, P pairs.
"""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from napari_tomoflow.core.ops.correlation import band_pass, correlation_map, whitened_product
from napari_tomoflow.core.ops.peaks import find_peak, noise_sd

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

_FARTHEST = 0.25
"""How far two images may be apart, of their shorter side."""

_SEEN = 6.0
"""A peak this many times the noise of its map is no chance: among 10⁴ places noise reaches 4."""

_FINEST_PX = 4.0
_COARSEST_OF_FIELD = 0.3


@dataclass(frozen=True, eq=False)
class Agreement:
    """How neighbouring images agree under an alignment.

    Attributes
    ----------
    apart_px : float64[P]
        How far each pair still is apart, in pixels of the images compared.
    seen : bool[P]
        Whether the pair has anything in common that stands out of the noise.
    together_px : float
        The same from the correlations of all pairs added up, which noise hides less; NaN where nothing
        stands out.
    """

    apart_px: Floats
    seen: NDArray[np.bool_]
    together_px: float

    @property
    def typical_px(self) -> float:
        """Median over the pairs that are seen, if half of them are, or what all say together."""
        if 2 * self.seen.sum() >= len(self.seen) > 0:
            return float(np.median(self.apart_px[self.seen]))
        return self.together_px


def neighbours_agree(images: Floats32, rotations: Floats, centre_px_yx: Floats) -> Agreement:
    """Compare each image with its neighbour in tilt.

    Parameters
    ----------
    images : float32[N, ny, nx]
        Small ones, sorted by tilt.
    rotations : float64[N, 3, 3]
        R_i of the project's geometry, acting on (x, y, z).
    centre_px_yx : float64[N, 2]
        Where the specimen's centre is seen in each, 0-based.
    """
    shape = images.shape[1:]
    weights = band_pass(shape, 1.0, _FINEST_PX, _COARSEST_OF_FIELD * min(shape))
    together = np.zeros(shape, np.float32)
    found = []
    for one in range(len(images) - 1):
        laid, shown = _laid_on(images[one + 1], rotations[one : one + 2], centre_px_yx[one : one + 2])
        product = whitened_product(_masked(images[one], shown), _masked(laid, shown), weights)
        correlation = correlation_map(product, shape)
        together += correlation / max(noise_sd(correlation), float(np.finfo(np.float32).tiny))
        found.append(_peak(correlation))
    apart_px, seen = np.array([peak[0] for peak in found]), np.array([peak[1] for peak in found], bool)
    together_px, stands_out = _peak(together)
    return Agreement(apart_px, seen, together_px if stands_out else np.nan)


def _peak(correlation: Floats32) -> tuple[float, bool]:
    """Return how far the highest place of a map is from its centre, in px, and whether it stands out of the noise."""
    reach = max(2, int(_FARTHEST * min(correlation.shape)))
    middle = tuple(slice(n // 2 - reach, n // 2 + reach + 1) for n in correlation.shape)
    peak = find_peak(correlation[middle])
    return float(np.hypot(peak.y_px, peak.x_px)), bool(peak.height > _SEEN * noise_sd(correlation))


def _laid_on(image: Floats32, rotations: Floats, centre_px_yx: Floats) -> tuple[Floats32, Floats32]:
    """Resample an image in the frame of the one before it; the second array says how much of each pixel is shown."""
    other_from_one = (rotations[1, :2, :2] @ np.linalg.inv(rotations[0, :2, :2]))[::-1, ::-1]
    offset = centre_px_yx[1] - other_from_one @ centre_px_yx[0]
    laid, shown = (
        scipy.ndimage.affine_transform(values, other_from_one, offset, order=1, cval=0.0)
        for values in (image - image.mean(), np.ones_like(image))
    )
    return laid, shown


def _masked(image: Floats32, shown: Floats32) -> Floats32:
    """Take the mean of what is shown away, and what is not shown out."""
    return np.asarray((image - np.average(image, weights=shown + 1e-6)) * shown, np.float32)
