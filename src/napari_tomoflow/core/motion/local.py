"""Motion that differs over the field: smooth in place and time, kept only if frames it was not fitted to agree better.

With x and y from −½ to ½ over the field and τ from −1 to 1 over the movie, the specimen at (x, y) has moved from where
the path of the whole frame has it by a sum of (x, y, x², xy, y²) times Legendre polynomials of τ, in either direction.

The groups of frames, moved along that path, are cut into patches. In each, all groups are compared with each other; the
coefficients climb to where they agree best in all patches together, by Newton steps: a patch that shows little has
little to say, and none needs a peak of its own.

Legend: G groups, P patches, S = 5 functions of place, K of time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.motion.groups import FrameGroups
from napari_tomoflow.core.motion.spectra import Transform, moved_back
from napari_tomoflow.core.motion.trajectory import middles_of_groups

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_LEAST_GROUPS = 4
"""Either half of them, which judges what the other has found, still holds two that can be compared."""

_TIME_DEGREE, _GROUPS_PER_DEGREE = 3, 3
_COARSE_FIRST = 4.0
_ROUNDS = 8
_SETTLED_PX = 0.03
_LEAST_WEIGHT = 0.1
_LONGEST_STEP_PX = 1.5
_DAMPING = 1e-3
_SIGNIFICANT_SD = 1.0
"""What is fitted to the noise of some frames makes others agree less, by two to six standard errors."""

_OVERLAP = 1.25
"""Edge of a patch over the distance of neighbours: what its soft border loses."""


@dataclass(frozen=True, eq=False)
class LocalMotion:
    """Smooth local motion, besides that of the whole frame.

    Attributes
    ----------
    terms_ang : float64[S, K, 2]
        Coefficients (y, x).
    gain_sd : float
        By how much frames it was not fitted to agree better with it, in standard errors over the patches.
    """

    terms_ang: Floats
    gain_sd: float = 0.0

    @property
    def helps(self) -> bool:
        """Tell whether the gain stands out of its error."""
        return self.gain_sd > _SIGNIFICANT_SD

    def at_ang(self, places_yx: Floats, frame: float, n_frames: int) -> Floats:
        """Return how far the specimen has moved at places of the field: float64[..., 2], (y, x).

        Parameters
        ----------
        places_yx : float64[..., 2]
            From −½ to ½.
        frame : float
        n_frames : int
        """
        in_time = _in_time(np.array([frame]), n_frames, self.terms_ang.shape[1])[0]
        return np.asarray(_in_space(places_yx) @ np.einsum("skd,k->sd", self.terms_ang, in_time))


def find_local_motion(groups: FrameGroups, path_px: Floats, patches: int) -> LocalMotion | None:
    """Find local motion, and how much it helps.

    Parameters
    ----------
    groups : FrameGroups
    path_px : float64[G, 2]
        Of the whole frame.
    patches : int
        Along either edge.

    Returns
    -------
    LocalMotion or None
        Fitted to all groups; its gain is what fits to every other group bring those between. None where there is
        but one patch, or too few groups to judge.
    """
    if patches < 2 or len(groups) < _LEAST_GROUPS:
        return None
    moved = moved_back(groups.spectra, path_px, groups.shape_yx)
    frames = scipy.fft.irfft2(moved, s=groups.shape_yx, workers=-1)
    middles = middles_of_groups(groups.frames_each, groups.n_frames)
    in_time = _in_time(middles, groups.n_frames, min(_TIME_DEGREE, len(groups) // _GROUPS_PER_DEGREE))
    whole = _Patches.of(frames, patches, in_time, groups.b_factor_px2)
    halves = [whole.some(0), whole.some(1)]
    found = [half.found() for half in halves]
    gain = np.concatenate(
        [half.agreement(terms) - half.agreement(0 * terms) for half, terms in zip(halves, found[::-1], strict=True)]
    )
    error = float(gain.std(ddof=1)) / len(gain) ** 0.5
    terms_px = whole.climbed((found[0] + found[1]) / 2)
    return LocalMotion(terms_px * groups.pixel_ang_yx, float(gain.mean()) / error if error > 0 else 0.0)


def _in_space(places_yx: Floats) -> Floats:
    """Return the functions of place, each with a mean of zero over the field: float64[..., S]."""
    y, x = places_yx[..., 0], places_yx[..., 1]
    return np.stack([y, x, y**2 - 1 / 12, y * x, x**2 - 1 / 12], axis=-1)


def _in_time(frames: Floats, n_frames: int, degree: int) -> Floats:
    """Return the functions of time, each with a mean of zero over the frames: float64[..., K]."""

    def legendre(tau: Floats) -> Floats:
        return np.asarray(np.polynomial.legendre.legvander(tau, degree)[..., 1:], np.float64)

    middle = (n_frames - 1) / 2
    return np.asarray(legendre((frames - middle) / middle) - legendre(np.linspace(-1, 1, n_frames)).mean(axis=0))


@dataclass(frozen=True, eq=False)
class _Patches:
    """Patches of some groups, as the low frequencies that count.

    Attributes
    ----------
    spectra : complex64[P, G, my, mx]
    frequencies_yx : float64[my], float64[mx]
        Of the coefficients, cycles per pixel; those of zero in either direction, where the detector's lines are, are
        not there.
    in_space : float64[P, S]
    in_time : float64[G, K]
    b_factor_px2 : float
    """

    spectra: Transform
    frequencies_yx: tuple[Floats, Floats]
    in_space: Floats
    in_time: Floats
    b_factor_px2: float

    @classmethod
    def of(cls, frames_gyx: Image, patches: int, in_time: Floats, b_factor_px2: float) -> "_Patches":
        """Cut frames into overlapping patches with soft borders."""
        field_yx = frames_gyx.shape[1:]
        size_y, size_x = (min(n, scipy.fft.next_fast_len(int(_OVERLAP * n / patches), real=True)) for n in field_yx)
        window = np.outer(_soft(size_y), _soft(size_x)).astype(np.float32)
        limit = _counting(b_factor_px2)
        (rows, y), (columns, x) = (
            _between(frequency, limit) for frequency in (scipy.fft.fftfreq(size_y), scipy.fft.rfftfreq(size_x))
        )
        starts_y, starts_x = (
            np.linspace(0, n - size, patches).astype(int) for n, size in zip(field_yx, (size_y, size_x), strict=True)
        )
        spectra, places = [], []
        for top in starts_y:
            for left in starts_x:
                cut = frames_gyx[:, top : top + size_y, left : left + size_x]
                cut = (cut - cut.mean(axis=(1, 2), keepdims=True)) * window
                spectra.append(scipy.fft.rfft2(cut, workers=-1)[:, rows[:, None], columns].astype(np.complex64))
                places.append([(top + size_y / 2) / field_yx[0] - 0.5, (left + size_x / 2) / field_yx[1] - 0.5])
        return cls(np.stack(spectra), (y, x), _in_space(np.array(places)), in_time, b_factor_px2)

    def some(self, first: int) -> "_Patches":
        """Take every other group."""
        return replace(self, spectra=self.spectra[:, first::2], in_time=self.in_time[first::2])

    def blurred(self, times: float) -> "_Patches":
        """Raise the B factor."""
        limit = _counting(times * self.b_factor_px2)
        (rows, y), (columns, x) = (_between(one, limit) for one in self.frequencies_yx)
        spectra = np.ascontiguousarray(self.spectra[:, :, rows[:, None], columns])
        return replace(self, spectra=spectra, frequencies_yx=(y, x), b_factor_px2=times * self.b_factor_px2)

    def found(self) -> Floats:
        """Return the coefficients with which the groups agree best: float64[S, K, 2], px."""
        nothing = np.zeros((self.in_space.shape[1], self.in_time.shape[1], 2))
        return self.climbed(self.blurred(_COARSE_FIRST).climbed(nothing))

    def climbed(self, terms: Floats) -> Floats:
        """Climb from coefficients to the nearest with which the groups agree best."""
        in_time = self.in_time - self.in_time.mean(axis=0)  # what all groups share cannot be seen
        functions = np.einsum("ps,gk->pgsk", self.in_space, in_time).reshape(*self.spectra.shape[:2], -1)
        for _ in range(_ROUNDS):
            step = self._step(terms, functions)
            terms = terms + step.reshape(terms.shape)
            if np.abs(functions @ step).max() < _SETTLED_PX:
                break
        return terms

    def _step(self, terms: Floats, functions: Floats) -> Floats:
        """Return one damped Newton step of all coefficients: float64[S K, 2]."""
        slope, bend = self._slopes(terms)
        n = functions.shape[-1]
        gradient = np.einsum("pgb,pgd->bd", functions, slope)
        curvature = np.einsum("pgb,pgc,pgde->bdce", functions, functions, bend).reshape(2 * n, 2 * n)
        curvature += _DAMPING * np.trace(curvature) / (2 * n) * np.eye(2 * n)
        groups = self.spectra.shape[1]
        step = np.linalg.lstsq(curvature, gradient.ravel(), rcond=None)[0].reshape(n, 2) * (groups - 1) / groups
        longest = np.abs(functions @ step).max()
        return np.asarray(step * min(1.0, _LONGEST_STEP_PX / max(longest, 1e-12)))

    def _slopes(self, terms: Floats) -> tuple[Floats, Floats]:
        """Return gradient and negative curvature of each group's agreement with the others: [P, G, 2], [P, G, 2, 2]."""
        powers_y, powers_x = (
            np.vander(2j * np.pi * one, 3, increasing=True).astype(np.complex64) for one in self.frequencies_yx
        )
        shape = self.spectra.shape[:2]
        slope, bend = np.empty((*shape, 2)), np.empty((*shape, 2, 2))
        for patch, product in enumerate(self._products(terms)):
            moment = (powers_y.T @ product @ powers_x).real  # [G, powers of y, powers of x]
            slope[patch] = np.stack([moment[:, 1, 0], moment[:, 0, 1]], axis=-1)
            across = -moment[:, 1, 1]
            bend[patch] = np.stack([-moment[:, 2, 0], across, across, -moment[:, 0, 2]], axis=-1).reshape(-1, 2, 2)
        return slope, bend

    def agreement(self, terms: Floats) -> Floats:
        """Return how well the groups of each patch agree: float64[P]."""
        return np.array([product.real.sum(dtype=np.float64) for product in self._products(terms)])

    def _products(self, terms: Floats) -> Iterator[Transform]:
        """Yield the cross spectra of each patch's groups with the sum of the others: complex64[G, my, mx]."""
        shifts = np.einsum("ps,gk,skd->pgd", self.in_space, self.in_time, terms)
        y, x = self.frequencies_yx
        weights = np.exp(-self.b_factor_px2 / 4 * (y[:, None] ** 2 + x**2)).astype(np.float32)
        for spectra, shift in zip(self.spectra, shifts, strict=True):
            back_y, back_x = (
                np.exp(2j * np.pi * shift[:, axis, None] * one).astype(np.complex64) for axis, one in enumerate((y, x))
            )
            moved = spectra * back_y[:, :, None]
            moved *= back_x[:, None, :]
            product = np.conj(moved.sum(axis=0) - moved)
            product *= moved
            product *= weights
            yield product


def _counting(b_factor_px2: float) -> float:
    """Return the frequency beyond which coefficients hardly count, cycles per pixel."""
    return float((4 * np.log(1 / _LEAST_WEIGHT) / max(b_factor_px2, 1e-6)) ** 0.5)


def _between(frequency: Floats, limit: float) -> tuple[NDArray[np.int64], Floats]:
    """Choose the coefficients between zero and a limit: their places and frequencies."""
    places = np.flatnonzero((frequency != 0) & (np.abs(frequency) <= limit))
    return places, np.asarray(frequency[places])


def _soft(size: int) -> Floats:
    """Return a window that falls to zero over the outer eighths."""
    edge = np.minimum(np.arange(size) + 0.5, size - np.arange(size) - 0.5) / (size / 8)
    return np.asarray(np.sin(np.pi / 2 * np.minimum(edge, 1.0)) ** 2)
