"""From movies on disk to a tilt series in a project: the commands, and where their results lie."""

import json
import os

import numpy as np
import pytest

from eer_files import write_eer
from faults.movie_files import SHAPE, TILTS, make_movies
from napari_tomoflow.cli import projects
from napari_tomoflow.cli.main import main
from napari_tomoflow.core.model import Movies, TiltSeries
from napari_tomoflow.core.motion.gain import ORIENTATIONS
from napari_tomoflow.core.stages import IMPORT
from napari_tomoflow.core.stages.import_ import ImportParams
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, run
from truth.movies import drift, moved, off_px, specimen


@pytest.fixture
def project(tmp_path):
    """Make an empty project."""
    assert main(["new", str(tmp_path / "P")]) == 0
    return tmp_path / "P"


def test_movies_go_from_files_to_an_aligned_series(project, tmp_path, capsys):
    rng = np.random.default_rng(1)
    gain = np.clip(rng.normal(1, 0.1, SHAPE), 0.5, 2).astype(np.float32)
    mdoc, paths = make_movies(tmp_path / "frames", gain=gain, compression="zlib")
    write_mrc(tmp_path / "gain.mrc", ORIENTATIONS["turned-90"](gain)[None].copy(), 1.0)
    mdoc.rename(tmp_path / "TS_01.mrc.mdoc")
    files = ["--mdoc", tmp_path / "TS_01.mrc.mdoc", "--frames", tmp_path / "frames", "--gain", tmp_path / "gain.mrc"]
    assert main(["import", str(project), *map(str, files), "--cs-mm", "2.7", "--amplitude-contrast", "0.07"]) == 0
    capsys.readouterr()
    assert main(["motion", str(project), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert "turned-270" in json.dumps(summary)
    opened = Project.open(project)
    assert opened.series() == ("TS_01",)
    movies, series = (opened.load(kind, "TS_01") for kind in (Movies, TiltSeries))
    np.testing.assert_allclose(series.tilt_deg, TILTS)
    assert (series.pixel_ang, series.axis_deg, series.images.shape) == (2.0, 85.0, (5, *SHAPE))
    np.testing.assert_array_equal(series.order, np.arange(5))
    np.testing.assert_array_equal(series.dose_before_e_ang2, movies.dose_before_e_ang2)
    assert max(off_px(series, tilt, path) for tilt, path in enumerate(paths)) <= 0.3
    folder = opened.find(TiltSeries, "TS_01")
    assert sorted(path.name for path in folder.iterdir()) == [
        "motion.png", "quality.json", "stack.mrc", "stack_even.mrc", "stack_odd.mrc", "tilt_series.star",
    ]  # fmt: skip
    np.testing.assert_allclose(series.halves[0][2] + series.halves[1][2], series.images[2], rtol=1e-4, atol=1e-2)
    assert not list(opened.find(Movies, "TS_01").glob("*.mrc")), "raw frames are referred to, not copied"


def test_a_stage_that_wants_images_says_that_motion_comes_first(project, tmp_path, capsys):
    mdoc, _ = make_movies(tmp_path / "frames")
    assert main(["import", str(project), str(mdoc)]) == 0
    capsys.readouterr()
    assert main(["align", str(project)]) == 2
    assert "TS_01 has no finished TiltSeries" in (said := capsys.readouterr().err)
    assert "run `tomoflow motion` first" in said


def test_each_tilt_may_have_an_mdoc_of_its_own(project, tmp_path):
    mdoc, _ = make_movies(tmp_path / "frames")
    head, *sections = mdoc.read_text().split("[ZValue")
    mdoc.unlink()
    (tmp_path / "mdocs").mkdir()
    for number, section in enumerate(sections):
        (tmp_path / "mdocs" / f"tilt_{number}.mdoc").write_text(f"{head}[ZValue{section}")
    params = ImportParams(frames=tmp_path / "frames", name="mine")
    record = run(Project.open(project), IMPORT, params, sources=[tmp_path / "mdocs"])
    assert record.status == "done"
    movies = Project.open(project).load(Movies, "mine")
    np.testing.assert_allclose(movies.tilt_deg, TILTS)
    assert movies.images.stacks[0].path.name == "TS_01_000_-20.0.tif"


def test_frames_without_an_mdoc_ask_for_one(project, tmp_path, capsys):
    assert main(["import", str(project), "--frames", str(tmp_path)]) == 2
    assert "give --mdoc FILE as well" in capsys.readouterr().err


@pytest.mark.parametrize("whole_folder", [False, True])
def test_movies_come_one_by_one_or_by_the_folder_with_angles_and_order_of_their_own(project, tmp_path, whole_folder):
    mdoc, _ = make_movies(tmp_path / "frames")
    mdoc.unlink()
    files = sorted((tmp_path / "frames").glob("*.tif"))
    write_mrc(tmp_path / "frames" / "gain.mrc", np.ones((1, *SHAPE), np.float32), 1.0)
    (tmp_path / "TS.tlt").write_text("\n".join(f"{tilt}" for tilt in TILTS))
    (tmp_path / "order.txt").write_text("4\n2\n0\n1\n3\n")
    named = [tmp_path / "frames"] if whole_folder else files
    words = [
        "import", project, "--frames", *named, "--gain", tmp_path / "frames" / "gain.mrc", "--pixel-ang", 2,
        "--angles", tmp_path / "TS.tlt", "--order", tmp_path / "order.txt", "--dose-per-tilt", 3,
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    opened = Project.open(project)
    name = "frames" if whole_folder else "TS_01"
    assert opened.series() == (name,)
    movies = opened.load(Movies, name)
    np.testing.assert_allclose(movies.tilt_deg, TILTS)
    np.testing.assert_allclose(movies.dose_before_e_ang2, [12.0, 6.0, 0.0, 3.0, 9.0])
    assert [stack.path for stack in movies.images.stacks] == files
    record = opened.job(1)
    assert record.params["frames"] == [os.path.relpath(path, project) for path in named]
    assert [given for given in record.inputs[name] if given.startswith("params.frames")] == [
        f"params.frames.{number}" for number in range(len(named))
    ]


def test_movies_of_an_mdoc_may_lie_in_several_folders(project, tmp_path):
    mdoc, _ = make_movies(tmp_path / "frames")
    (tmp_path / "later").mkdir()
    (tmp_path / "frames" / "TS_01_004_20.0.tif").rename(tmp_path / "later" / "TS_01_004_20.0.tif")
    folders = [str(tmp_path / name) for name in ("frames", "later")]
    assert main(["import", str(project), "--frames", *folders, "--mdoc", str(mdoc)]) == 0
    stacks = Project.open(project).load(Movies, "TS_01").images.stacks
    assert [stack.path.parent.name for stack in stacks] == ["frames"] * 4 + ["later"]


def test_eer_movies_go_from_single_electrons_to_aligned_sums(project, tmp_path):
    rng = np.random.default_rng(5)
    files, paths = [], []
    for number in range(3):
        path = drift(rng, 48, first_px=0.6, jitter_px=0.0)
        image = specimen(rng, (256, 256))
        rate = 0.15 * np.stack([np.maximum(moved(image, step), 0) for step in path])
        files.append(tmp_path / f"TS_09_{number}.eer")
        write_eer(files[-1], (rng.random(rate.shape) < rate)[:, ::-1])
        paths.append(path.reshape(8, 6, 2).mean(axis=1))
    (tmp_path / "TS_09.tlt").write_text("-10\n0\n10\n")
    words = [
        "import", project, "--frames", *files, "--angles", tmp_path / "TS_09.tlt", "--order", "monotonic",
        "--pixel-ang", 2, "--dose-per-tilt", 3, "--eer-grouping", 6,
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    assert main(["motion", str(project)]) == 0
    opened = Project.open(project)
    note, _ = json.loads((opened.find(Movies, "TS_09") / "quality.json").read_text())["notes"]
    assert note == "EER movies are read as 8 sums of frames on a grid of 256 × 256 px, that of the detector."
    series = opened.load(TiltSeries, "TS_09")
    assert max(off_px(series, tilt, path) for tilt, path in enumerate(paths)) <= 0.5


def test_movies_are_listed_in_a_file_with_their_angles(project, tmp_path):
    mdoc, _ = make_movies(tmp_path / "my frames")
    mdoc.unlink()
    names = sorted((tmp_path / "my frames").iterdir())
    angles = [float(path.stem.split("_")[-1]) for path in names]
    rows = [f"my frames/{path.name} {angle}" for path, angle in zip(names, angles, strict=True)]
    (tmp_path / "TS_07.txt").write_text("# movie, angle\n" + "\n".join(rows) + "\n")
    assert main(["import", str(project), "--frames", str(tmp_path / "TS_07.txt"), "--pixel-ang", "2"]) == 0
    movies = Project.open(project).load(Movies, "TS_07")
    np.testing.assert_allclose(movies.tilt_deg, angles)
    assert [stack.path for stack in movies.images.stacks] == names
    assert all(stack.shape == (4, *SHAPE) for stack in movies.images.stacks)


def test_angles_of_listed_movies_may_lie_in_a_file_of_their_own(project, tmp_path, capsys):
    make_movies(tmp_path)
    (tmp_path / "TS_07.txt").write_text("\n".join(sorted(path.name for path in tmp_path.glob("*.tif"))))
    (tmp_path / "TS_07.tlt").write_text("\n".join(f"{tilt}" for tilt in TILTS[:4]))
    words = ["import", str(project), "--frames", str(tmp_path / "TS_07.txt"), "--pixel-ang", "2"]
    assert main(words) == 2
    assert "--angles" in capsys.readouterr().err
    assert main([*words, "--angles", str(tmp_path / "TS_07.tlt")]) == 2
    assert "4 angles but" in capsys.readouterr().err
    (tmp_path / "TS_07.tlt").write_text("\n".join(f"{tilt}" for tilt in TILTS))
    assert main([*words, "--angles", str(tmp_path / "TS_07.tlt")]) == 0
    np.testing.assert_allclose(Project.open(project).load(Movies, "TS_07").tilt_deg, TILTS)


def test_movies_of_an_mdoc_may_lie_in_many_places_that_a_list_tells(project, tmp_path):
    mdoc, _ = make_movies(tmp_path / "frames")
    moved = []
    for number, path in enumerate(sorted((tmp_path / "frames").glob("*.tif"))):
        (tmp_path / f"disk{number % 2}").mkdir(exist_ok=True)
        moved.append(path.rename(tmp_path / f"disk{number % 2}" / path.name))
    (tmp_path / "list.txt").write_text("\n".join(map(str, moved)))
    assert main(["import", str(project), "--mdoc", str(mdoc), "--frames", str(tmp_path / "list.txt")]) == 0
    movies = Project.open(project).load(Movies, "TS_01")
    assert {stack.path for stack in movies.images.stacks} == set(moved)
    np.testing.assert_allclose(movies.tilt_deg, TILTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "names no movies"), ("a.tif 3\nb.tif\n", "1 angles for 2 movies"), ("a.tif\nb.tif\n", "cannot be opened")],
)
def test_a_list_that_is_no_use_is_refused_by_name(project, tmp_path, capsys, text, said):
    (tmp_path / "list.txt").write_text(text)
    assert main(["import", str(project), "--frames", str(tmp_path / "list.txt"), "--pixel-ang", "2"]) != 0
    err = capsys.readouterr().err
    assert said in err
    assert "list.txt" in err


def test_run_begins_with_motion_where_there_are_movies_and_only_there(project, tmp_path, monkeypatch):
    monkeypatch.setattr(projects, "_UNATTENDED", ("motion",))
    mdoc, _ = make_movies(tmp_path / "frames")
    write_mrc(tmp_path / "TS_02.mrc", np.random.default_rng(0).normal(9, 1, (3, 32, 32)).astype(np.float32), 8.0)
    (tmp_path / "TS_02.tlt").write_text("-3\n0\n3\n")
    assert main(["import", str(project), str(tmp_path / "TS_02.mrc")]) == 0
    assert main(["run", str(project)]) == 0
    assert [job.stage for job in Project.open(project).jobs()] == ["import"]
    assert main(["import", str(project), str(mdoc)]) == 0
    assert main(["run", str(project)]) == 0
    last = Project.open(project).jobs()[-1]
    assert (last.stage, set(last.items)) == ("motion", {"TS_01"})
