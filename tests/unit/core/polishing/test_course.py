"""Which rounds of polishing count, and after which the course ends."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.fsc_curve import FscCurve
from napari_tomoflow.core.polishing import course
from napari_tomoflow.core.polishing.averaged import Averaged
from napari_tomoflow.core.polishing.course import Settings, State, refine_together


def curve(agreed):
    """Halves that agree alike in all shells."""
    shells = np.full(9, agreed)
    return FscCurve(np.arange(9) / 100.0, shells, shells, 0 * shells, shells, 9 * shells)


def state(agreed, history):
    return State({}, {}, {"hook": Averaged((), None, None, curve(agreed), agreed)}, {}, tuple(history))


GAINS = {"much": 400.0, "little": 0.5}


class Told:
    """A course whose rounds come to what is told: how far the halves agree, which parts were accepted, and gains."""

    rounds = ()

    def __init__(self, *_):
        pass

    def restored(self, *_):
        return None

    def begun(self, *_):
        return state(0.5, [{"kept": True}])

    def keep(self, *_):
        pass

    def advanced(self, before, _):
        agreed, *accepted = self.rounds[len(before.history) - 1]
        gain = GAINS.get(accepted[-1], 1.0) if accepted else 0.0
        parts = {name: {"accepted": name in accepted, "gain": gain} for name in ("particles", "shifts", "bending")}
        return state(agreed, [*before.history, {"series": {"A": {"parts": parts}}, "kept": True}])

    def ended(self, after, _):
        return replace(after)


@pytest.mark.parametrize(
    ("rounds", "kept"),
    [
        ([(0.6, "shifts"), (0.7, "bending"), (0.8,)], [True, True, True]),
        ([(0.6, "shifts"), (0.6,), (0.9,)], [True, False]),
        ([(0.4, "particles"), (0.9,)], [False]),
        ([(0.6, "particles"), (0.5, "shifts"), (0.9, "shifts")], [True, True]),
        ([(0.6, "shifts", "much"), (0.6, "shifts", "little"), (0.9, "shifts")], [True, False]),
    ],
    ids=[
        "agrees better each time",
        "nothing new",
        "places alone, agrees less",
        "a shared part, agrees less",
        "a trace of what was found before",
    ],
)
def test_a_round_counts_that_particles_left_out_or_halves_speak_for(monkeypatch, rounds, kept):
    monkeypatch.setattr(course, "_Course", type("Course", (Told,), {"rounds": rounds}))
    ended = refine_together({}, {}, {}, Settings(rounds=3))
    assert [one["kept"] for one in ended.history[1:]] == kept
    last = [agreed for (agreed, *_), one in zip(rounds, kept, strict=False) if one]
    assert ended.averages["hook"].curve.corrected[0] == (last or [0.5])[-1]
