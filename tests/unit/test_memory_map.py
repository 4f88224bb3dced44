"""A result in a mapped file costs only the memory of the part being written."""

import numpy as np
import pytest

from napari_tomoflow.core.ops.memory_map import release_pages
from napari_tomoflow.core.reconstruction.density_store import DensityStore


def resident_mb():
    try:
        with open("/proc/self/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Rss:")) / 1024
    except OSError:
        pytest.skip("needs /proc/self/smaps_rollup, which only Linux has")


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_volume_in_a_file_takes_no_more_memory_than_its_parts(tmp_path, dtype):
    shape = (64, 1024, 1024)
    volume = np.memmap(tmp_path / "volume", dtype, "w+", shape=shape)
    store = DensityStore(volume, 1.0)
    start = resident_mb()
    grown = []
    for z in range(0, 64, 4):
        with store.part(slice(z, z + 4)) as part_zyx:
            part_zyx[:] = z
        grown.append(resident_mb() - start)
    assert max(grown) < 40, "MB; a part has 16, the volume 256 or 128"
    np.testing.assert_array_equal(volume[:, 5, 7], np.arange(64) // 4 * 4)


def test_changes_to_a_private_map_and_to_plain_arrays_are_kept(tmp_path):
    np.arange(10_000, dtype=np.float32).tofile(tmp_path / "values")
    private = np.memmap(tmp_path / "values", np.float32, "c")
    private[:] = 7
    plain = np.full(10_000, 7.0)
    for array in (private[5:], plain[5:]):
        release_pages(array)
        np.testing.assert_array_equal(array, 7)
