"""The benchmark of CTF correction runs, on a column that takes little time; `truth` has the ranking."""

from benchmarks.bench_ctf_correction import first_zero_inv_ang, measure, plot, summary


def test_the_benchmark_compares_every_correction_and_draws_it(tmp_path):
    found, k_inv_ang, ctf = measure(tmp_path, (260, 96, 96), step_deg=20.0, max_tilt_deg=40.0)
    assert [len(curves) for curves in found.values()] == [5, 5]
    assert all(max(curve["fsc"]) > 0.2 and curve["cpu_s"] > 0 for curves in found.values() for curve in curves.values())
    assert "3D-CTF: mean FSC" in summary(found, k_inv_ang, first_zero_inv_ang(ctf))
    plot(found, k_inv_ang, first_zero_inv_ang(ctf), tmp_path / "fsc.png")
    assert (tmp_path / "fsc.png").stat().st_size > 10_000
