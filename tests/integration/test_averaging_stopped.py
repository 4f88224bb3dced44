"""Averaging killed in the middle of its course: the same command goes on, and ends at the same bits."""

import shutil

import pytest

from integration.command_line import files_in, start, tomoflow, wait_until
from napari_tomoflow.core.stages.simulate import SIMULATE, SimulateParams
from napari_tomoflow.io import plots
from napari_tomoflow.project import Project, run
from unit.project import fake_stages as fake

SPECIES = ("--species", "ribosome", "--diameter-ang", 260)
FIRST_MAP = ("initial-model", *SPECIES, "--resolution-ang", 60, "--iterations", 10, "--starts", 1)
COMMANDS = {
    "annealed": (*FIRST_MAP, "--annealed", 200),
    "in lots": (*FIRST_MAP, "--annealed", 0, "--lots", 2),
    "refined": ("refine", *SPECIES, "--pixel-ang", 20, "--iterations", 4),
}
KEPT = {"annealed": "annealing_0.npz", "in lots": "initial_model.npz", "refined": "refinement.npz"}


@pytest.fixture(scope="module")
def picked(tmp_path_factory):
    """A hundred ribosomes at their true places in seven images, whose geometry is what the series claims."""
    scene = SimulateParams(
        name="A", size_px=128, pixel_ang=20.0, n_tilts=7, thickness_nm=80.0, n_ribosomes=30, n_proteasomes=0, n_gold=0,
        n_vesicles=0, dose_per_tilt_e_ang2=10.0, shift_px=0.0, axis_jitter_deg=0.0, tilt_error_deg=0.0,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "DRAWN", ())
        project = Project.create(tmp_path_factory.mktemp("averaged") / "picked")
        simulated = run(project, SIMULATE, scene)
        run(project, fake.MEASURE, fake.MeasureParams(axis_deg=scene.axis_deg))
    truth = project.job_folder(simulated.number) / "A" / "truth" / "particles.star"
    complete("import-particles", project, truth, "--tomogram", "A", "--species", "ribosome")
    return project


@pytest.fixture(scope="module")
def straight(picked):
    """The same project in which nothing stops what is run."""
    project = copy_of(picked, "straight")
    for name, *words in COMMANDS.values():
        complete(name, project, *words)
    return project


@pytest.fixture(scope="module")
def stopped(picked):
    """The same project in which each command is killed once it has kept a step, and run again."""
    project = copy_of(picked, "stopped")
    for number, (what, (name, *words)) in enumerate(COMMANDS.items(), len(project.jobs()) + 1):
        kept = project.jobs_folder / f"{number:04d}-{name}" / "ribosome.steps" / KEPT[what]
        process = start(name, project.folder, *words)
        wait_until(kept.exists, timeout_s=600)
        process.kill()
        process.communicate()
        assert kept.exists()
        complete(name, project, *words)
    return project


def copy_of(project, name):
    return Project.open(shutil.copytree(project.folder, project.folder.with_name(name)))


def complete(name, project, *words):
    done = tomoflow(name, project.folder, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("what", COMMANDS)
def test_what_was_killed_goes_on_and_ends_at_the_same_maps_and_poses(straight, stopped, what):
    after_picks = list(COMMANDS).index(what) - len(COMMANDS)
    folders = [project.job_folder(project.jobs()[after_picks].number) for project in (straight, stopped)]
    tables, maps = ("particles.star",), ("map.mrc", "map_half1.mrc", "map_half2.mrc")
    for file in tables + maps:
        one, other = ((folder / "ribosome" / file).read_bytes() for folder in folders)
        assert one == other, file
    log = (folders[1] / "log.txt").read_text("utf-8")
    assert log.count("ribosome started") == 2
    assert not [path for path in files_in(folders[1]) if ".partial" in path or ".steps" in path]
