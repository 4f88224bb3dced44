"""Alignment of two measured STEM series: a needle that wobbles over ±90°, and a film that is aligned already."""

import numpy as np
import pytest

from mat_series import write_ta_film
from napari_tomoflow.core.alignment.axis import half_turn_distance
from napari_tomoflow.core.alignment.gauge import in_axis_frame
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.ops.fourier import crop_centred
from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.io.stacks import open_stack


@pytest.mark.slow
def test_the_needle_comes_out_round_and_its_layers_sharp(shared_data):
    images = np.asarray(open_stack(shared_data("real_tilt_etspy_needle/HAADF.dm3")))
    series = TiltSeries(
        name="needle", images=images, tilt_deg=2.0 * (np.arange(91) - 45), pixel_ang=180.0, contrast="bright"
    )
    alignment = align(series)
    as_recorded = Alignment(tilt_deg=series.tilt_deg, axis_deg=np.full(91, alignment.quality["axis_deg"]))
    params = ReconstructParams(bin=1, thickness_ang=64 * 180.0)
    after, before = (
        np.asarray(reconstruct(series, one, params=params).volume, np.float64) for one in (alignment, as_recorded)
    )

    def layering(volume):
        """How much the density along the needle's core bends from plane to plane, relative to the density."""
        core = crop_centred(volume, (7, 64, 7)).mean(axis=(0, 2))[14:50]
        return np.diff(core, 2).std() / core.mean()

    # The needle leans by 13° from the rows, and turns about itself.
    assert 73.0 < abs(alignment.quality["axis_deg"]) < 82.0
    # Measured 0.10 and 0.04; in pictures smeared crescents become a round needle with crisp layers.
    assert layering(after) > 2.0 * layering(before)
    # Measured 0.20 and 0.32 px of 18 nm, depending on which way up the rows are.
    assert alignment.quality["residual_px"]["mean"] < 0.4


@pytest.mark.slow
def test_a_film_that_is_aligned_stays_where_it_is(shared_data, tmp_path):
    stack = write_ta_film(shared_data("real_tilt_Ta_film"), tmp_path)
    tilt_deg = np.loadtxt(stack.with_suffix(".rawtlt"))
    images = np.asarray(open_stack(stack))
    series = TiltSeries(name="film", images=images, tilt_deg=tilt_deg, pixel_ang=0.347, axis_deg=0.0, contrast="bright")
    alignment = align(series, AlignParams(level=False))
    along, across = in_axis_frame(alignment).T / series.pixel_ang
    tilt = np.deg2rad(tilt_deg)
    gauge = np.stack([np.cos(tilt), np.sin(tilt)], axis=1)
    across = across - gauge @ np.linalg.lstsq(gauge, across, rcond=None)[0]
    assert along.std() < 0.6
    assert np.sqrt((across**2).mean()) < 1.0
    # Measured 1.2° and 1.5° off on these 151 × 77 px, whose lattice fringes say little about the axis.
    assert half_turn_distance(alignment.quality["axis_deg"], 0.0) < 3.0
