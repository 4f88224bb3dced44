"""What may be wrong with the geometry of a series, and the alignment once that is known.

A particle at p of tilt i, exposed to a dose, is seen at::

    (u, v) = (R_i (p + particle + D3(p, dose)) + s_i)_xy + I_i(u, v)

of which the shift and angles of each tilt, the bending D3 of the specimen, the bending I of each image, and the
place of each particle are refined. What bends goes into the alignment's `Deformation`, to first order in height.

Legend: T tilts in use, P particles, G nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, Deformation, TiltSeries
from napari_tomoflow.core.ops.geometry import tilt_rotations
from napari_tomoflow.core.polishing.blocks import Block, InSpace, PerTilt
from napari_tomoflow.core.polishing.shapes import across, along

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Part = Literal["particles", "shifts", "angles", "bending", "images"]

PARTS: tuple[Part, ...] = ("particles", "shifts", "angles", "bending", "images")
"""In the order they are tried: from what moves all images of a tilt to what moves parts of one."""

_NODES, _MEMORY = 5, 0.4
"""Nodes of fields over the specimen, and the share of its width over which they forget themselves."""

_IMAGE_NODES, _IMAGE_MEMORY = 3, 0.5
_DOSE_NODES, _DOSE_MEMORY = 4, 0.5
"""Over the root of the exposure: most of the motion comes early."""

_LEANING = 0.5
"""How much unlike the two faces of the specimen are expected to bend, in the bending of the middle."""

_STORED_NODES = 9
"""Nodes along each side of an image: enough where a steep tilt narrows the specimen to half."""

_ANGLE_STEP_DEG = 0.01


class Term(NamedTuple):
    """What was found of a part.

    Attributes
    ----------
    part : str
        One of `PARTS`.
    strength : float
        See `SeriesGeometry.block`.
    values : array
        Parameters of its block.
    """

    part: Part
    strength: float
    values: Floats


@dataclass(frozen=True, eq=False)
class SeriesGeometry:
    """Geometry of one series as it is believed, and its particles.

    Attributes
    ----------
    series : TiltSeries
    alignment : Alignment
    tilts : int64[T]
        Those in use.
    centers_ang_zyx : float64[P, 3]
    """

    series: TiltSeries
    alignment: Alignment
    tilts: Indices
    centers_ang_zyx: Floats

    def block(self, part: Part, strength: float) -> Block:
        """Return the parameters of a part, expected to be as large as `strength`: in Å, for angles in degrees."""
        rows, count = self.rows, len(self.centers_ang_zyx)
        if part == "particles":
            return self.places(strength)
        if part == "bending":
            return InSpace(rows, strength * self._growth(), self._over(self.centers_ang_zyx), count)
        if part == "shifts":
            slopes = np.broadcast_to(np.eye(2)[:, None], (len(rows), 2, count, 2))
        elif part == "angles":
            slopes = self._turned()
        else:
            rigid = self.alignment.replace(deformation=None).project(self.centers_ang_zyx)[0][self.tilts]
            slopes = np.einsum("tpb,cd->tcpbd", self._over_image(rigid), np.eye(2)).reshape(len(rows), 2, count, -1)
        return PerTilt(strength * np.asarray(slopes, np.float64))

    def places(self, strength_ang: float) -> InSpace:
        """Return the parameters that move each particle by itself."""
        return InSpace(self.rows, np.full((len(self.tilts), 1), strength_ang), None, len(self.centers_ang_zyx))

    def refined(self, terms: Sequence[Term]) -> tuple[Alignment, Floats]:
        """Return the alignment and the places of the particles float64[P, 3] that some terms lead to."""
        alignment, centers_ang_zyx = self.alignment, self.centers_ang_zyx
        bent = []
        for term in terms:
            moved = term.strength * term.values
            if term.part == "particles":
                centers_ang_zyx = centers_ang_zyx + moved[:, 0, ::-1]
            elif term.part == "shifts":
                alignment = alignment.replace(shift_ang_yx=self._added(alignment.shift_ang_yx, moved))
            elif term.part == "angles":
                names = ("axis_deg", "tilt_deg", "xtilt_deg")
                added = zip(names, moved.T, strict=True)
                alignment = alignment.replace(
                    **{name: self._added(getattr(alignment, name), one) for name, one in added}
                )
            else:
                bent.append(term)
        if bent:
            alignment = alignment.replace(deformation=self._deformation(bent))
        return alignment, centers_ang_zyx

    def bending_ang(self, terms: Sequence[Term]) -> Floats:
        """Return how bending displaces the images of the particles, by these terms: float64[T, 2, P] along y and x."""
        moved = np.zeros((len(self.tilts), 2, len(self.centers_ang_zyx)))
        for term in terms:
            if term.part in ("bending", "images"):
                moved += self.block(term.part, term.strength).offsets(term.values)
        return moved

    @property
    def rows(self) -> Floats:
        """Rows y and x of R of the tilts in use: float64[T, 2, 3]."""
        return self.alignment.rotations[self.tilts, 1::-1]

    @property
    def _field_ang_yx(self) -> tuple[float, float]:
        height, width = self.series.shape_yx
        return height * self.series.pixel_ang, width * self.series.pixel_ang

    def _added(self, column: Floats, moved: Floats) -> Floats:
        """Add something to the tilts in use."""
        total = column.copy()
        total[self.tilts] += moved
        return total

    def _turned(self) -> Floats:
        """Return how images move with axis, tilt and x-tilt: float64[T, 2, P, 3], Å per degree."""
        alignment, points_xyz = self.alignment, self.centers_ang_zyx[:, ::-1]
        angles = np.stack([alignment.axis_deg, alignment.tilt_deg, alignment.xtilt_deg])[:, self.tilts]
        slopes = []
        for step in _ANGLE_STEP_DEG * np.eye(3)[..., None]:
            change = (tilt_rotations(*(angles + step)) - tilt_rotations(*(angles - step))) / (2 * _ANGLE_STEP_DEG)
            slopes.append(np.einsum("tca,pa->tcp", change[:, 1::-1], points_xyz))
        return np.stack(slopes, axis=-1)

    def _growth(self) -> Floats:
        """Return shapes over the exposure: float64[T, K]."""
        return along(np.sqrt(self.series.exposure_share)[self.tilts], _DOSE_NODES, _DOSE_MEMORY)

    def _over(self, points_ang_zyx: Floats) -> Floats:
        """Return shapes over the specimen at some points of it: float64[..., B] for [..., 3]."""
        heights = self.centers_ang_zyx[:, 0]
        middle, half = self._middle_ang, max(float(np.ptp(heights)) / 2, 1.0)
        flat = across(points_ang_zyx[..., 1:] / self._field_ang_yx + 0.5, _NODES, _MEMORY)
        leaning = _LEANING * (points_ang_zyx[..., :1] - middle) / half
        return np.concatenate([flat, leaning * flat], axis=-1)

    @property
    def _middle_ang(self) -> float:
        """Mean height of the particles."""
        return float(self.centers_ang_zyx[:, 0].mean())

    def _over_image(self, places_ang_yx: Floats) -> Floats:
        """Return shapes over an image: float64[..., B] for [..., 2]."""
        return across(places_ang_yx / self._field_ang_yx + 0.5, _IMAGE_NODES, _IMAGE_MEMORY)

    def _deformation(self, terms: Sequence[Term]) -> Deformation:
        """Add what bends to the deformation there is."""
        ends = [np.linspace(-0.5, 0.5, _STORED_NODES) * length for length in self._field_ang_yx]
        places = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 2)
        # Two heights tell the field at height 0 and its slope.
        apart = max(float(self.centers_ang_zyx[:, 0].std()), 1.0)
        heights = self._middle_ang + np.array([-apart, apart])
        low, high = (self._displaced(terms, places, height) for height in heights)
        n_tilts = self.alignment.n_tilts
        nodes, slopes = np.zeros((2, n_tilts, len(places), 2))
        old = self.alignment.deformation
        if old is not None:
            everywhere = np.tile(places, (n_tilts, 1, 1))
            nodes += old.displacements(everywhere)
            slopes += old.displacements(everywhere, np.ones(len(places))) - nodes
        slope = (high - low) / (2 * apart)
        # What is added is where things are seen, a deformation where from.
        slopes[self.tilts] -= slope
        nodes[self.tilts] -= low - heights[0] * slope
        shape = (n_tilts, _STORED_NODES, _STORED_NODES, 2)
        return Deformation(
            nodes_ang_yx=nodes.reshape(shape), slopes_yx=slopes.reshape(shape), field_ang_yx=self._field_ang_yx
        )

    def _displaced(self, terms: Sequence[Term], places_ang_yx: Floats, height_ang: float) -> Floats:
        """Return how far the terms move what lies at a height and would be seen at places: float64[T, G, 2] yx."""
        rotation = self.alignment.rotations[self.tilts]
        seen_xy = (places_ang_yx - self.alignment.shift_ang_yx[self.tilts, None])[..., ::-1]
        raised_xy = seen_xy - height_ang * rotation[:, None, :2, 2]
        place_xy = np.linalg.solve(rotation[:, None, :2, :2], raised_xy[..., None])[..., 0]
        points = np.concatenate([np.full((*place_xy.shape[:2], 1), height_ang), place_xy[..., ::-1]], axis=-1)
        moved = np.zeros((*points.shape[:2], 2))
        for term in terms:
            values = term.strength * term.values
            if term.part == "bending":
                in_space = np.einsum("tgb,bka,tk->tga", self._over(points), values, self._growth())
                moved += np.einsum("tca,tga->tgc", self.rows, in_space)
            else:
                shapes = self._over_image(places_ang_yx)
                moved += np.einsum("gb,tbc->tgc", shapes, values.reshape(len(values), -1, 2))
        return moved
