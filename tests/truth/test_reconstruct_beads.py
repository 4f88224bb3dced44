"""Beads at known places, projected by the formula of the geometry, come back where they were."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

PIXEL_ANG = 10.0
SIGMA_PX = 2.0
BEADS_ZYX = np.array(
    [[230.0, 210, -180], [-220, -200, 220], [4, 0, 0], [110, -250, -230], [-120, 230, 30], [60, 20, 260], [0, -80, 190]]
)


def bead_series(shape_yx, *, axis_deg=0.0, xtilt_deg=0.0, jitter_deg=0.0, max_tilt_deg=60.0, n_tilts=41):
    rng = np.random.default_rng(7)
    alignment = Alignment(
        tilt_deg=np.linspace(-max_tilt_deg, max_tilt_deg, n_tilts),
        axis_deg=axis_deg + rng.normal(0, jitter_deg, n_tilts),
        xtilt_deg=xtilt_deg + rng.normal(0, jitter_deg, n_tilts),
        shift_ang_yx=rng.normal(0, 20, (n_tilts, 2)),
    )
    ny, nx = shape_yx
    centres_px = alignment.project(BEADS_ZYX)[0] / PIXEL_ANG + (ny // 2, nx // 2)
    y, x = np.arange(ny), np.arange(nx)
    spread = [np.exp(-((axis - centres_px[..., i, None]) ** 2) / (2 * SIGMA_PX**2)) for i, axis in enumerate((y, x))]
    images = -np.einsum("npy,npx->nyx", *spread).astype(np.float32)
    series = TiltSeries(name="beads", images=images, tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG)
    return series, alignment


def fit_blob(slice_yx, centre_yx, sigma):
    """Fit a dark Gaussian on a constant to the core of a bead: (offset yx, sigma y, sigma x)."""
    reach = int(np.ceil(2 * sigma))
    y0, x0 = np.round(centre_yx).astype(int)
    patch = -slice_yx[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
    y, x = np.mgrid[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
    # Only the core: beside it the missing wedge leaves a bright fringe that no Gaussian follows.
    core = (y - centre_yx[0]) ** 2 + (x - centre_yx[1]) ** 2 <= (1.5 * sigma) ** 2

    def misfit(p):
        model = p[0] * np.exp(-((y - p[2]) ** 2) / (2 * p[4] ** 2) - (x - p[3]) ** 2 / (2 * p[5] ** 2)) + p[1]
        return (model - patch)[core]

    fit = least_squares(misfit, [patch.max(), 0.0, *centre_yx, sigma, sigma]).x
    return fit[2:4] - centre_yx, abs(fit[4]), abs(fit[5])


def measure(tomogram, sigma):
    """Fit every bead in the x-y slice at its height: offsets [P, 2] px and width ratios x / y [P]."""
    centre = np.array(tomogram.volume.shape) // 2
    fits = []
    for z, y, x in BEADS_ZYX / tomogram.voxel_ang + centre:
        fits.append(fit_blob(tomogram.volume[round(z)], np.array([y, x]), sigma))
    return np.array([fit[0] for fit in fits]), np.array([fit[2] / fit[1] for fit in fits])


GEOMETRIES = {
    "plain": ((96, 96), {}),
    "odd and oblong, axis 33": ((127, 101), {"axis_deg": 33.0}),
    "axis 85": ((96, 97), {"axis_deg": 85.0}),
    "axis -12.3": ((96, 96), {"axis_deg": -12.3}),
    "x-tilt 5": ((96, 96), {"xtilt_deg": 5.0}),
    "x-tilt 5, axis 85, jitter": ((96, 96), {"xtilt_deg": 5.0, "axis_deg": 85.0, "jitter_deg": 0.3}),
    "turned over": ((96, 96), {"axis_deg": 180.0}),
}


@pytest.mark.parametrize(("shape_yx", "geometry"), GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_beads_come_back_round_and_within_a_tenth_of_a_pixel_at_every_height(shape_yx, geometry):
    series, alignment = bead_series(shape_yx, **geometry)
    tomogram = reconstruct(
        series, alignment, params=ReconstructParams(weighting="ramp", bin=1, thickness_ang=640.0, normalise=False)
    )
    offsets, ratios = measure(tomogram, SIGMA_PX)
    assert np.abs(offsets).max() < 0.1
    # The missing wedge sharpens a bead across the axis, by as much at every height.
    np.testing.assert_allclose(ratios, np.median(ratios), rtol=0.06)
    assert 0.75 < np.median(ratios) < 1.0


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("shape_yx", [(120, 120), (119, 121)])
def test_binning_moves_nothing(shape_yx, factor):
    series, alignment = bead_series(shape_yx, axis_deg=20.0, xtilt_deg=2.0)
    tomogram = reconstruct(
        series, alignment, params=ReconstructParams(weighting="ramp", bin=factor, thickness_ang=700.0, normalise=False)
    )
    assert tomogram.voxel_ang == factor * PIXEL_ANG
    offsets, _ = measure(tomogram, max(SIGMA_PX / factor, 1.2))
    assert np.abs(offsets).max() < 0.1


def test_beads_are_found_at_their_height():
    series, alignment = bead_series((96, 96), axis_deg=-12.3, xtilt_deg=5.0)
    tomogram = reconstruct(
        series, alignment, params=ReconstructParams(weighting="ramp", bin=1, thickness_ang=640.0, normalise=False)
    )
    centre = np.array(tomogram.volume.shape) // 2
    for z, y, x in BEADS_ZYX / PIXEL_ANG + centre:
        column = tomogram.volume[:, round(y), round(x)]
        around = np.arange(max(round(z) - 6, 0), min(round(z) + 7, len(column)))
        assert np.average(around, weights=np.clip(-column[around], 0, None) ** 2) == pytest.approx(z, abs=0.5)


def test_a_bead_seen_from_all_sides_is_round_and_as_dense_as_it_was():
    # 180 views at 1° leave no wedge: the density of a Gaussian is its projection / (sigma √2π).
    series, alignment = bead_series((96, 96), max_tilt_deg=89.5, n_tilts=180)
    tomogram = reconstruct(
        series,
        alignment,
        params=ReconstructParams(weighting="ramp", bin=1, thickness_ang=960.0, normalise=False, cutoff_per_px=0.5),
    )
    offsets, ratios = measure(tomogram, SIGMA_PX)
    assert np.abs(offsets).max() < 0.05
    # On the axis itself every line is hit near a sample, where undoing the mean blur overdoes it by 3 %.
    on_axis = np.hypot(BEADS_ZYX[:, 0], BEADS_ZYX[:, 2]) < PIXEL_ANG
    np.testing.assert_allclose(ratios[~on_axis], 1.0, atol=0.01)
    np.testing.assert_allclose(ratios[on_axis], 1.0, atol=0.04)
    z, y, x = (BEADS_ZYX[6] / PIXEL_ANG).astype(int) + np.array(tomogram.volume.shape) // 2
    assert tomogram.volume[z, y, x] == pytest.approx(-1 / (SIGMA_PX * np.sqrt(2 * np.pi)), rel=0.02)
