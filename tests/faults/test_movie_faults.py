"""Movies with something wrong: a file not there, cut short, of another size, a gain that does not fit."""

import numpy as np
import pytest
import tifffile

from faults.movie_files import SHAPE, make_movies, write_frames
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Frames, Movies
from napari_tomoflow.core.stages.import_ import ImportParams, import_
from napari_tomoflow.core.stages.motion import motion
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.sources import read_raw_stack


def taken_in(mdoc, **options):
    return import_(read_raw_stack(mdoc, **options), ImportParams(**options))


def warnings(series):
    return " ".join(series.quality["warnings"])


def test_a_tilt_whose_movie_is_missing_is_left_out_and_named_all_the_way(tmp_path):
    mdoc, _ = make_movies(tmp_path)
    (tmp_path / "TS_01_001_-10.0.tif").unlink()
    movies = taken_in(mdoc)
    assert isinstance(movies, Movies)
    assert list(np.flatnonzero(~movies.kept)) == [1]
    assert "Tilt 1 at -10° is left out" in warnings(movies)
    assert "TS_01_001_-10.0.tif does not exist" in movies.excluded_because[1]
    save(movies, tmp_path / "job")
    series = motion(load(Movies, tmp_path / "job"))
    assert "does not exist" in series.excluded_because[1]
    assert not series.images[1].any()
    assert series.images[2].any()
    assert series.quality["tilts"][1]["frames"] == 0


@pytest.mark.parametrize("ending", [".tif", ".mrc"])
def test_a_movie_cut_short_leaves_its_tilt_out(tmp_path, ending):
    mdoc, _ = make_movies(tmp_path, ending)
    victim = tmp_path / f"TS_01_003_10.0{ending}"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) * 5 // 8])
    movies = taken_in(mdoc)
    assert list(np.flatnonzero(~movies.kept)) == [3]
    assert victim.name in movies.excluded_because[3]


def test_a_movie_damaged_inside_is_refused_by_name(tmp_path):
    mdoc, _ = make_movies(tmp_path, compression="lzw")
    victim = tmp_path / "TS_01_003_10.0.tif"
    with tifffile.TiffFile(victim) as file:
        place, length = file.pages[2].dataoffsets[0], file.pages[2].databytecounts[0]
    whole = bytearray(victim.read_bytes())
    whole[place : place + length] = b"\xff" * length
    victim.write_bytes(whole)
    with pytest.raises(DataError, match=rf"{victim.name} is not a readable TIFF .*; copy it again from its source"):
        taken_in(mdoc)


def test_a_folder_without_the_movies_is_refused_with_the_remedy(tmp_path):
    mdoc, _ = make_movies(tmp_path / "frames")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"names 5 movies, of which 5 cannot be opened .* give their folder with --fram"
    ):
        read_raw_stack(mdoc, frames=[tmp_path / "empty"])
    with pytest.raises(DataError, match=r"There is no .*nowhere; give with --frames the folder of the movies"):
        read_raw_stack(mdoc, frames=[tmp_path / "nowhere"])


def test_an_mdoc_that_names_no_movies_is_refused(tmp_path):
    mdoc, _ = make_movies(tmp_path)
    mdoc.write_text("\n".join(line for line in mdoc.read_text().splitlines() if "SubFramePath" not in line))
    with pytest.raises(DataError, match="names no movies"):
        read_raw_stack(mdoc)


def test_a_gain_of_another_size_is_refused_with_both_sizes(tmp_path):
    mdoc, _ = make_movies(tmp_path)
    gain = tmp_path / "gain.mrc"
    write_mrc(gain, np.ones((1, 512, 576), np.float32), 1.0)
    with pytest.raises(DataError, match=r"gain.mrc is 512 × 576 px but the frames are 256 × 288 px"):
        read_raw_stack(mdoc, gain=gain)


def test_movies_of_two_sizes_are_refused_by_name(tmp_path):
    mdoc, _ = make_movies(tmp_path)
    write_frames(tmp_path / "TS_01_002_0.0.tif", np.ones((4, 128, 128), np.uint16))
    with pytest.raises(DataError, match=r"TS_01_002_0.0.tif holds frames of shape \(4, 128, 128\)"):
        read_raw_stack(mdoc)


def test_a_tilt_without_exposure_is_warned_of_and_left_out_when_dark(tmp_path):
    mdoc, _ = make_movies(tmp_path, doses=(3.0, 3.0, 3.0, 3.0, 0.0))
    write_frames(tmp_path / "TS_01_004_20.0.tif", np.zeros((4, *SHAPE), np.uint16))
    movies = taken_in(mdoc)
    assert list(np.flatnonzero(~movies.kept)) == [4]
    assert "The exposure at 20° is said to be 0 e/Å²" in warnings(movies)
    series = motion(movies)
    assert list(np.flatnonzero(~series.kept)) == [4]
    assert series.quality["tilts"][4]["motion_ang"] == 0.0


def test_options_of_movies_are_refused_for_a_stack(tmp_path):
    write_mrc(tmp_path / "TS.mrc", np.ones((3, 8, 8), np.float32), 2.0, stack=True)
    with pytest.raises(DataError, match=r"TS.mrc is no mdoc, so it names no movies"):
        read_raw_stack(tmp_path / "TS.mrc", gain=tmp_path / "gain.mrc")


def test_a_gain_the_frames_have_had_already_is_not_used_and_said_so():
    rng = np.random.default_rng(2)
    frames = rng.poisson(5.0, (2, 4, *SHAPE)).astype(np.float32)
    gain = rng.normal(1, 0.1, SHAPE).astype(np.float32)
    movies = Movies(name="TS", images=Frames(tuple(frames), gain), tilt_deg=[0.0, 3.0], pixel_ang=2.0)
    series = motion(movies)
    assert series.quality["gain"]["use"] == "not used"
    assert "no trace of the gain" in warnings(series)
    np.testing.assert_allclose(series.images[0].mean(), frames[0].sum(axis=0).mean(), rtol=1e-3)


def test_a_gain_meant_to_be_divided_is_divided_and_dead_pixels_are_filled():
    rng = np.random.default_rng(2)
    gain = rng.normal(1, 0.1, SHAPE).astype(np.float32)
    gain[40, 50] = 0.0
    frames = (rng.poisson(5.0, (1, 8, *SHAPE)) * gain).astype(np.float32)
    movies = Movies(name="TS", images=Frames(tuple(frames), gain), tilt_deg=[0.0], pixel_ang=2.0)
    series = motion(movies)
    assert series.quality["gain"]["use"] == "divided"
    assert np.isfinite(series.images[0]).all()
    assert series.images[0].std() / series.images[0].mean() < 1.1 * (8 * 5) ** -0.5


def test_halves_of_another_shape_are_refused():
    series = motion(Movies(name="TS", images=Frames((np.ones((2, 300, 300)),)), tilt_deg=[0.0], pixel_ang=2.0))
    with pytest.raises(DataError, match="half sums have shape"):
        series.replace(halves=(np.zeros((1, 3, 3)), np.zeros((1, 3, 3))))
