"""Half maps whose resolution and blur are known."""

import numpy as np
import scipy.fft

from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fourier import half_frequencies, radial_frequencies
from napari_tomoflow.core.ops.masks import soft_sphere


def shaped(volume, gain):
    """Multiply the transform of a volume by ``gain(frequency)``, cycles per voxel."""
    transform = scipy.fft.rfftn(volume) * gain(radial_frequencies(volume.shape))
    return scipy.fft.irfftn(transform, volume.shape).astype(np.float32)


def of_halves(halves, voxel_ang, **more):
    """Make a map of its halves."""
    mean = (halves[0] + halves[1]) / 2
    return DensityMap(name="made", volume=mean, halves=tuple(halves), voxel_ang=voxel_ang, **more)


def with_noise(signal, noise, rng):
    """Add independent noise to a signal, twice."""
    return [signal + noise * rng.standard_normal(signal.shape, np.float32) for _ in range(2)]


def atoms(box_px, voxel_ang, b_factor_ang2, rng, count=4000):
    """Place atoms within a ball of a quarter of the box and blur them; their amplitudes fall with B alone."""
    ways = rng.normal(size=(count, 3))
    reach = 0.27 * box_px * np.cbrt(rng.uniform(size=count)) / np.linalg.norm(ways, axis=1)
    volume = np.zeros((box_px,) * 3, np.float32)
    np.add.at(volume, tuple(np.rint(reach[:, None] * ways).astype(int).T + box_px // 2), 1.0)
    return shaped(volume, lambda f: np.exp(-b_factor_ang2 / 4 * (f / voxel_ang) ** 2))


def halves_of_two_resolutions(box_px, voxel_ang, fine_ang, coarse_ang, rng, *, sharp):
    """Fill a ball with detail that two halves agree on up to one resolution at low x, and to another at high x.

    Either the detail ends there, or its signal falls like that of a blurred map below the noise, where the FSC is
    0.143.
    """

    def detail(resolution_ang):
        signal_to_noise = 4.0 if sharp else 20.0
        end = voxel_ang / resolution_ang
        fall = 2 * np.log(signal_to_noise * 6.0) / end**2  # at the end 1 / 6 is left: FSC 1 / 7
        gain = (lambda f: f < end) if sharp else (lambda f: np.exp(-fall / 4 * f**2))
        return np.sqrt(signal_to_noise) * shaped(rng.standard_normal((box_px,) * 3, np.float32), gain)

    low = (0.5 - 0.5 * np.tanh((np.arange(box_px) - box_px // 2) / 2.0)).astype(np.float32)
    ball = soft_sphere(box_px, 0.35 * box_px)
    body = 2.0 + detail(fine_ang) * low + detail(coarse_ang) * (1 - low)
    return with_noise(body * ball, 1.0, rng)


def without_wedge(volume, half_angle_deg):
    """Leave out what tilts about y up to an angle short of 90° do not show: a wedge about z."""
    fz, _, fx = half_frequencies(volume.shape)
    seen = np.abs(fz) <= np.abs(fx) / np.tan(np.deg2rad(half_angle_deg)) + 1e-6
    return scipy.fft.irfftn(scipy.fft.rfftn(volume) * seen, volume.shape).astype(np.float32)
