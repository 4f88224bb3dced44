"""Clicked points given to `pick` as a table of whatever unit."""

import numpy as np
import pytest

from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.core.stages.pick import PICK, PickParams
from napari_tomoflow.project import record_edit, run


@pytest.mark.parametrize(("unit", "centre", "radius"), [("px", 20.0, 10.0), ("ang", 0.0, 100.0), (None, 0.0, 100.0)])
def test_clicks_are_counted_in_what_a_person_says(unit, centre, radius, small_project, tmp_path):
    empty = Tomogram(name="A", volume=np.zeros((40, 40, 40), np.float32), voxel_ang=10.0)
    record_edit(small_project, "A", [empty], note="Made up.", of_job=1)
    ways = np.random.default_rng(2).normal(size=(20, 3))
    clicks = centre + radius * ways / np.linalg.norm(ways, axis=1, keepdims=True)
    suffix = "" if unit else "_ang"
    lines = [",".join(f"{axis}{suffix}" for axis in "xyz"), *(",".join(f"{one:.6f}" for one in row) for row in clicks)]
    (tmp_path / "clicks.csv").write_text("\n".join(lines))
    params = PickParams(particles=tmp_path / "clicks.csv", particles_unit=unit, model="sphere", spacing_nm=5.0)
    record = run(small_project, PICK, params, series=("A",))
    assert record.items["A"].status == "done", record.items["A"].error
    picked = small_project.load(ParticleSet, "A", from_job=record.number)
    np.testing.assert_allclose(np.linalg.norm(picked.centers_ang_zyx, axis=1), 100.0, atol=0.01)


def test_clicks_of_unknown_unit_are_asked_for(small_project, tmp_path):
    (tmp_path / "clicks.csv").write_text("x,y,z\n1,2,3\n")
    empty = Tomogram(name="A", volume=np.zeros((40, 40, 40), np.float32), voxel_ang=10.0)
    record_edit(small_project, "A", [empty], note="Made up.", of_job=1)
    record = run(small_project, PICK, PickParams(particles=tmp_path / "clicks.csv"), series=("A",))
    assert "say the unit px, ang or ang-corner" in record.items["A"].error
