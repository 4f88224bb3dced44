"""Movies in files: names, formats, pixel sizes, and a star file that finds them again."""

import pickle
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from eer_files import RUN_BITS, write_eer
from faults.movie_files import SHAPE, make_movies, write_frames
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Frames, Movies
from napari_tomoflow.io.eer import EerSums
from napari_tomoflow.io.frame_stacks import gain_of, open_frames, open_gain
from napari_tomoflow.io.mdoc import read_mdoc
from napari_tomoflow.io.movie_files import find_movies, name_of_series
from napari_tomoflow.io.movies import read_movies
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.star import read_star


def counts(n_frames=6, shape=(64, 96), seed=0):
    return np.random.default_rng(seed).poisson(3.0, (n_frames, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("ending", "options"),
    [(".mrc", {}), (".tif", {}), (".tif", {"compression": "lzw"}), (".tiff", {"compression": "zlib"})],
)
def test_frames_are_read_alike_from_every_format(tmp_path, ending, options):
    frames = counts()
    write_frames(tmp_path / f"a{ending}", frames, **options)
    np.testing.assert_array_equal(open_frames(tmp_path / f"a{ending}")[:], frames)


@pytest.mark.parametrize("compression", RUN_BITS)
def test_electrons_of_an_eer_movie_fall_where_its_bits_say(tmp_path, compression):
    frames = np.random.default_rng(2).random((23, 48, 64)) < 0.03
    frames[:, 10:40] = False  # runs longer than one number holds
    write_eer(tmp_path / "a.eer", frames, compression)
    opened = open_frames(tmp_path / "a.eer")
    assert opened.shape == (10, 48, 64)
    upright = frames[:, ::-1]  # the first row of a TIFF is the topmost
    np.testing.assert_array_equal(opened[:].sum(axis=0), upright.sum(axis=0))
    np.testing.assert_array_equal(opened[0], upright[:2].sum(axis=0))


def electrons(n_frames=23, shape=(48, 64), seed=2):
    return np.random.default_rng(seed).random((n_frames, *shape)) < 0.03


@pytest.mark.parametrize(("grouping", "count", "first"), [(None, 10, 10), (12, 8, 12), (1, 97, 1), (500, 1, 97)])
def test_frames_of_an_eer_movie_are_grouped_evenly_and_none_is_lost(tmp_path, grouping, count, first):
    frames = electrons(97)
    write_eer(tmp_path / "a.eer", frames)
    opened = open_frames(tmp_path / "a.eer", EerSums(grouping))
    assert opened.shape == (count, 48, 64)
    np.testing.assert_array_equal(opened[0], frames[:first, ::-1].sum(axis=0))
    np.testing.assert_array_equal(opened[:].sum(axis=0), frames[:, ::-1].sum(axis=0))


def test_on_a_grid_twice_as_fine_electrons_fall_into_the_quarter_their_bits_say(tmp_path):
    frames = electrons()
    in_pixel = np.random.default_rng(3).integers(0, 16, frames.shape)
    write_eer(tmp_path / "a.eer", frames, in_pixel=in_pixel)
    signed = in_pixel ^ 0b1010  # two's complement, counted from the corner
    fine = np.zeros((48, 64, 2, 2), int)
    frame, row, column = np.nonzero(frames)
    np.add.at(fine, (row, column, signed[frame, row, column] >> 3, signed[frame, row, column] >> 1 & 1), 1)
    opened = open_frames(tmp_path / "a.eer", EerSums(upsampling=2))
    assert opened.shape == (10, 96, 128)
    np.testing.assert_array_equal(opened[:].sum(axis=0), fine.transpose(0, 2, 1, 3).reshape(96, 128)[::-1])


def test_the_sum_of_all_frames_that_an_eer_file_may_begin_with_is_no_frame(tmp_path):
    frames = electrons()
    write_eer(tmp_path / "a.eer", frames, begins_with_sum=True)
    opened = open_frames(tmp_path / "a.eer")
    assert opened.shape == (10, 48, 64)
    np.testing.assert_array_equal(opened[:].sum(axis=0), frames[:, ::-1].sum(axis=0))


def test_an_eer_movie_goes_to_another_process_as_it_was_opened(tmp_path):
    write_eer(tmp_path / "a.eer", electrons())
    opened = open_frames(tmp_path / "a.eer", EerSums(4, 2))
    again = pickle.loads(pickle.dumps(opened))
    assert (again.sums, again.shape) == (EerSums(4, 2), (6, 96, 128))
    np.testing.assert_array_equal(again[2], opened[2])


def test_an_eer_movie_nothing_can_decode_is_refused_with_the_remedy(tmp_path, monkeypatch):
    write_eer(tmp_path / "a.eer", electrons())
    monkeypatch.setattr(imagecodecs.EER, "available", False)
    with pytest.raises(DataError, match=r"a.eer is an EER movie, .* install a newer imagecodecs, or convert"):
        open_frames(tmp_path / "a.eer")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_eer_movie_cut_short_is_refused_by_name(tmp_path, share):
    write_eer(tmp_path / "a.eer", electrons())
    whole = (tmp_path / "a.eer").read_bytes()
    (tmp_path / "a.eer").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"a.eer .*copy it again"):
        open_frames(tmp_path / "a.eer")


def test_a_tiff_by_the_name_of_an_eer_movie_is_refused(tmp_path):
    write_frames(tmp_path / "a.tif", counts())
    (tmp_path / "a.tif").rename(tmp_path / "a.eer")
    with pytest.raises(DataError, match=r"a.eer holds no electrons"):
        open_frames(tmp_path / "a.eer")


def test_the_gain_of_the_detector_fits_movies_on_a_finer_grid_and_both_are_found_again(tmp_path):
    write_eer(tmp_path / "a.eer", electrons())
    gain = np.random.default_rng(4).uniform(0.5, 2, (48, 64)).astype(np.float32)
    write_mrc(tmp_path / "gain.mrc", gain[None], 1.0)
    stacks = (open_frames(tmp_path / "a.eer", EerSums(5, 2)),)
    images = Frames(stacks, gain_of(tmp_path / "gain.mrc", stacks))
    np.testing.assert_array_equal(images.gain[1::2, ::2], gain)
    movies = Movies(name="TS", images=images, tilt_deg=[0.0], pixel_ang=0.5)
    save(movies, tmp_path / "job")
    assert dict(read_star(tmp_path / "job" / "movies.star")["general"])["rlnEERGrouping"] == 5
    again = load(Movies, tmp_path / "job")
    assert again.images.stacks[0].sums == EerSums(5, 2)
    np.testing.assert_array_equal(again.gain[:], images.gain[:])


def test_a_gain_that_frames_are_divided_by_is_turned_into_one_they_are_multiplied_with(tmp_path):
    gain = np.random.default_rng(1).uniform(0.5, 2, (64, 96)).astype(np.float32)
    gain[3, 4] = 0
    tifffile.imwrite(tmp_path / "x.tif", gain[::-1])
    (tmp_path / "x.tif").rename(tmp_path / "x.gain")
    opened = open_gain(tmp_path / "x.gain")[:]
    assert np.isinf(opened[3, 4])
    np.testing.assert_allclose(1 / opened, gain, rtol=1e-6)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["TS_01.mdoc"], "TS_01"),
        (["TS_01.mrc.mdoc"], "TS_01"),
        (["TS_01.st.mdoc"], "TS_01"),
        (["TS_01.tif.mdoc"], "TS_01"),
        (["movies.txt"], "movies"),
        (["TS_01_000_-20.0.tif", "TS_01_001_-10.0.tif"], "TS_01"),
        (["TS_01_000.tif", "TS_01_001.tif", "TS_01.tif"], "TS_01"),
        (["cell-1 a.mrc", "cell-1 b.mrc"], "cell-1"),
    ],
)
def test_a_series_of_movies_is_named_after_what_names_them(files, name):
    assert name_of_series([Path("frames") / file for file in files]) == name


def test_movies_without_a_name_in_common_ask_for_one():
    with pytest.raises(ParamError, match="no beginning in common; give --name"):
        name_of_series([Path("a.tif"), Path("b.tif")])


def test_movies_of_a_folder_come_in_the_order_of_their_numbers_without_the_gain(tmp_path):
    for name in ("t_10.tif", "t_9.tif", "t_0.eer", "gain.mrc", "t_9.mdoc", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("elsewhere/t_11.tif")
    found = find_movies([tmp_path, tmp_path / "list.txt"], but=tmp_path / "gain.mrc").movies
    assert [path.name for path in found] == ["t_0.eer", "t_9.tif", "t_10.tif", "t_11.tif"]


def test_an_mdoc_says_which_file_holds_the_frames_of_a_tilt_whatever_system_wrote_it(shared_data, tmp_path):
    mdoc = read_mdoc(shared_data("parsers/mdocfile/tilt_series.mdoc"))
    assert mdoc.frame_files[:2] == ("TS_01_000_0.0.mrc", "TS_01_001_3.0.mrc")
    assert mdoc.rows(np.array([1, 0])).frame_files == mdoc.frame_files[1::-1]
    own, _ = make_movies(tmp_path)
    own.write_text(own.read_text().replace("D:\\DATA\\frames\\", "/data/frames/"))
    assert read_mdoc(own).frame_files[0] == "TS_01_000_-20.0.tif"


def test_frames_twice_as_fine_as_the_images_of_the_mdoc_have_half_their_pixel(tmp_path):
    mdoc, _ = make_movies(tmp_path)
    ny, nx = SHAPE
    mdoc.write_text(mdoc.read_text().replace(f"ImageSize = {nx} {ny}", f"ImageSize = {nx // 2} {ny // 2}"))
    recorded = read_movies(mdoc)
    assert recorded.pixel_ang == 1.0
    assert any("1 Å each" in note for note in recorded.notes)
    mdoc.write_text(mdoc.read_text().replace(f"ImageSize = {nx // 2} {ny // 2}", "ImageSize = 100 100"))
    assert read_movies(mdoc).pixel_ang is None


def test_movies_are_found_again_by_their_star_file_with_gain_and_gaps(tmp_path):
    write_frames(tmp_path / "a.tif", counts(), compression="lzw")
    write_mrc(tmp_path / "gain.mrc", np.full((1, 96, 64), 1.5, np.float32), 1.0)
    images = Frames(
        (open_frames(tmp_path / "a.tif"), np.empty((0, 64, 96)), counts(3)), open_gain(tmp_path / "gain.mrc"),
        {1: "b.tif does not exist"},
    )  # fmt: skip
    movies = Movies(
        name="017", images=images, tilt_deg=[-3.0, 0.0, 3.0], pixel_ang=1.5, axis_deg=85.0, kept=[True, False, True],
        excluded_because=("", "b.tif does not exist", ""), dose_of_tilt_e_ang2=3.0, quality={"n_tilts": 3},
    )  # fmt: skip
    assert save(movies, tmp_path / "job") == {"Movies": "movies.star"}
    tilts = read_star(tmp_path / "job" / "movies.star")["tilts"]
    assert list(tilts["rlnMicrographMovieName"]) == ["../a.tif", "none", "frames_002.mrc"]
    assert list(tilts["rlnTomoTiltMovieFrameCount"]) == [6, 0, 3]
    (tmp_path / "job").rename(tmp_path / "job2")
    again = load(Movies, tmp_path / "job2")
    assert (again.name, again.axis_deg, again.images.absent) == ("017", 85.0, {1: "b.tif does not exist"})
    assert [stack.shape for stack in again.images.stacks] == [(6, 64, 96), (0, 64, 96), (3, 64, 96)]
    np.testing.assert_array_equal(np.asarray(again.images), np.asarray(images))
    assert (again.gain[:] == 1.5).all()
    (tmp_path / "a.tif").unlink()
    with pytest.raises(DataError, match=r"refers to the movie .*a\.tif, which is not there"):
        load(Movies, tmp_path / "job2")


def test_the_sums_of_frames_can_be_cut_like_any_array():
    stacks = tuple(counts(seed=seed) for seed in range(4))
    frames = Frames(stacks)
    whole = np.stack([stack.sum(axis=0, dtype=np.float32) for stack in stacks])
    for key in (2, -1, slice(1, 3), np.array([3, 0]), (slice(None), 5), (1, slice(2, 9), 4), slice(2, 2)):
        np.testing.assert_array_equal(frames[key], whole[key])
