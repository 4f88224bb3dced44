"""A recorded run of the picker in a real window, ended with SIGKILL: nothing a person did is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.project import Project, record_edit, run

from .conftest import MAKE, MakeParams
from .test_picker_snapping import balls

SCRIPT = Path(__file__).with_name("recorded_picking.py")


@pytest.fixture
def project(tmp_path):
    """Two series with tomograms of 20 balls each, at the same places."""
    project = Project.create(tmp_path / "balls")
    grid = np.array(
        [(z, y, x) for z in (-80.0, 80.0) for y in (-220.0, 0.0, 220.0) for x in (-220.0, -75.0, 75.0, 220.0)]
    )
    truth = grid[np.random.default_rng(3).permutation(len(grid))[:20]]
    np.save(project.folder / "truth.npy", truth)
    for seed, name in enumerate(("TS_01", "TS_02")):
        made = run(project, MAKE, MakeParams(name=name))
        tomogram = balls(truth, noise=0.5, seed=seed, diameter_ang=120.0, origin_ang_zyx=(0.0, 0.0, 0.0))
        record_edit(project, name, [tomogram.replace(name=name)], note="Made up.", of_job=made.number)
    return project


def run_script(project, what, pictures):
    command = [sys.executable, str(SCRIPT), str(project.folder), what, str(pictures)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(400)
def test_nothing_is_lost_when_the_process_is_killed(project, tmp_path, qapp):
    pictures = Path(os.environ.get("TOMOFLOW_PICTURES", tmp_path))
    process = run_script(project, "record", pictures)
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert lines[1], errors
    snapped_ang, before = map(json.loads, lines)

    assert len(snapped_ang) == 20
    assert max(snapped_ang) < 5.0, "snapping leads to the middle of each ball, to half a voxel"
    assert len(before["tomograms"]["TS_01"]) == 20 - 1
    assert len(before["tomograms"]["TS_02"]) == 1
    species = [pick[-1] for pick in before["tomograms"]["TS_01"]]
    assert species.count("type 1") == 6
    assert before["unsaved"] == ["TS_01", "TS_02"]
    assert Project.open(project.folder).find(ParticleSet, "TS_01") is None

    process = run_script(project, "look", pictures)
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert json.loads(out.splitlines()[-1]) == before
