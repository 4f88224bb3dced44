"""A picking session: every command can be undone, and what is told to the log is the session."""

import json
import os

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui.picker.journal import FOLDER, Journal
from napari_tomoflow.gui.picker.picks import CENTERS, ID, IS_THERE, QUATERNIONS, TYPE
from napari_tomoflow.gui.picker.session import Session, turned


def stored(tomogram, job):
    """Return what job `job` left of a tomogram: ribosomes with scores and a column of another program."""
    rng = np.random.default_rng(job)
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-500, 500, (6, 3)),
        quaternions_xyzw=rng.normal(size=(6, 4)),
        tomogram=np.array(tomogram),
        ids=np.arange(10, 16),
        half=np.array([1, 2, 1, 2, 1, 2]),
        score=np.linspace(0.1, 0.6, 6),
        features={"species": np.array(["ribosome"] * 4 + ["gold"] * 2), "rlnDefocusU": np.linspace(2e4, 3e4, 6)},
    )


def picture(session):
    """Return all that a session holds, fit to be compared."""
    tomograms = {}
    for name in session.tomograms:
        found = session.particle_set(name)
        order = np.argsort(found.ids)
        tomograms[name] = {
            "ids": found.ids[order].tolist(),
            "centers": found.centers_ang_zyx[order].tolist(),
            "turns": found.quaternions_xyzw[order].tolist(),
            "species": found.features["species"][order].tolist(),
        }
    return {"tomograms": tomograms, "types": [one for one in session.types if one.is_present]}


def act(session, rng):
    """Do something at random."""
    rows = session.picks.there()
    some = rng.choice(rows, min(len(rows), 3), replace=False) if len(rows) else rows
    what = rng.integers(9)
    if what <= 2:
        session.add(rng.uniform(-500, 500, (int(rng.integers(1, 4)), 3)))
    elif what == 3:
        session.delete(some)
    elif what == 4:
        session.move(some, rng.uniform(-500, 500, (len(some), 3)))
    elif what == 5:
        session.turn(some, turned(session.picks[QUATERNIONS][some], rng.normal(size=3), 30.0, own=True))
    elif what == 6:
        present = [at for at, one in enumerate(session.types) if one.is_present]
        session.retype(some, int(rng.choice(present)))
    elif what == 7:
        session.take(stored(session.tomogram, int(rng.integers(100))), str(rng.choice(session.tomograms)), "a table")
    elif rng.integers(2):
        session.add_type()
    else:
        session.change_type(session.active_type, diameter_ang=float(rng.uniform(50, 300)))


@pytest.fixture
def session():
    session = Session(stored)
    session.open("TS_01")
    return session


@pytest.mark.parametrize("seed", range(5))
def test_undoing_everything_leads_back_and_redoing_leads_forth(seed):
    rng = np.random.default_rng(seed)
    session = Session(stored)
    session.open("TS_02", job=7)
    session.open("TS_01")
    pictures = [picture(session)]
    while len(pictures) < 30:
        session.open(str(rng.choice(["TS_01", "TS_02"])))
        before = len(session._state.history.done)
        act(session, rng)
        if len(session._state.history.done) > before:
            pictures.append(picture(session))
    for expected in reversed(pictures[:-1]):
        session.undo()
        assert picture(session) == expected
    assert not session.can_undo
    assert session.unsaved() == ()
    for expected in pictures[1:]:
        session.redo()
        assert picture(session) == expected
    assert not session.can_redo


@pytest.mark.parametrize("seed", range(5))
def test_log_told_again_makes_the_same_session_after_every_event(seed, tmp_path):
    rng = np.random.default_rng(seed)
    journal = Journal(tmp_path)
    live = Session(stored, journal.write, journal.events())
    live.open("TS_02", job=7)
    live.open("TS_01")
    for _ in range(25):
        if rng.integers(4) == 0:
            (live.undo, live.redo)[rng.integers(2)]()
        else:
            act(live, rng)
        again = Session(stored, events=[json.loads(line) for line in journal.path.read_bytes().splitlines()])
        assert picture(again) == picture(live)
        assert again.unsaved() == live.unsaved()
        assert (again.can_undo, again.can_redo) == (live.can_undo, live.can_redo)
    while live.can_undo:
        live.undo()
        again.undo()
    assert picture(again) == picture(live)
    journal.close()


def test_undo_goes_to_the_tomogram_the_change_was_in(session):
    session.add([[1.0, 2.0, 3.0]])
    session.open("TS_02")
    session.undo()
    assert session.tomogram == "TS_01"
    assert not len(session.picks.there())
    session.open("TS_02")
    session.redo()
    assert session.tomogram == "TS_01"
    assert len(session.picks.there()) == 1


def test_loaded_picks_keep_ids_scores_and_foreign_columns():
    session = Session(stored)
    session.open("TS_02", job=7)
    session.delete(np.array([1]))
    session.add([[1.0, 2.0, 3.0]])
    found, source = session.particle_set("TS_02"), stored("TS_02", 7)
    kept = [0, 2, 3, 4, 5]
    np.testing.assert_array_equal(found.ids, [*source.ids[kept], 16])
    np.testing.assert_array_equal(found.score, [*source.score[kept], np.nan])
    np.testing.assert_array_equal(found.half, [*source.half[kept], 0])
    np.testing.assert_array_equal(found.features["rlnDefocusU"], [*source.features["rlnDefocusU"][kept], np.nan])
    np.testing.assert_allclose(found.quaternions_xyzw[:5], source.quaternions_xyzw[kept])
    assert list(found.features["species"]) == ["ribosome"] * 3 + ["gold"] * 2 + ["gold"]
    assert set(found.tomogram) == {"TS_02"}


def test_types_of_a_saved_set_come_back_with_colour_and_sizes(session):
    session.change_type(0, name="20S", diameter_ang=150.0, box_ang=260.0, symmetry="D7", colour="#123456")
    session.add([[1.0, 2.0, 3.0]])
    saved = session.particle_set("TS_01")
    other = Session(lambda tomogram, job: saved)
    other.open("TS_01", job=1)
    assert other.types == session.types


def test_newer_picks_replace_saved_ones_and_can_be_taken_back():
    session = Session(stored)
    session.open("TS_02", job=7)
    session.add([[1.0, 2.0, 3.0]])
    session.open("TS_02", job=9)
    assert session.job_of("TS_02") == 7, "changes that are not saved are never dropped"
    session.begin_saving("TS_02")
    session.note_saved("TS_02", 8)
    session.open("TS_02", job=9)
    np.testing.assert_allclose(session.particle_set("TS_02").centers_ang_zyx, stored("TS_02", 9).centers_ang_zyx)
    assert not session.is_dirty("TS_02")
    session.undo()
    assert len(session.picks.there()) == 7
    assert session.is_dirty("TS_02")


def test_dirty_is_what_differs_from_what_was_saved(session):
    session.add([[1.0, 2.0, 3.0]])
    assert session.unsaved() == ("TS_01",)
    saved = session.begin_saving("TS_01")
    session.add([[4.0, 5.0, 6.0]])
    session.note_saved("TS_01", 4)
    assert len(saved) == 1
    assert session.unsaved() == ("TS_01",), "what was added while saving was under way is not saved"
    session.undo()
    assert session.unsaved() == ()
    session.undo()
    assert session.is_dirty("TS_01")
    assert session.notes("TS_01") == ["Took back: Added 1 pick of particle at x 3.0 Å, y 2.0 Å, z 1.0 Å."]
    session.redo()
    assert session.unsaved() == ()
    assert session.notes("TS_01") == []


def test_threshold_hides_but_never_deletes():
    session = Session(stored)
    session.open("TS_02", job=7)
    session.add([[0.0, 0.0, 0.0]], index=0)
    ribosome = [one.name for one in session.types].index("ribosome")
    session.set_threshold(ribosome, 0.25)
    assert len(session.shown()) == 5
    np.testing.assert_array_equal(session.below_threshold(ribosome), [0, 1])
    assert len(session.picks.there()) == 7
    session.change_type(ribosome, is_visible=False)
    assert len(session.shown()) == 7 - 4


def test_type_with_picks_and_the_last_one_cannot_be_removed(session):
    rows = session.add([[1.0, 2.0, 3.0]])
    with pytest.raises(ParamError, match="while it has 1 pick;"):
        session.remove_type(0)
    other = session.add_type()
    session.retype(rows, other)
    session.remove_type(0)
    assert session.active_type == other
    session.delete(rows)
    with pytest.raises(ParamError, match="the only type"):
        session.remove_type(other)
    with pytest.raises(ParamError, match="called type 1 already"):
        session.change_type(session.add_type(), name="type 1")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": " "}, "give it a name"),
        ({"diameter_ang": 0.0}, "cannot be 0 Å"),
        ({"symmetry": "X3"}, "give C1, C7"),
        ({"colour": "red"}, "#rrggbb"),
    ],
)
def test_impossible_types_are_refused_in_a_sentence(session, values, said):
    with pytest.raises(ParamError, match=said):
        session.change_type(0, **values)
    assert not session.can_undo


def test_orientations_are_kept_as_unit_quaternions(session):
    rows = session.add([[1.0, 2.0, 3.0]])
    session.turn(rows, [[0.0, 0.0, 3.0, 4.0]])
    np.testing.assert_allclose(session.picks[QUATERNIONS][rows], [[0.0, 0.0, 0.6, 0.8]])
    assert session.last_note.endswith("by 73.7°.")


def test_ids_are_never_given_twice(session):
    first = session.add([[1.0, 2.0, 3.0]])
    session.undo()
    second = session.add([[1.0, 2.0, 3.0]])
    assert session.picks[ID][first[0]] != session.picks[ID][second[0]]


def test_thousands_of_picks_grow_without_losing_any(session):
    places = np.random.default_rng(1).uniform(-500, 500, (5000, 3))
    for part in np.split(places, 50):
        session.add(part)
    np.testing.assert_array_equal(session.picks[CENTERS], places)
    assert session.picks[IS_THERE].all()
    assert (session.picks[TYPE] == 0).all()


def test_torn_last_line_of_the_log_is_dropped_and_overwritten(tmp_path):
    journal = Journal(tmp_path)
    session = Session(stored, journal.write, journal.events())
    session.open("TS_01")
    session.add([[1.0, 2.0, 3.0]])
    session.add([[4.0, 5.0, 6.0]])
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes()[:-30])
    journal = Journal(tmp_path)
    again = Session(stored, journal.write, journal.events())
    again.open("TS_01")
    assert again.particle_set("TS_01").centers_ang_zyx.tolist() == [[1.0, 2.0, 3.0]]
    again.add([[7.0, 8.0, 9.0]])
    journal.close()
    journal = Journal(tmp_path)
    last = Session(stored, journal.write, journal.events())
    assert picture(last) == picture(again)
    journal.close()


def test_garbled_log_is_told_with_its_line(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "picks.jsonl").write_bytes(b'{"begin":"TS_01"}\n{"be\n{"begin":"TS_02"}\n')
    journal = Journal(tmp_path)
    with pytest.raises(DataError, match="garbled in line 2"):
        list(journal.events())
    journal.close()


def test_full_disk_refuses_the_change_and_leaves_log_and_picks_whole(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    session = Session(stored, journal.write, journal.events())
    session.open("TS_01")
    session.add([[1.0, 2.0, 3.0]])
    whole = journal._file

    class Full:
        def __getattr__(self, name):
            return getattr(whole, name)

        def write(self, line):
            return whole.write(line[:10])

    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(DataError, match="full"):
        session.add([[4.0, 5.0, 6.0]])
    assert len(session.picks.there()) == 1
    monkeypatch.setattr(journal, "_file", whole)
    session.add([[7.0, 8.0, 9.0]])
    journal.close()
    journal = Journal(tmp_path)
    again = Session(stored, journal.write, journal.events())
    assert picture(again) == picture(session)
    journal.close()


def test_two_processes_cannot_pick_in_one_project(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(MissingError, match=f"open in process {os.getpid()}"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_log_of_a_process_that_is_gone_is_taken_over(tmp_path):
    Journal(tmp_path).close()
    owner = tmp_path / FOLDER / "owner.json"
    journal = Journal(tmp_path)
    values = json.loads(owner.read_text())
    journal.close()
    owner.write_text(json.dumps({**values, "started": values["started"] - 1000.0}))
    Journal(tmp_path).close()
