"""The benchmark of motion correction runs, on a size that takes no time."""

from benchmarks.bench_motion import main


def test_the_benchmark_says_rate_ceiling_error_and_memory(capsys):
    assert main(["--tilts", "3", "--frames", "4", "--size", "256"]) == 0
    said = capsys.readouterr().out
    for words in ("3 tilts × 4 frames × 256²", "Mpx per CPU second", "% reached", "peak memory"):
        assert words in said
