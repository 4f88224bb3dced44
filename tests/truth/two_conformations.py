"""Images of particles of two conformations, mixed: which one each is of is known."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.images import ParticleImages
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.stack_images import StackImages
from napari_tomoflow.core.ops.geometry import rotation_z
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.simulation.molecules import ribosome
from napari_tomoflow.io.subtilts import read_subtilts
from truth.particle_images import Imaging, MapImages, density_of, random_particles

PIXEL_ANG = 13.1
DIAMETER_ANG = 260.0


def turned_ribosome(turn_deg):
    """A ribosome whose small subunit is turned against the large one, as translation turns it."""
    species = ribosome()
    points = species.points_ang_xyz.copy()
    small = points[:, 2] < -46
    points[small] = points[small] @ rotation_z(turn_deg).T
    return replace(species, points_ang_xyz=points)


@dataclass(frozen=True, eq=False)
class MixedImages:
    """An `ImageSource` of particles of several maps; `number` says of which each is."""

    each: tuple
    number: np.ndarray

    @property
    def particles(self):
        return self.each[0].particles

    @property
    def box_px(self):
        return self.each[0].box_px

    @property
    def pixel_ang(self):
        return self.each[0].pixel_ang

    def at(self, particles):
        return replace(self, each=tuple(one.at(particles) for one in self.each))

    def images(self, chosen):
        parts = [(chosen[self.number[chosen] == one], source) for one, source in enumerate(self.each)]
        made = [source.images(some) for some, source in parts if len(some)]
        order = np.argsort(np.concatenate([np.flatnonzero(self.number[chosen] == one) for one in range(len(parts))]))
        joined = {
            name: np.concatenate([getattr(one, name) for one in made])[order]
            for name in ("images_rft", "power", "rotations", "visible")
        }
        return ParticleImages(**joined, pixel_ang=self.pixel_ang)


def mixed_ribosomes(count, share=0.3, box_px=32, turn_deg=10.0, **imaging):
    """Ribosomes at known poses, some of them turned in themselves: (images, number of the conformation of each)."""
    truth = random_particles(count, seed=5)
    given = Imaging(**{"pixel_ang": PIXEL_ANG, "n_tilts": 21, "snr": 0.056} | imaging)
    number = (np.random.default_rng(6).permutation(count) < share * count).astype(np.int64)
    maps = [density_of(turned_ribosome(turn), box_px, given.pixel_ang) for turn in (0.0, turn_deg)]
    return MixedImages(tuple(MapImages(one, truth, given) for one in maps), number), number


def shaken(images, deg, ang):
    """Put particles off by about some degrees and Å, as refinement leaves them."""
    truth, rng = images.particles, np.random.default_rng(8)
    count = len(truth)
    turns = Rotation.from_rotvec(np.deg2rad(rng.normal(size=(count, 3)) * deg / 3**0.5)).as_matrix()
    return images.at(
        truth.replace(
            centers_ang_zyx=truth.centers_ang_zyx + rng.normal(size=(count, 3)) * ang / 3**0.5,
            quaternions_xyzw=quaternions_from_matrices(truth.matrices @ turns),
        )
    )


def mixed_50s(shared_data, count_d=72, count_e=72):
    """Simulated 50S subunits of classes D and E, another program's: (images, number of the class of each)."""
    subtilts = read_subtilts(shared_data("sta_tomodrgn_sim") / "10076_both_32_sim.star", contrast="dark")
    particles = subtilts.particles
    source = StackImages(
        subtilts.replace(particles=particles.replace(half=np.arange(len(particles)) % 2 + 1)),
        Sampling(32, PIXEL_ANG, 150.0),
    )
    rng = np.random.default_rng(7)
    chosen = np.sort(np.concatenate([rng.permutation(72)[:count_d], 72 + rng.permutation(72)[:count_e]]))
    return Some(source, chosen), (chosen >= 72).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Some:
    """An `ImageSource` of some particles of another."""

    all: StackImages
    chosen: np.ndarray
    moved: object = None

    @property
    def particles(self):
        return self.all.particles[self.chosen] if self.moved is None else self.moved

    @property
    def box_px(self):
        return self.all.box_px

    @property
    def pixel_ang(self):
        return self.all.pixel_ang

    def at(self, particles):
        return replace(self, moved=particles)

    def images(self, chosen):
        return self.all.images(self.chosen[chosen])


def balanced_accuracy(found, truth):
    """Mean share of each true class that is found in a class of its own, over the best way of naming classes."""
    count = max(found.max(), truth.max()) + 1
    return max(
        float(np.mean([(np.array(names)[found[truth == one]] == one).mean() for one in range(truth.max() + 1)]))
        for names in permutations(range(count))
    )
