"""Alignments found by the name of the series, and held against the stack."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.io.alignments import PROGRAMS, read_alignment, stacks_of
from napari_tomoflow.io.aretomo import write_aln
from napari_tomoflow.io.eman2 import write_info
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.mrc import write_mrc
from unit.io.foreign_samples import PIXEL_ANG, TILT_DEG, alignment, facts

SHAPE_YX = (64, 96)


def write_all(folder, ours):
    write_aln(folder / "TS.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=SHAPE_YX)
    write_imod_alignment(ours, folder / "TS.xf", folder / "TS.tlt", pixel_ang=PIXEL_ANG, shape_yx=SHAPE_YX)
    (folder / "info").mkdir(exist_ok=True)
    write_info(folder / "info" / "TS_info.json", ours, pixel_ang=PIXEL_ANG, stack="TS.mrc")


@pytest.mark.parametrize(
    ("program", "name"), [("aretomo", "TS.aln"), ("imod", "TS.xf"), ("eman2", "info/TS_info.json")]
)
def test_a_file_is_found_in_a_folder_or_given(tmp_path, program, name):
    write_all(tmp_path, alignment(xtilt_deg=0.0))
    for path in (tmp_path, tmp_path / name):
        read, file = read_alignment(program, path, facts(SHAPE_YX))
        assert file == tmp_path / name
        np.testing.assert_allclose(read.tilt_deg, alignment().tilt_deg, atol=1e-4)
        assert read.quality["warnings"] == []


def test_tilts_that_run_the_other_way_are_taken_with_a_warning(tmp_path):
    write_all(tmp_path, alignment(xtilt_deg=0.0))
    read, _ = read_alignment("aretomo", tmp_path, facts(SHAPE_YX, tilt_deg=-TILT_DEG))
    (warning,) = read.quality["warnings"]
    assert "run against those of TS.mrc: the tomogram is the mirror image" in warning


def test_an_offset_of_all_tilts_is_no_misfit_but_another_order_is(tmp_path):
    write_all(tmp_path, alignment(xtilt_deg=0.0))
    read, _ = read_alignment("aretomo", tmp_path, facts(SHAPE_YX, tilt_deg=TILT_DEG + 11))
    assert read.quality["warnings"] == []
    with pytest.raises(DataError, match=r"differ from those of TS\.mrc by up to \d+\.\d°; give the alignment of this"):
        read_alignment("aretomo", tmp_path, facts(SHAPE_YX, tilt_deg=np.roll(TILT_DEG, 2)))
    assert read_alignment("aretomo", tmp_path, facts(SHAPE_YX, tilt_deg=None))[0].n_tilts == 7


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"There is no .*nowhere; give AreTomo's alignment of TS"):
        read_alignment("aretomo", tmp_path / "nowhere", facts(SHAPE_YX))
    for program, name in (("aretomo", "TS.aln"), ("imod", "TS.xf"), ("warp", "TS.xml"), ("eman2", "TS_info.json")):
        with pytest.raises(MissingError, match=rf"holds no {name}"):
            read_alignment(program, tmp_path, facts(SHAPE_YX))
    with pytest.raises(ParamError, match="No alignments of 'protomo' are read; give one of imod, aretomo"):
        read_alignment("protomo", tmp_path, facts(SHAPE_YX))


def test_an_alignment_without_a_tilt_in_use_is_refused(tmp_path):
    write_info(tmp_path / "TS_info.json", alignment(kept=False), pixel_ang=PIXEL_ANG, stack="")
    with pytest.raises(DataError, match=r"TS_info\.json leaves out every tilt"):
        read_alignment("eman2", tmp_path, facts(SHAPE_YX))


@pytest.mark.parametrize("program", ["imod", "aretomo", "eman2"])
def test_stacks_are_found_beside_their_alignments(tmp_path, program):
    write_all(tmp_path, alignment(xtilt_deg=0.0))
    with pytest.raises(
        MissingError, match=rf"No stack lies with {PROGRAMS[program].title}'s alignment in .*; name the"
    ):
        stacks_of(program, tmp_path)
    write_mrc(tmp_path / "TS.mrc", np.zeros((7, 8, 8), np.float32), PIXEL_ANG, stack=True)
    assert [path.resolve() for path in stacks_of(program, tmp_path)] == [(tmp_path / "TS.mrc").resolve()]
