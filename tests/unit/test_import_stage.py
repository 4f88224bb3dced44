"""What import takes in, asks for, warns of and refuses."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Frames, Movies, RawStack
from napari_tomoflow.core.ops import tilt_scheme
from napari_tomoflow.core.ops.axis_check import better_axis, shrink
from napari_tomoflow.core.ops.frame_statistics import unlike_neighbours
from napari_tomoflow.core.stages.import_ import ImportParams, import_

N = 9
TILTS = np.linspace(-60, 60, N)


def recorded(**changes):
    rng = np.random.default_rng(4)
    # Ice darkens with tilt, as on a microscope.
    images = rng.normal(1000, 50, (N, 12, 16)) * np.cos(np.deg2rad(TILTS))[:, None, None]
    values = {
        "name": "TS", "source": "raw/TS.mrc", "images": images.astype(np.float32), "pixel_ang": 3.0, "tilt_deg": TILTS,
        "axis_deg": 85.0, "voltage_kv": 200.0, "cs_mm": 1.4, "amplitude_contrast": 0.1,
        "dose_of_tilt_e_ang2": np.full(N, 2.0), "order": np.arange(N), "said_by": {"pixel_ang": "header of TS.mrc"},
    }  # fmt: skip
    return RawStack(**(values | changes))


def warnings(series):
    return " ".join(series.quality["warnings"])


def test_a_complete_series_is_taken_in_without_a_warning():
    series = import_(recorded())
    assert series.quality["warnings"] == []
    assert (series.name, series.pixel_ang, series.axis_deg, series.optics.voltage_kv) == ("TS", 3.0, 85.0, 200)
    assert series.kept.all()
    np.testing.assert_array_equal(series.dose_before_e_ang2, 2.0 * np.arange(N))


def test_what_is_given_goes_before_what_files_say_and_is_said_so():
    params = ImportParams(
        pixel_ang=4, axis_deg=-5, voltage_kv=300, cs_mm=2.7, amplitude_contrast=0.07, dose_per_tilt=3, name="mine",
        contrast="bright", defocus_hand=-1,
    )  # fmt: skip
    series = import_(recorded(), params)
    optics = (series.optics.voltage_kv, series.optics.cs_mm, series.optics.amplitude_contrast)
    assert (series.pixel_ang, series.axis_deg, series.name, series.contrast, optics) == (
        4, -5, "mine", "bright", (300, 2.7, 0.07),
    )  # fmt: skip
    np.testing.assert_array_equal(series.dose_before_e_ang2, 3.0 * np.arange(N))
    assert series.quality["said_by"]["pixel_ang"] == "given"
    assert series.quality["defocus_hand"] == -1


def test_the_preview_has_a_row_for_each_tilt():
    series = import_(recorded())
    rows = series.quality["preview"]
    assert [row["tilt_deg"] for row in rows] == list(TILTS)
    assert rows[4]["mean"] == pytest.approx(series.images[4].mean(), rel=1e-5)
    assert set(rows[0]) == {"tilt", "tilt_deg", "dose_before_e_ang2", "mean", "sd", "kept"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixel_ang": None}, r"raw/TS\.mrc: no file says the pixel size; give --pixel-ang\."),
        (
            {"pixel_ang": None, "notes": ("The pixel size is unknown: the header's is 0 Å.",)},
            "the header's is 0 Å; give",
        ),
        ({"tilt_deg": None}, r"the tilt angles of its 9 images; give --angles FILE or --mdoc FILE, or --untilted"),
        ({"tilt_deg": None, "pixel_ang": None}, r"pixel size, and no file.*give --pixel-ang, and --angles"),
        ({"tilt_deg": TILTS[:-2]}, r"raw/TS\.mrc: 7 tilt angles for 9 images; give"),
    ],
)
def test_what_is_missing_is_asked_for_by_name(changes, message):
    with pytest.raises(DataError, match=message):
        import_(recorded(**changes))


def test_optics_nobody_said_are_assumed_and_named():
    series = import_(recorded(voltage_kv=None, cs_mm=None))
    assert series.optics.voltage_kv == 300
    assert "--voltage-kv 300, --cs-mm 2.7 is assumed" in warnings(series)


def test_an_untilted_series_has_zero_angles_and_no_questions_about_tilts():
    series = import_(recorded(tilt_deg=None, axis_deg=None), ImportParams(untilted=True))
    np.testing.assert_array_equal(series.tilt_deg, np.zeros(N))
    assert series.quality["warnings"] == []


def test_equal_angles_are_warned_about():
    assert "All 9 tilt angles are 5°" in warnings(import_(recorded(tilt_deg=np.full(N, 5.0))))


def test_an_order_by_name_decides_the_dose_before_each_image():
    before = np.arange(N)[::-1].astype(float)
    monotonic = import_(recorded(dose_before_e_ang2=before, tilt_deg=TILTS[::-1]), ImportParams(order="monotonic"))
    np.testing.assert_array_equal(monotonic.dose_before_e_ang2, 2.0 * np.arange(N)[::-1])
    symmetric = import_(recorded(), ImportParams(order="dose-symmetric"))
    np.testing.assert_array_equal(symmetric.order, [8, 6, 4, 2, 0, 1, 3, 5, 7])
    np.testing.assert_array_equal(symmetric.dose_before_e_ang2, 2.0 * symmetric.order)


def test_a_dose_symmetric_series_starts_in_the_middle_of_its_range():
    # A lamella milled at 9°: the scheme is centred there and not at 0°.
    np.testing.assert_array_equal(
        tilt_scheme.dose_symmetric_order(np.array([3.0, 6.0, 9.0, 12.0, 15.0])), [4, 2, 0, 1, 3]
    )


def test_doses_are_taken_apart_where_only_their_sum_is_known():
    order = np.array([2, 0, 1, 3, 4, 5, 6, 7, 8])
    series = import_(recorded(dose_of_tilt_e_ang2=None, dose_before_e_ang2=3.0 * order, order=order))
    np.testing.assert_array_equal(series.dose_of_tilt_e_ang2, np.full(N, 3.0))
    np.testing.assert_array_equal(series.dose_before_e_ang2, 3.0 * order)


def test_an_unknown_order_or_dose_is_warned_about():
    assert "order of acquisition; that of the stack is assumed" in warnings(import_(recorded(order=None)))
    series = import_(recorded(dose_of_tilt_e_ang2=None, order=None))
    assert "Nobody said the dose" in warnings(series)
    assert not series.dose_before_e_ang2.any()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda images: images[2].fill(7.0), "it is constant at 7"),
        (lambda images: np.multiply(images[2], 0.01, out=images[2]), r"its contrast \(SD\) is"),
        (lambda images: np.add(images[2], 50_000, out=images[2]), "its mean is 5"),
    ],
    ids=["dead", "dark", "flashed"],
)
def test_an_image_unlike_its_neighbours_is_left_out_with_the_reason(spoil, reason):
    stack = recorded()
    images = stack.images.copy()
    spoil(images)
    series = import_(stack.replace(images=images))
    np.testing.assert_array_equal(np.flatnonzero(~series.kept), [2])
    assert series.excluded_because[2]
    assert np.char.count(warnings(series), "is left out") == 1
    assert pytest.importorskip("re").search(reason, series.excluded_because[2])
    assert series.quality["n_kept"] == N - 1
    assert not series.quality["preview"][2]["kept"]


def test_images_about_zero_are_judged_by_their_contrast_only():
    rng = np.random.default_rng(6)
    images = rng.normal(0, 1, (N, 32, 32)).astype(np.float32)
    assert import_(recorded(images=images)).kept.all()


def test_a_dark_border_tilt_is_not_left_out_for_being_steep():
    mean = 1000 * np.cos(np.deg2rad(np.linspace(-80, 80, 33)))
    assert not unlike_neighbours(mean, 0.05 * mean, np.linspace(-80, 80, 33))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_numbers_are_refused_by_tilt_and_count(value):
    stack = recorded()
    images = stack.images.copy()
    images[3, 2, 4:7] = value
    with pytest.raises(DataError, match=r"raw/TS\.mrc: tilt 3 at -15° has 3 pixels that are not numbers; mend"):
        import_(stack.replace(images=images))


@pytest.mark.parametrize(
    ("angles", "sentence"),
    [
        ([-6, -3, 0, 0, 3, 6], "Tilts taken more than once: 0°"),
        ([-9, -6, -3, 6, 9, 12], "missing from -3° to 6°; the usual step is 3°"),
        ([-60, 0, 60, 95], "Tilts beyond ±90°: 95°"),
        ([*range(-30, 0, 3), -1, *range(0, 30, 3), -33, 30], "The angles jump back at 27° → -33°"),
    ],
)
def test_doubtful_angles_are_described(angles, sentence):
    assert sentence in " ".join(tilt_scheme.doubtful_angles(np.array(angles, float)))


@pytest.mark.parametrize(
    "angles",
    [[0], list(range(-60, 61, 3)), list(range(60, -61, -2)), [0, 3, -3, -6, 6, 9, -9], [-60, -57.2, -54, -50.9]],
)
def test_sound_angles_are_not_doubted(angles):
    assert tilt_scheme.doubtful_angles(np.array(angles, float)) == []


@pytest.mark.parametrize(("option", "value"), [("angles", Path("a.tlt")), ("mdoc", Path("a.mdoc")), ("order", "a.txt")])
def test_a_file_nobody_read_is_refused_rather_than_ignored(option, value):
    with pytest.raises(DataError, match=rf"raw/TS\.mrc was opened without {option} '{value}'"):
        import_(recorded(), ImportParams(**{option: value}))
    said_by = {"tilt_deg": "a.tlt", "axis_deg": "a.mdoc", "order": "a.txt"}
    assert import_(recorded(said_by=said_by), ImportParams(**{option: value})).n_tilts == N


def test_each_tilt_is_reported_once_and_then_the_end():
    seen = []
    import_(recorded(), report=lambda *state: seen.append(state[:2]))
    assert seen == [(tilt, N) for tilt in range(N)] + [(N, N)]


def bead_images(axis_deg, tilt_deg):
    """Project beads with a wandering stage."""
    rng = np.random.default_rng(8)
    points = rng.uniform(-1, 1, (150, 3)) * [150, 1500, 1500]
    shifts = rng.normal(0, 60, (len(tilt_deg), 2))
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=axis_deg, shift_ang_yx=shifts)
    y, x = np.mgrid[:160, :160]
    images = rng.normal(0, 0.3, (len(tilt_deg), 160, 160)).astype(np.float32)
    for image, beads in zip(images, alignment.project(points)[0] / 10 + 80, strict=True):
        for cy, cx in beads:
            image -= np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 2.0**2))
    return images


def test_an_axis_counted_from_the_wrong_line_or_with_the_wrong_sign_is_found_out():
    tilt_deg = np.linspace(-60, 60, 25)
    images = bead_images(25.0, tilt_deg)
    assert better_axis(images, tilt_deg, 25.0) is None
    assert better_axis(images, tilt_deg, 205.0) is None  # half a turn cannot be seen
    for mistaken in (-25.0, 115.0, 65.0):
        assert better_axis(images, tilt_deg, mistaken) == pytest.approx(25.0, abs=3.0)
    stack = recorded(images=images, tilt_deg=tilt_deg, dose_of_tilt_e_ang2=np.full(25, 2.0), order=np.arange(25))
    assert "fit a tilt axis of 25°" in warnings(import_(dataclasses.replace(stack, axis_deg=115.0)))


def test_noise_says_nothing_about_the_axis():
    rng = np.random.default_rng(12)
    tilt_deg = np.linspace(-60, 60, 25)
    noise = rng.normal(size=(25, 96, 96)).astype(np.float32)
    assert [better_axis(noise, tilt_deg, axis) for axis in (-30.0, 85.0)] == [None] * 2


def test_shrinking_keeps_small_images_and_averages_large_ones():
    small = np.ones((100, 120), np.float32)
    np.testing.assert_array_equal(shrink(small), small)
    large = np.repeat(np.repeat(np.arange(12.0, dtype=np.float32).reshape(3, 4), 200, 0), 200, 1)
    assert shrink(large).shape == (100, 133)
    np.testing.assert_array_equal(shrink(large)[16::33, 16::33], np.arange(12).reshape(3, 4))


def test_movies_become_movies_and_an_alignment_of_theirs_is_refused():
    images = Frames(tuple(np.stack([image] * 3) for image in recorded().images))
    series = import_(recorded(images=images))
    assert isinstance(series, Movies)
    assert series.frames(0).shape == (3, 12, 16)
    with pytest.raises(DataError, match="movies have no alignment yet; import the aligned sums"):
        import_(recorded(images=images, alignment=Alignment(tilt_deg=TILTS, axis_deg=85.0)))


def test_a_gain_nobody_has_read_is_refused_by_name():
    with pytest.raises(DataError, match=r"was opened without gain 'gain\.mrc'"):
        import_(recorded(), ImportParams(gain=Path("gain.mrc")))
