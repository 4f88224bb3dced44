"""Progress and cancel."""

import pytest

from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.report import Gauge, part, silent, watched


def test_watched_reports_before_each_item_and_once_at_the_end():
    seen = []
    assert list(watched("abc", lambda *state: seen.append(state), "Reading")) == ["a", "b", "c"]
    assert seen == [(0, 3, "Reading"), (1, 3, "Reading"), (2, 3, "Reading"), (3, 3, "Reading")]


def test_parts_follow_one_another_without_going_back():
    seen = []
    for index in range(3):
        for _ in watched(range(4), part(lambda done, total, _: seen.append(done / total), index, 3), "x"):
            pass
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0


def test_a_part_of_nothing_does_not_divide_by_zero():
    part(silent, 0, 1)(0, 0, "nothing to do")


def test_a_cancelled_gauge_stops_the_next_report_and_still_tells_where():
    gauge = Gauge()
    gauge(1, 5, "Aligning")
    gauge.cancel()
    with pytest.raises(Cancelled):
        gauge(2, 5, "Aligning")
    assert gauge.read() == (2, 5, "Aligning")
