import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled, DataError
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.ops import backprojection, filters, resample
from napari_tomoflow.core.ops.fourier import fourier_crop
from napari_tomoflow.core.reconstruction import wbp
from napari_tomoflow.core.report import Gauge
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

RNG = np.random.default_rng(11)
IMAGES = RNG.normal(100, 5, (9, 40, 48)).astype(np.float32)
TILT_DEG = np.linspace(-48, 48, 9)
SMALL = ReconstructParams(weighting="ramp", bin=1, thickness_ang=120.0)


def a_series(images=IMAGES, **changes):
    values = {"name": "TS", "images": images, "tilt_deg": TILT_DEG, "pixel_ang": 10.0, "axis_deg": 0.0}
    return TiltSeries(**values | changes)


# --- what comes out ---


def test_the_volume_is_even_and_covers_the_image():
    tomogram = reconstruct(a_series(IMAGES[:, :39, :45]), None, params=SMALL.replace(thickness_ang=125.0))
    assert tomogram.volume.shape == (14, 40, 46)
    assert tomogram.volume.dtype == np.float32
    assert tomogram.name == "TS"


@pytest.mark.parametrize(("axis_deg", "shape"), [(0, (12, 40, 48)), (90, (12, 48, 40)), (-95, (12, 48, 40))])
def test_the_field_turns_with_the_tilt_axis(axis_deg, shape):
    assert reconstruct(a_series(axis_deg=float(axis_deg)), None, params=SMALL).volume.shape == shape


@pytest.mark.parametrize(
    ("changes", "thickness_ang", "max_tilt_deg", "expected_nz"),
    [
        ({}, None, 48, 12),  # a quarter of 48 px
        ({}, None, 90, 48),  # a rod: as deep as wide
        ({}, 100.0, 48, 14),  # 1.3 × the specimen, rounded up to even
        ({"thickness_ang": 60.0}, 100.0, 48, 6),
    ],
)
def test_thickness_is_what_was_asked_or_what_fits(changes, thickness_ang, max_tilt_deg, expected_nz):
    tilt_deg = np.linspace(-max_tilt_deg, max_tilt_deg, 9)
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=0.0, thickness_ang=thickness_ang)
    tomogram = reconstruct(a_series(tilt_deg=tilt_deg), alignment, params=ReconstructParams(bin=1, **changes))
    assert len(tomogram.volume) == expected_nz


@pytest.mark.parametrize(("pixel_ang", "factor"), [(2.6, 4), (10.0, 1), (180.0, 1)])
def test_left_to_itself_the_voxel_comes_out_near_ten_angstrom(pixel_ang, factor):
    tomogram = reconstruct(a_series(pixel_ang=pixel_ang))
    assert tomogram.quality["bin"] == factor
    assert tomogram.voxel_ang == pytest.approx(factor * pixel_ang)


def test_float16_and_int16_hold_the_same_densities_as_float32():
    series = a_series()
    exact = reconstruct(series, None, params=SMALL).volume
    for dtype in ("float16", "int16"):
        tomogram = reconstruct(series, None, params=SMALL.replace(dtype=dtype))
        assert tomogram.volume.dtype == np.dtype(dtype)
        scale = tomogram.quality["stored_per_density"]
        # Half a unit in the last place: 2⁻¹¹ of the value, or half of 40 SD / 32767.
        densities = tomogram.volume.astype(np.float32) / scale
        np.testing.assert_allclose(densities, exact, rtol=2**-11, atol=7e-4 * exact.std())


def test_int16_saturates_instead_of_wrapping_around():
    images = np.zeros((9, 40, 48), np.float32)
    images[:, 0, 0] = 1.0  # not blank
    images[:, 18:22, 22:26] = -1000.0
    volume = reconstruct(a_series(images), None, params=SMALL.replace(dtype="int16", thickness_ang=480.0)).volume
    assert volume[24, 20, 24] < 0


def test_the_order_of_the_tilts_does_not_matter():
    shuffled = RNG.permutation(9)
    ordered = reconstruct(a_series(), None, params=SMALL).volume
    mixed = reconstruct(a_series(IMAGES[shuffled], tilt_deg=TILT_DEG[shuffled]), None, params=SMALL).volume
    np.testing.assert_allclose(mixed, ordered, atol=1e-5 * np.abs(ordered).max())


def test_tilts_left_out_by_series_or_alignment_are_not_used():
    series, alignment = a_series().without({2: "dark"}), Alignment(tilt_deg=TILT_DEG, axis_deg=0.0, kept=TILT_DEG < 40)
    kept = [0, 1, 3, 4, 5, 6, 7]
    got = reconstruct(series, alignment, params=SMALL)
    expected = reconstruct(a_series(IMAGES[kept], tilt_deg=TILT_DEG[kept]), None, params=SMALL)
    assert got.quality["tilts_used"] == 7
    np.testing.assert_array_equal(got.volume, expected.volume)


def test_the_volume_is_filled_in_order_where_the_caller_wants_it(monkeypatch):
    monkeypatch.setattr(wbp, "_UPDATES_PER_SLAB", 9 * 40 * 48 * 2.5)  # slabs of two planes
    kept, filled = {}, []

    def allocate(name, shape, dtype):
        kept[name] = np.full(shape, np.nan, dtype)
        return kept[name]

    def look(done, total, doing):
        if doing == "Back-projecting":
            filled.append([z for z, plane in enumerate(kept["tomogram"]) if np.isfinite(plane).all()])

    tomogram = reconstruct(a_series(), None, params=SMALL, report=look, allocate=allocate)
    assert tomogram.volume is kept["tomogram"]
    assert filled == [list(range(z)) for z in range(0, 13, 2)]
    monkeypatch.undo()
    np.testing.assert_array_equal(tomogram.volume, reconstruct(a_series(), None, params=SMALL).volume)


def test_cancel_stops_between_slabs():
    gauge = Gauge()

    def allocate(name, shape, dtype):
        gauge.cancel()
        return np.empty(shape, dtype)

    with pytest.raises(Cancelled, match="Back-projecting"):
        reconstruct(a_series(), None, params=SMALL, report=gauge, allocate=allocate)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.where(np.arange(9)[:, None, None] == 4, np.nan, IMAGES), "image 4 holds pixels that are not numbers"),
        (np.where(np.arange(9)[:, None, None] == 4, 7.0, IMAGES), r"image 4 is blank \(every pixel is 7\)"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(images, sentence):
    with pytest.raises(DataError, match=f"TS: {sentence}.*exclude it"):
        reconstruct(a_series(images), None, params=SMALL)


def test_an_alignment_of_another_series_is_refused():
    with pytest.raises(DataError, match="for 3 tilts, the series has 9"):
        reconstruct(a_series(), Alignment(tilt_deg=np.arange(3.0), axis_deg=0.0), params=SMALL)
    with pytest.raises(DataError, match="1 of 9 tilts are in use"):
        reconstruct(a_series(kept=np.arange(9) == 0), None, params=SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"weighting": "none"}, {"angular_weights": False}, {"normalise": False}, {"cutoff_per_px": 0.2},
        {"rolloff_per_px": 0.2}, {"low_frequency": 2.0}, {"edge_taper": 0.4},
    ],
)  # fmt: skip
def test_every_choice_changes_something(change):
    series = a_series(tilt_deg=np.sort(RNG.uniform(-60, 60, 9)))
    usual, other = (reconstruct(series, None, params=params).volume for params in (SMALL, SMALL.replace(**change)))
    assert not np.allclose(usual, other, rtol=1e-6, atol=1e-7)


# --- geometry of the lines ---


@pytest.mark.parametrize("tilt_deg", [[-90.0, 0.0, 90.0], [-130.0, 10.0, 150.0]])
def test_every_voxel_falls_on_its_line_at_any_angle(tilt_deg):
    alignment = Alignment(
        tilt_deg=tilt_deg,
        axis_deg=[10.0, -80.0, 170.0],
        xtilt_deg=[0.0, 7.0, -3.0],
        shift_ang_yx=RNG.normal(0, 9, (3, 2)),
    )
    shape = (20, 30, 40)
    lines = backprojection.line_geometry(alignment.image_from_sample(), 2.0, shape)
    corners = np.array(np.meshgrid([-10, 9], [-15, 14], [-20, 19])).reshape(3, -1).T
    expected_yx, _ = alignment.project(corners * 2.0)
    for tilt in range(3):
        z, y, x = corners.T
        u, v = lines.step_x[tilt] * x + lines.step_z[tilt] * z, y + lines.lean[tilt] * z
        got_xy = lines.image_from_line[tilt] @ np.stack([u, v, np.ones_like(u)])
        np.testing.assert_allclose(got_xy[::-1].T * 2.0, expected_yx[tilt], atol=1e-9)
        assert np.abs(u).max() < lines.n_u // 2 - 1
        assert np.abs(v).max() < lines.n_v // 2


def test_lean_shared_by_all_tilts_costs_no_thin_slabs():
    common = Alignment(tilt_deg=TILT_DEG, axis_deg=3.0, xtilt_deg=5.0)
    lines = backprojection.line_geometry(common.image_from_sample(), 1.0, (64, 64, 64))
    assert lines.common_lean == pytest.approx(-np.tan(np.deg2rad(5.0)))
    assert lines.slab_limit == 64
    lines = backprojection.line_geometry(
        common.replace(xtilt_deg=TILT_DEG / 100).image_from_sample(), 1.0, (64, 64, 64)
    )
    assert np.abs(lines.own_lean).max() * lines.slab_limit / 2 <= backprojection.LEAN_ERROR_PX


@pytest.mark.parametrize(
    ("tilt_deg", "expected_deg"),
    [
        ([0, 1, 3, 4], [1, 1.5, 1.5, 1]),
        ([4, 0, 3, 1], [1, 1, 1.5, 1.5]),
        ([0, 2, 2, 4], [2, 1, 1, 2]),
    ],
)
def test_a_tilt_stands_for_the_angle_to_its_neighbours(tilt_deg, expected_deg):
    np.testing.assert_allclose(np.rad2deg(backprojection.angular_spacing(tilt_deg)), expected_deg, atol=1e-6)


def test_thickness_is_read_off_the_profile_or_not_at_all():
    profile = 1.0 + 0.5 * ((np.arange(100) >= 30) & (np.arange(100) < 71))
    assert backprojection.specimen_thickness(profile) == 41
    assert backprojection.specimen_thickness(np.ones(100) + 0.02 * (np.arange(100) > 50)) is None


# --- filters and resampling ---


def test_only_isolated_pixels_are_mended():
    image = RNG.normal(10, 1, (200, 200)).astype(np.float32)
    image[50, 60], image[0, 0], image[100:105, 100:105] = 1e6, -1e6, -200.0
    mean, sd = filters.robust_mean_sd(image)
    assert mean == pytest.approx(10, abs=0.1)
    assert sd == pytest.approx(1, abs=0.1)
    mended = filters.mend_isolated_pixels(image, mean, sd)
    assert abs(mended[50, 60] - 10) < 5
    assert abs(mended[0, 0] - 10) < 5
    untouched = np.ones_like(image, bool)
    untouched[50, 60] = untouched[0, 0] = False
    np.testing.assert_array_equal(mended[untouched], image[untouched])


def test_an_image_of_one_row_is_mended_without_complaint():
    image = np.zeros((1, 9), np.float32)
    assert filters.mend_isolated_pixels(image, 0.0, 1.0).shape == (1, 9)
    image[0, 4] = 100.0
    assert filters.mend_isolated_pixels(image, 0.0, 1.0).shape == (1, 9)


def test_the_margin_fades_and_the_image_stays():
    image = np.ones((6, 7), np.float32)
    padded = filters.pad_fading(image, (16, 21))
    np.testing.assert_array_equal(padded[5:11, 7:14], image)
    assert padded[0].max() < 0.1
    assert np.all(np.diff(padded[8, :8]) >= 0)


def test_ramp_of_a_padded_line_equals_the_ramp_sampled_in_space():
    # The band-limited ramp is 1/4 at 0, -1/(π n)² at odd n and 0 at even n (Kak & Slaney, eq. 61 of ch. 3).
    n_u, size = 65, filters.padded_line_size(65)
    offsets = np.arange(n_u) - 32
    kernel = np.where(offsets % 2 == 1, -1.0 / (np.pi * np.where(offsets == 0, 1, offsets)) ** 2, 0.0)
    kernel[32] = 0.25
    impulse = np.zeros((1, n_u), np.float32)
    impulse[0, 32] = 1.0
    got = filters.filter_lines(impulse, filters.ramp_weights(size, 2 / np.pi**2))[0]
    # Aliasing of the tail beyond the padded line: of the order of 1 / size².
    np.testing.assert_allclose(got, kernel, atol=1e-4)


def test_a_spline_passes_through_the_pixels_and_shifts_a_wave():
    y, x = np.mgrid[:48, :48]
    wave = np.cos(2 * np.pi * (6 * x + 3 * y) / 48).astype(np.float32)
    coefficients = fourier_crop(wave, wave.shape, resample.spline_transfer(wave.shape))
    moved = resample.sample_affine(coefficients, np.array([[1.0, 0, 0.4], [0, 1, -0.3]]), (48, 48))
    expected = np.cos(2 * np.pi * (6 * (x + 0.4) + 3 * (y - 0.3)) / 48)
    np.testing.assert_allclose(moved[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2e-3)


def test_planes_shift_by_fractions_and_exactly_by_whole_rows():
    y = np.arange(40)
    planes = np.stack([np.cos(2 * np.pi * y / 8)] * 3)[:, :, None].astype(np.float32)
    shifted = resample.shift_rows(planes, [0.0, 3.0, -2.5], 20)
    np.testing.assert_array_equal(shifted[0], planes[0, 10:30])
    np.testing.assert_array_equal(shifted[1], planes[1, 13:33])
    np.testing.assert_allclose(shifted[2, :, 0], np.cos(2 * np.pi * (y[10:30] - 2.5) / 8), atol=0.01)
