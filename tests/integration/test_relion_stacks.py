"""Extracted particles given to RELION 5 as stacks of 2-D images, and taken back by what its tables say of them."""

import json
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from napari_tomoflow.cli.main import main
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import (
    Aberrations,
    Alignment,
    CtfSeries,
    Dataset,
    Deformation,
    Optics,
    ParticleSet,
    SubtiltSet,
    TiltSeries,
)
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.extract import EXTRACT, ExtractParams
from napari_tomoflow.io.columns import OPTICS_COLUMNS, optics_from_columns
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.star import read_star
from napari_tomoflow.io.subtilts import read_subtilts
from napari_tomoflow.project import Project, run

N, SIZE_PX, PIXEL_ANG = 7, 96, 6.0
KEPT = np.arange(N) != 2
LENS = Optics(aberrations=Aberrations((0.4, -0.2), (), (0.0, 0.0, 5.0)), magnification=((1.004, 0.002), (0.002, 0.997)))
DOSE = 3.0, 6.0, 9.0, 0.0, 12.0, 15.0, 18.0
WEIGHED = ExtractParams(species="spot", diameter_ang=90.0, box_px=24, ctf="weigh", dtype="float32", least_seen=0.1)


@cache
def dataset():
    """Two series of noise: A lacks a tilt, B is bent, and one particle of each leaves the field in some tilts."""
    rng = np.random.default_rng(11)
    series, alignments, ctfs, centers = {}, {}, {}, []
    for name in "AB":
        nodes = rng.normal(0, 8, (N, 3, 3, 2)) if name == "B" else None
        field = (SIZE_PX * PIXEL_ANG,) * 2
        alignments[name] = Alignment(
            tilt_deg=np.linspace(-45, 45, N),
            axis_deg=np.array(84.0),
            xtilt_deg=1.5,
            shift_ang_yx=rng.normal(0, 15, (N, 2)),
            kept=KEPT if name == "A" else np.array(True),
            deformation=None if nodes is None else Deformation(nodes_ang_yx=nodes, field_ang_yx=field),
        )
        series[name] = TiltSeries(
            name=name, images=rng.normal(50, 4, (N, SIZE_PX, SIZE_PX)).astype(np.float32), pixel_ang=PIXEL_ANG,
            tilt_deg=alignments[name].tilt_deg, axis_deg=84.0, dose_before_e_ang2=np.array(DOSE),
            dose_of_tilt_e_ang2=np.array(3.0),
        )  # fmt: skip
        u_ang = rng.normal(30000, 500, N)
        ctfs[name] = CtfSeries(
            optics=LENS, defocus_u_ang=u_ang, defocus_v_ang=u_ang - 300, azimuth_deg=np.array(25.0), hand=-1
        )
        places = rng.uniform(-1, 1, (4, 3)) * (60, 150, 150)
        centers.append(np.concatenate([places, [[90.0, 0.0, 225.0]]]))
    particles = ParticleSet(
        centers_ang_zyx=np.concatenate(centers),
        quaternions_xyzw=rng.normal(size=(10, 4)),
        tomogram=np.repeat(["A", "B"], 5),
        half=np.arange(10) % 2 + 1,
        features={"species": np.full(10, "spot")},
    )
    return Dataset(particles=particles, series=series, alignments=alignments, ctfs=ctfs)


class ShootParams(Params):
    """Which series."""

    name: str = param("A", help="Name of the series.")


class KnowParams(Params):
    """Nothing to choose."""


def shoot(params: ShootParams, report: Report = silent) -> TiltSeries:
    """Take a series."""
    return dataset().series[params.name]


def know(series: TiltSeries, params: KnowParams, report: Report = silent) -> Alignment:
    """Know the geometry."""
    return dataset().alignments[series.name]


def forget(series: TiltSeries, params: KnowParams, report: Report = silent) -> Alignment:
    """Find another geometry after particles were cut out."""
    return Alignment.nominal(series)


def look(series: TiltSeries, params: KnowParams, report: Report = silent) -> CtfSeries:
    """Know the CTF."""
    return dataset().ctfs[series.name]


def find(series: TiltSeries, params: KnowParams, report: Report = silent) -> ParticleSet:
    """Know the particles."""
    particles = dataset().particles
    return particles[particles.tomogram == series.name]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Cut particles out, and then align anew, which must not matter to what was cut out."""
    project = Project.create(tmp_path_factory.mktemp("stacks") / "p")
    for name in "AB":
        run(project, Stage.of(shoot, version=1), ShootParams(name=name))
    for stage in (know, look, find):
        run(project, Stage.of(stage, version=1), KnowParams())
    assert run(project, EXTRACT, WEIGHED).status == "done"
    run(project, Stage.of(forget, version=1), KnowParams())
    return project


@pytest.fixture(scope="module")
def relion(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relion") / "out"
    assert main(["export", str(project.folder), str(folder), "--to", "relion5-stacks"]) == 0
    return folder


def test_every_sub_tilt_is_read_back_with_the_geometry_of_relions_tables(project, relion):
    ours, theirs = project.load(SubtiltSet, "spot"), read_subtilts(relion / "optimisation_set.star")
    assert (theirs.correction, theirs.contrast, theirs.pixel_ang) == ("weigh", "bright", ours.pixel_ang)
    assert theirs.optics == ours.optics == replace(LENS, aberrations=LENS.aberrations.without_odd())
    np.testing.assert_allclose(theirs.particles.centers_ang_zyx, ours.particles.centers_ang_zyx)
    np.testing.assert_allclose(theirs.particles.matrices, ours.particles.matrices, atol=1e-12)
    np.testing.assert_array_equal(theirs.particles.half, ours.particles.half)
    # Rows of a tilt that A leaves out are not in its table, so later ones have smaller numbers there.
    of_a = ours.particles.tomogram[ours.particle] == "A"
    tilt = ours.tilt - (of_a & (ours.tilt > 2))
    order = np.lexsort((tilt, ours.particle))
    np.testing.assert_array_equal(theirs.particle, ours.particle[order])
    np.testing.assert_array_equal(theirs.tilt, tilt[order])
    for name in ("quaternions_xyzw", "defocus_u_ang", "defocus_v_ang", "azimuth_deg", "dose_e_ang2", "weight"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name)[order], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(np.asarray(theirs.images[:]), np.asarray(ours.images)[order])
    assert 0 < np.bincount(theirs.particle).min() < N - 1, "one particle leaves the field"


def test_particles_cut_out_by_relion_itself_are_said_to_be_seen_through_the_lens_as_it_is(project, tmp_path):
    assert main(["export", str(project.folder), str(tmp_path / "out"), "--to", "relion5"]) == 0
    particles, optics = (read_star(tmp_path / "out" / "particles.star")[name] for name in ("particles", "optics"))
    (group,) = optics.to_dict("records")
    assert set(particles["rlnOpticsGroup"]) == {group["rlnOpticsGroup"]}
    assert not set(particles) & set(OPTICS_COLUMNS)
    assert optics_from_columns(group) == LENS


def test_the_tables_say_what_relion_asks_for(relion):
    blocks = read_star(relion / "particles.star")
    assert blocks["general"]["rlnTomoSubTomosAre2DStacks"] == 1
    optics = blocks["optics"]
    group = optics.iloc[0] if hasattr(optics, "iloc") else optics
    assert (group["rlnCtfDataAreCtfPremultiplied"], group["rlnImageDimensionality"], group["rlnImageSize"]) == (
        1,
        2,
        24,
    )
    assert (group["rlnTomoSubtomogramBinning"], group["rlnImagePixelSize"]) == (1.0, PIXEL_ANG)
    (first, *_) = blocks["particles"].to_dict("records")
    marks = json.loads(first["rlnTomoVisibleFrames"])
    assert (first["rlnTomoParticleName"], first["rlnImageName"]) == ("A/1", "Subtomograms/A/1_stack2d.mrcs")
    assert len(marks) == N - 1
    assert open_mrc(relion / first["rlnImageName"]).shape == (sum(marks), 24, 24)
    tomogram = read_star(relion / "tomograms.star")["global"].iloc[0]
    assert (tomogram["rlnTomoHand"], tomogram["rlnTomoSizeX"] % 2, tomogram["rlnTomoSizeZ"] % 2) == (-1, 0, 0)
    listed = read_star(relion / "optimisation_set.star")["optimisation_set"]
    assert {relion / name for name in listed.values()} <= set(relion.iterdir())
    # B is bent: RELION moves its particles, and those of A by nothing.
    steps = read_star(relion / "motion.star")
    assert len(steps) == 1 + len(blocks["particles"])
    assert np.abs(np.asarray(steps["A/1"], float)).max() == 0.0 < np.abs(np.asarray(steps["B/1"], float)).max()


def test_images_that_relion_cannot_be_told_of_are_refused(project, tmp_path, capsys):
    run(project, EXTRACT, WEIGHED.replace(ctf="flip"))
    assert main(["export", str(project.folder), str(tmp_path / "out"), "--to", "relion5-stacks"]) == 2
    assert "extract again with ctf weigh" in capsys.readouterr().err
    weighed = next(job for job in project.jobs() if job.params.get("ctf") == "weigh")
    words = ["--from", str(weighed.number), "--series", "B"]
    assert main(["export", str(project.folder), str(tmp_path / "out"), "--to", "relion5-stacks", *words]) == 0


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("particles.star", ("[1,", "[2,"), "must be like"),
        ("particles.star", ("[1,1,", "[1,"), "marks 5 tilts, but"),
        ("particles.star", ("rlnImageSize", "rlnOther"), "no column rlnImageSize"),
        ("particles.star", ("_rlnVoltage", "_rlnOther"), "no column rlnVoltage"),
        ("optimisation_set.star", ("rlnTomoTomogramsFile", "rlnOther"), "names no rlnTomoTomogramsFile"),
        ("optimisation_set.star", ("tomograms.star", "gone.star"), "gone.star is not there"),
        ("tilt_series/A.star", ("rlnTomoYTilt", "rlnOther"), "holds no alignment"),
        ("tilt_series/A.star", ("rlnDefocusU", "rlnOther"), "holds no CTF"),
    ],
)
def test_what_is_wrong_with_the_tables_is_named(relion, tmp_path, file, change, words):
    shutil.copytree(relion, tmp_path, ignore=shutil.ignore_patterns("Subtomograms"), dirs_exist_ok=True)
    (tmp_path / file).write_text((relion / file).read_text("utf-8").replace(*change))
    with pytest.raises(DataError, match=words):
        read_subtilts(tmp_path / "optimisation_set.star")


def test_stacks_that_are_gone_or_cut_short_are_named_when_they_are_read(relion, tmp_path):
    shutil.copytree(relion, tmp_path, ignore=shutil.ignore_patterns("Subtomograms"), dirs_exist_ok=True)
    subtilts = read_subtilts(tmp_path / "particles.star")
    with pytest.raises(DataError, match=r"A/1_stack2d\.mrcs, which is not there"):
        subtilts.images[0]
    (tmp_path / "Subtomograms" / "A").mkdir(parents=True)
    whole = (relion / "Subtomograms" / "A" / "1_stack2d.mrcs").read_bytes()
    (tmp_path / "Subtomograms" / "A" / "1_stack2d.mrcs").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"1_stack2d\.mrcs"):
        subtilts.images[0]
