import sys

from napari_tomoflow.cli.progress import progress_shown


def test_away_from_a_terminal_a_line_tells_what_is_being_done_but_not_every_blink(capsys, monkeypatch):
    clock_s = iter(0.25 * step for step in range(1000))
    monkeypatch.setattr("napari_tomoflow.cli.progress.time.monotonic", lambda: next(clock_s))
    with progress_shown("align") as report:
        for done in range(20):
            report(done, 20, "finding shifts" if done < 10 else "finding the axis")
        for done in range(4):
            report(20 + done, 24, f"blinking {done}")
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[:2] == ["align:   0 % finding shifts", "align:  50 % finding the axis"]
    assert len(lines) == 3


def test_on_a_terminal_a_bar_is_drawn_on_standard_error(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_shown("align") as report:
        report(1, 2, "finding shifts")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "align: finding shifts" in captured.err
    assert "50%" in captured.err
