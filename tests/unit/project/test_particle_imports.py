"""Particles other programs picked become a finished job, and go back to every program that takes particles."""

import json

import numpy as np
import pytest

from contracts.particle_samples import angle_between_deg, in_place_of
from napari_tomoflow.cli.main import main
from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Alignment, ParticleSet, Tomogram
from napari_tomoflow.io.exports import EXPORTERS
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.particle_formats import FORMATS, TomogramFrame
from napari_tomoflow.io.particle_tables import read_particle_table, write_particle_table
from napari_tomoflow.project import record_edit
from napari_tomoflow.project.exports import export
from napari_tomoflow.project.particle_imports import ImportParticlesParams, import_particles, series_named
from unit.project.fake_stages import project_with_series

SHAPE, VOXEL_ANG = (20, 40, 60), 40.0
FRAME = TomogramFrame(SHAPE, VOXEL_ANG, pixel_ang=10.0)
NAMES = ("TS_01", "TS_02")


@pytest.fixture
def project(tmp_path):
    """Make a project of two series with tomograms and a third without."""
    project = project_with_series(tmp_path / "p", *NAMES, "bare")
    for job, name in enumerate(NAMES, start=1):
        tomogram = Tomogram(name=name, volume=np.zeros(SHAPE, np.float32), voxel_ang=VOXEL_ANG)
        aligned = Alignment(tilt_deg=np.array([-30.0, 0, 30]), axis_deg=0.0)
        record_edit(project, name, [aligned, tomogram], note="Made elsewhere.", of_job=job)
    return project


def picked(name="TS_01", n=30, seed=0, **columns):
    rng = np.random.default_rng(seed)
    reach_ang = np.array(SHAPE) / 2 * VOXEL_ANG
    given = {"quaternions_xyzw": rng.normal(size=(n, 4)), "score": rng.normal(size=n)} | columns
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-0.9, 0.9, (n, 3)) * reach_ang,
        tomogram=np.array(name) if isinstance(name, str) else name[rng.integers(0, len(name), n)],
        **given,
    )


def written(path, particles):
    write_particle_table(path, particles, frames=FRAME)
    return path


def test_a_table_named_like_its_series_becomes_a_job(project, tmp_path):
    table = written(tmp_path / "TS_01.mod", picked())
    record = import_particles(project, [table])
    assert (record.stage, record.status, list(record.items)) == ("import-particles", "done", ["TS_01"])
    assert record.params["tables"] == "../TS_01.mod"
    inputs = record.inputs["TS_01"]
    assert inputs["table.0"].path == "../TS_01.mod"
    assert inputs["table.0"].size == table.stat().st_size
    assert (inputs["Tomogram"].job, inputs["TiltSeries"].job) == (4, 1)
    particles = project.load(ParticleSet, "TS_01")
    np.testing.assert_allclose(in_place_of(particles, picked()).centers_ang_zyx, picked().centers_ang_zyx, atol=1e-3)
    assert (particles.quality["particles"], particles.quality["warnings"]) == (30, [])
    assert project.table()["TS_01"]["import-particles"].status == "done"


def test_a_table_of_many_tomograms_is_parted_by_series(project, tmp_path):
    particles = picked(np.array(["1", "2"]))
    table = written(tmp_path / "all.tbl", particles)
    (tmp_path / "all.doc").unlink()
    record = import_particles(project, [table])
    assert set(record.items) == set(NAMES)
    for number, name in enumerate(NAMES, start=1):
        own = project.load(ParticleSet, name)
        assert set(own.tomogram) == {name}
        np.testing.assert_allclose(
            own.centers_ang_zyx, particles.centers_ang_zyx[particles.tomogram == str(number)], atol=1e-9
        )


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("TS_01", "TS_01"),
        ("TS_01_10.00Apx", "TS_01"),
        ("1", "TS_01"),
        ("002", "TS_02"),
        ("TS_012", None),
        ("7", None),
        ("", None),
    ],
)
def test_the_series_a_table_means_is_found_by_its_name(name, series):
    assert series_named(name, ("bare", *NAMES)) == series


def test_a_number_that_two_series_end_in_names_neither():
    assert series_named("1", ("A1", "B1")) is None


def test_several_tables_of_a_series_are_joined_with_the_species_that_is_named(project, tmp_path):
    tables = [written(tmp_path / f"{name}.coords", picked(seed=seed)) for seed, name in enumerate("ab")]
    record = import_particles(project, tables, ImportParticlesParams(tomogram="TS_02", species="20S"))
    particles = project.load(ParticleSet, "TS_02")
    assert (len(particles), set(particles.tomogram)) == (60, {"TS_02"})
    assert particles.quality["species"] == {"20S": 60}
    assert particles.quality["tables"] == ["a.coords", "b.coords"]
    assert {name for name in record.inputs["TS_02"] if name.startswith("table")} == {"table.0", "table.1"}
    assert len(np.unique(particles.ids)) == 60


def test_picks_on_a_tomogram_of_another_size_lie_where_they_were_picked(project, tmp_path):
    larger = TomogramFrame((30, 60, 90), 2 * VOXEL_ANG / 3)
    particles = picked()
    write_particle_table(tmp_path / "TS_01.coords", particles, frames=larger)
    write_mrc(tmp_path / "theirs.mrc", np.zeros(larger.shape_zyx, np.int8), larger.voxel_ang)
    record = import_particles(
        project, [tmp_path / "TS_01.coords"], ImportParticlesParams(made_on=tmp_path / "theirs.mrc")
    )
    np.testing.assert_allclose(project.load(ParticleSet, "TS_01").centers_ang_zyx, particles.centers_ang_zyx, atol=1e-3)
    assert record.inputs["TS_01"]["params.made_on"].path == "../theirs.mrc"
    assert record.params["made_on"] == "../theirs.mrc"


def test_a_model_that_says_its_volume_needs_no_tomogram(project, tmp_path):
    particles = picked("bare")
    write_particle_table(tmp_path / "bare.mod", particles, frames=FRAME)
    import_particles(project, [tmp_path / "bare.mod"])
    back = in_place_of(project.load(ParticleSet, "bare"), particles)
    np.testing.assert_allclose(back.centers_ang_zyx, particles.centers_ang_zyx, atol=1e-3)


def test_relions_table_of_tomograms_says_where_its_corners_are(project, tmp_path):
    columns = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize", "rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
    lines = ["data_global", "", "loop_", *(f"_{name}" for name in columns), "TS_01 2.0 1000 800 400", ""]
    (tmp_path / "tomograms.star").write_text("\n".join(lines))
    picks = ["data_particles", "", "loop_", "_rlnTomoName", "_rlnCoordinateX", "_rlnCoordinateY", "_rlnCoordinateZ"]
    (tmp_path / "picks.star").write_text("\n".join([*picks, "TS_01 510 420 230", ""]))
    import_particles(project, [tmp_path / "picks.star"], ImportParticlesParams(made_on=tmp_path / "tomograms.star"))
    np.testing.assert_allclose(project.load(ParticleSet, "TS_01").centers_ang_zyx, [[60, 40, 20]])


def test_a_table_of_tomograms_without_sizes_is_refused_by_the_column_it_lacks(project, tmp_path):
    (tmp_path / "tomograms.star").write_text("data_\n\nloop_\n_rlnTomoName\n_rlnTomoSizeZ\nTS_01 4\n")
    (tmp_path / "TS_01.coords").write_text("1 1 1\n")
    with pytest.raises(DataError, match="no column rlnTomoSizeY"):
        import_particles(
            project, [tmp_path / "TS_01.coords"], ImportParticlesParams(made_on=tmp_path / "tomograms.star")
        )


def test_particles_outside_the_tomogram_are_told_in_the_quality(project, tmp_path):
    (tmp_path / "TS_01.coords").write_text("10 10 10\n59 39 19\n60 10 10\n")
    import_particles(project, [tmp_path / "TS_01.coords"])
    (warning,) = project.load(ParticleSet, "TS_01").quality["warnings"]
    assert warning.startswith("1 of 3 particles lie outside the tomogram TS_01 of 60 × 40 × 20 voxels")


@pytest.mark.parametrize(
    ("file", "text", "params", "kind", "sentence"),
    [
        ("other.coords", "1 1 1\n", {}, MissingError, "is about the tomogram other, but"),
        (
            "other.coords",
            "1 1 1\n",
            {"tomogram": "TS_09"},
            MissingError,
            "has no series TS_09, only TS_01, TS_02, bare",
        ),
        ("bare.coords", "1 1 1\n", {}, DataError, "shape and the voxel size of the tomogram bare"),
        ("TS_01.csv", "1,1,1\n", {}, DataError, "say the unit px, ang or ang-corner"),
        ("TS_01.csv", "1,1,1\n", {"program": "nonesuch"}, ParamError, "'nonesuch' are not known"),
    ],
)
def test_what_cannot_be_taken_in_leaves_no_job(project, tmp_path, file, text, params, kind, sentence):
    (tmp_path / file).write_text(text)
    before = sorted(project.jobs_folder.iterdir())
    with pytest.raises(kind, match=sentence):
        import_particles(project, [tmp_path / file], ImportParticlesParams(**params))
    assert sorted(project.jobs_folder.iterdir()) == before


def test_a_table_of_several_tomograms_is_not_put_into_one(project, tmp_path):
    table = written(tmp_path / "all.csv", picked(np.array(NAMES)))
    with pytest.raises(ParamError, match="is about 2 tomograms, not one"):
        import_particles(project, [table], ImportParticlesParams(tomogram="TS_01"))


TAKERS = [name for name, exporter in EXPORTERS.items() if ParticleSet in (*exporter.needs, *exporter.takes)]


@pytest.mark.parametrize("program", TAKERS)
def test_particles_go_to_every_program_that_takes_them_and_come_back(project, tmp_path, program):
    sets = {name: picked(name, seed=seed) for seed, name in enumerate(NAMES)}
    for name, particles in sets.items():
        import_particles(project, [written(tmp_path / f"{name}.csv", particles)])
    done = export(project, program, hand=1)
    assert all(path.is_file() for path in done.files)
    assert not list(done.folder.parent.glob("*.partial"))
    chosen = next(one for one in FORMATS if one.name == program)
    for name, particles in sets.items():
        tables = [path for path in done.files if _may_hold(path, chosen, name)]
        assert len(tables) == 1, done.files
        back = read_particle_table(tables[0], frames=FRAME, tomogram=name)
        back = in_place_of(back[back.tomogram == name], particles)
        np.testing.assert_allclose(back.centers_ang_zyx, particles.centers_ang_zyx, atol=1e-3)
        if "turns" in chosen.keeps:
            assert angle_between_deg(back, particles).max() < 1e-3


def _may_hold(path, chosen, name):
    about_one = name in path.as_posix().split("exports")[-1]
    return path.suffix in chosen.suffixes and chosen.recognises(path) and (about_one or not chosen.one_tomogram)


def test_relion5_is_told_which_particles_are_in_which_tomograms(project, tmp_path):
    import_particles(project, [written(tmp_path / "TS_01.csv", picked())])
    done = export(project, "relion5", hand=1)
    text = (done.folder / "optimisation_set.star").read_text()
    assert "particles.star" in text
    assert "tomograms.star" in text


def test_series_without_particles_are_exported_as_before(project):
    done = export(project, "relion5", hand=1)
    assert not [path for path in done.files if "particles" in path.name or "optimisation" in path.name]
    with pytest.raises(MissingError, match="no finished ParticleSet"):
        export(project, "dynamo")


def run_json(capsys, *words):
    code = main([*map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_the_command_takes_tables_and_says_how_it_went(project, tmp_path, capsys):
    (tmp_path / "picks.csv").write_text("10,10,10\n99,10,10\n")
    code, said, err = run_json(
        capsys, "import-particles", project.folder, tmp_path / "picks.csv", "--tomogram", "TS_01", "--unit", "px",
        "--species", "20S",
    )  # fmt: skip
    assert code == 0
    assert said["items"]["TS_01"]["quality"]["species"] == {"20S": 2}
    assert "TS_01: 1 of 2 particles lie outside" in err
    code, said, _ = run_json(capsys, "export", project.folder, "--to", "csv")
    assert (code, said["files"]) == (0, ["particles.csv"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["picks.csv"], "No table of particles was given"),
        (["picks.csv", "--unit", "furlong"], "furlong"),
        (["picks.csv", "--pixel-ang", "-3"], "pixel-ang|pixel_ang"),
    ],
)
def test_what_the_command_cannot_do_is_one_sentence_and_exit_code_2(project, tmp_path, capsys, words, sentence):
    import re

    (tmp_path / "picks.csv").write_text("10,10,10\n")
    files = [] if "No table" in sentence else [tmp_path / words[0]]
    assert main(["import-particles", str(project.folder), *map(str, files), *words[1:]]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err), err
    assert "Traceback" not in err
