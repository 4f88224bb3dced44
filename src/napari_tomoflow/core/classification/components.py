"""The directions in which particles differ from their average, found without filling in what was not measured.

What a particle shows beyond the average (`core.classification.spectra`) is taken as a sum of a few maps U, the same
for all, with coordinates z of its own::

    sums = weights · Σ z_c U_c + noise of power `weights`        z ~ N(0, 1)        |U|² ~ τ²

In turn the coordinates are solved for, given the maps, and the maps given the coordinates with their uncertainty. Both
are small linear systems, one for each particle or frequency, in which a missing wedge has no weight. Maps are masked
whenever they were solved for. Components that the data do not ask for shrink to nothing.

The coordinates are given in units of their own noise, along the principal axes: whatever separates particles by much
more than 1 is no chance.

Legend: P particles, C components, G points of the lattice.

References
----------
Tipping and Bishop 1999, doi:10.1111/1467-9868.00196, section 3.3 for the expectations; Tagare et al. 2015,
doi:10.1016/j.jsb.2015.05.007, for components of maps from images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.classification.contest import restraint
from napari_tomoflow.core.classification.spectra import Spectra
from napari_tomoflow.core.report import Report, silent

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

_SETTLED = 1e-3
"""Largest relative change of the spread of the coordinates in the last iteration."""


@dataclass(frozen=True, eq=False)
class Components:
    """Particles along the directions they differ in, the widest first.

    Attributes
    ----------
    coordinates : float64[P, C]
        In standard deviations of their noise.
    maps : complex64[C, G]
        What a step of 1 along each adds to the average.
    iterations : int
    """

    coordinates: Floats
    maps: Waves
    iterations: int

    @property
    def variance(self) -> Floats:
        """Of the coordinates: float64[C]."""
        return np.asarray(self.coordinates.var(axis=0))


def find_components(
    spectra: Spectra,
    inverse_power: Reals,
    mask: Reals,
    count: int,
    seed: int,
    iterations: int = 60,
    report: Report = silent,
) -> Components:
    """Find the directions in which particles differ most.

    Parameters
    ----------
    spectra : Spectra
    inverse_power : float32[G]
        2 / τ².
    mask : float32[n, n, n]
        Where maps may differ.
    count : int
        Components looked for.
    seed : int
        Of the random maps it begins with.
    iterations : int
        At most.
    """
    rng = np.random.default_rng([seed, 1])
    shape = (count, len(inverse_power))
    random = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(inverse_power)
    maps = spectra.lattice.masked(random.astype(np.complex64), mask)
    spread = np.zeros(count)
    with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
        for done in range(iterations):
            report(done, iterations, "Finding components")
            coordinates, uncertainty = _coordinates(spectra, maps)
            held_back = restraint(done)
            maps = _maps(spectra, coordinates, uncertainty, np.float32(held_back) * inverse_power)
            maps = spectra.lattice.masked(maps, mask)
            before, spread = spread, np.sort(_signal(spectra, maps, coordinates))
            if held_back == 1.0 and np.abs(spread - before).max() <= _SETTLED * spread.max():
                break
        report(1, 1, "Finding components")
        return _along_axes(spectra, maps, _coordinates(spectra, maps)[0], done + 1)


def _information(weights: Reals, maps: Waves) -> Floats:
    """Return Re Σ U* weights U of each particle: float64[P, C, C]."""
    count = len(maps)
    products = np.asarray((maps[:, None].conj() * maps).real, np.float32).reshape(count**2, -1)
    return np.asarray((weights @ products.T).reshape(-1, count, count), np.float64)


def _coordinates(spectra: Spectra, maps: Waves) -> tuple[Floats, Floats]:
    """Solve for the coordinates of each particle, float64[P, C], and their covariance, float64[P, C, C]."""
    precision = _information(spectra.weights, maps) + np.eye(len(maps))
    agreement = spectra.sums.view(np.float32) @ maps.view(np.float32).T
    covariance = np.linalg.inv(precision)
    return np.einsum("pcd,pd->pc", covariance, agreement), np.asarray(covariance, np.float64)


def _maps(spectra: Spectra, coordinates: Floats, uncertainty: Floats, inverse_power: Reals) -> Waves:
    """Solve for the maps at each frequency: complex64[C, G]."""
    count = coordinates.shape[1]
    squares = np.asarray(coordinates[:, :, None] * coordinates[:, None] + uncertainty, np.float32)
    normal = (spectra.weights.T @ squares.reshape(len(squares), -1)).reshape(-1, count, count)
    right = (np.asarray(coordinates.T, np.float32) @ spectra.sums.view(np.float32)).view(np.complex64)
    normal = normal + inverse_power[:, None, None] * np.eye(count, dtype=np.float32)
    return np.ascontiguousarray(np.linalg.solve(normal, right.T[..., None])[..., 0].T, np.complex64)


def _signal(spectra: Spectra, maps: Waves, coordinates: Floats) -> Floats:
    """Return the mean information along each of the principal axes: float64[C]."""
    information = _information(spectra.weights.mean(axis=0, keepdims=True), maps)[0]
    spread = np.atleast_2d(np.cov(coordinates.T))
    return np.asarray(np.abs(np.linalg.eigvals(information @ spread)))


def _along_axes(spectra: Spectra, maps: Waves, coordinates: Floats, iterations: int) -> Components:
    """Scale coordinates by their mean information, and turn them to their principal axes."""
    information = _information(spectra.weights.mean(axis=0, keepdims=True), maps)[0]
    values, vectors = np.linalg.eigh(information)
    root = np.sqrt(np.maximum(values, 1e-12))
    # Maps of unit information, and coordinates that stay with them.
    scaled = (coordinates - coordinates.mean(axis=0)) @ vectors * root
    _, _, axes = np.linalg.svd(scaled, full_matrices=False)
    back = (vectors / root) @ axes.T
    return Components(scaled @ axes.T, np.asarray(back.T @ maps, np.complex64), iterations)
