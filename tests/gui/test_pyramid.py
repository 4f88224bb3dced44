"""Coarse levels are right, lazy, and cost neither time nor memory."""

import subprocess
import sys

import numpy as np
import pytest

from napari_tomoflow.gui import pyramid as module
from napari_tomoflow.gui.pyramid import Level, pyramid
from napari_tomoflow.io import pyramids
from napari_tomoflow.io.mrc import open_mrc, write_mrc


@pytest.fixture
def small_levels(monkeypatch):
    """Let a small array have several levels."""
    monkeypatch.setattr(module, "COARSEST_SIZE", 8**3)


def blocks_mean(array, factors):
    """Average blocks the slow, plain way."""
    fz, fy, fx = factors
    nz, ny, nx = (n // f for n, f in zip(array.shape, factors, strict=True))
    out = np.empty((nz, ny, nx))
    for z, y, x in np.ndindex(nz, ny, nx):
        out[z, y, x] = array[z * fz : (z + 1) * fz, y * fy : (y + 1) * fy, x * fx : (x + 1) * fx].mean()
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, np.uint8, ">f4"])
@pytest.mark.parametrize("shape", [(16, 16, 16), (17, 14, 23)])
def test_level_is_the_mean_of_blocks(dtype, shape):
    array = np.random.default_rng(1).uniform(0, 200, shape).astype(dtype)
    level = np.asarray(Level(array, (4, 2, 3)))
    tolerance = {"f": 1e-3, "i": 0.51, "u": 0.51}[np.dtype(dtype).kind] * (100 if dtype is np.float16 else 1)
    np.testing.assert_allclose(level, blocks_mean(array.astype(np.float64), (4, 2, 3)), atol=tolerance)
    assert level.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    "key",
    [
        (3,),
        (slice(None), 2),
        (slice(1, 4), slice(2, 5), slice(0, 3)),
        (2, slice(1, 6), 4),
        (slice(0, 6, 2), slice(1, 6, 2), slice(0, 5, 3)),
        (-1, -2, -3),
    ],
)
@pytest.mark.parametrize("remembers", [False, True])
def test_slices_are_those_of_the_whole(key, remembers):
    array = np.random.default_rng(2).normal(size=(12, 14, 16)).astype(np.float32)
    level = Level(array, (2, 2, 2)).remembering() if remembers else Level(array, (2, 2, 2))
    whole = blocks_mean(array, (2, 2, 2))
    for _ in range(2):
        part = level[key]
        assert part.shape == whole[key].shape
        assert (part.ndim, part.size) == (whole[key].ndim, whole[key].size)
        np.testing.assert_allclose(np.asarray(part), whole[key], atol=1e-6)


def test_slices_of_slices_are_slices():
    array = np.random.default_rng(3).normal(size=(12, 12, 12)).astype(np.float32)
    level, whole = Level(array, (2, 2, 2)), blocks_mean(array, (2, 2, 2))
    np.testing.assert_allclose(np.asarray(level[:, 1:5, 2:][3][1]), whole[3, 2, 2:], atol=1e-6)


def test_small_array_is_its_own_pyramid():
    array = np.zeros((4, 5, 6))
    assert pyramid(array) == [array]


def test_levels_shrink_until_a_graphics_card_holds_them(small_levels):
    shapes = [level.shape for level in pyramid(np.zeros((40, 64, 50), np.float32))]
    assert shapes == [(40, 64, 50), (20, 32, 25), (10, 16, 12), (5, 8, 6)]


def test_tilt_series_keeps_all_its_tilts(small_levels):
    shapes = [level.shape for level in pyramid(np.zeros((9, 64, 50), np.float32), (False, True, True))]
    assert {shape[0] for shape in shapes} == {9}
    assert shapes[-1] == (9, 8, 6)


def test_prepared_level_reads_nothing_more(small_levels):
    class Counting:
        shape, dtype = (32, 32, 32), np.dtype(np.float32)
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            return np.zeros(self.shape, self.dtype)[key]

    source = Counting()
    coarsest = pyramid(source)[-1]
    assert source.reads == 0
    list(coarsest.prepare())
    before = source.reads
    np.asarray(coarsest)
    np.asarray(coarsest[3])
    assert source.reads == before > 0


def test_big_array_is_sampled_along_z(monkeypatch):
    array = np.random.default_rng(4).normal(size=(16, 8, 8)).astype(np.float32)
    monkeypatch.setattr(module, "READ_BYTES", array.nbytes // 2)
    level = np.asarray(Level(array, (4, 1, 1)))
    np.testing.assert_allclose(level, array.reshape(4, 4, 8, 8)[:, 1:3].mean(axis=1), atol=1e-6)


_BIG = """
import resource, sys, time
import napari
from napari.layers import Layer
from qtpy.QtWidgets import QApplication
from napari_tomoflow.gui.readers import read_layers

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

def opened(path):
    start = time.monotonic()
    for layer in read_layers(path):
        viewer.add_layer(Layer.create(*layer))
    QApplication.processEvents()
    return time.monotonic() - start

viewer = napari.Viewer()
opened(sys.argv[1])
viewer.layers.clear()
before_mb = resident_mb()
best_s = opened(sys.argv[2])
opened_mb = resident_mb() - before_mb
for _ in range(2):  # other work on the machine is no fault of ours
    viewer.layers.clear()
    best_s = min(best_s, opened(sys.argv[2]))
viewer.dims.ndisplay = 3
QApplication.processEvents()
print(best_s, opened_mb, resident_mb() - before_mb, viewer.layers[0].data[-1].size)
viewer.close()
"""


def open_in_napari(small, big):
    """Open a volume in a fresh napari: seconds and MB to open, MB after the switch to 3-D, voxels shown there."""
    done = subprocess.run(
        [sys.executable, "-c", _BIG, str(small), str(big)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return tuple(map(float, done.stdout.split()[-4:]))


def sparse_mrc(path, shape):
    """Make an MRC volume whose zeros take no room on the disk."""
    import mrcfile

    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.zeros((1, *shape[1:]), np.float32))
        file.voxel_size = 10.0
        file.header.nz = file.header.mz = shape[0]
        file.header.cella.z = 10.0 * shape[0]
        file.header.ispg = 1
    with path.open("rb+") as file:
        file.truncate(1024 + 4 * int(np.prod(shape)))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((400, 1024, 1024), id="1.7 GB"),
        pytest.param((1024, 2048, 1024), id="8.6 GB", marks=pytest.mark.slow),
    ],
)
def test_big_volume_opens_at_once_and_turns_to_3d(tmp_path, shape):
    small = sparse_mrc(tmp_path / "small.mrc", (8, 16, 16))
    big = sparse_mrc(tmp_path / "big.mrc", shape)
    opened_s, opened_mb, in_3d_mb, coarsest = open_in_napari(small, big)
    assert opened_s < 2.0
    assert opened_mb < 600
    assert in_3d_mb < 600
    assert coarsest <= 256**3


def test_levels_stored_beside_a_volume_are_shown_and_a_tilt_series_keeps_its_tilts(tmp_path, small_levels, monkeypatch):
    monkeypatch.setattr(pyramids, "COARSEST_SIZE", 8**3)
    values = np.random.default_rng(4).normal(size=(20, 22, 25)).astype(np.float32)
    write_mrc(tmp_path / "big.mrc", values, 10.0)
    computed = pyramid(open_mrc(tmp_path / "big.mrc"))
    stored_in = pyramids.write_pyramid(tmp_path / "big.mrc", 10.0)
    stored = pyramid(open_mrc(tmp_path / "big.mrc"))
    assert [level.source.path for level in stored[1:]] == list(stored_in)
    assert [level.shape for level in stored] == [level.shape for level in computed]
    for one, other in zip(stored, computed, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)
    assert {len(level) for level in map(np.asarray, pyramid(open_mrc(tmp_path / "big.mrc"), (False, True, True)))} == {
        20
    }
