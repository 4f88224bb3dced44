"""The benchmark of the picker runs, with few picks."""

from benchmarks.bench_picker import main


def test_every_click_is_measured(qapp, capsys):
    found = main(n_picks=300, n_clicks=2, shape=(20, 60, 60))
    assert set(found) == {"command", "window", "pause"}
    assert all(clock > 0 for clock, _ in found.values())
    assert found["command"][0] < found["window"][0]
    assert "300 picks" in capsys.readouterr().out
