"""Coarse copies beside a big volume: right, regenerated at will, and never taken for those of another volume."""

import os
import shutil

import numpy as np
import pytest

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.io import pyramids, results
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.pyramids import open_pyramid, pyramid_folder, write_pyramid


@pytest.fixture(autouse=True)
def everything_is_big(monkeypatch):
    monkeypatch.setattr(pyramids, "COARSEST_SIZE", 200)
    monkeypatch.setattr(pyramids, "WORTH_BYTES", 1000)


@pytest.fixture
def volume(tmp_path):
    values = np.random.default_rng(0).normal(100, 20, (12, 19, 22)).astype(np.float32)
    write_mrc(tmp_path / "tomogram.mrc", values, 10.0)
    return tmp_path / "tomogram.mrc", values


def mean_of_blocks(values, factor):
    nz, ny, nx = (n // factor for n in values.shape)
    cut = values[: nz * factor, : ny * factor, : nx * factor]
    return cut.reshape(nz, factor, ny, factor, nx, factor).mean(axis=(1, 3, 5))


def test_levels_are_means_of_blocks_with_the_right_header(volume):
    path, values = volume
    written = write_pyramid(path, 10.0)
    assert [level.name for level in written] == ["bin2.mrc", "bin4.mrc"]
    for level, factor in zip(open_pyramid(path), (2, 4), strict=True):
        np.testing.assert_allclose(level[:], mean_of_blocks(values, factor), rtol=1e-6)
        assert level.header.pixel_ang == pytest.approx(10.0 * factor)
        # Voxel n // 2 of the level, in Å from voxel n // 2 of the volume.
        expected = [
            10 * ((n // 2) * factor + (factor - 1) / 2 - fine // 2)
            for n, fine in zip(level.shape, values.shape, strict=True)
        ]
        assert level.header.origin_ang_zyx == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float16])
def test_levels_keep_the_number_type_and_round(tmp_path, dtype):
    values = np.random.default_rng(0).normal(0, 40, (6, 10, 10)).clip(-100, 100).astype(dtype)
    write_mrc(tmp_path / "v.mrc", values, 10.0)
    write_pyramid(tmp_path / "v.mrc", 10.0)
    (level,) = open_pyramid(tmp_path / "v.mrc")
    assert level.dtype == np.dtype(dtype)
    tolerance = 0.5001 if np.dtype(dtype).kind == "i" else 0.05
    np.testing.assert_allclose(level[:].astype(float), mean_of_blocks(values.astype(float), 2), atol=tolerance)


def test_a_volume_written_since_has_no_pyramid_until_it_is_made_again(volume):
    path, values = volume
    write_pyramid(path, 10.0)
    write_mrc(path, -values, 10.0)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))
    assert open_pyramid(path) == ()
    write_pyramid(path, 10.0)
    np.testing.assert_allclose(open_pyramid(path)[0][:], -mean_of_blocks(values, 2), rtol=1e-6)


@pytest.mark.parametrize("damage", ["delete", "text", "list", "level"])
def test_a_damaged_pyramid_is_no_pyramid(volume, damage):
    path, _ = volume
    write_pyramid(path, 10.0)
    folder = pyramid_folder(path)
    if damage == "delete":
        shutil.rmtree(folder)
    elif damage == "level":
        (folder / "bin4.mrc").unlink()
    else:
        (folder / "source.json").write_text("{" if damage == "text" else "[1]")
    assert open_pyramid(path) == ()


def test_a_saved_tomogram_above_the_size_gets_one_and_a_small_one_none(tmp_path, volume, monkeypatch):
    tomogram = Tomogram(name="TS", volume=volume[1], voxel_ang=10.0)
    results.save(tomogram, tmp_path / "big")
    assert len(open_pyramid(tmp_path / "big" / "tomogram.mrc")) == 2
    monkeypatch.setattr(pyramids, "WORTH_BYTES", 10**9)
    results.save(tomogram, tmp_path / "small")
    assert not pyramid_folder(tmp_path / "small" / "tomogram.mrc").exists()


def test_a_full_disk_leaves_the_tomogram_and_no_half_pyramid(tmp_path, volume, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyramids, "_mean_of_planes", full)
    results.save(Tomogram(name="TS", volume=volume[1], voxel_ang=10.0), tmp_path / "full")
    np.testing.assert_array_equal(open_mrc(tmp_path / "full" / "tomogram.mrc")[:], volume[1])
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "quality.json", "tomogram.json", "tomogram.mrc",
    ]  # fmt: skip
