"""The benchmark of alignment runs, on a small series, and reads its records rightly."""

import numpy as np
import pytest

from benchmarks.bench_alignment_accuracy import (
    CASES,
    is_reported,
    measure,
    plot,
    rank_correlations,
    seeds_of,
    specimen,
    summary,
)
from napari_tomoflow.core.stages.align import AlignParams


def line(seed, true_px, claimed_px, warnings=()):
    figures = {"claims": {"expected_error_px": claimed_px, "residual_px.mean": 0.3}, "warnings": list(warnings)}
    known = {"case": "gold", "seed": seed, "n_gold": 9, "cpu_s": 1.0, "kept": 41, "mirrored": False}
    return known | figures | {"true_px": true_px, "worst_tilt_px": 2 * true_px, "axis_error_deg": 0.1}


@pytest.mark.slow
def test_a_series_with_faults_is_measured_and_kept_for_the_next_run(tmp_path):
    kept = []
    for _ in range(2):
        found = measure("faults", 1, 256, AlignParams(), False, tmp_path)
        kept.append({name: value for name, value in found.items() if name != "cpu_s"})
    assert kept[0] == kept[1]
    assert len(list(tmp_path.iterdir())) == 1
    if "refused" not in found:
        assert found["sound_tilts_px"] < found["true_px"]
        assert set(found["faults_named"]) == {"dead", "shadowed", "swapped", "axis"}


def test_every_case_draws_another_series_for_every_seed_and_the_same_one_again():
    drawn = [specimen(case, seed, 1024) for case in CASES for seed in (1, 2, 3)]
    assert len({params.model_dump_json() for params in drawn}) == len(drawn)
    assert specimen("gold", 3, 1024) == specimen("gold", 3, 1024)
    assert {specimen("gold", seed, 1024).n_gold for seed in range(100)} == set(range(6, 21))


def test_a_failure_is_silent_unless_its_claim_or_a_warning_says_so(tmp_path):
    lines = [line(1, 0.2, 0.3), line(2, 5.0, 0.2), line(3, 6.0, 4.0), line(4, 7.0, 0.4, ["Do not trust it."])]
    lines.append({"case": "gold", "seed": 5, "n_gold": 9, "cpu_s": 1.0, "refused": "No."})
    assert [is_reported(one) for one in lines] == [False, False, True, True, True]
    text = summary(lines)
    assert "beyond 3 px: 3, of these unreported: 1 [2]" in text
    assert "1 refused" in text
    plot(lines, tmp_path / "scatter.png")
    assert (tmp_path / "scatter.png").stat().st_size > 10_000


def test_a_hard_series_shows_less_by_less_light_than_a_cell():
    for seed in range(20):
        hard, cell = specimen("hard", seed, 512), specimen("cell", seed, 512)
        assert hard.dose_per_tilt_e_ang2 <= 0.5 * cell.dose_per_tilt_e_ang2
        assert hard.n_ribosomes + hard.n_proteasomes < cell.n_ribosomes + cell.n_proteasomes
        assert hard.shift_px > 2 * cell.shift_px
        assert hard.n_gold == cell.n_gold == 0


def test_a_claim_that_rises_with_the_error_correlates_and_one_that_does_not_is_left_out():
    errors = np.random.default_rng(0).permutation(8) + 1.0
    found = rank_correlations([line(seed, error, error**2) for seed, error in enumerate(errors)])
    assert found == {"expected_error_px": (1.0, 8)}


def test_seeds_are_read_as_ranges_and_single_numbers():
    assert seeds_of("1-3,7") == [1, 2, 3, 7]
