"""Tables of particles: where each program has its zero, how it turns, and what is asked for when it does not say."""

import json

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.core.ops.geometry import rotation_x, rotation_y, rotation_z
from napari_tomoflow.io.em import write_em
from napari_tomoflow.io.particle_formats import TomogramFrame
from napari_tomoflow.io.particle_tables import is_particle_table, read_particle_table, write_particle_table

# 300 × 200 × 100 voxels of 2 Å: the centre is voxel (150, 100, 50).
FRAME = TomogramFrame((100, 200, 300), 2.0)
A, B, C = 40.0, 50.0, 60.0


def star(path, columns, *rows, before=()):
    lines = [*before, "data_particles", "", "loop_", *(f"_{name} #{n}" for n, name in enumerate(columns, 1)), *rows, ""]
    path.write_text("\n".join(lines))
    return path


def placed(particles):
    return particles.centers_ang_zyx[0, ::-1]


def from_corner(x, y, z):
    """Å from the centre of a position in voxels counted from 0."""
    return (np.array([x, y, z]) - [150, 100, 50]) * 2.0


def dynamo(path):
    row = np.zeros(35)
    row[[0, 3, 4, 5, 6, 7, 8, 9, 19, 21, 23, 24, 25]] = [7, 0.5, 0.25, -0.5, A, B, C, 0.3, 1, 2, 10, 20, 30]
    path.write_text(" ".join(map(repr, row.tolist())) + "\n")


def test_dynamo_counts_from_one_and_adds_its_shifts(tmp_path):
    dynamo(tmp_path / "p.tbl")
    particles = read_particle_table(tmp_path / "p.tbl", frames=FRAME)
    np.testing.assert_allclose(placed(particles), from_corner(9.5, 19.25, 28.5))
    np.testing.assert_allclose(particles.matrices[0].T, rotation_z(C) @ rotation_x(B) @ rotation_z(A), atol=1e-12)
    assert (particles.ids[0], particles.class_ids[0], particles.score[0], particles.tomogram[0]) == (7, 2, 0.3, "1")


def test_dynamos_list_of_tomograms_gives_the_names(tmp_path):
    dynamo(tmp_path / "p.tbl")
    (tmp_path / "p.doc").write_text("1 /data/tomos/TS_17.rec\n2 /data/TS_18.rec\n")
    frames = {"TS_17": FRAME}
    particles = read_particle_table(tmp_path / "p.tbl", frames=frames)
    assert particles.tomogram[0] == "TS_17"


def test_a_damaged_list_of_tomograms_is_named_with_its_line(tmp_path):
    dynamo(tmp_path / "p.tbl")
    (tmp_path / "p.doc").write_text("1 /data/tomos/TS_17.rec\nsecond\n")
    with pytest.raises(DataError, match=r"p\.doc, line 2"):
        read_particle_table(tmp_path / "p.tbl", frames=FRAME)


def test_the_only_tomogram_of_a_table_takes_the_name_that_is_told(tmp_path):
    dynamo(tmp_path / "p.tbl")
    assert read_particle_table(tmp_path / "p.tbl", frames=FRAME, tomogram="mine").tomogram[0] == "mine"


def test_names_that_end_in_their_numbers_keep_them_in_tables_that_count_tomograms(tmp_path):
    names = np.array(["TS_17", "TS_03"])
    particles = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), tomogram=names)
    write_particle_table(tmp_path / "p.tbl", particles, frames=FRAME)
    rows = np.loadtxt(tmp_path / "p.tbl")
    np.testing.assert_array_equal(rows[:, 19], [17, 3])
    assert (tmp_path / "p.doc").read_text() == "3 TS_03.mrc\n17 TS_17.mrc\n"


def test_an_em_motive_list_counts_from_one_and_adds_its_shifts(tmp_path):
    row = np.zeros(20)
    row[[0, 3, 4, 7, 8, 9, 10, 11, 12, 16, 17, 18, 19]] = [0.3, 7, 5, 10, 20, 30, 0.5, 0.25, -0.5, A, C, B, 2]
    write_em(tmp_path / "p.em", row[None, None])
    particles = read_particle_table(tmp_path / "p.em", frames={"5": FRAME})
    np.testing.assert_allclose(placed(particles), from_corner(9.5, 19.25, 28.5))
    np.testing.assert_allclose(particles.matrices[0], rotation_z(C) @ rotation_x(B) @ rotation_z(A), atol=1e-12)
    assert (particles.ids[0], particles.class_ids[0], particles.tomogram[0]) == (7, 2, "5")


def test_an_em_volume_is_no_motive_list(tmp_path):
    write_em(tmp_path / "map.em", np.zeros((8, 8, 8)))
    with pytest.raises(DataError, match="is no motive list: it is 8 wide, not 20; open it as a volume"):
        read_particle_table(tmp_path / "map.em", frames=FRAME)


STOPGAP = (
    "motl_idx", "tomo_num", "object", "subtomo_num", "halfset", "orig_x", "orig_y", "orig_z", "score",
    "x_shift", "y_shift", "z_shift", "phi", "psi", "the", "class",
)  # fmt: skip


def test_stopgap_counts_from_one_and_tells_halves(tmp_path):
    rows = [f"7 5 9 70 A 10 20 30 0.3 0.5 0.25 -0.5 {A} {C} {B} 2", "8 5 9 71 B 10 20 30 0.3 0 0 0 0 0 0 2"]
    path = star(tmp_path / "p.star", STOPGAP, *rows)
    particles = read_particle_table(path, frames=FRAME)
    assert particles.quality["format"] == "stopgap"
    np.testing.assert_allclose(placed(particles), from_corner(9.5, 19.25, 28.5))
    np.testing.assert_allclose(particles.matrices[0], rotation_z(C) @ rotation_x(B) @ rotation_z(A), atol=1e-12)
    assert (list(particles.ids), list(particles.half), list(particles.features["object"])) == ([7, 8], [1, 2], [9, 9])


def test_a_stopgap_list_of_several_entries_a_particle_is_numbered_anew_and_keeps_its_numbers(tmp_path):
    rows = [f"7 5 9 70 A 10 20 30 0.3 0 0 0 0 0 0 {c}" for c in (1, 2)]
    particles = read_particle_table(star(tmp_path / "p.star", STOPGAP, *rows), frames=FRAME)
    assert (list(particles.ids), list(particles.features["motl_idx"])) == ([0, 1], [7, 7])


def test_stopgap_lists_have_only_the_columns_stopgap_knows(tmp_path):
    particles = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), features={"mine": np.arange(2)})
    said = write_particle_table(tmp_path / "p.star", particles, frames=FRAME, program="stopgap")
    assert said == ["A STOPGAP motive list has no place for the column mine: left out."]
    labels = [line.split()[0] for line in (tmp_path / "p.star").read_text().splitlines() if line.startswith("_")]
    assert labels == [f"_{name}" for name in STOPGAP]
    assert "data_stopgap_motivelist" in (tmp_path / "p.star").read_text()


def test_imod_has_the_first_voxel_at_a_half_a_half_and_zero(tmp_path):
    from imodmodel.models import Contour, ImodModel, Object

    one = Object(contours=[Contour(points=np.array([[0.5, 0.5, 0.0], [10.5, 20.5, 30.0]]))])
    one.header.name = "20S"
    one.update_sizes()
    model = ImodModel(objects=[one])
    model.header.xmax, model.header.ymax, model.header.zmax = 300, 200, 100
    model.header.pixelsize, model.header.units = 0.2, -9
    model.update_sizes()
    model.to_file(tmp_path / "TS_01.mod")
    particles = read_particle_table(tmp_path / "TS_01.mod")
    expected = [from_corner(0, 0, 0)[::-1], from_corner(10, 20, 30)[::-1]]
    np.testing.assert_allclose(particles.centers_ang_zyx, expected, atol=1e-4)
    assert (particles.tomogram[0], particles.features["species"][0], particles.class_ids[0]) == ("TS_01", "20S", 1)
    twice_as_fine = TomogramFrame((200, 400, 600), 1.0)
    again = read_particle_table(tmp_path / "TS_01.mod", frames=twice_as_fine)
    np.testing.assert_allclose(again.centers_ang_zyx, expected, atol=1e-4)
    assert again.quality["warnings"] == []
    thinner = TomogramFrame((60, 200, 300), 2.0)
    third = read_particle_table(tmp_path / "TS_01.mod", frames=thinner)
    np.testing.assert_allclose(third.centers_ang_zyx, expected, atol=1e-4)
    assert third.quality["warnings"][0].startswith("The model was made on another volume, of 300 × 200 × 100 voxels")


def test_an_imod_model_written_shows_points_of_the_volume(tmp_path):
    from imodmodel import ImodModel

    particles = ParticleSet(
        centers_ang_zyx=[from_corner(10, 20, 30)[::-1], from_corner(1, 2, 3)[::-1]],
        features={"species": np.array(["20S", "gold"])},
    )
    write_particle_table(tmp_path / "TS_01.mod", particles, frames=FRAME)
    model = ImodModel.from_file(tmp_path / "TS_01.mod")
    assert [one.header.name for one in model.objects] == ["20S", "gold"]
    assert all(one.header.flags.scattered for one in model.objects)
    np.testing.assert_allclose(model.objects[0].contours[0].points, [[10.5, 20.5, 30.0]])
    assert (model.header.xmax, model.header.ymax, model.header.zmax) == (300, 200, 100)


def test_eman2_counts_unbinned_pixels_from_the_centre_or_voxels_from_the_corner(tmp_path):
    path = tmp_path / "TS_01_info.json"
    info = {"boxes_3d": [[10, 20, 30, "tm", 0.4, 1]], "class_list": {"1": {"name": "20S", "boxsize": 64}}}
    path.write_text(json.dumps(info | {"apix_unbin": 0.5}))
    particles = read_particle_table(path)
    np.testing.assert_allclose(placed(particles), [5, 10, 15])
    assert (particles.tomogram[0], particles.features["species"][0], particles.score[0]) == ("TS_01", "20S", 0.4)
    path.write_text(json.dumps(info))
    np.testing.assert_allclose(placed(read_particle_table(path, frames=FRAME)), from_corner(10, 20, 30))
    with pytest.raises(DataError, match="shape and the voxel size of the tomogram TS_01"):
        read_particle_table(path)


def test_boxes_are_written_into_an_info_file_that_keeps_the_rest(tmp_path):
    path = tmp_path / "TS_01_info.json"
    path.write_text(json.dumps({"apix_unbin": 0.5, "tlt_params": [[1, 2, 3, 4, 5]]}))
    particles = ParticleSet(centers_ang_zyx=[[15.0, 10.0, 5.0]])
    write_particle_table(path, particles, frames=FRAME)
    info = json.loads(path.read_text())
    assert info["tlt_params"] == [[1, 2, 3, 4, 5]]
    assert info["boxes_3d"] == [[10.0, 20.0, 30.0, "manual", 0.0, 0]]


def test_copick_counts_from_the_corner_and_its_transform_turns_and_shifts(tmp_path):
    transform = np.eye(4)
    transform[:3, :3] = rotation_z(A) @ rotation_y(B) @ rotation_z(C)
    transform[:3, 3] = [2, 4, 6]
    point = {"location": {"x": 18.0, "y": 36.0, "z": 54.0}, "transformation_": transform.tolist(), "score": 0.4}
    picks = {"pickable_object_name": "20S", "run_name": "TS_01", "user_id": "me", "points": [point | {"hue": 3}]}
    (tmp_path / "picks.json").write_text(json.dumps(picks))
    particles = read_particle_table(tmp_path / "picks.json", frames={"TS_01": FRAME})
    np.testing.assert_allclose(placed(particles), from_corner(10, 20, 30))
    np.testing.assert_allclose(particles.matrices[0], transform[:3, :3], atol=1e-12)
    features = {name: column[0] for name, column in particles.features.items()}
    assert features == {"species": "20S", "instance_id": 0, "user_id": "me", "hue": 3}


def test_a_copick_transform_that_mirrors_is_refused(tmp_path):
    point = {"location": {"x": 1.0, "y": 2.0, "z": 3.0}, "transformation_": np.diag([1, 1, -1, 1]).tolist()}
    (tmp_path / "picks.json").write_text(json.dumps({"run_name": "TS_01", "points": [point]}))
    with pytest.raises(DataError, match="point 1 is no rotation"):
        read_particle_table(tmp_path / "picks.json", frames=FRAME)


CBOX = ("CoordinateX", "CoordinateY", "CoordinateZ", "Width", "Height", "Depth", "Confidence")


def test_a_crYOLO_box_is_named_by_its_corner_and_middle_section(tmp_path):
    path = star(tmp_path / "TS_01.cbox", CBOX, "5 15 30 10 10 10 0.9")
    particles = read_particle_table(path, frames=FRAME)
    np.testing.assert_allclose(placed(particles), from_corner(10, 20, 30))
    assert particles.score[0] == 0.9
    path.rename(tmp_path / "x.box").write_text("5\t15\t30\t10\t10\n")
    np.testing.assert_allclose(placed(read_particle_table(tmp_path / "x.box", frames=FRAME)), from_corner(10, 20, 30))
    (tmp_path / "x.coords").write_text("10 20 30\n")
    np.testing.assert_allclose(
        placed(read_particle_table(tmp_path / "x.coords", frames=FRAME)), from_corner(10, 20, 30)
    )


@pytest.mark.parametrize(("name", "text"), [("x.box", "5 15 10 10\n"), ("x.cbox", None)])
def test_boxes_of_micrographs_are_refused_by_name(tmp_path, name, text):
    path = star(tmp_path / name, CBOX, "5 15 <NA> 10 10 <NA> 0.9") if text is None else tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="boxes on micrographs"):
        read_particle_table(path, frames=FRAME)


RELION = ("rlnTomoName", "rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")


def test_relion4_counts_pixels_of_the_tilt_images_from_the_corner(tmp_path):
    optics = ["data_optics", "", "loop_", "_rlnOpticsGroup", "_rlnTomoTiltSeriesPixelSize", "1 0.5", ""]
    columns = (*RELION, "rlnOpticsGroup", "rlnOriginXAngst")
    path = star(tmp_path / "p.star", columns, "TS_01 40 80 120 1 3.0", before=optics)
    particles = read_particle_table(path, frames=FRAME)
    np.testing.assert_allclose(placed(particles), from_corner(10, 20, 30) - [3, 0, 0])
    assert read_particle_table(path, frames=FRAME, pixel_ang=2.0).quality["warnings"]
    np.testing.assert_allclose(
        placed(read_particle_table(path, frames=FRAME, pixel_ang=1.0)), from_corner(20, 40, 60) - [3, 0, 0]
    )


def test_relion3_has_its_pixel_by_detector_and_magnification_and_its_shifts_in_pixels(tmp_path):
    columns = (
        "rlnMicrographName", *RELION[1:], "rlnMagnification", "rlnDetectorPixelSize",
        "rlnOriginX", "rlnOriginY", "rlnOriginZ", "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi",
    )  # fmt: skip
    path = star(tmp_path / "p.star", columns, f"tomo/TS_01.mrc 40 80 120 10000 0.5 1 2 3 {A} {B} {C}")
    particles = read_particle_table(path, frames={"TS_01": FRAME})
    np.testing.assert_allclose(placed(particles), from_corner(10, 20, 30) - 0.5 * np.array([1, 2, 3]))
    np.testing.assert_allclose(particles.matrices[0].T, rotation_z(A) @ rotation_y(B) @ rotation_z(C), atol=1e-12)
    assert particles.features["rlnMicrographName"][0] == "tomo/TS_01.mrc"


def test_a_table_with_no_pixel_size_counts_voxels_of_the_tomogram(tmp_path):
    path = star(tmp_path / "p.star", RELION, "TS_01 10 20 30")
    np.testing.assert_allclose(placed(read_particle_table(path, frames=FRAME)), from_corner(10, 20, 30))
    with pytest.raises(DataError, match="nobody says the shape and the voxel size of the tomogram TS_01;"):
        read_particle_table(path)
    with pytest.raises(DataError, match="nobody says the voxel size of the tomogram TS_01;"):
        read_particle_table(path, frames=TomogramFrame((100, 200, 300)))


def test_what_relion_says_once_for_a_group_comes_back_as_a_group(tmp_path):
    optics = ["data_general", "", "_rlnTomoSubTomosAre2DStacks 1", "", "data_optics", "", "loop_"]
    optics += [
        "_rlnOpticsGroup",
        "_rlnOpticsGroupName",
        "_rlnVoltage",
        "_rlnImageSize",
        "1 one 300 64",
        "2 two 200 48",
        "",
    ]
    centers = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
    path = star(tmp_path / "p.star", (*centers, "rlnOpticsGroup"), "1 2 3 2", "4 5 6 1", before=optics)
    particles = read_particle_table(path)
    np.testing.assert_array_equal(particles.features["rlnVoltage"], [200, 300])
    write_particle_table(tmp_path / "q.star", particles)
    text = (tmp_path / "q.star").read_text()
    assert "_rlnTomoSubTomosAre2DStacks\t\t\t1" in text
    again = read_particle_table(tmp_path / "q.star")
    for name, values in particles.features.items():
        np.testing.assert_array_equal(again.features[name], values, err_msg=name)
    assert text.index("data_optics") < text.index("_rlnVoltage") < text.index("data_particles")


def test_images_cut_before_a_shift_are_told_of(tmp_path):
    columns = (*(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"), "rlnOriginZAngst", "rlnImageName")
    path = star(tmp_path / "p.star", columns, "1 2 3 4 a.mrcs")
    assert "Shifts of up to 4.0 Å" in read_particle_table(path).quality["warnings"][0]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("10,20,30\n11,21,31\n", {"unit": "px"}, from_corner(10, 20, 30)),
        ("20,40,60\n11,21,31\n", {"unit": "ang-corner"}, from_corner(10, 20, 30)),
        ("20\t40\t60\n", {"unit": "ang"}, [20, 40, 60]),
        ("x_px,y_px,z_px\n10,20,30\n", {}, from_corner(10, 20, 30)),
        ("X_Ang;Y_Ang;Z_Ang\n10;20;30\n", {}, [10, 20, 30]),
        ("index,axis-0,axis-1,axis-2\n0,30,20,10\n", {"unit": "px"}, from_corner(10, 20, 30)),
        ("rlnCoordinateX,rlnCoordinateY,rlnCoordinateZ\n10,20,30\n", {}, from_corner(10, 20, 30)),
        ("id z y x\n4 30 20 10\n", {"unit": "px"}, from_corner(10, 20, 30)),
    ],
)
def test_columns_of_a_csv_are_understood_by_their_names(tmp_path, text, options, expected):
    path = tmp_path / "picks.csv"
    path.write_text(text)
    np.testing.assert_allclose(placed(read_particle_table(path, frames=FRAME, **options)), expected)


def test_a_csv_that_does_not_say_its_unit_is_asked(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text("10,20,30\n")
    with pytest.raises(DataError, match="say the unit px, ang or ang-corner"):
        read_particle_table(path, frames=FRAME)
    with pytest.raises(ParamError, match="'furlong'"):
        read_particle_table(path, frames=FRAME, unit="furlong")


def test_a_csv_without_positions_is_refused_with_its_columns(tmp_path):
    (tmp_path / "picks.csv").write_text("when,where,who\n1,2,3\n")
    with pytest.raises(DataError, match="only when, where, who"):
        read_particle_table(tmp_path / "picks.csv", frames=FRAME)


@pytest.mark.parametrize("shape_zyx", [(100, 200, 300), (50, 128, 128)])
def test_swapped_axes_are_recognised_by_what_lies_outside(tmp_path, shape_zyx):
    rng = np.random.default_rng(5)
    inside_zyx = rng.uniform(0, 1, (200, 3)) * (np.array(shape_zyx) - 1)
    (tmp_path / "picks.coords").write_text("\n".join(" ".join(map(str, row)) for row in inside_zyx))
    frame = TomogramFrame(shape_zyx, 2.0)
    (warning,) = read_particle_table(tmp_path / "picks.coords", frames=frame).quality["warnings"]
    assert f"lie outside the tomogram picks of {' × '.join(map(str, shape_zyx[::-1]))} voxels" in warning
    assert "inside if the columns are z, y, x" in warning


def test_particles_far_outside_are_not_explained_by_swapped_axes(tmp_path):
    (tmp_path / "picks.coords").write_text("9000 9000 9000\n10 20 30\n")
    (warning,) = read_particle_table(tmp_path / "picks.coords", frames=FRAME).quality["warnings"]
    assert warning.startswith("1 of 2 particles lie outside")
    assert warning.endswith("check the tomogram, its voxel size and the units of the file.")


def test_the_origin_of_a_cropped_tomogram_counts(tmp_path):
    (tmp_path / "picks.coords").write_text("10 20 30\n")
    cropped = Tomogram(
        name="x", volume=np.zeros((100, 200, 300), np.int8), voxel_ang=2.0, origin_ang_zyx=(7.0, 8.0, 9.0)
    )
    particles = read_particle_table(tmp_path / "picks.coords", frames=TomogramFrame.of(cropped))
    np.testing.assert_allclose(placed(particles), np.add(from_corner(10, 20, 30), [9, 8, 7]))
    assert particles.quality["warnings"] == []


@pytest.mark.parametrize(
    "frame", [{"voxel_ang": 0.0}, {"voxel_ang": np.nan}, {"pixel_ang": -1.0}, {"shape_zyx": (0, 1, 1)}]
)
def test_a_tomogram_of_impossible_size_is_refused(frame):
    with pytest.raises(ParamError, match=r"cannot (measure|have)"):
        TomogramFrame(**frame)


def test_a_pickle_is_never_opened(tmp_path):
    (tmp_path / "picks.tloc").write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="pickle"):
        read_particle_table(tmp_path / "picks.tloc", frames=FRAME)


@pytest.mark.parametrize("program", ["nonesuch", ""])
def test_an_unknown_program_is_answered_with_those_known(tmp_path, program):
    (tmp_path / "p.csv").write_text("1,2,3\n")
    with pytest.raises(ParamError, match="give one of relion5, relion4, dynamo"):
        read_particle_table(tmp_path / "p.csv", program=program)


def test_a_name_without_a_known_ending_is_not_written(tmp_path):
    with pytest.raises(ParamError, match=r"picks\.xyz"):
        write_particle_table(tmp_path / "picks.xyz", ParticleSet(centers_ang_zyx=np.zeros((1, 3))), frames=FRAME)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("readme.txt", "These are notes, of two sentences.\n"),
        ("angles.txt", "-60\n-57\n"),
        ("settings.json", '{"a": [1, 2]}'),
        ("job.star", "data_\n\n_rlnJobType 3\n"),
        ("broken.json", "\0\0"),
        ("x.coords", "label x y z\n"),
    ],
)
def test_files_of_other_things_are_not_taken_for_tables(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert not is_particle_table(tmp_path / name)
    with pytest.raises(DataError):
        read_particle_table(tmp_path / name, frames=FRAME)


def test_columns_may_bear_any_name(tmp_path):
    features = {name: np.arange(2.0) for name in ("count", "noun", "score", "id", "x_ang", "Class")}
    particles = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), score=[0.5, 0.6], features=features)
    write_particle_table(tmp_path / "p.csv", particles)
    back = read_particle_table(tmp_path / "p.csv")
    assert back.features.keys() == features.keys()
    np.testing.assert_array_equal(back.score, [0.5, 0.6])
