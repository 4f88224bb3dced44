"""The model of bundle adjustment: what is measured, which parameters are free, and what they predict.

With p = (x, y, z) a point of the specimen, it appears in tilt i at

    (u, v) = (R_i · D_i · p)_xy + s_i,       R_i = Rz(axis_i) · Ry(tilt_i) · Rx(xtilt_i),

which is `core.ops.geometry` with a deformed specimen: D_i = m_i · [[1 + stretch, 0, 0], [skew, 1, 0],
[0, 0, 1]], a magnification m and a distortion in the plane of the specimen, such as the beam causes in
plastic sections. Each tilt has eight numbers θ_i = (s_x, s_y, axis, tilt, x-tilt, ln m, stretch, skew),
in Å and radians. They are driven by the free variables q through θ = θ_start + basis · q, which covers
every wish of `BundleModel` alike: own value, common value, grouped, fixed.

Gauge. Some motions change no prediction, so no measurement can settle them:

- moving the specimen by c while shifting each image by −(R_i D_i c)_xy;
- turning the specimen about the tilt axis while adding the same angle to every tilt;
- scaling, stretching or skewing the specimen while undoing it in every tilt.

Each is settled by a *pin*, a linear condition on q that keeps the start: the shifts change by nothing
that looks like a moved specimen, and the mean change of tilt, ln m, stretch and skew is zero. The sum
of squares is flat along a gauge, so a pin costs nothing and its weight does not matter. An x-tilt per
tilt would open two more such motions, and is allowed only under a prior; a stretch lets the tilt angles
drift, as if the specimen were sheared in x and z, and is allowed only beside tilts under a prior or fixed.

Legend: N tilts, P points, M observations, Q free variables.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.model.noun import finite, floats, per_item
from napari_tomoflow.core.ops import geometry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHIFT_X, SHIFT_Y, AXIS, TILT, XTILT, LOG_MAGNIFICATION, STRETCH, SKEW = range(8)
"""Columns of θ."""

N_COLUMNS = 8
SHIFT = slice(SHIFT_X, SHIFT_Y + 1)

_PINNED = (TILT, LOG_MAGNIFICATION, STRETCH, SKEW)
_IN_DEGREES = (AXIS, TILT, XTILT)


@dataclass(frozen=True)
class Freedom:
    """How freely one kind of parameter may vary from tilt to tilt.

    Attributes
    ----------
    mode : str
        ``fixed`` at the start; one ``common`` change for all tilts; ``per tilt``, each its own; or
        ``grouped``, linear between nodes in about every `group`-th tilt.
    group : int
        Distance between nodes, in tilts in the order of tilt angle.
    prior : float or None
        Standard deviation of a Gaussian prior on the change at each tilt or node: degrees for axis, tilt
        and x-tilt, a ratio for the rest. The axis is held to its mean over the series, all else to the start.
    """

    mode: Literal["fixed", "common", "per tilt", "grouped"]
    group: int = 1
    prior: float | None = None

    def __post_init__(self) -> None:
        """Refuse groups and priors that mean nothing."""
        if self.group < 1:
            raise ParamError(f"Tilts cannot be grouped by {self.group}; give a whole number of at least 1.")
        if self.prior is not None and not self.prior > 0:
            raise ParamError(f"A prior cannot have a standard deviation of {self.prior:g}; give a positive number.")

    def basis(self, n_tilts: int) -> Floats:
        """Return float64[N, variables]: the change of every tilt, sorted by angle, per unit of each variable."""
        if self.mode == "fixed":
            return np.zeros((n_tilts, 0))
        if self.mode == "common":
            return np.ones((n_tilts, 1))
        group = self.group if self.mode == "grouped" else 1
        n_nodes = max(2, round((n_tilts - 1) / group) + 1)
        nodes = np.linspace(0, n_tilts - 1, n_nodes)
        return np.stack([np.interp(np.arange(n_tilts), nodes, unit) for unit in np.eye(n_nodes)], axis=1)


FIXED = Freedom("fixed")
COMMON = Freedom("common")


@dataclass(frozen=True)
class BundleModel:
    """Which parameters of a tilt series are free; the shift of every tilt always is.

    The defaults suit some ten landmarks: the axis free in every tilt under a weak prior, never forced
    smooth, and tilt angles near the start. A magnification takes many beads.

    Attributes
    ----------
    axis, tilt, xtilt, magnification, stretch, skew : Freedom
        A free x-tilt needs a prior, a free stretch a prior on the tilt (see the head of this module).
    robust : bool
        Weigh down observations that disagree, by Tukey's bisquare.
    robust_tilts : int
        Number of neighbouring tilts whose residuals together say how large a residual is usual.
    """

    axis: Freedom = Freedom("per tilt", prior=0.5)
    tilt: Freedom = Freedom("per tilt", prior=0.5)
    xtilt: Freedom = FIXED
    magnification: Freedom = FIXED
    stretch: Freedom = FIXED
    skew: Freedom = FIXED
    robust: bool = True
    robust_tilts: int = 5

    def __post_init__(self) -> None:
        """Refuse what leaves the specimen free to turn."""
        if self.xtilt.mode != "fixed" and self.xtilt.prior is None:
            raise ParamError("A free x-tilt has no prior, so the specimen may turn; give it one, such as 0.5 degrees.")
        if self.stretch.mode != "fixed" and self.tilt.mode != "fixed" and self.tilt.prior is None:
            raise ParamError("A free stretch lets tilt angles drift; give the tilt a prior, such as 0.5 degrees.")
        if self.robust_tilts < 1:
            raise ParamError(f"Residuals of {self.robust_tilts} tilts say nothing; set robust_tilts to at least 1.")


LADDER = (
    BundleModel(axis=COMMON, tilt=FIXED),
    BundleModel(tilt=FIXED),
    BundleModel(),
    BundleModel(magnification=Freedom("grouped", 10)),
    BundleModel(magnification=Freedom("grouped", 5)),
    BundleModel(magnification=Freedom("grouped", 5), stretch=Freedom("grouped", 5, 0.0015), skew=Freedom("grouped", 5)),
)
"""Models from simple to free, among which the leave-out residual decides."""

RIGID_LADDER = LADDER[:3]
"""Those whose parameters an `Alignment` can hold: no magnification."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Where points of the specimen were seen. Legend: M observations.

    Attributes
    ----------
    tilt : int64[M]
        Index of the tilt.
    point : int64[M]
        Index of the point; each point is seen at most once in a tilt.
    position_ang_yx : float64[M, 2]
        Å from the image centre.
    """

    tilt: Ints
    point: Ints
    position_ang_yx: Floats

    def __post_init__(self) -> None:
        """Check counts, numbers and that nothing is seen twice."""
        for name in ("tilt", "point"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.int64))
        object.__setattr__(self, "position_ang_yx", floats(self.position_ang_yx))
        per_item("Observations", len(self.tilt), point=self.point, position_ang_yx=self.position_ang_yx)
        finite("Observations", position_ang_yx=self.position_ang_yx)
        if not len(self.tilt):
            raise DataError("There are no observations; got an empty list; track some points first.")
        if min(self.tilt.min(), self.point.min()) < 0:
            raise DataError("Observations: an index is negative; count tilts and points from 0.")
        pairs, counts = np.unique(np.stack([self.tilt, self.point]), axis=1, return_counts=True)
        if counts.max() > 1:
            tilt, point = pairs[:, counts.argmax()]
            raise DataError(
                f"Point {point} is seen {counts.max()} times in tilt {tilt}; keep one position per point and tilt."
            )

    @property
    def n_points(self) -> int:
        """Number of points, counting up to the highest index."""
        return int(self.point.max()) + 1

    def subset(self, which: NDArray[np.bool_]) -> "Observations":
        """Return the observations marked True in bool[M]."""
        return Observations(self.tilt[which], self.point[which], self.position_ang_yx[which])


@dataclass(frozen=True, eq=False)
class Parameters:
    """The free variables of a `BundleModel` for given tilts, and how they drive θ.

    Attributes
    ----------
    start : float64[N, 8]
        θ at q = 0.
    basis : float64[N, 8, Q]
    prior : float64[Q, Q]
        Precision of the Gaussian prior on q, 1/rad² and the like.
    pins : float64[K, Q]
        What no measurement can settle; each row times q is a length in Å that stays 0.
    counts : dict of str to int
        Number of free variables of each kind.
    """

    start: Floats
    basis: Floats
    prior: Floats
    pins: Floats
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: BundleModel, start: Alignment, reach_ang: float) -> "Parameters":
        """Lay out the variables of `model` around `start`; `reach_ang` is about the size of the specimen."""
        own = Freedom("per tilt")
        freedoms = (
            own, own, model.axis, model.tilt, model.xtilt, model.magnification, model.stretch, model.skew
        )  # fmt: skip
        rank = np.argsort(np.argsort(start.tilt_deg, kind="stable"))
        columns = [freedom.basis(start.n_tilts)[rank] for freedom in freedoms]
        precisions = [_precision(freedom, column, columns[column].shape[1]) for column, freedom in enumerate(freedoms)]
        basis = _side_by_side(columns)
        names = ("shift", "shift", "axis", "tilt", "xtilt", "magnification", "stretch", "skew")
        counts = {name: columns[column].shape[1] for column, name in enumerate(names)}
        counts["shift"] *= 2
        return cls(theta_of(start), basis, _block_diagonal(precisions), _pins(basis, start, reach_ang), counts)

    def theta(self, q: Floats) -> Floats:
        """Return θ, float64[N, 8], for the free variables q."""
        return self.start + self.basis @ q


def theta_of(start: Alignment) -> Floats:
    """Return θ of an alignment, float64[N, 8]."""
    theta: Floats = np.zeros((start.n_tilts, N_COLUMNS))
    theta[:, SHIFT] = start.shift_ang_yx[:, ::-1]
    theta[:, _IN_DEGREES] = np.deg2rad(np.stack([start.axis_deg, start.tilt_deg, start.xtilt_deg], axis=1))
    return theta


def _precision(freedom: Freedom, column: int, n_variables: int) -> Floats:
    """Return the precision matrix of the prior on one kind of variable."""
    if freedom.prior is None:
        return np.zeros((n_variables, n_variables))
    deviation = np.eye(n_variables)
    if column == AXIS:
        # Nobody knows the axis beforehand, only that it hardly varies: the mean is left alone.
        deviation -= 1.0 / n_variables
    return deviation / (np.deg2rad(freedom.prior) if column in _IN_DEGREES else freedom.prior) ** 2


def _side_by_side(columns: list[Floats]) -> Floats:
    """Place the bases of the columns of θ beside each other: float64[N, 8, Q]."""
    basis = np.zeros((len(columns[0]), N_COLUMNS, sum(one.shape[1] for one in columns)))
    first = 0
    for column, one in enumerate(columns):
        basis[:, column, first : first + one.shape[1]] = one
        first += one.shape[1]
    return basis


def _block_diagonal(blocks: list[Floats]) -> Floats:
    joined = np.zeros((sum(map(len, blocks)),) * 2)
    first = 0
    for block in blocks:
        joined[first : first + len(block), first : first + len(block)] = block
        first += len(block)
    return joined


def _pins(basis: Floats, start: Alignment, reach_ang: float) -> Floats:
    """Return the conditions that hold the gauge, float64[K, Q]."""
    moved_uv = start.rotations[:, :2, :]  # how each image shifts as the specimen moves along x, y, z
    rows = [np.einsum("nc,ncq->q", moved_uv[..., axis], basis[:, SHIFT]) for axis in range(3)]
    rows += [reach_ang * basis[:, column].sum(0) for column in _PINNED if basis[:, column].any()]
    return np.stack(rows) / start.n_tilts


class Views(NamedTuple):
    """What every tilt does to a point: stretch, skew, rotate. All float64[N, 3, 3] acting on (x, y, z)."""

    rotation: Floats
    deformation: Floats

    @classmethod
    def at(cls, theta: Floats) -> "Views":
        """Take R and D from θ, float64[N, 8]."""
        rotation = geometry.tilt_rotations(*np.rad2deg(theta[:, _IN_DEGREES].T))
        deformation = np.tile(np.eye(3), (len(theta), 1, 1))
        deformation[:, 0, 0] += theta[:, STRETCH]
        deformation[:, 1, 0] = theta[:, SKEW]
        return cls(rotation, np.exp(theta[:, LOG_MAGNIFICATION])[:, None, None] * deformation)


def derivatives_by_theta(theta: Floats, views: Views, tilt: Ints, points_ang_xyz: Floats) -> Floats:
    """Differentiate predictions by the θ of their tilts.

    Parameters
    ----------
    theta : float64[N, 8]
    views : Views
        Made from the same θ.
    tilt : int64[M]
        In which tilt each observation was made.
    points_ang_xyz : float64[M, 3]
        The point it is of.

    Returns
    -------
    float64[M, 2, 8]
        Of (u, v), in Å per Å, per radian, or per unit of a ratio.
    """
    deformed = np.einsum("mij,mj->mi", views.deformation[tilt], points_ang_xyz)
    u, v, depth = np.einsum("mij,mj->im", views.rotation[tilt], deformed)
    x = points_ang_xyz[:, 0] * np.exp(theta[tilt, LOG_MAGNIFICATION])
    zero = np.zeros_like(x)
    axis_cos, axis_sin = np.cos(theta[tilt, AXIS]), np.sin(theta[tilt, AXIS])

    def rotated(moved_xyz: tuple[Floats, Floats, Floats]) -> Floats:
        return np.asarray(np.einsum("mij,jm->mi", views.rotation[tilt, :2], np.stack(moved_xyz)))

    by_theta = np.zeros((len(tilt), 2, N_COLUMNS))
    by_theta[:, 0, SHIFT_X] = by_theta[:, 1, SHIFT_Y] = 1.0
    by_theta[:, 0, AXIS], by_theta[:, 1, AXIS] = -v, u
    by_theta[:, 0, TILT], by_theta[:, 1, TILT] = axis_cos * depth, axis_sin * depth
    by_theta[:, :, XTILT] = rotated((zero, -deformed[:, 2], deformed[:, 1]))
    by_theta[:, 0, LOG_MAGNIFICATION], by_theta[:, 1, LOG_MAGNIFICATION] = u, v
    by_theta[:, :, STRETCH] = rotated((x, zero, zero))
    by_theta[:, :, SKEW] = rotated((zero, x, zero))
    return by_theta
