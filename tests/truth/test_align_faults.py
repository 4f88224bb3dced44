"""Series with everything wrong that goes wrong at a microscope: aligned nevertheless, and each fault named."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.axis import half_turn_distance
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from truth.rigid_motion import error_after_rigid_motion

FAULTS = {"n_dead_tilts": 2, "n_shadowed_tilts": 1, "n_swapped_tilts": 1}
GOLD = {"n_gold": 12}
NO_GOLD = {"n_gold": 0, "n_contaminants": 12}
SMALL = {"size_px": 256, "pixel_ang": 20.0, "n_proteasomes": 0}
"""A small field of few molecules, which is simulated in a third of the time."""


def acquired(seed, axis_deg=-12.0, **settings):
    """Simulate 512² at 10 Å, unless the settings say otherwise."""
    plain = {"size_px": 512, "pixel_ang": 10.0, "n_tilts": 41, "shift_px": 20.0, "n_vesicles": 3}
    return simulate(SimulateParams(**(plain | {"seed": seed, "axis_deg": axis_deg} | settings)))


def error_px(alignment, made, *, may_mirror):
    series = made.series
    field = np.array(series.shape_yx) * series.pixel_ang
    points = np.random.default_rng(1).uniform(-0.45, 0.45, (40, 3)) * [1500.0, *field]
    return error_after_rigid_motion(
        alignment, made.alignment, points, series.pixel_ang, series.shape_yx, may_mirror=may_mirror
    ).rms_px


def check_named(alignment, made):
    """Every fault of the images is named, and nothing else is."""
    faults, quality = made.quality["faults"], alignment.quality
    assert set(quality["tilts_excluded"]) == {str(tilt) for tilt in faults["dead"]}
    assert all("dark" in reason for reason in quality["tilts_excluded"].values())
    assert quality["tilts_swapped"] == sorted(sorted(pair) for pair in faults["swapped"])
    assert set(quality["tilts_shadowed"]) == {str(tilt) for tilt in faults["shadowed"]}
    assert np.flatnonzero(~alignment.kept).tolist() == faults["dead"]
    for pair in quality["tilts_swapped"]:
        assert any(f"Tilts {pair[0]} and {pair[1]}" in warning for warning in quality["warnings"])
    for tilt in quality["tilts_shadowed"]:
        assert any(f"Tilt {tilt} " in warning and "shadow" in warning for warning in quality["warnings"])


def check_axis_named(alignment, made, said):
    assert half_turn_distance(alignment.quality["axis_deg"], made.alignment.axis_deg.mean()) < 0.7
    assert any(said in warning for warning in alignment.quality["warnings"])
    assert alignment.quality["hand"].startswith("not determined")


def test_a_small_series_with_every_fault_is_aligned_and_each_is_named():
    objects = {"n_ribosomes": 20, "n_vesicles": 0, "gold_diameter_nm": 20.0}
    made = acquired(2, n_tilts=31, axis_error_deg=90.0, **SMALL, **objects, **FAULTS)
    alignment = align(made.series, AlignParams(landmarks="none"))
    check_named(alignment, made)
    check_axis_named(alignment, made, "90°")
    assert error_px(alignment, made, may_mirror=True) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("contents", [GOLD, NO_GOLD], ids=["gold", "no gold"])
@pytest.mark.parametrize(
    ("axis_deg", "wrong_deg", "said"),
    [(-12.0, 90.0, "90°"), (30.0, -60.0, "sign"), (85.0, -170.0, "sign")],
    ids=["90° off", "sign", "sign, near 90°"],
)
def test_a_series_with_every_fault_is_aligned_and_each_is_named(seed, contents, axis_deg, wrong_deg, said):
    made = acquired(seed, axis_deg, axis_error_deg=wrong_deg, **contents, **FAULTS)
    alignment = align(made.series)
    check_named(alignment, made)
    check_axis_named(alignment, made, said)
    assert error_px(alignment, made, may_mirror=True) < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 17))
@pytest.mark.parametrize("contents", [GOLD, NO_GOLD], ids=["gold", "no gold"])
def test_nothing_is_found_wrong_with_a_clean_series(seed, contents):
    alignment = align(acquired(seed, **contents).series, AlignParams(landmarks="none"))
    assert alignment.quality["tilts_excluded"] == {}
    assert alignment.quality["tilts_swapped"] == []
    assert alignment.quality["tilts_shadowed"] == {}
    assert alignment.kept.all()
    assert alignment.quality["hand"] == "as the axis given says"


def small_series(seed, **tilts):
    return acquired(seed, **SMALL, n_ribosomes=30, n_vesicles=1, n_gold=6, **tilts).series


@pytest.fixture(scope="module")
def small():
    return small_series(3, n_tilts=25)


@pytest.mark.parametrize("seed", range(3))
def test_angles_of_another_stack_are_refused(small, seed):
    shuffled = np.random.default_rng(seed).permutation(small.tilt_deg)
    with pytest.raises(DataError, match=r"simulated cannot be aligned.*angles"):
        align(small.replace(tilt_deg=shuffled))


def test_angles_in_the_order_of_acquisition_for_a_sorted_stack_are_refused(small):
    with pytest.raises(DataError, match=r"simulated cannot be aligned.*angles"):
        align(small.replace(tilt_deg=small.tilt_deg[np.argsort(small.order)]))


def test_empty_images_are_refused(small):
    with pytest.raises(DataError, match="only 0 of 25 tilts hold an image"):
        align(small.replace(images=np.zeros(small.images.shape, np.int16)))


def test_images_of_nothing_but_noise_are_refused():
    images = np.random.default_rng(0).poisson(100.0, (21, 96, 96)).astype(np.int16)
    with pytest.raises(DataError, match="fog cannot be aligned"):
        align(TiltSeries(name="fog", images=images, tilt_deg=np.linspace(-60, 60, 21), pixel_ang=10.0, axis_deg=5.0))


def test_a_tilt_that_shows_something_else_is_given_up_with_the_reason(small):
    images = np.array(small.images)
    images[7] = small_series(77, n_tilts=3, tilt_min_deg=-3, tilt_max_deg=3).images[1]
    alignment = align(small.replace(images=images), AlignParams(landmarks="none"))
    assert np.flatnonzero(~alignment.kept).tolist() == [7]
    assert "fit" in alignment.quality["tilts_excluded"]["7"]
    assert any("Tilt 7 is left out" in warning for warning in alignment.quality["warnings"])


def lean_of_matter_deg(made, lean_deg):
    """Lean of a plane through the molecules in the field: they are too few to lie just as their ice does."""
    half_ang = 0.5 * made.series.pixel_ang * np.array(made.series.shape_yx)
    centres = made.particles.centers_ang_zyx
    z, y, x = centres[(np.abs(centres[:, 1:]) < half_ang).all(axis=1)].T
    slope_x = np.linalg.lstsq(np.column_stack([np.ones(len(z)), x, y]), z)[0][1]
    return lean_deg - np.rad2deg(np.arctan(slope_x))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "lean_deg"), [(6, -8.0), (9, 10.0)])
def test_the_tilt_offset_is_the_lean_of_the_specimen_within_the_error_stated(seed, lean_deg):
    thin = {"n_tilts": 31, "thickness_nm": 80.0, "n_gold": 0, "n_ribosomes": 60, "n_vesicles": 0}
    made = acquired(seed, **SMALL, **thin, specimen_tilt_deg=lean_deg)
    quality = align(made.series).quality
    assert quality["level_error_deg"] < 1.0
    assert abs(quality["tilt_offset_deg"] - lean_of_matter_deg(made, lean_deg)) < 3 * quality["level_error_deg"]
    assert quality["tilt_offset_deg"] == pytest.approx(lean_deg, abs=1.5)
    as_recorded = align(made.series, AlignParams(landmarks="none", level=False))
    assert as_recorded.quality["tilt_offset_deg"] is None


@pytest.mark.slow
def test_a_lean_that_scattered_molecules_in_thick_ice_do_not_tell_is_left_alone():
    made = acquired(5, size_px=256, pixel_ang=20.0, n_tilts=31, specimen_tilt_deg=6.0)
    quality = align(made.series, AlignParams(landmarks="none")).quality
    assert quality["tilt_offset_deg"] is None
    assert quality["level_error_deg"] > 1.0
