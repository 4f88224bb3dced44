"""Images of particles from a stack that was cut out of the tilt series before, by us or by another program.

Legend: P particles, T tilts, M sub-tilts of the stack, s pixels along its images.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices, ParticleImages, cut_to_box, shift_phases
from napari_tomoflow.core.averaging.noise import typical_amplitude
from napari_tomoflow.core.averaging.relion_fading import relion_fading
from napari_tomoflow.core.averaging.sampling import Response, Sampling, cropped_rft, even, on_half_transform
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet, SubtiltSet
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops.poses import matrices_from_quaternions

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

_SAMPLED_IMAGES = 400
_CLIP_SD = 4.0


@dataclass(frozen=True, eq=False)
class StackImages:
    """An `ImageSource` that reads a stack of sub-tilts.

    Attributes
    ----------
    subtilts : SubtiltSet
        With images.
    sampling : Sampling
        Its box is cut out of that of the stack, its pixel may be coarser than the stack's; with tilt weighting tilts
        weigh as the stack says.
    moved : ParticleSet or None
        Where the particles lie now, if not where they were cut out.
    """

    subtilts: SubtiltSet
    sampling: Sampling
    moved: ParticleSet | None = field(default=None)

    def __post_init__(self) -> None:
        """Check that the box can be cut out of the stack."""
        if self.sampling.pixel_ang < self.subtilts.pixel_ang * (1 - 1e-3):
            raise DataError(
                f"A pixel of {self.sampling.pixel_ang:g} Å is finer than the stack's, "
                f"{self.subtilts.pixel_ang:g} Å; give a coarser one."
            )
        if self._wide_px < self.sampling.box_px:
            raise DataError(
                f"A box of {self.sampling.box_px} px of {self.sampling.pixel_ang:g} Å does not fit into the stack's "
                f"images, {self._images.shape[1]} px of {self.subtilts.pixel_ang:g} Å; take a smaller one."
            )

    @property
    def particles(self) -> ParticleSet:
        """The particles, where they lie now."""
        return self.subtilts.particles if self.moved is None else self.moved

    @property
    def box_px(self) -> int:
        """Edge of the boxes."""
        return self.sampling.box_px

    @property
    def pixel_ang(self) -> float:
        """Pixel of the boxes, as near to what is asked for as whole pixels allow."""
        return float(self.subtilts.pixel_ang * self._images.shape[1] / self._wide_px)

    def at(self, particles: ParticleSet) -> "StackImages":
        """Return the same source for particles moved or turned."""
        return replace(self, moved=particles)

    def images(self, chosen: Indices) -> ParticleImages:
        """Read the sub-tilts of some particles, in the order of the stack; a particle may have fewer than others."""
        of_particle = [self._rows[self._starts[one] : self._starts[one + 1]] for one in chosen]
        n, count = self.box_px, max((len(rows) for rows in of_particle), default=0)
        shape = (len(chosen), count, n, n // 2 + 1)
        images_rft, power = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        visible = np.zeros(shape[:2], np.bool_)
        rotations = np.tile(np.eye(3), (*shape[:2], 1, 1))
        moved = self.particles.centers_ang_zyx[chosen] - self.subtilts.particles.centers_ang_zyx[chosen]
        for number, rows in enumerate(of_particle):
            here = number, slice(len(rows))
            turned = matrices_from_quaternions(self.subtilts.quaternions_xyzw[rows])
            rotations[here] = self.subtilts.optics.stretch @ turned
            images_rft[here], power[here] = self._weighed(rows, rotations[here] @ moved[number, ::-1])
            visible[here] = True
        return ParticleImages(
            images_rft=images_rft, power=power, rotations=rotations, visible=visible, pixel_ang=self.pixel_ang
        )

    def _weighed(self, rows: Indices, moved_ang_xyz: Floats) -> tuple[Waves, Reals]:
        """Return D and P of some sub-tilts whose particles moved by something since they were cut."""
        subtilts, wide = self.subtilts, self._wide_px
        boxes = np.stack([self._normalised(int(row)) for row in rows])
        images_rft = cropped_rft(np.fft.ifftshift(boxes, axes=(1, 2)), wide)
        off_ang_yx = subtilts.shift_ang_yx[rows] + moved_ang_xyz[:, 1::-1]
        images_rft *= shift_phases(wide, -off_ang_yx / self.pixel_ang)
        self._response.set_right(images_rft)
        left = self._left(rows) / self._noise
        ctf = self._response.ctf(
            subtilts.defocus_u_ang[rows],
            subtilts.defocus_v_ang[rows],
            subtilts.azimuth_deg[rows],
            subtilts.phase_deg[rows],
        )
        if subtilts.correction == "flip":
            ctf = np.abs(ctf)
        transfer = ctf * left
        # What is weighed has been multiplied by all of it.
        if subtilts.correction != "weigh":
            images_rft *= (left if subtilts.correction == "multiply" else transfer) / self._noise
        return cut_to_box(images_rft, transfer**2, self.box_px)

    def _left(self, rows: Indices) -> Reals:
        """Return what exposure and tilt leave of the signal of some sub-tilts: float32[M, m, m // 2 + 1]."""
        subtilts = self.subtilts
        weight = subtilts.weight[rows, None, None].astype(np.float32)
        if subtilts.correction == "weigh":
            return relion_fading(self._wide_px, self.pixel_ang, subtilts.dose_e_ang2[rows]) * weight
        left = self._response.fading(subtilts.dose_e_ang2[rows])
        return left * weight if self.sampling.tilt_weighting else left

    @property
    def _is_multiplied(self) -> bool:
        return self.subtilts.correction in ("multiply", "weigh")

    def _normalised(self, row: int) -> Reals:
        """Read an image, its background 0 and of SD 1, dense matter bright."""
        image = np.asarray(self._images[row], np.float32)
        sign = np.float32(-1.0 if self.subtilts.contrast == "dark" else 1.0)
        # What is multiplied by the CTF has had its background taken off before.
        if self._is_multiplied:
            return sign * image
        outside = image[self._is_background]
        mean, sd = float(outside.mean(dtype=np.float64)), float(outside.std(dtype=np.float64))
        if not sd > 0 or not np.isfinite(sd):
            raise DataError(f"Sub-tilt {row + 1} of the stack is blank (every pixel is {mean:g}); leave it out.")
        inside = outside[np.abs(outside - mean) < _CLIP_SD * sd]
        return np.asarray((image - inside.mean()) * (sign / inside.std()), np.float32)

    @cached_property
    def _rows(self) -> Indices:
        """Rows of the stack by particle."""
        return np.argsort(self.subtilts.particle, kind="stable")

    @cached_property
    def _starts(self) -> Indices:
        """Where the rows of each particle begin among them, and where the last ones end."""
        count = np.bincount(self.subtilts.particle, minlength=len(self.subtilts.particles))
        return np.concatenate([[0], np.cumsum(count)])

    @property
    def _images(self) -> Array:
        if self.subtilts.images is None:
            raise DataError("These sub-tilts have no images; extract them, or average from the raw series.")
        return self.subtilts.images

    @property
    def _wide_px(self) -> int:
        return even(self._images.shape[1] * self.subtilts.pixel_ang / self.sampling.pixel_ang)

    @cached_property
    def _response(self) -> Response:
        return Response(self._wide_px, self.pixel_ang, self.subtilts.optics, self.sampling.dose_weighting)

    @cached_property
    def _is_background(self) -> NDArray[np.bool_]:
        """Mark the pixels beyond the particle's radius, or the corners where it fills the box."""
        size = self._images.shape[1]
        offset = np.arange(size) - size // 2
        radius_px = min(self.sampling.radius_ang / self.subtilts.pixel_ang, size / 2)
        return np.asarray(np.hypot(offset[:, None], offset) > radius_px)

    @cached_property
    def _noise(self) -> Reals:
        """Standard deviation of the noise at each frequency, by images from all over the stack."""
        if self._is_multiplied:
            return np.ones((self._wide_px, self._wide_px // 2 + 1), np.float32)
        count = len(self.subtilts)
        rows = np.unique(np.linspace(0, count - 1, min(count, _SAMPLED_IMAGES)).astype(int))
        return on_half_transform(typical_amplitude(self._normalised(int(row)) for row in rows), self._wide_px)
