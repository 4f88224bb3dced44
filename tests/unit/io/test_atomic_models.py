"""Atomic models become maps."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.io.maps import open_map


def atom(serial, name, element, x, y, z, residue="ALA"):
    place = f"{x:8.3f}{y:8.3f}{z:8.3f}"
    return f"ATOM  {serial:5d}  {name:<3s} {residue} A{serial:4d}    {place}  1.00 20.00          {element:>2s}\n"


def centre_of_mass_ang(density):
    volume = np.asarray(density.volume)
    offsets = np.indices(volume.shape).reshape(3, -1) - np.array(volume.shape)[:, None] // 2
    return offsets @ volume.ravel() / volume.sum() * density.voxel_ang


def test_a_model_is_centred_on_its_mass_and_weighs_its_electrons(tmp_path):
    path = tmp_path / "two.pdb"
    path.write_text(
        atom(1, "C", "C", 100, 0, 0) + atom(2, "O", "O", 130, 0, 0) + atom(3, "H", "H", 0, 0, 0)
        + atom(4, "O", "O", 500, 0, 0, residue="HOH") + "END\n"
    )  # fmt: skip
    density = open_map(path)
    assert (density.name, density.contrast) == ("two", "bright")
    assert np.asarray(density.volume).sum() == pytest.approx(6 + 8, rel=1e-2)
    np.testing.assert_allclose(centre_of_mass_ang(density), 0.0, atol=0.1)
    across = np.asarray(density.volume).sum(axis=(0, 1))
    places = (np.arange(len(across)) - len(across) // 2) * density.voxel_ang
    assert across[places > 0].sum() > across[places < -6].sum(), "oxygen, the heavier, lies at +x"


def test_x_of_the_model_is_the_last_axis_of_the_map():
    density = density_of_atoms("rod", [[-40.0, 0, 0], [0, 0, 0], [40, 0, 0]], [1.0, 1.0, 1.0])
    spread = [np.asarray(density.volume).sum(axis=other).std() for other in ((1, 2), (0, 2), (0, 1))]
    assert spread[2] < spread[0]
    assert spread[0] == pytest.approx(spread[1])


def test_the_proteasome_of_the_data_bank_resembles_its_map(shared_data):
    model = open_map(shared_data("templates/3j9i_20S_proteasome.pdb.gz"))
    assert 120 < 2 * model.voxel_ang * reach(np.asarray(model.volume)) < 190


def reach(volume):
    inside = np.argwhere(volume > 0.2 * volume.max()) - np.array(volume.shape) // 2
    return np.linalg.norm(inside, axis=1).max()


@pytest.mark.parametrize("text", ["", "END\n", "not a model at all\n"])
def test_a_file_without_atoms_is_refused_by_name(tmp_path, text):
    path = tmp_path / "empty.pdb"
    path.write_text(text)
    with pytest.raises(DataError, match=r"empty"):
        open_map(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"absent\.cif"):
        open_map(tmp_path / "absent.cif")
