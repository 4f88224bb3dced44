"""Whether classes are in the data: what those of one half of the particles say of the other half.

However particles are parted, maps of the parts explain these very particles better than maps of random parts do, even
if all are alike: among so many ways of parting noise some fit. So either half is parted by itself, and its maps are
compared with the half that had no say in it. Maps of as many particles drawn at random are the measure.

Legend: P particles, K classes, G points of the lattice.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.classification.contest import gains_of
from napari_tomoflow.core.classification.spectra import Spectra
from napari_tomoflow.core.classification.split import Split
from napari_tomoflow.core.report import Report, part, silent

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]


class Run(Protocol):
    """``run(spectra, seed, report, start)``: parts particles, from shares float64[P, K] or at random."""

    def __call__(self, spectra: Spectra, seed: int, report: Report, start: Floats | None = None, /) -> Split:
        """Part particles."""


def unseen_gain(
    spectra: Spectra, inverse_power: Reals, mask: Reals, run: Run, seed: int, report: Report = silent
) -> tuple[float, float]:
    """Part either half of the particles, and measure what that explains of the other.

    Parameters
    ----------
    spectra : Spectra
    inverse_power : float32[G]
        2 / τ².
    mask : float32[n, n, n]
        Where maps may differ.
    run : callable
        Parts particles.
    seed : int
        By which particles are dealt to halves.

    Returns
    -------
    gain, error : float
        Mean gain in log likelihood of a particle over random classes, and its standard error. Next to nothing where
        there are no classes, or too few particles in a half to find them.
    """
    rng = np.random.default_rng([seed, 2])
    half = rng.permutation(len(spectra)) % 2
    over = np.empty(len(spectra))
    for number in (0, 1):
        mine, others = np.flatnonzero(half == number), np.flatnonzero(half != number)
        shares = run(spectra[mine], seed, part(report, number, 2)).shares
        found, drawn = (
            _explained(spectra, mine, each, others, inverse_power, mask) for each in (shares, rng.permutation(shares))
        )
        over[others] = found - drawn
    return float(over.mean()), float(over.std() / np.sqrt(len(over)))


def _explained(
    spectra: Spectra, mine: Indices, shares: Floats, others: Indices, inverse_power: Reals, mask: Reals
) -> Floats:
    """Return how much maps of some particles explain of each of the others: float64[P']."""
    with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
        sums, weights = spectra[mine].shared_out(shares)
        maps = spectra.lattice.masked(sums / (weights + inverse_power), mask)
        return np.asarray(logsumexp(gains_of(spectra[others], maps), axis=1, b=shares.mean(axis=0)))
