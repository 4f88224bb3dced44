"""RELION 5's tables, with images and without."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.relion import (
    list_relion_series,
    read_relion_series,
    relion_alignment,
    relion_ctf,
    relion_raw_stack,
)
from napari_tomoflow.io.stacks import open_stack

IMAGES = np.random.default_rng(2).normal(size=(3, 6, 8)).astype(np.float32)
COLUMNS = (
    "rlnMicrographName",
    "rlnTomoNominalStageTiltAngle",
    "rlnTomoNominalTiltAxisAngle",
    "rlnMicrographPreExposure",
)
MORE = ("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst")  # fmt: skip
CTF = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")


def loop(block, columns, rows):
    lines = [f"data_{block}", "", "loop_", *(f"_{name} #{place}" for place, name in enumerate(columns, 1)), *rows, ""]
    return "\n".join(lines)


@pytest.fixture
def project(tmp_path):
    """Make a RELION project with one motion-corrected, aligned series of three tilts."""
    (tmp_path / "Align/job005/tilt_series").mkdir(parents=True)
    (tmp_path / "Motion/job002").mkdir(parents=True)
    for tilt, image in enumerate(IMAGES):
        write_mrc(tmp_path / f"Motion/job002/{tilt}.mrc", image[None], 1.35, stack=True)
    rows = [
        f"Motion/job002/{tilt}.mrc {angle} 85.0 {dose} 0.1 {angle + 0.5} 85.2 10.0 -20.0 40000 39000 30"
        for tilt, (angle, dose) in enumerate([(-3, 3), (0, 0), (3, 6)])
    ]
    (tmp_path / "Align/job005/tilt_series/017.star").write_text(loop("017", COLUMNS + MORE + CTF, rows))
    optics = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
    general = ("rlnTomoName", "rlnTomoTiltSeriesStarFile", *optics, "rlnTomoTiltSeriesPixelSize", "rlnTomoHand")
    row = "{0} Align/job005/tilt_series/{0}.star 200 1.4 0.1 1.35 -1"
    (tmp_path / "Align/job005/aligned.star").write_text(loop("global", general, [row.format("017"), row.format("018")]))
    return tmp_path


def test_a_series_is_found_with_its_optics_from_its_own_file(project):
    recorded = relion_raw_stack(read_relion_series(project / "Align/job005/tilt_series/017.star"))
    assert (recorded.name, recorded.pixel_ang, recorded.voltage_kv, recorded.cs_mm) == ("017", 1.35, 200, 1.4)
    assert recorded.axis_deg == 85
    np.testing.assert_array_equal(recorded.tilt_deg, [-3, 0, 3])
    np.testing.assert_array_equal(recorded.order, [1, 0, 2])
    np.testing.assert_array_equal(np.asarray(recorded.images), IMAGES)
    np.testing.assert_array_equal(recorded.images[1, 2:4], IMAGES[1, 2:4])


def test_the_alignment_and_the_ctf_are_taken_as_they_are(project):
    series = read_relion_series(project / "Align/job005/aligned.star", "017")
    alignment, ctf = relion_alignment(series), relion_ctf(series)
    np.testing.assert_array_equal(alignment.tilt_deg, [-2.5, 0.5, 3.5])
    np.testing.assert_array_equal(alignment.shift_ang_yx, [[-20, 10]] * 3)
    assert alignment.xtilt_deg[0] == 0.1
    assert alignment.axis_deg[0] == 85.2
    assert (ctf.hand, ctf.optics.voltage_kv, ctf.defocus_u_ang[0], ctf.azimuth_deg[0]) == (-1, 200, 40000, 30)


def test_series_are_listed_whether_their_files_are_there_or_not(project):
    assert list(list_relion_series(project / "Align/job005/aligned.star")) == ["017", "018"]
    with pytest.raises(DataError, match=r"lists 2 tilt series; give the file of one: .*017\.star, .*018\.star"):
        open_stack(project / "Align/job005/aligned.star")
    with pytest.raises(DataError, match=r"018\.star, which is not there"):
        read_relion_series(project / "Align/job005/aligned.star", "018")


def test_a_missing_image_is_named_when_it_is_read_and_not_before(project):
    (project / "Motion/job002/1.mrc").unlink()
    stack = open_stack(project / "Align/job005/tilt_series/017.star")
    np.testing.assert_array_equal(stack[2], IMAGES[2])
    with pytest.raises(DataError, match=r"lists the image Motion/job002/1\.mrc, which is not there"):
        np.asarray(stack)


def test_movies_without_images_are_refused(tmp_path):
    columns = ("rlnMicrographMovieName", "rlnTomoNominalStageTiltAngle")
    (tmp_path / "a.star").write_text(loop("TS", columns, ["frames/a.mrc 0.1", "frames/b.mrc 3.1"]))
    with pytest.raises(DataError, match="lists movies but no images; run motion correction"):
        open_stack(tmp_path / "a.star")


def test_images_may_be_slices_of_stacks(tmp_path):
    write_mrc(tmp_path / "all.mrcs", IMAGES, 2.0, stack=True)
    (tmp_path / "a.star").write_text(loop("TS", COLUMNS[:2], ["000003@all.mrcs 3", "000001@all.mrcs -3"]))
    np.testing.assert_array_equal(np.asarray(open_stack(tmp_path / "a.star")), IMAGES[[2, 0]])


def test_another_star_is_refused_by_the_columns_it_lacks(tmp_path):
    (tmp_path / "a.star").write_text(loop("particles", ("rlnCoordinateX", "rlnCoordinateY"), ["1 2"]))
    with pytest.raises(DataError, match=r"no tilt series of RELION 5: no table has the column rlnTomoNominalStage"):
        open_stack(tmp_path / "a.star")


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("rlnTomoYTilt", "steep", relion_alignment),
        ("rlnDefocusU", "nan", relion_ctf),
        ("rlnTomoNominalTiltAxisAngle", "[5]", relion_raw_stack),
    ],
)
def test_what_is_no_number_is_named_with_its_file(project, column, value, read):
    series = read_relion_series(project / "Align/job005/aligned.star", "017")
    spoilt = series.table.astype(object)
    spoilt.loc[1, column] = value
    with pytest.raises(DataError, match=r"017\.star: .*; mend"):
        read(replace(series, table=spoilt))


def test_optics_that_are_not_there_are_named_with_the_file(project):
    series = read_relion_series(project / "Align/job005/aligned.star", "017")
    general = {name: value for name, value in series.general.items() if name != "rlnAmplitudeContrast"}
    with pytest.raises(DataError, match=r"017\.star does not say rlnAmplitudeContrast"):
        relion_ctf(replace(series, general=general))
