import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Optics, ParticleSet, SubtiltSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.subtilts import read_subtilts

HEAD = """
data_

loop_
_rlnImageName #1
_rlnGroupName #2
_rlnDetectorPixelSize #3
_rlnMagnification #4
_rlnVoltage #5
_rlnSphericalAberration #6
_rlnAmplitudeContrast #7
_rlnDefocusU #8
_rlnDefocusV #9
_rlnDefocusAngle #10
_rlnAngleRot #11
_rlnAngleTilt #12
_rlnAnglePsi #13
_rlnOriginX #14
_rlnOriginY #15
_rlnCtfBfactor #16
_rlnCtfScalefactor #17
_rlnRandomSubset #18
"""
ANGLES = np.array([[10.0, 20, 30], [11.0, 25, 30], [-50.0, 70, 160], [-51.0, 64, 161]])


def table(names=("s.mrcs",) * 4, head=HEAD, numbers=(1, 2, 3, 4)):
    """Write two particles of two tilts each, as Warp does."""
    rows = []
    for row, (name, number, (rot, tilt, psi)) in enumerate(zip(names, numbers, ANGLES, strict=True)):
        rows.append(
            f"{number:06d}@{name} TS_1_{row // 2:07d} 4.0 20000 300 2.7 0.1 {2e4 + row} 1.9e4 15 {rot} {tilt} {psi} "
            f"{row}.5 -2 {-4.0 * (row % 2) - 2} 0.9 {row // 2 + 1}"
        )
    return head + "\n".join(rows) + "\n"


@pytest.fixture
def folder(tmp_path):
    write_mrc(tmp_path / "s.mrcs", np.arange(4 * 64, dtype=np.float32).reshape(4, 8, 8), 2.0, stack=True)
    return tmp_path


def written(folder, text):
    path = folder / "particles.star"
    path.write_text(text)
    return path


def test_every_column_means_what_it_means_to_the_program_that_wrote_it(folder):
    subtilts = read_subtilts(written(folder, table()))
    assert subtilts.pixel_ang == pytest.approx(2.0), "4 µm on the detector at 20 000 times"
    assert subtilts.particle.tolist() == [0, 0, 1, 1]
    assert subtilts.tilt.tolist() == [0, 1, 0, 1]
    assert subtilts.particles.half.tolist() == [1, 2]
    np.testing.assert_allclose(subtilts.dose_e_ang2, [0.5, 1.5, 0.5, 1.5])
    np.testing.assert_allclose(subtilts.weight, 0.9)
    # RELION moves an image by its origin to centre the particle, which is seen at minus that.
    np.testing.assert_allclose(subtilts.shift_ang_yx, [[4, -1.0], [4, -3.0], [4, -5.0], [4, -7.0]])
    whole = subtilts.rotations @ subtilts.particles.matrices[subtilts.particle]
    np.testing.assert_allclose(whole, poses.matrices_from_relion(ANGLES), atol=1e-9)
    np.testing.assert_allclose(subtilts.rotations[[0, 2]], np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-9)
    assert subtilts.optics == Optics(300, 2.7, 0.1)
    np.testing.assert_array_equal(subtilts.images[2], np.arange(128, 192).reshape(8, 8))


def test_rows_may_take_images_of_several_stacks_in_any_order(folder):
    write_mrc(folder / "t.mrcs", np.full((2, 8, 8), 7.0, np.float32), 2.0, stack=True)
    path = written(folder, table(("s.mrcs", "elsewhere/t.mrcs", "s.mrcs", "t.mrcs"), numbers=(3, 2, 1, 1)))
    images = read_subtilts(path).images
    assert images.shape == (4, 8, 8)
    assert images[0][0, 0] == 128.0
    assert images[1][0, 0] == images[3][0, 0] == 7.0
    assert np.asarray(images[1:3, 0, 0]).tolist() == [7.0, 0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table(("gone.mrcs",) * 4), "gone.mrcs"),
        (table(numbers=(1, 2, 3, 5)), "image 5"),
        (table().replace("000002@", ""), "number@stack"),
        (table(head=HEAD.replace("rlnGroupName", "rlnOther")), "rlnGroupName"),
        (table(head=HEAD.replace("rlnDetectorPixelSize", "rlnOther")), "pixel"),
        (table(head=HEAD.replace("rlnDefocusU", "rlnOther")), "rlnDefocusU"),
        (table().replace("15 11.0", "15 none"), "rlnAngleRot"),
    ],
)
def test_what_is_missing_is_named(folder, text, words):
    with pytest.raises(DataError, match=words):
        read_subtilts(written(folder, text))


def test_a_set_without_images_is_kept_too(tmp_path):
    subtilts = SubtiltSet(
        particles=ParticleSet(centers_ang_zyx=[[1.0, 2, 3], [4, 5, 6]], tomogram=np.array("TS")),
        particle=np.array([0, 0, 1]),
        tilt=np.array([4, 2, 4]),
        pixel_ang=3.0,
        score=np.array([0.5, np.nan, 0.25]),
        shift_ang_yx=np.array([[1.0, 2], [3, 4], [5, 6]]),
        correction="flip",
        contrast="dark",
    )
    save(subtilts, tmp_path)
    back = load(SubtiltSet, tmp_path)
    assert back.images is None
    assert (back.correction, back.contrast, back.pixel_ang) == ("flip", "dark", 3.0)
    np.testing.assert_array_equal(back.tilt, subtilts.tilt)
    np.testing.assert_array_equal(back.score, subtilts.score)
    np.testing.assert_allclose(back.shift_ang_yx, subtilts.shift_ang_yx)
    np.testing.assert_allclose(back.particles.centers_ang_zyx, subtilts.particles.centers_ang_zyx)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"particle": np.array([0, 2])}, "count them from 0"),
        ({"tilt": np.array([1])}, "tilt has 1"),
        ({"pixel_ang": 0.0}, "pixel"),
        ({"images": np.zeros((2, 8, 9))}, "square"),
        ({"volumes": np.zeros((16, 8, 8)), "sampling": None}, "half transform"),
        ({"dose_e_ang2": np.array([1.0, np.inf])}, "dose_e_ang2"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused(change, words):
    given = {"particle": np.array([0, 1]), "tilt": np.array([0, 0]), "pixel_ang": 2.0}
    with pytest.raises(DataError, match=words):
        SubtiltSet(particles=ParticleSet(centers_ang_zyx=np.zeros((2, 3))), **(given | change))
