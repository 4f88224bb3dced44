"""Maps of particles in files of any program and in ours."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap, Labels, Tomogram
from napari_tomoflow.io.em import read_em, write_em
from napari_tomoflow.io.given import read_given
from napari_tomoflow.io.maps import open_map
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.results import load, save

RNG = np.random.default_rng(4)


def blob(n=12, sign=1.0):
    grid = np.square(np.indices((n, n, n)) - n // 2).sum(0)
    return (sign * np.exp(-grid / 8) + 0.01 * RNG.normal(size=(n, n, n))).astype(np.float32)


def test_a_map_with_halves_and_mask_reads_back_as_it_was(tmp_path):
    halves = blob(), blob()
    made = DensityMap(
        name="20S", volume=(halves[0] + halves[1]) / 2, voxel_ang=5.24, halves=halves,
        mask=(blob() > 0.5).astype(np.float32), symmetry="D7", contrast="dark", quality={"resolution_ang": 12.5},
    )  # fmt: skip
    assert save(made, tmp_path)["DensityMap"] == "map.mrc"
    found = load(DensityMap, tmp_path)
    for name in ("name", "voxel_ang", "symmetry", "contrast", "quality"):
        assert getattr(found, name) == getattr(made, name)
    for old, new in ((made.volume, found.volume), (made.mask, found.mask), *zip(halves, found.halves, strict=True)):
        np.testing.assert_array_equal(old, np.asarray(new))


@pytest.mark.parametrize(("sign", "contrast"), [(1.0, "bright"), (-1.0, "dark")])
def test_the_contrast_of_a_map_is_seen_in_it(tmp_path, sign, contrast):
    write_mrc(tmp_path / "a.mrc", blob(sign=sign), 7.5)
    found = open_map(tmp_path / "a.mrc")
    assert (found.contrast, found.voxel_ang, found.name) == (contrast, 7.5, "a")


def test_a_half_of_another_shape_is_refused():
    with pytest.raises(DataError, match="a half has shape"):
        DensityMap(name="x", volume=blob(), voxel_ang=1.0, halves=(blob(8), blob(8)))


def test_an_em_file_reads_back_and_asks_for_its_voxel_size(tmp_path):
    values = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    write_em(tmp_path / "a.em", values)
    np.testing.assert_array_equal(read_em(tmp_path / "a.em"), values)
    with pytest.raises(DataError, match="voxel size"):
        open_map(tmp_path / "a.em")
    assert open_map(tmp_path / "a.em", voxel_ang=8.7).voxel_ang == 8.7


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:600], lambda raw: raw[:100], lambda raw: b"\x06\x00\x00\x63" + raw[4:]]
)
def test_a_damaged_em_file_is_named(tmp_path, spoil):
    write_em(tmp_path / "a.em", np.ones((9, 9, 9)))
    (tmp_path / "a.em").write_bytes(spoil((tmp_path / "a.em").read_bytes()))
    with pytest.raises(DataError, match=r"a\.em is"):
        read_em(tmp_path / "a.em")


def test_the_em_map_of_another_program_is_read(shared_data):
    found = open_map(next(shared_data("templates").glob("**/*.em")), voxel_ang=21.0)
    assert len(set(found.volume.shape)) == 1
    assert np.isfinite(found.volume).all()


def test_labels_are_whole_numbers_even_when_stored_as_floats(tmp_path):
    write_mrc(tmp_path / "seg.mrc", (blob() > 0.5).astype(np.float32), 10.0)
    labels = read_given(Labels, tmp_path / "seg.mrc")
    assert np.issubdtype(labels.volume.dtype, np.integer)
    write_mrc(tmp_path / "map.mrc", blob(), 10.0)
    with pytest.raises(DataError, match="not labels"):
        read_given(Labels, tmp_path / "map.mrc")
    assert read_given(Tomogram, tmp_path / "map.mrc").voxel_ang == 10.0
