"""What the fringes of gold beads tell of the defocus, each bead at its own depth.

A bead is a ball that delays the wave and weakens it, both in proportion to the path through it::

    wave(r) = exp((i · delay − loss) · √(1 − (r / radius)²)),   brightness = |wave through the lens|²

Delay, loss and radius are common to all beads; of each bead contrast and background are free. The distance of
fringes grows with defocus, so that beads at different depths tell the sign of the gradient. How far defocus itself
is right depends on how like a smooth ball the gold is, so it only says where rings are to be looked for.

Legend: B beads, R radii, D trial defocus values, N tilts in use.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import j0, logsumexp

from napari_tomoflow.core.ctf.gold import BeadProfiles
from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops.ctf import gamma_rad

Floats = NDArray[np.float64]

_FEWEST_BEADS = 20
"""Views of beads, over all tilts, that tell something."""

_DEFOCUS_STEP_ANG = 500.0
_PATH_STEP_ANG, _K_STEP_INV_ANG, _FINEST_ANG = 1.0, 1e-3, 8.0
_FINER = 3
"""Parts along each side a pixel is divided into."""

_DELAYS, _LOSSES, _RADII = (0.5, 1.0, 1.5, 2.0), (0.1, 0.3, 0.6, 1.0), np.array([1.0, 1.15, 1.3])
"""Balls to begin with; of a radius measured on blurred images the true one is rather larger."""

_FIRST_MOVES = np.array([[0.3, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 3.0]])
_MOST_TRIALS = 100

_LIKE_OTHERS = 2.0
"""A bead that fits so many times worse than most is two, or none."""

_LEVEL_ERROR = 0.1
"""Relative error of the defocus by gold alone: a smooth ball is not what it is."""

_JITTER_ANG = 1000.0
"""How far a tilt's defocus may be from the series' without much said against it."""


class BallLens:
    """Images of a ball for a row of defocus values.

    Parameters
    ----------
    step_ang, n_rings, pixel_ang : float, int, float
        Rings of pixels to give the mean brightness of.
    defocus_ang : float64[D]
    largest_ang : float
        Radius no ball exceeds.
    optics : Optics
    phase_rad : float
        Of a phase plate.
    """

    def __init__(
        self,
        step_ang: float,
        n_rings: int,
        pixel_ang: float,
        defocus_ang: Floats,
        largest_ang: float,
        optics: Optics,
        phase_rad: float,
    ) -> None:
        k = np.arange(0.5, 1.0 / _FINEST_ANG / _K_STEP_INV_ANG) * _K_STEP_INV_ANG
        self._s_ang = np.arange(0.5, largest_ang / _PATH_STEP_ANG) * _PATH_STEP_ANG
        self._to_k = j0(2 * np.pi * np.outer(self._s_ang, k)) * (2 * np.pi * _PATH_STEP_ANG * self._s_ang[:, None])
        r_ang = np.arange(0.5, (n_rings * step_ang + pixel_ang) / _PATH_STEP_ANG) * _PATH_STEP_ANG
        self._to_r = j0(2 * np.pi * np.outer(k, r_ang)) * (2 * np.pi * _K_STEP_INV_ANG * k[:, None])
        self._to_rings = _to_rings(step_ang, n_rings, pixel_ang, len(r_ang))
        turn = gamma_rad(k, defocus_ang[:, None], replace(optics, amplitude_contrast=0.0))
        self._lens = np.exp(1j * (turn + phase_rad))

    def brightness(self, delay_rad: float, loss: float, radius_ang: float) -> Floats:
        """Return the brightness less 1, float64[D, R]."""
        path = np.sqrt(np.clip(1.0 - (self._s_ang / radius_ang) ** 2, 0.0, None))
        scattered = (np.exp((1j * delay_rad - loss) * path) - 1.0) @ self._to_k
        return np.asarray((np.abs(1.0 + (self._lens * scattered) @ self._to_r) ** 2 - 1.0) @ self._to_rings)


def _to_rings(step_ang: float, n_rings: int, pixel_ang: float, n_radii: int) -> Floats:
    """Return which part of the pixels of each ring lies at which radius: float64[radii, R].

    Counted on the pixels around centres spread over a pixel, each divided into smaller ones.
    """
    reach = int(np.ceil(n_rings * step_ang / pixel_ang)) + 1
    fine = (np.arange(_FINER) + 0.5) / _FINER - 0.5
    pixels = np.arange(-reach, reach + 1)
    y, x, dy, dx, cy, cx = np.meshgrid(pixels, pixels, *[fine] * 4, indexing="ij", sparse=True)
    ring = np.hypot(y - cy, x - cx) * (pixel_ang / step_ang)
    radius = np.hypot(y + dy - cy, x + dx - cx) * (pixel_ang / _PATH_STEP_ANG)
    rings, radii = np.broadcast_arrays(ring, radius)
    edges = [np.arange(n_radii + 1), np.arange(n_rings + 1)]
    counts = np.histogram2d(radii.ravel(), rings.ravel(), edges)[0]
    return np.asarray(counts / np.maximum(counts.sum(axis=0), 1.0))


@dataclass(frozen=True, eq=False)
class GoldFringes:
    """The log-likelihood of every bead as a function of the defocus it is seen at.

    Attributes
    ----------
    beads : BeadProfiles
    defocus_ang : float64[D]
    likelihood : float64[B, D]
        Tempered by how much worse than noise the best fit is.
    level_ang : float
        Defocus that suits all beads best.
    """

    beads: BeadProfiles
    defocus_ang: Floats
    likelihood: Floats
    level_ang: float

    @classmethod
    def fit(cls, measured: SeriesSpectra, params: CtfParams) -> "GoldFringes | None":
        """Fit the ball that suits all beads best; None where there are too few."""
        beads = measured.beads
        if beads is None or len(beads) < _FEWEST_BEADS:
            return None
        defocus_ang = np.arange(1e4 * params.defocus_min_um, 1e4 * params.defocus_max_um, _DEFOCUS_STEP_ANG)
        radius_ang = float(np.median(beads.radius_ang))
        lens = BallLens(
            beads.step_ang, beads.profile.shape[1], beads.pixel_ang, defocus_ang, 2 * radius_ang, measured.optics,
            float(np.deg2rad(params.phase_deg)),
        )  # fmt: skip
        ball = _best_ball(beads, lens, radius_ang)
        misfit = -_likelihood(beads, lens.brightness(*ball)).max(axis=1)
        beads = beads.chosen(misfit <= _LIKE_OTHERS * np.median(misfit))
        likelihood = _likelihood(beads, lens.brightness(*_best_ball(beads, lens, radius_ang)))
        together = likelihood.sum(axis=0)
        freedom = int(np.isfinite(beads.error).sum()) - 2 * len(beads)
        likelihood /= max(1.0, -2.0 * float(together.max()) / freedom)
        return cls(beads, defocus_ang, likelihood, float(defocus_ang[together.argmax()]))

    def log_prior(self, defocus_ang: Floats) -> Floats:
        """Return what gold says of the defocus of the series, up to a constant: float64[...]."""
        return np.asarray(-0.5 * ((defocus_ang - self.level_ang) / (_LEVEL_ERROR * self.level_ang)) ** 2)

    def total(self, measured: SeriesSpectra, model: CtfModel) -> float:
        """Return the log-likelihood of all beads, each at the depth of its place, over all defocus of its tilt."""
        beads = self.beads
        depth_ang = measured.geometry.depth_at(model.slope_xy, beads.tilt, beads.position_ang_yx)
        near_level = -0.5 * ((self.defocus_ang - self.level_ang) / _JITTER_ANG) ** 2
        by_tilt = np.tile(near_level, (len(measured.tilts), 1))
        for tilt, offset, one in zip(beads.tilt, model.gradient * depth_ang, self.likelihood, strict=True):
            by_tilt[tilt] += np.interp(self.defocus_ang + offset, self.defocus_ang, one)
        return float(logsumexp(by_tilt, axis=1).sum())


def _best_ball(beads: BeadProfiles, lens: BallLens, radius_ang: float) -> Floats:
    """Find delay, loss and radius that suit all beads best at one defocus."""

    def misfit(ball: Floats) -> float:
        return float(-_likelihood(beads, lens.brightness(*ball)).sum(axis=0).max())

    starts = product(_DELAYS, _LOSSES, radius_ang * _RADII)
    start = min((np.array(one) for one in starts), key=misfit)
    simplex = np.vstack([start, start + _FIRST_MOVES])
    found = minimize(
        misfit,
        start,
        method="Nelder-Mead",
        options={"maxfev": _MOST_TRIALS, "xatol": 0.01, "fatol": 0.5, "initial_simplex": simplex},
    )
    return np.asarray(found.x, np.float64)


def _likelihood(beads: BeadProfiles, brightness: Floats) -> Floats:
    """Compare every bead with every image, contrast and background free: float64[B, D]."""
    weights = beads.error**-2.0
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    seen = beads.profile - (weights * beads.profile).sum(axis=1, keepdims=True) / total
    mean = weights @ brightness.T / total
    both = (weights * seen) @ brightness.T
    square = weights @ (brightness**2).T - total * mean**2
    left = (weights * seen**2).sum(axis=1, keepdims=True) - np.maximum(both, 0.0) ** 2 / np.maximum(square, 1e-30)
    return np.asarray(-0.5 * left)
