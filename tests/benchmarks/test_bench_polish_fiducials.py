"""What compares polished averages of the fiducial series with the truth finds nothing off where nothing is."""

import numpy as np
import pytest

from benchmarks.bench_polish_fiducials import P20S, R30S, SERIES, cells, commands, placed_alike, truth_of
from napari_tomoflow.core.ops.so3 import angular_distance_deg


@pytest.mark.parametrize(("species", "symmetry"), [(P20S, "D7"), (R30S, "C1")])
def test_an_alignment_is_compared_in_its_own_frame(shared_data, species, symmetry):
    truth = truth_of(shared_data("sim_fiducial_A"), species)
    true, known = truth.particles, truth.alignments[SERIES]
    # A specimen that lies elsewhere, seen where it was: its frame tells nothing.
    moved = known.replace(shift_ang_yx=known.shift_ang_yx + (known.rotations @ [30.0, -20.0, 0.0])[:, 1::-1])
    for alignment, by_ang in ((known, 0.0), (moved, np.hypot(30.0, 20.0))):
        found, off_ang = placed_alike(alignment, truth)
        assert off_ang == pytest.approx(0.0, abs=1e-6)
        apart = np.linalg.norm(found.centers_ang_zyx - true.centers_ang_zyx, axis=1)
        np.testing.assert_allclose(apart, by_ang, atol=1e-6)
        assert angular_distance_deg(found.matrices, true.matrices, symmetry).max() < 1e-3
    strayed = known.replace(shift_ang_yx=known.shift_ang_yx + np.array([[3.0, 0.0], [-3.0, 0.0]])[np.arange(41) % 2])
    assert placed_alike(strayed, truth)[1] == pytest.approx(3.0, rel=0.05)


def test_commands_go_from_images_to_averages_of_both(tmp_path):
    given = commands(tmp_path, "gold")
    assert [one[0] for one in given][-3:] == ["initial-model", "refine", "refine"]
    assert given[1] == ["align", "--landmarks", "gold"]


def test_a_curve_is_told_in_words():
    assert cells(np.array([1.0, 1.0, 0.75, 0.25, 0.0])) == "128.00 Å (2.00)"
