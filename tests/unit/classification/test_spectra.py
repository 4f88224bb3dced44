"""What particles show beyond their average is gathered on a lattice that can be made into maps and back."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.classification import spectra
from napari_tomoflow.core.classification.spectra import Lattice, gather_spectra
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from truth.two_conformations import DIAMETER_ANG, mixed_ribosomes

BOX = 24


@pytest.fixture(scope="module")
def source():
    return mixed_ribosomes(40, box_px=BOX, pixel_ang=18.0, snr=3.0, n_tilts=11)[0]


def gathered(source, operators=None, **services):
    ball = soft_sphere(BOX, 8.0, 3.0)
    average = reconstruct_at_poses(source).volume * ball
    operators = np.eye(3)[None] if operators is None else operators
    return gather_spectra(source, average, Lattice(BOX, 8.0), operators, ball, DIAMETER_ANG, **services)


def test_maps_go_to_the_lattice_and_back():
    lattice = Lattice(16, 6.0)
    rng = np.random.default_rng(2)
    values = lattice.values_of(rng.normal(size=(3, 16, 16, 16)).astype(np.float32))
    assert values.shape == (3, len(lattice.points))
    np.testing.assert_allclose(lattice.values_of(lattice.volumes_of(values)), values, atol=1e-5)


def test_a_mask_leaves_nothing_outside():
    lattice, mask = Lattice(16, 7.0), soft_sphere(16, 3.0, 1.0)
    values = lattice.values_of(np.random.default_rng(3).normal(size=(16, 16, 16)).astype(np.float32))
    masked = lattice.volumes_of(lattice.masked(values, mask))
    outside = soft_sphere(16, 6.0, 0.0) == 0
    # What is cut off at the radius of the lattice comes back as ripples.
    assert masked[outside].std() < 0.05 * masked[mask == 1].std()


def test_a_lattice_finer_than_its_box_is_refused():
    with pytest.raises(DataError, match="coarser resolution_ang"):
        Lattice(16, 8.0)


def test_noise_is_found_to_have_the_power_it_has(source):
    # Particles of two conformations differ little from their average beside the noise.
    np.testing.assert_allclose(gathered(source).noise_power[2:], 1.0, atol=0.15)


def test_batches_worked_on_elsewhere_give_the_same_bits(source, monkeypatch):
    here = gathered(source)
    monkeypatch.setattr(spectra, "BATCH", 32)
    with ThreadPoolExecutor(1) as pool:
        there = gathered(source, map_batches=pool.map)
    np.testing.assert_array_equal(here.sums, there.sums)
    np.testing.assert_array_equal(here.weights, there.weights)


def test_symmetry_averages_what_a_particle_shows_over_its_copies(source):
    alone, symmetric = gathered(source), gathered(source, symmetry_operators("C2"))
    # A rotation by 180° about z takes (x, y, z) to (−x, −y, z), whose opposite is (x, y, −z).
    points = {tuple(point): number for number, point in enumerate(alone.lattice.points)}
    inside = [number for number, (x, y, z) in enumerate(alone.lattice.points) if x > 0]
    turned = [points[x, y, -z] for x, y, z in alone.lattice.points[inside]]
    expected = (alone.weights[:, inside] + alone.weights[:, turned]) / 2
    np.testing.assert_allclose(symmetric.weights[:, inside], expected, rtol=0.05, atol=0.05 * expected.max())


def test_what_does_not_fit_into_memory_is_refused_before_work_begins(source, monkeypatch):
    monkeypatch.setattr(spectra, "_MOST_BYTES", 1e5)
    with pytest.raises(DataError, match="give a coarser resolution_ang"):
        gathered(source)
