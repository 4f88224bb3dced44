"""Noun: particles as every single tilt shows them."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun, finite, floats, per_item
from napari_tomoflow.core.model.optics import Optics
from napari_tomoflow.core.model.particle_set import ParticleSet
from napari_tomoflow.core.ops import poses

_IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False, kw_only=True)
class SubtiltSet(Noun):
    """What is known of each particle in each tilt that shows it. Legend: P particles, M sub-tilts, n pixels.

    Attributes
    ----------
    particles : ParticleSet
        The particles; images are centred on where these lie, but for `shift_ang_yx`.
    particle : int64[M]
        Number of the particle of each sub-tilt, in the order of `particles`.
    tilt : int64[M]
        Number of the tilt in the particle's series, from 0.
    pixel_ang : float
        Of the images; of those they were cut from where there are none.
    quaternions_xyzw : float64[M, 4]
        Unit quaternion of R, from the tomogram to the image.
    shift_ang_yx : float64[M, 2]
        Where the particle is seen, Å from the centre of its image.
    optics : Optics
    defocus_u_ang, defocus_v_ang : float64[M]
        At the particle's height; underfocus is positive.
    azimuth_deg, phase_deg : float64[M]
        As in `CtfSeries`.
    dose_e_ang2 : float64[M]
        Exposure at the middle of the image, e/Å²; of images that are weighed, what they are weighed by.
    weight : float64[M]
        What the tilt leaves of the signal, times the strength of its series: 1 untilted and of usual strength.
    score : float64[M]
        NaN when there is none.
    images : array[M, n, n] or None
        May lie on disk. Background 0, noise of SD 1, pixel ``n // 2`` the centre.
    volumes : array[P · n, n, n] or None
        Each particle by itself in the frame of the tomogram, the planes of one after those of another.
    sampling : array[P · n, n, n // 2 + 1] or None
        What the density of each particle was multiplied by in its volume: half transforms whose first cell is
        frequency 0.
    correction : {"none", "flip", "multiply", "weigh"}
        What was done about the CTF of images and volumes: nothing, phases flipped, multiplied by it once more, or
        besides by `weight` and by what RELION 5 takes `dose_e_ang2` to leave.
    contrast : {"bright", "dark"}
        Whether dense matter is bright or dark where the CTF is positive.
    """

    particles: ParticleSet
    particle: NDArray[np.int64]
    tilt: NDArray[np.int64]
    pixel_ang: float
    quaternions_xyzw: NDArray[np.float64] = field(default_factory=lambda: _IDENTITY)
    shift_ang_yx: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    optics: Optics = field(default_factory=Optics)
    defocus_u_ang: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    defocus_v_ang: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    azimuth_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    phase_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    dose_e_ang2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    weight: NDArray[np.float64] = field(default_factory=lambda: np.ones(()))
    score: NDArray[np.float64] = field(default_factory=lambda: np.array(np.nan))
    images: Array | None = None
    volumes: Array | None = None
    sampling: Array | None = None
    correction: Literal["none", "flip", "multiply", "weigh"] = "none"
    contrast: Literal["bright", "dark"] = "bright"

    def __post_init__(self) -> None:
        """Spread single values over all sub-tilts and check counts."""
        m = len(self.particle)
        shapes: dict[str, tuple[int, ...]] = {name: (m,) for name in COLUMNS}
        shapes |= {"quaternions_xyzw": (m, 4), "shift_ang_yx": (m, 2)}
        columns = {name: floats(getattr(self, name), shape) for name, shape in shapes.items()}
        numbers = {name: np.asarray(getattr(self, name), np.int64) for name in ("particle", "tilt")}
        for name, column in (columns | numbers).items():
            object.__setattr__(self, name, column)
        per_item("SubtiltSet", m, **columns, **numbers)
        finite("SubtiltSet", **{name: column for name, column in columns.items() if name != "score"})
        self._check_references(m)

    def _check_references(self, m: int) -> None:
        if not self.pixel_ang > 0:
            raise DataError(f"The pixel of sub-tilts cannot be {self.pixel_ang:g} Å; mend the header or give it.")
        if m and not 0 <= self.particle.min() <= self.particle.max() < len(self.particles):
            raise DataError(
                f"A sub-tilt is of particle {self.particle.max()} of {len(self.particles)}; count them from 0."
            )
        shape = (m,) if self.images is None else tuple(self.images.shape)
        if shape[0] != m or (self.images is not None and (len(shape) != 3 or shape[1] != shape[2])):
            raise DataError(f"{m} sub-tilts have images of shape {shape}; give one square image for each.")
        if self.volumes is not None:
            n, p = self.volumes.shape[1], len(self.particles)
            sampled = None if self.sampling is None else tuple(self.sampling.shape)
            if tuple(self.volumes.shape) != (p * n, n, n) or sampled != (p * n, n, n // 2 + 1):
                raise DataError(
                    f"{p} particles have volumes of shape {tuple(self.volumes.shape)} and a sampling of {sampled}; "
                    "give a cube for each, and its half transform."
                )

    def __len__(self) -> int:
        """Return the number of sub-tilts."""
        return len(self.particle)

    @property
    def rotations(self) -> NDArray[np.float64]:
        """R of every sub-tilt, float64[M, 3, 3], acting on (x, y, z)."""
        return poses.matrices_from_quaternions(self.quaternions_xyzw)


COLUMNS = (
    "defocus_u_ang", "defocus_v_ang", "azimuth_deg", "phase_deg", "dose_e_ang2", "weight", "score",
)  # fmt: skip
"""Fields that hold one number for each sub-tilt."""
