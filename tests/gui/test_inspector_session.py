"""Every change to an alignment is a step that can be taken back, and is told in words and numbers."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.mend import resolve
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.gui.inspector.session import Session
from napari_tomoflow.gui.left_out import BY_HAND

from .aligned_beads import aligned, bead_tilts


@pytest.fixture
def session():
    series = bead_tilts()
    return Session(series, aligned(series))


def test_tilts_are_counted_by_rising_angle(session):
    assert np.all(np.diff(session.alignment.tilt_deg[session.order]) > 0)
    np.testing.assert_array_equal(session.order[session.rank], np.arange(session.series.n_tilts))


def test_nothing_done_is_nothing_to_save(session):
    assert session.changed() == ()
    assert not session.needs_solving


def test_tilt_left_out_and_taken_in_again(session):
    session.toggle_tilt(3)
    assert not session.alignment.kept[3]
    assert session.needs_solving
    assert session.notes == (f"Left out tilt 3 ({session.alignment.tilt_deg[3]:+.1f}°).",)
    series, alignment = session.changed()
    assert (type(series), type(alignment)) == (TiltSeries, Alignment)
    assert series.excluded_because[3] == BY_HAND
    assert not series.kept[3]
    session.toggle_tilt(3)
    assert [type(noun) for noun in session.changed()] == [Alignment]


def test_tilt_that_stays_out_keeps_its_reason():
    series = bead_tilts().without({2: "dark or blank"})
    session = Session(series, aligned(series).replace(kept=series.kept))
    session.toggle_tilt(4)
    edited = session.changed()[0]
    assert edited.excluded_because[2] == "dark or blank"
    session.toggle_tilt(2)
    assert session.changed()[0].kept[2]


def test_steps_are_taken_back_and_made_again(session):
    before = session.landmarks
    session.delete_point(1)
    session.delete_measurements(np.array([0, 5]))
    after = session.landmarks
    session.undo()
    session.undo()
    assert session.landmarks is before
    assert session.notes == ()
    session.undo()
    session.redo()
    session.redo()
    assert session.landmarks is after
    assert not session.can_redo
    assert session.notes[0] == "Deleted landmark 1."


def test_change_after_an_undo_forgets_what_was_taken_back(session):
    session.delete_point(1)
    session.undo()
    session.delete_point(2)
    assert not session.can_redo
    assert session.notes == ("Deleted landmark 2.",)


def test_moved_measurement_says_from_where_to_where(session):
    session.move(np.array([4]), np.array([[12.5, -30.0]]))
    point, tilt = session.landmarks.point[4], session.landmarks.tilt[4]
    assert session.notes == (f"Moved landmark {point} in tilt {tilt} to y = 12.5 Å, x = -30.0 Å.",)
    np.testing.assert_array_equal(session.landmarks.position_ang_yx[4], [12.5, -30.0])


def test_largest_residuals_come_first_and_none_of_a_tilt_left_out(session):
    moved = session.landmarks.position_ang_yx[[7, 20]] + [[0.0, 90.0], [300.0, 0.0]]
    session.move(np.array([7, 20]), moved)
    assert list(session.largest_residuals()[:2]) == [20, 7]
    session.toggle_tilt(int(session.landmarks.tilt[20]))
    assert session.largest_residuals()[0] == 7


def test_residual_of_a_tilt_follows_its_landmarks(session):
    tilt = int(session.landmarks.tilt[7])
    before = session.tilt_residuals_ang()
    session.move(np.array([7]), session.landmarks.position_ang_yx[[7]] + 200.0)
    after = session.tilt_residuals_ang()
    assert after[tilt] > before[tilt] + 50
    np.testing.assert_allclose(np.delete(after, tilt), np.delete(before, tilt))


def test_solution_is_taken(session):
    session.delete_point(0)
    solved = resolve(session.opened, session.landmarks, session.alignment.kept)
    session.take_solution(solved)
    assert not session.needs_solving
    assert session.notes[-1].startswith("Solved again: residual")
    assert session.changed() == (solved,)


def test_alignment_without_landmarks_can_be_looked_at_and_tilts_left_out():
    series = bead_tilts()
    session = Session(series, aligned(series).replace(landmarks=None))
    assert len(session.largest_residuals()) == 0
    session.toggle_tilt(0)
    assert not session.needs_solving
    assert len(session.changed()) == 2
