"""Maps that compete for particles: expectation and maximisation on spectra, each particle judged by maps without it.

Every class has a map ΔV of what it differs by from the average of all (`core.classification.spectra`). In turn,
particles are shared out by how likely each map makes them, and maps are summed from their shares::

    gain = Re Σ sums* ΔV − ½ Σ weights |ΔV|²            share ∝ (share of the class) · exp(gain)
    ΔV   = mask · [Σ share · sums / (Σ share · weights + 2 / τ²)]

τ² is the power that a difference may have, a share of the average's in each shell: what few particles show is held
back. A particle that helped to make a map finds its own noise in it, and would never leave: with some hundred particles
that alone decides. So particles are dealt into folds, and each fold is compared with maps summed from the others. What
is not in the data then does not grow, and a split is judged by how much its maps explain particles they have not seen.

τ² is small at first, so that only what the average has most of, its coarsest detail, decides: that seldom leads astray,
and is hardly moved by noise. Multi-reference classification ends with each particle in one class only.

Legend: P particles, K classes, F folds, G points of the lattice.

References
----------
Scheres et al. 2007, doi:10.1038/nmeth992, for likelihoods over classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.classification.spectra import Spectra
from napari_tomoflow.core.classification.split import Split
from napari_tomoflow.core.report import Report, silent

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]
Indices = NDArray[np.int64]

FOLDS = 10

_RESTRAINT, _RELEASE, _HELD = 30.0, 0.7, 8
"""What differences are held back by at first, for how many iterations, and what each later one leaves until it is 1."""

_SETTLED = 1e-3
"""Share of the particles that change class in the last iteration."""


@dataclass(frozen=True, eq=False)
class Contest:
    """Classes that compete for particles.

    Attributes
    ----------
    spectra : Spectra
    inverse_power : float32[G]
        2 / τ².
    mask : float32[n, n, n]
        Where maps may differ.
    n_classes : int
    exclusive : bool
        Each particle counts in one class only: multi-reference classification.
    iterations : int
        At most.
    """

    spectra: Spectra
    inverse_power: Reals
    mask: Reals
    n_classes: int
    exclusive: bool = False
    iterations: int = 60

    def run(self, seed: int, report: Report = silent, start: Floats | None = None) -> Split:
        """Part the particles.

        Parameters
        ----------
        seed : int
            Of the first classes and the folds.
        report
            See `core.report`.
        start : float64[P, K], optional
            Shares to begin with; drawn at random by default.

        Returns
        -------
        Split
            ``merit`` is the mean gain in log likelihood over the average, of particles the maps have not seen.
        """
        rng = np.random.default_rng([seed, 0])
        fold = rng.permutation(len(self.spectra)) % FOLDS
        drawn = np.eye(self.n_classes)[rng.permutation(len(self.spectra)) % self.n_classes]
        shares = drawn if start is None else start
        history: list[float] = []
        change = np.inf
        for number in range(self.iterations):
            report(number, self.iterations, "Letting classes compete")
            held_back = restraint(number) if start is None else 1.0
            gains = self._gains(shares, fold, held_back)
            before, priors = shares, shares.mean(axis=0)
            history.append(float(logsumexp(gains, axis=1, b=priors).mean()))
            shares = self._shared_out(gains, priors, held_back == 1.0)
            last, change = change, float(np.abs(shares - before).sum()) / (2 * len(shares))
            # A difference that is about to be found begins with small changes that grow.
            if held_back == 1.0 and change <= min(_SETTLED, last):
                break
        report(1, 1, "Letting classes compete")
        record = {"iterations": len(history), "gains": [round(one, 5) for one in history]}
        return Split(shares, history[-1], record=record)

    def _shared_out(self, gains: Floats, priors: Floats, is_free: bool) -> Floats:
        if self.exclusive and is_free:
            return np.asarray(np.eye(self.n_classes)[gains.argmax(axis=1)])
        return shares_of(gains, priors)

    def _gains(self, shares: Floats, fold: Indices, held_back: float) -> Floats:
        """Compare every particle with the maps its fold had no part in: float64[P, K]."""
        with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
            sums, weights = self._summed(shares, fold)
            maps = (sums.sum(axis=0) - sums) / (
                weights.sum(axis=0) - weights + np.float32(held_back) * self.inverse_power
            )
            gains = np.empty(shares.shape)
            for number in range(FOLDS):
                mine = np.flatnonzero(fold == number)
                gains[mine] = gains_of(self.spectra[mine], self.spectra.lattice.masked(maps[number], self.mask))
        return gains

    def _summed(self, shares: Floats, fold: Indices) -> tuple[Waves, Reals]:
        """Sum each fold's particles into each class: two arrays [F, K, G]."""
        shape = (FOLDS, self.n_classes, self.spectra.sums.shape[1])
        sums, weights = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        for number in range(FOLDS):
            mine = np.flatnonzero(fold == number)
            sums[number], weights[number] = self.spectra[mine].shared_out(shares[mine])
        return sums, weights


def gains_of(spectra: Spectra, maps: Waves) -> Floats:
    """Return how much likelier each map makes each particle than the average does: float64[P, K] for maps [K, G]."""
    agreement = spectra.sums.view(np.float32) @ maps.view(np.float32).T
    power = spectra.weights @ (maps.real**2 + maps.imag**2).T
    return np.asarray(agreement - power / 2, np.float64)


def restraint(iteration: int) -> float:
    """Return what 2 / τ² is multiplied by in an iteration."""
    return max(1.0, _RESTRAINT * _RELEASE ** max(0, iteration - _HELD))


def shares_of(gains: Floats, priors: Floats) -> Floats:
    """Return how probable each class is: float64[P, K] of log likelihoods [P, K] and shares of the classes [K]."""
    return np.asarray(softmax(gains + np.log(np.maximum(priors, 1e-12)), axis=1))
