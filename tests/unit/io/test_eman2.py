"""EMAN2's info files."""

import json

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Deformation
from napari_tomoflow.io.eman2 import read_eman2_alignment, read_info, write_info
from reference import foreign_geometry as theirs
from unit.io.foreign_samples import PIXEL_ANG, POINTS_PX_XYZ, SHAPES, alignment, assert_same, facts, pixels_xy

KEPT = np.array([True, True, True, False, True, True, False])


@pytest.mark.parametrize("shape_yx", SHAPES, ids=str)
def test_points_fall_where_eman2s_own_formula_puts_them(tmp_path, shape_yx):
    ours = alignment(kept=KEPT)
    assert write_info(tmp_path / "a.json", ours, pixel_ang=PIXEL_ANG, stack="tiltseries/TS.hdf") == []
    expected = theirs.eman2(POINTS_PX_XYZ, shape_yx, tmp_path / "a.json")
    np.testing.assert_allclose(pixels_xy(ours, shape_yx), expected, atol=1e-9)
    assert_same(read_eman2_alignment(tmp_path / "a.json", facts(shape_yx)), ours, atol=1e-9)


def test_shifts_are_in_the_pixel_the_file_speaks_of(tmp_path):
    write_info(tmp_path / "a.json", alignment(), pixel_ang=PIXEL_ANG, stack="")
    read = read_eman2_alignment(tmp_path / "a.json", facts((32, 48), pixel_ang=2 * PIXEL_ANG))
    assert_same(read, alignment(), atol=1e-9)
    values = json.loads((tmp_path / "a.json").read_text())
    del values["apix_unbin"], values["ali_loss"]
    (tmp_path / "b.json").write_text(json.dumps(values))
    read = read_eman2_alignment(tmp_path / "b.json", facts((32, 48), pixel_ang=2 * PIXEL_ANG))
    np.testing.assert_allclose(read.shift_ang_yx, 2 * alignment().shift_ang_yx)
    assert read.kept.all()


def test_a_large_loss_leaves_a_tilt_out(tmp_path):
    write_info(tmp_path / "a.json", alignment().replace(residual_ang=80.0), pixel_ang=PIXEL_ANG, stack="s.hdf")
    values = json.loads((tmp_path / "a.json").read_text())
    assert values["ali_loss"] == [8.0] * 7  # nm
    values["ali_loss"][2] = 500.0
    (tmp_path / "a.json").write_text(json.dumps(values))
    np.testing.assert_array_equal(np.flatnonzero(~read_eman2_alignment(tmp_path / "a.json", facts((64, 64))).kept), [2])
    assert read_info(tmp_path / "a.json").stack == "s.hdf"


def test_bending_is_told_of_when_left_out(tmp_path):
    bent = alignment().replace(deformation=Deformation(nodes_ang_yx=np.ones((7, 2, 2, 2)), field_ang_yx=(9.0, 9.0)))
    assert "bending" in write_info(tmp_path / "a.json", bent, pixel_ang=PIXEL_ANG, stack="")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"a\.json is not readable JSON"),
        ("[1]", "has no tlt_params; align the series in EMAN2 first"),
        ('{"tlt_params": [[1, 2, 3, 4]]}', r"tlt_params has the shape \(1, 4\), not tilts × 5"),
        ('{"tlt_params": []}', "not tilts × 5"),
        ('{"tlt_params": [[1, 2, 3, 4, NaN]]}', "tlt_params is not made of numbers"),
        ('{"tlt_params": [[1, 2, 3, 4, 5], [1]]}', "tlt_params is not made of numbers"),
        ('{"tlt_params": [[1, 2, 3, 4, 5]], "ali_loss": [1, 2]}', "has 1 tlt_params but 2 ali_loss"),
        ('{"tlt_params": [[1, 2, 3, 4, 5]], "apix_unbin": 0}', "apix_unbin is 0; mend it"),
        ('{"tlt_params": [[1, 2, 3, 4, 5]]}', r"holds 1 tilts but TS\.mrc 7 images"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_eman2_alignment(tmp_path / "a.json", facts((64, 64)))
