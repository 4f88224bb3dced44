"""Agreement maps drawn by hand: a peak where each image truly is, in noise."""

import numpy as np
from scipy.ndimage import gaussian_filter, spline_filter

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.polishing.correlation import AgreementMaps
from napari_tomoflow.core.polishing.fit import Sight
from napari_tomoflow.core.polishing.geometry import SeriesGeometry

STEP_ANG, WIDTH_ANG, PLACES = 4.0, 10.0, 21


def geometry(count=60, n_tilts=13, seed=0):
    """A series of 3000 × 3000 Å with particles in it, whose third tilt is not in use."""
    rng = np.random.default_rng(seed)
    tilt_deg = np.linspace(-54, 54, n_tilts)
    order = np.argsort(np.argsort(np.abs(tilt_deg), kind="stable"))
    series = TiltSeries(
        name="TS",
        images=np.zeros((n_tilts, 300, 300), np.float32),
        tilt_deg=tilt_deg,
        pixel_ang=10.0,
        axis_deg=85.0,
        dose_before_e_ang2=3.0 * order,
        dose_of_tilt_e_ang2=np.array(3.0),
    )
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=85.0, shift_ang_yx=rng.normal(0, 20, (n_tilts, 2)))
    centers = rng.uniform(-1, 1, (count, 3)) * [200, 1300, 1300] + [100, 0, 0]
    return SeriesGeometry(series, alignment, np.delete(np.arange(n_tilts), 2), centers)


def sight(offsets_ang, height=20.0, noise=1.0, seed=0):
    """Draw peaks of a height, in units of log likelihood, at offsets float64[T, 2, P]."""
    rng = np.random.default_rng(seed)
    along = (np.arange(PLACES) - PLACES // 2) * STEP_ANG
    away = [offsets_ang[:, axis, :, None] - along for axis in (0, 1)]
    squared = away[0][..., :, None] ** 2 + away[1][..., None, :] ** 2
    maps = height * np.exp(-0.5 * squared / WIDTH_ANG**2)
    rough = gaussian_filter(rng.normal(size=maps.shape), (0, 0, *2 * (WIDTH_ANG / STEP_ANG / 2**0.5,)))
    maps += noise * rough / rough.std()
    splines = np.stack([[spline_filter(one, 3, np.float32, "mirror") for one in tilt] for tilt in maps])
    return Sight.of([AgreementMaps(splines, STEP_ANG)])
