"""The commands around the stages, and how quickly the program starts."""

import json
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest

from integration.command_line import PROGRAM, make_stack, tomoflow
from napari_tomoflow.cli.demo_data import ta_film_stack
from napari_tomoflow.cli.main import main
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.io.particles import read_particles
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.tilts import read_tilts


@pytest.fixture
def project(tmp_path):
    assert main(["new", str(tmp_path / "project")]) == 0
    return tmp_path / "project"


def cpu_seconds(*words):
    """Measure the processor time of a process, which other work on the machine hardly changes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_there_at_once():
    assert min(cpu_seconds(*PROGRAM[1:], "--help") for _ in range(3)) < 0.7


def test_the_core_is_imported_at_once():
    assert min(cpu_seconds("-c", "import napari_tomoflow.core.stages") for _ in range(3)) < 1.0


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    around = ["new", "status", "open", "run", "report", "demo", "doctor", "warm-up"]
    assert all(f"│ {command} " in shown for command in [*around, *(stage.name for stage in STAGES)])


def test_a_new_project_does_not_take_the_place_of_another(project, capsys):
    assert main(["new", str(project)]) == 2
    assert "is a project already" in capsys.readouterr().err


def test_an_empty_project_says_how_to_begin(project, capsys):
    assert main(["status", str(project)]) == 0
    assert "tomoflow import" in capsys.readouterr().err


def test_run_takes_every_series_to_a_tomogram_and_status_says_so(project, tmp_path, capsys):
    stack = make_stack(tmp_path / "TS.mrc", n_tilts=31, size_px=96)
    assert main(["import", str(project), str(stack), "--axis-deg", "0"]) == 0
    assert main(["run", str(project)]) == 0
    capsys.readouterr()

    assert main(["status", str(project), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["TS"]
    assert {stage: cell["status"] for stage, cell in row.items()} == dict.fromkeys(
        ("import", "align", "ctf", "reconstruct"), "done"
    )
    assert row["align"]["quality"]["tilts_used"] == 31

    assert main(["import", str(project), str(stack), "--axis-deg", "1"]) == 0
    capsys.readouterr()
    assert main(["status", str(project)]) == 0
    assert capsys.readouterr().out.count("stale") == 3


def test_open_without_a_display_says_what_to_do(project):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if sys.platform == "darwin":
        pytest.skip("a Mac always has a display")
    done = tomoflow("open", project, env=environment)
    assert done.returncode == 2
    assert "no display" in done.stderr


def test_the_measured_film_becomes_a_stack_with_its_angles(shared_data, tmp_path):
    stack = open_stack(ta_film_stack(shared_data("real_tilt_Ta_film"), tmp_path / "converted"))
    tilt_deg = read_tilts(stack.path.with_suffix(".tlt"))
    assert stack.shape == (46, 77, 151)
    assert (tilt_deg.max(), tilt_deg.min()) == pytest.approx((63.0, -55.9), abs=0.01)
    assert np.isfinite(stack[22]).all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_an_average_mapped_back_and_pictures(tmp_path):
    done = tomoflow("demo", tmp_path / "demo", "--no-window")
    assert done.returncode == 0, done.stderr
    pictures = {path.stem for path in (tmp_path / "demo" / "screenshots").glob("*.png")}
    assert {"slice_ribosomes", "volume_ribosomes", "tilts_ribosomes", "labels_cell_1", "placed_cell_1"} <= pictures
    assert str(tmp_path / "demo" / "screenshots") in done.stderr
    resolution_ang = float(re.search(r"ribosomes has a resolution of ([\d.]+) Å", done.stderr)[1])
    assert 12.0 < resolution_ang < 40.0
    # Averages lie where ribosomes were put, but for the shift of the frame that alignment leaves open.
    project = tmp_path / "demo" / "project"
    (placed,) = project.glob("jobs/*-map-back/cell_1/placed.star")
    truth = read_particles(next(project.glob("jobs/*-simulate/cell_1/truth/particles.star")))
    ribosomes = truth.centers_ang_zyx[truth.features["species"] == "ribosome"]
    found = read_particles(placed).centers_ang_zyx
    shift = np.median([ribosomes[np.argmin(np.linalg.norm(ribosomes - one, axis=1))] - one for one in found], axis=0)
    away_ang = [np.linalg.norm(ribosomes - one - shift, axis=1).min() for one in found]
    assert np.mean(np.array(away_ang) < 15.0) > 0.9
    assert len(found) > 25


@pytest.mark.slow
def test_warm_up_says_how_long_it_took():
    done = tomoflow("warm-up")
    assert done.returncode == 0, done.stderr
    assert "Kernels are ready" in done.stderr


def test_a_reconstruction_takes_the_newest_ctf_and_warns_where_its_hand_is_undecided(project, tmp_path, capsys):
    stack = make_stack(tmp_path / "TS.mrc", n_tilts=11, size_px=96)
    assert main(["import", str(project), str(stack), "--axis-deg", "0"]) == 0
    assert main(["ctf", str(project)]) == 0
    assert main(["reconstruct", str(project), "--ctf", "slabs", "--thickness-ang", "200"]) == 0
    capsys.readouterr()
    assert main(["status", str(project), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["TS"]
    hand = row["ctf"]["quality"]["defocus_hand"]
    made = row["reconstruct"]["quality"]
    assert made["defocus_hand"] == hand
    assert ("undecided" in made.get("ctf_warning", "")) == (hand == 0)
