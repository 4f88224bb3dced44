"""RELION's own extraction of 2-D stacks: which images a particle has, and of which tilts, by its tables alone."""

import gzip
import shutil

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.relion import read_relion_series
from napari_tomoflow.io.subtilts import read_subtilts

PARTICLES = 40


@pytest.fixture
def extraction(shared_data, tmp_path):
    """Copy the tables of a few particles of the first series; their stacks are not there."""
    given = shared_data("relion5_hiv_project")
    shutil.copytree(given / "Denoise/job008", tmp_path / "Denoise/job008")
    (tmp_path / "Extract/job020").mkdir(parents=True)
    shutil.copy(given / "Extract/job020/optimisation_set.star", tmp_path / "Extract/job020")
    with gzip.open(given / "Extract/job020/particles.star.gz", "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    rows = [line for line in lines if line.startswith("     TS_")]
    head = [line for line in lines if not line.startswith("     TS_")]
    own = [line for line in rows if line.split()[0] == "TS_01"][:PARTICLES]
    (tmp_path / "Extract/job020/particles.star").write_text("\n".join([*head, *own]) + "\n")
    return tmp_path


def test_images_are_those_of_the_first_exposures_in_the_order_of_the_tables_rows(extraction):
    subtilts = read_subtilts(extraction / "Extract/job020/optimisation_set.star")
    table = read_relion_series(extraction / "Denoise/job008/tomograms.star", "TS_01").table
    dose = np.array(table["rlnMicrographPreExposure"], float)
    assert (len(table), len(subtilts.particles)) == (40, PARTICLES)
    # Extracted up to 50 e/Å²: marks counted along another order would show other exposures.
    expected = dose[dose <= 50]
    assert len(expected) == 17
    for particle in range(PARTICLES):
        np.testing.assert_array_equal(subtilts.dose_e_ang2[subtilts.particle == particle], expected)
    assert (subtilts.correction, subtilts.contrast, subtilts.pixel_ang) == ("weigh", "bright", 1.35)
    assert subtilts.images.shape == (17 * PARTICLES, 192, 192)
    cosines = np.cos(np.deg2rad(np.array(table["rlnTomoYTilt"], float)))
    np.testing.assert_allclose(subtilts.weight, cosines[subtilts.tilt], atol=5e-3)


def test_a_stack_that_is_not_there_is_named_when_it_is_read(extraction):
    subtilts = read_subtilts(extraction / "Extract/job020/particles.star")
    with pytest.raises(DataError, match=r"lists the image Extract/job020/Subtomograms/TS_01/12_stack2d\.mrcs"):
        subtilts.images[0]
