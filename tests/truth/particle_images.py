"""Images of particles made straight from a map: slices × CTF + noise, with every truth at hand.

What `core.simulation` does from scatterers through a whole tilt series, this does within seconds and with the noise
asked for; it is an `ImageSource`, made anew for each batch from the seed and the particle's number.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.fft

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ParticleImages, shift_phases
from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.model import Optics, ParticleSet
from napari_tomoflow.core.ops.ctf import ctf_2d, dose_envelope, rfft_frequencies
from napari_tomoflow.core.ops.fourier import fourier_crop
from napari_tomoflow.core.ops.geometry import tilt_rotations
from napari_tomoflow.core.simulation.molecules import Species


@dataclass(frozen=True)
class Imaging:
    """How particles are imaged: as a dose-symmetric series would.

    Attributes
    ----------
    snr : float
        Power of the signal over that of the noise within the particle's own radius and up to Nyquist, in the untilted,
        unexposed image before the CTF. 0.01 to 0.1 is usual in ice.
    defocus_spread_ang : float
        Largest difference from `defocus_ang` from one particle to another, as if they came from many series.
    """

    pixel_ang: float
    snr: float = 0.05
    n_tilts: int = 41
    tilt_max_deg: float = 60.0
    dose_per_tilt_e_ang2: float = 3.0
    defocus_ang: float = 30_000.0
    defocus_spread_ang: float = 5_000.0
    hand: int = -1
    axis_deg: float = 85.0
    seed: int = 1
    optics: Optics = field(default_factory=Optics)


def random_particles(count, seed=0, spread_ang=2_000.0, series="truth"):
    """Turn particles at random and scatter them over a tomogram; odd ones are half 1, even ones half 2."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(size=(count, 4))
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-1, 1, (count, 3)) * (0.1 * spread_ang, spread_ang, spread_ang),
        quaternions_xyzw=turns,
        tomogram=np.array(series),
        half=np.arange(count) % 2 + 1,
    )


def density_of(species: Species, box_px, pixel_ang):
    """Draw a molecule of the simulator as a map, centred at voxel ``n // 2``, band-limited to Nyquist."""
    n = box_px
    sigma = max(species.sigma_ang, 0.5 * pixel_ang) / pixel_ang
    fine = 2 * n
    volume = np.zeros((fine, fine, fine), np.float32)
    points = species.points_ang_xyz[:, ::-1] / (pixel_ang / 2) + fine // 2
    weights = (species.weights / pixel_ang**3).astype(np.float32)
    sigmas = np.full(len(points), 2 * sigma, np.float32)
    splat_volume(volume, points.astype(np.float32), weights, sigmas)
    return fourier_crop(volume, (n, n, n)) * 8


@dataclass(frozen=True, eq=False)
class MapImages:
    """An `ImageSource` of simulated images of one map; `truth` holds the true poses and places.

    Images are centred on `particles`, which may be anywhere near `truth`.
    """

    volume: np.ndarray
    truth: ParticleSet
    imaging: Imaging
    moved: ParticleSet | None = None

    @property
    def particles(self):
        return self.truth if self.moved is None else self.moved

    @property
    def box_px(self):
        return len(self.volume)

    @property
    def pixel_ang(self):
        return self.imaging.pixel_ang

    def at(self, particles):
        return replace(self, moved=particles)

    def images(self, chosen):
        n = self.box_px
        transfer = self._transfer(chosen)
        rotations = np.tile(self.rotations, (len(chosen), 1, 1, 1))
        grid = CubeGrid(n)
        axes = np.ascontiguousarray((rotations @ self.truth[chosen].matrices[:, None])[:, :, :2], np.float32)
        clean = grid.extract(grid.cube_of(self.volume), axes)
        signal = clean * self._amplitude(clean)
        # Seen from where it is believed to be, the particle lies where it truly is.
        off_xyz = (self.truth.centers_ang_zyx[chosen] - self.particles.centers_ang_zyx[chosen])[:, ::-1]
        off_px = np.einsum("ptij,pj->pti", rotations, off_xyz)[..., 1::-1] / self.pixel_ang
        images_rft = transfer * signal * shift_phases(n, off_px)
        images_rft += np.stack([self._noise(int(number)) for number in chosen])
        return ParticleImages(
            images_rft=(transfer * images_rft).astype(np.complex64),
            power=transfer**2,
            rotations=rotations,
            visible=np.ones(transfer.shape[:2], bool),
            pixel_ang=self.pixel_ang,
        )

    @property
    def rotations(self):
        imaging = self.imaging
        tilts = np.linspace(-imaging.tilt_max_deg, imaging.tilt_max_deg, imaging.n_tilts)
        return tilt_rotations(imaging.axis_deg, tilts)

    def _transfer(self, chosen):
        """CTF at the particle's height × fading × cosine of the tilt: float32[P, T, n, n // 2 + 1]."""
        n, imaging, rotations = self.box_px, self.imaging, self.rotations
        k_yx = rfft_frequencies((n, n), imaging.pixel_ang)
        k = np.hypot(*k_yx)
        order = np.argsort(np.argsort(np.abs(np.linspace(-1, 1, imaging.n_tilts)), kind="stable"))
        depth = np.einsum("ti,pi->pt", rotations[:, 2], self.truth.centers_ang_zyx[chosen][:, ::-1])
        own = [np.random.default_rng([imaging.seed, int(one), 1]).uniform(-1, 1) for one in self.truth.ids[chosen]]
        defocus = imaging.defocus_ang + imaging.defocus_spread_ang * np.array(own)[:, None] + imaging.hand * depth
        transfer = np.empty((len(chosen), imaging.n_tilts, n, n // 2 + 1), np.float32)
        for tilt in range(imaging.n_tilts):
            dose = imaging.dose_per_tilt_e_ang2 * (order[tilt] + 0.5)
            left = dose_envelope(k, dose, 300.0, "grant-grigorieff") * rotations[tilt, 2, 2]
            for number in range(len(chosen)):
                ctf = ctf_2d(k_yx, defocus[number, tilt], defocus[number, tilt], 0.0, imaging.optics)
                transfer[number, tilt] = ctf * left
        return transfer

    def _amplitude(self, clean):
        """Scale slices so that images have the signal asked for: one number for the whole map."""
        n = self.box_px
        projection = np.fft.fftshift(self.volume.sum(axis=0))
        radius = n / 4
        offset = scipy.fft.fftfreq(n) * n
        inside = np.hypot(offset[:, None], offset) < radius
        return np.float32(np.sqrt(self.imaging.snr / np.var(projection[inside])))

    def _noise(self, number):
        """White noise of power 1 for one particle, always the same."""
        rng = np.random.default_rng([self.imaging.seed, int(self.truth.ids[number])])
        noise = rng.standard_normal((self.imaging.n_tilts, self.box_px, self.box_px), np.float32)
        return scipy.fft.rfft2(noise, norm="ortho")
