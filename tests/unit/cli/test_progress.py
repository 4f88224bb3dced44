import sys

from napari_tomoflow.cli.progress import progress_shown


def test_away_from_a_terminal_a_line_tells_each_new_thing(capsys):
    with progress_shown("align") as report:
        for done in range(100):
            report(done, 100, "finding shifts" if done < 50 else "finding the axis")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["align:   0 % finding shifts", "align:  50 % finding the axis"]


def test_on_a_terminal_a_bar_is_drawn_on_standard_error(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_shown("align") as report:
        report(1, 2, "finding shifts")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "align: finding shifts" in captured.err
    assert "50%" in captured.err
