"""An imported alignment held against the images it is said to be of."""

import numpy as np
import pytest

from integration.command_line import PIXEL_ANG
from napari_tomoflow.core.model import AlignedSeries, Alignment, RawStack
from napari_tomoflow.core.ops.alignment_check import neighbours_agree
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.stages.import_ import import_

N, SIZE = 15, 300
TRUE = Alignment(
    tilt_deg=np.linspace(-42, 42, N),
    axis_deg=25.0,
    xtilt_deg=2.0,
    shift_ang_yx=np.random.default_rng(2).normal(0, 120, (N, 2)),
)


def images_of(alignment, noise):
    rng = np.random.default_rng(3)
    beads_zyx = rng.uniform(-1, 1, (60, 3)) * [150, 1300, 1300]
    centres = pixels_from_ang(alignment.project(beads_zyx)[0], PIXEL_ANG, (SIZE, SIZE))
    y, x = np.arange(SIZE)[:, None], np.arange(SIZE)
    images = rng.normal(100, noise, (N, SIZE, SIZE))
    for image, beads in zip(images, centres, strict=True):
        for v, u in beads:
            image -= 20 * np.exp(-((y - v) ** 2) / 18) * np.exp(-((x - u) ** 2) / 18)
    return images.astype(np.float32)


@pytest.fixture(scope="module")
def images():
    return images_of(TRUE, noise=10.0)


def taken_in(images, alignment):
    recorded = RawStack(
        name="TS", source="TS.mrc", images=images, pixel_ang=PIXEL_ANG, tilt_deg=TRUE.tilt_deg, alignment=alignment
    )
    return import_(recorded)


def doubts(series):
    return [warning for warning in series.quality["warnings"] if "the alignment that came with them" in warning]


def test_the_true_alignment_leaves_nothing_to_move(images):
    series = taken_in(images, TRUE)
    assert isinstance(series, AlignedSeries)
    assert series.quality["alignment"]["neighbours_seen"] == N - 1
    # Less than a pixel of the images, which are binned twofold for this.
    assert series.quality["alignment"]["neighbours_apart_ang"] < PIXEL_ANG
    assert doubts(series) == []


@pytest.mark.parametrize(
    "shift_ang_yx",
    [-TRUE.shift_ang_yx, TRUE.shift_ang_yx[:, ::-1], 2 * TRUE.shift_ang_yx, np.roll(TRUE.shift_ang_yx, 1, axis=0)],
    ids=["wrong sign", "x for y", "wrong pixel", "next tilt"],
)
def test_wrong_shifts_are_noticed(images, shift_ang_yx):
    (warning,) = doubts(taken_in(images, TRUE.replace(shift_ang_yx=shift_ang_yx)))
    assert "Neighbouring images disagree" in warning


def test_noise_confirms_nothing():
    noise = np.random.default_rng(4).normal(size=(N, SIZE, SIZE)).astype(np.float32)
    series = taken_in(noise, TRUE)
    assert series.quality["alignment"]["neighbours_apart_ang"] is None
    assert "do not confirm" in doubts(series)[0]


def test_what_no_pair_shows_all_pairs_show_together():
    faint = images_of(TRUE, noise=40.0)
    series = taken_in(faint, TRUE)
    assert series.quality["alignment"]["neighbours_seen"] < N / 2
    assert series.quality["alignment"]["neighbours_apart_ang"] < 2 * PIXEL_ANG
    assert doubts(series) == []
    assert len(doubts(taken_in(faint, TRUE.replace(shift_ang_yx=-TRUE.shift_ang_yx)))) == 1


def test_tilts_left_out_are_not_compared(images):
    broken = images.copy()
    broken[5] = np.random.default_rng(5).normal(100, 10, (SIZE, SIZE))
    kept = np.arange(N) != 5
    series = taken_in(broken, TRUE.replace(kept=kept))
    assert series.quality["alignment"]["neighbours_seen"] == N - 2
    assert doubts(series) == []


def test_one_image_has_no_neighbour():
    agreement = neighbours_agree(np.zeros((1, 20, 20), np.float32), np.eye(3)[None], np.full((1, 2), 10.0))
    assert np.isnan(agreement.typical_px)
