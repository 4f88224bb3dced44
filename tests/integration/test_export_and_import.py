"""Alignments given to other programs and taken back, as a person types it and as a script calls it."""

import json

import numpy as np
import pytest

from integration.command_line import PIXEL_ANG, make_stack
from napari_tomoflow.cli.main import main
from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import AlignedSeries, Alignment, TiltSeries
from napari_tomoflow.core.stages.import_ import ImportParams, import_
from napari_tomoflow.core.stages.reconstruct import RECONSTRUCT, ReconstructParams
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.project import Project, run
from napari_tomoflow.project.exports import export

N, SIZE_PX = 9, 64
NAMES = ("A", "B")
KEPT = np.arange(N) != 7


def made_elsewhere(seed):
    rng = np.random.default_rng(seed)
    return Alignment(
        tilt_deg=np.linspace(-40, 40, N) + 0.7,
        axis_deg=12.0 + rng.normal(0, 0.1, N),
        xtilt_deg=1.5,
        shift_ang_yx=rng.normal(0, 30, (N, 2)),
        kept=KEPT,
    )


@pytest.fixture(scope="module")
def imod(tmp_path_factory):
    """Leave two stacks in a folder IMOD worked in."""
    folder = tmp_path_factory.mktemp("imod")
    for seed, name in enumerate(NAMES):
        make_stack(folder / f"{name}.mrc", N, SIZE_PX, seed)
        paths = [folder / f"{name}{ending}" for ending in (".xf", ".tlt", ".xtilt")]
        (folder / f"{name}.rawtlt").write_text(paths[1].read_text())
        write_imod_alignment(
            made_elsewhere(seed), *paths[:2], xtilt=paths[2], pixel_ang=PIXEL_ANG, shape_yx=(SIZE_PX, SIZE_PX)
        )
        com = f"$tilt\nTILTFILE {name}.tlt\nXTILTFILE {name}.xtilt\nEXCLUDELIST 8\n"
        (folder / f"{name}_tilt.com").write_text(com)
    return folder


@pytest.fixture(scope="module")
def project(imod, tmp_path_factory):
    """Import both series with their alignments, the stacks not named."""
    folder = tmp_path_factory.mktemp("typed") / "project"
    assert main(["new", str(folder)]) == 0
    assert main(["import", str(folder), "--from-imod", str(imod), "--voltage-kv", "200"]) == 0
    return Project.open(folder)


def run_json(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def assert_same(got, expected, atol=1e-4, xtilt_deg=1.5):
    np.testing.assert_array_equal(got.kept, expected.kept)
    kept = expected.kept
    for name in ("tilt_deg", "axis_deg", "shift_ang_yx"):
        np.testing.assert_allclose(getattr(got, name)[kept], getattr(expected, name)[kept], atol=atol, err_msg=name)
    np.testing.assert_allclose(got.xtilt_deg[kept], xtilt_deg, atol=1e-9)


def test_one_import_job_leaves_two_nouns(project):
    (record,) = project.jobs()
    assert tuple(record.items) == NAMES
    assert all(set(item.outputs) == {"TiltSeries", "Alignment"} for item in record.items.values())
    for seed, name in enumerate(NAMES):
        assert_same(project.load(Alignment, name), made_elsewhere(seed))
        series = project.load(TiltSeries, name)
        assert (type(series), series.optics.voltage_kv) == (TiltSeries, 200)
        assert series.excluded_because[7] == f"left out by {name}.xf"
        np.testing.assert_array_equal(series.kept, KEPT)
        np.testing.assert_allclose(series.tilt_deg, np.linspace(-40, 40, N), atol=1e-9)


def test_the_summary_tells_of_the_alignment(project):
    facts = project.table()["A"]["import"].quality["alignment"]
    assert (facts["n_kept"], facts["bent"]) == (8, False)
    assert facts["axis_deg"] == pytest.approx(12, abs=0.2)
    assert facts["tilt_offset_deg"] == pytest.approx(0.7)


def test_reconstruct_takes_the_imported_alignment(project):
    record = run(project, RECONSTRUCT, ReconstructParams(bin=2, thickness_ang=200.0), series=["A"])
    assert {name: one.job for name, one in record.inputs["A"].items()}["alignment"] == 1


def test_the_same_is_called_from_python(imod):
    series = import_(read_raw_stack(imod / "A.mrc", from_imod=imod), ImportParams(from_imod=imod))
    assert isinstance(series, AlignedSeries)
    assert_same(series.alignment, made_elsewhere(0))
    with pytest.raises(DataError, match=r"opened without from_imod .*give it to read_raw_stack as well"):
        import_(read_raw_stack(imod / "A.mrc"), ImportParams(from_imod=imod))


@pytest.mark.parametrize("program", ["imod", "aretomo", "relion5", "warp", "eman2"])
def test_what_is_exported_is_imported_as_it_was(project, imod, tmp_path, capsys, program):
    words = ["export", project.folder, tmp_path / "out", "--to", program, "--hand", "-1"]
    done = run_json(capsys, *words)
    assert sorted(done["series"]) == list(NAMES)
    assert all((tmp_path / "out" / file).is_file() for file in done["files"])
    assert not (tmp_path / "out.partial").exists()
    given = tmp_path / "out" / ("aligned_tilt_series.star" if program == "relion5" else "")
    main(["new", str(tmp_path / "again")])
    capsys.readouterr()
    stacks = [imod / f"{name}.mrc" for name in NAMES]
    run_json(capsys, "import", tmp_path / "again", *stacks, f"--from-{program}", given)
    again = Project.open(tmp_path / "again")
    for seed, name in enumerate(NAMES):
        # AreTomo alone knows no tilt about x, and turns the specimen instead.
        xtilt_deg = 0.0 if program == "aretomo" else 1.5
        assert_same(again.load(Alignment, name), made_elsewhere(seed), 1e-3, xtilt_deg)


def test_relions_own_tables_are_stacks_too(project, tmp_path, capsys):
    run_json(capsys, "export", project.folder, tmp_path / "relion", "--to", "relion5", "--hand", "1")
    main(["new", str(tmp_path / "again")])
    capsys.readouterr()
    run_json(capsys, "import", tmp_path / "again", "--from-relion5", tmp_path / "relion" / "aligned_tilt_series.star")
    again = Project.open(tmp_path / "again")
    series, alignment = again.load(TiltSeries, "A"), again.load(Alignment, "A")
    np.testing.assert_array_equal(series.images, np.asarray(project.load(TiltSeries, "A").images)[KEPT])
    np.testing.assert_allclose(alignment.shift_ang_yx, made_elsewhere(0).shift_ang_yx[KEPT], atol=1e-4)


def test_one_alignment_is_not_taken_for_two_series(imod, tmp_path, capsys):
    main(["new", str(tmp_path / "project")])
    stacks = [str(imod / f"{name}.mrc") for name in NAMES]
    assert main(["import", str(tmp_path / "project"), *stacks, "--from-imod", str(imod / "A.xf")]) == 2
    assert "A.xf is the alignment of one series but 2 stacks were given" in capsys.readouterr().err


def test_an_export_goes_into_the_project_and_names_what_it_left_out(project, capsys):
    done = run_json(capsys, "export", project.folder, "--to", "imod", "--series", "A")
    assert done["folder"] == str(project.folder / "exports" / "imod")
    assert done["files"] == ["A.xf", "A.tlt", "A.xtilt", "A_tilt.com"]
    assert "EXCLUDELIST2 8\n" in (project.folder / "exports" / "imod" / "A_tilt.com").read_text()


def test_a_series_without_an_alignment_is_left_out_unless_asked_for(imod, tmp_path, capsys):
    folder = tmp_path / "project"
    main(["new", str(folder)])
    main(["import", str(folder), str(imod / "A.mrc")])
    main(["import", str(folder), str(imod / "B.mrc"), "--from-imod", str(imod)])
    capsys.readouterr()
    done = run_json(capsys, "export", folder, "--to", "aretomo")
    assert list(done["series"]) == ["B"]
    assert done["left_out"] == ["A has no finished Alignment; run `tomoflow align` first."]
    assert main(["export", str(folder), "--to", "aretomo", "--series", "A"]) == 2
    with pytest.raises(MissingError, match="There is no series C"):
        export(Project.open(folder), "aretomo", series=["C"])
    with pytest.raises(MissingError, match="A has no finished Alignment among the ancestors of job 1"):
        export(Project.open(folder), "aretomo", series=["A"], from_job=1)


def test_an_export_that_fails_leaves_nothing(project, tmp_path, capsys):
    # Nobody said the defocus hand, and RELION's table has no place for "undecided".
    assert main(["export", str(project.folder), str(tmp_path / "out"), "--to", "relion5"]) == 2
    assert "give --hand -1 or --hand 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ParamError, match="Nothing is exported to 'protomo'"):
        export(project, "protomo")
    with pytest.raises(ParamError, match="The defocus hand cannot be 0"):
        export(project, "relion5", hand=0)


def test_mistakes_of_an_import_are_named(imod, tmp_path, capsys):
    folder = tmp_path / "project"
    main(["new", str(folder)])
    both = ["--from-imod", str(imod), "--from-warp", str(imod)]
    assert main(["import", str(folder), str(imod / "A.mrc"), *both]) == 2
    assert "--from-imod and --from-warp were both given" in capsys.readouterr().err
    assert main(["import", str(folder)]) == 2
    assert "name at least one file" in capsys.readouterr().err
    assert main(["import", str(folder), str(imod / "A.mrc"), "--from-aretomo", str(tmp_path / "none.aln")]) == 2
    assert "none.aln" in capsys.readouterr().err
    (tmp_path / "empty.aln").write_text("")
    assert main(["import", str(folder), str(imod / "A.mrc"), "--from-aretomo", str(tmp_path / "empty.aln")]) == 2
    assert "empty.aln is empty (0 bytes)" in capsys.readouterr().err
