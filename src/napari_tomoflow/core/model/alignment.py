"""Noun: the geometry of a tilt series."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.deformation import Deformation
from napari_tomoflow.core.model.landmarks import Landmarks
from napari_tomoflow.core.model.noun import Noun, finite, flags, floats, per_item
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops import geometry


@dataclass(frozen=True, eq=False, kw_only=True)
class Alignment(Noun):
    """Where every point of the specimen lies in every tilt image (`core.ops.geometry`). Legend: N tilts.

    Attributes
    ----------
    tilt_deg, axis_deg, xtilt_deg : float64[N]
        Rotation of each tilt, ``Rz(axis) · Ry(tilt) · Rx(xtilt)``. A single number stands for all.
    shift_ang_yx : float64[N, 2]
        Where the specimen's centre lies in each image, Å from the image centre.
    kept : bool[N]
        False for tilts that could not be aligned or are left out.
    residual_ang : float64[N]
        RMS disagreement of each tilt with the others, Å; NaN when not measured.
    level_deg_yx : tuple of float
        Rotations (about y, about x) already folded in to level the specimen; a record only.
    centre_ang_zyx : tuple of float
        Shift of the origin already folded in; a record only.
    thickness_ang : float or None
        Estimated thickness of the specimen.
    landmarks : Landmarks or None
        What was measured, where the alignment rests on landmarks.
    deformation : Deformation or None
        How each image of the bent specimen differs from the rigid geometry above. `image_from_sample` is
        rigid; `project` is not.
    """

    tilt_deg: NDArray[np.float64]
    axis_deg: NDArray[np.float64]
    xtilt_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    shift_ang_yx: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    kept: NDArray[np.bool_] = field(default_factory=lambda: np.array(True))
    residual_ang: NDArray[np.float64] = field(default_factory=lambda: np.array(np.nan))
    level_deg_yx: tuple[float, float] = (0.0, 0.0)
    centre_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    thickness_ang: float | None = None
    landmarks: Landmarks | None = None
    deformation: Deformation | None = None

    def __post_init__(self) -> None:
        """Spread single values over all tilts and check counts."""
        tilt_deg = floats(self.tilt_deg)
        n = len(tilt_deg)
        object.__setattr__(self, "tilt_deg", tilt_deg)
        for name in ("axis_deg", "xtilt_deg", "residual_ang"):
            object.__setattr__(self, name, floats(getattr(self, name), (n,)))
        object.__setattr__(self, "shift_ang_yx", floats(self.shift_ang_yx, (n, 2)))
        object.__setattr__(self, "kept", flags(self.kept, n))
        per_item(
            "Alignment", n, axis_deg=self.axis_deg, xtilt_deg=self.xtilt_deg, shift_ang_yx=self.shift_ang_yx,
            kept=self.kept, residual_ang=self.residual_ang,
        )  # fmt: skip
        finite(
            "Alignment", tilt_deg=self.tilt_deg, axis_deg=self.axis_deg, xtilt_deg=self.xtilt_deg,
            shift_ang_yx=self.shift_ang_yx,
        )  # fmt: skip
        self._check_parts(n)

    def _check_parts(self, n: int) -> None:
        if self.landmarks is not None and (self.landmarks.tilt >= n).any():
            raise DataError(
                f"Alignment: a landmark is measured in tilt {self.landmarks.tilt.max()} of {n}; count from 0."
            )
        if self.deformation is not None and self.deformation.n_tilts != n:
            raise DataError(f"Alignment: the deformation is of {self.deformation.n_tilts} tilts of {n}; give all.")

    @classmethod
    def nominal(cls, series: TiltSeries) -> "Alignment":
        """Take the geometry the microscope claims: nominal angles and axis, no shifts."""
        if series.axis_deg is None:
            raise DataError(
                f"{series.name}: nobody said where the tilt axis is; run align, or import again with --axis-deg."
            )
        return cls(tilt_deg=series.tilt_deg, axis_deg=floats(series.axis_deg, (series.n_tilts,)), kept=series.kept)

    @property
    def n_tilts(self) -> int:
        """Number of tilts, the left-out ones counted too."""
        return len(self.tilt_deg)

    @property
    def rotations(self) -> NDArray[np.float64]:
        """R_i, float64[N, 3, 3], acting on (x, y, z)."""
        return geometry.tilt_rotations(self.axis_deg, self.tilt_deg, self.xtilt_deg)

    def image_from_sample(self) -> NDArray[np.float64]:
        """Return the affine matrices float64[N, 3, 4] every stage uses; see `geometry.image_from_sample`."""
        return geometry.image_from_sample(self.rotations, self.shift_ang_yx)

    def project(
        self, points_ang_zyx: ArrayLike, moved_ang_zyx: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project points into every tilt: (Å from the image centre [N, P, 2] yx, depth in Å [N, P]).

        Points that are not everywhere in the same place are moved in each tilt, by float64[N, P, 3].
        """
        image_ang_yx, depth_ang = geometry.project_points(self.image_from_sample(), points_ang_zyx)
        if moved_ang_zyx is not None:
            moved = np.einsum("nij,npj->npi", self.rotations, moved_ang_zyx[..., ::-1])
            image_ang_yx, depth_ang = image_ang_yx + moved[..., 1::-1], depth_ang + moved[..., 2]
        if self.deformation is not None:
            heights_ang = np.asarray(points_ang_zyx, np.float64)[:, 0]
            image_ang_yx = image_ang_yx - self.deformation.displacements(image_ang_yx, heights_ang)
        return image_ang_yx, depth_ang

    def landmark_residuals(self) -> NDArray[np.float64]:
        """Return measured minus predicted place of every measurement: float64[M, 2] yx, Å; NaN for dropped points."""
        if self.landmarks is None:
            return np.zeros((0, 2))
        predicted, _ = self.project(self.landmarks.points_ang_zyx)
        return np.asarray(self.landmarks.position_ang_yx - predicted[self.landmarks.tilt, self.landmarks.point])

    def rigid_part(self, tilts: NDArray[np.int64] | NDArray[np.bool_]) -> "Alignment":
        """Take the angles and shifts of some tilts, given by number or by mark, without landmarks and bending."""
        return Alignment(
            tilt_deg=self.tilt_deg[tilts],
            axis_deg=self.axis_deg[tilts],
            xtilt_deg=self.xtilt_deg[tilts],
            shift_ang_yx=self.shift_ang_yx[tilts],
        )

    def levelled(
        self, level_deg_yx: tuple[float, float], centre_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> "Alignment":
        """Fold a levelling ``L = Ry(level_y) · Rx(level_x)`` and a new centre into every tilt.

        Points p of the old frame and p' of the new one obey p = L·p' + c.
        """
        level = geometry.rotation_y(level_deg_yx[0]) @ geometry.rotation_x(level_deg_yx[1])
        rotations, shift_ang_yx, _ = geometry.fold_specimen(self.rotations, self.shift_ang_yx, level, centre_ang_zyx)
        axis_deg, tilt_deg, xtilt_deg = geometry.tilt_angles(rotations)
        # The same turn of the circle as before: else the mean of axes about 180° is nonsense.
        axis_deg = axis_deg + 360.0 * np.round((self.axis_deg - axis_deg) / 360.0)
        return self.replace(
            axis_deg=axis_deg,
            tilt_deg=tilt_deg,
            xtilt_deg=xtilt_deg,
            shift_ang_yx=shift_ang_yx,
            level_deg_yx=level_deg_yx,
            centre_ang_zyx=centre_ang_zyx,
            deformation=self.deformation
            and self.deformation.levelled(geometry.image_from_sample(rotations, shift_ang_yx), level, centre_ang_zyx),
            landmarks=self.landmarks
            and self.landmarks.replace(
                # The inverse of a rotation is its transpose: rows times L.
                points_ang_zyx=((self.landmarks.points_ang_zyx - centre_ang_zyx)[:, ::-1] @ level)[:, ::-1]
            ),
        )
