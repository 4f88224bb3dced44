"""Particles in ice that bends and drifts under the beam: an ensemble as averaging leaves it, and the truth.

Images hold nothing but particles: each is a slice of one map, seen through the CTF at its height and faded by the
exposure, put where the bent specimen shows it. The ensemble believes in a rigid specimen: its particles lie where
they fit their images best without bending, and its half maps were averaged there.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.fft

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import agreement_radius, fsc_curve
from napari_tomoflow.core.averaging.images import shift_phases
from napari_tomoflow.core.averaging.recipe import Recipe, ball
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.resizing import shell_filtered
from napari_tomoflow.core.averaging.sampling import Response
from napari_tomoflow.core.averaging.sources import RawSources
from napari_tomoflow.core.model import (
    Alignment,
    CtfSeries,
    Dataset,
    DensityMap,
    Ensemble,
    Optics,
    ParticleSet,
    TiltSeries,
)
from napari_tomoflow.core.ops.ctf import interaction_rad_per_volt_ang
from napari_tomoflow.core.ops.fourier import next_fast_size, pad_centred, radial_frequencies
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.ops.poses import matrices_from_quaternions, quaternions_from_matrices
from napari_tomoflow.core.polishing.subtilt_images import SubtiltImages, Subtilts
from napari_tomoflow.core.simulation.deformation import bend
from napari_tomoflow.core.simulation.molecules import ribosome
from truth.particle_images import density_of

SPECIES = "ribosome"
_CELL_ANG = 300.0
"""Particles lie one to a cell of a grid: side by side, not one upon the other."""


@dataclass(frozen=True)
class SceneParams:
    """What is imaged, and what goes wrong.

    Attributes
    ----------
    count : int
        Particles in all series together.
    bend_ang : float
        RMS length of the displacements at the end of the exposure; 0 for a rigid specimen.
    drift_ang : float
        RMS length of what each particle moves by itself, about its mean over the tilts.
    alike_ang : float
        How far particles are apart whose own motions are hardly alike any more; 0 for no two alike.
    shift_sd_ang, turn_sd_deg : float
        Errors of the alignment of each tilt: along y and x, and of its tilt and axis.
    off_sd_ang, off_sd_deg : float
        Errors of the poses the ensemble knows, along and about each axis.
    defocus_sd_ang : float
        Errors of the defocus of each tilt the ensemble knows.
    known_optics : Optics or None
        What the ensemble believes of the microscope; the truth by default.
    weak_scale, weak_b_ang2 : float
        Amplitude and B factor of the last series, which the ensemble believes to be like the others.
    tilt_weakens : bool
        Whether particles are weaker where the ice is longer, as the ensemble believes they are.
    """

    count: int = 1000
    n_series: int = 4
    pixel_ang: float = 3.0
    n_tilts: int = 41
    tilt_max_deg: float = 60.0
    dose_per_tilt_e_ang2: float = 3.0
    bend_ang: float = 12.0
    drift_ang: float = 0.0
    alike_ang: float = 0.0
    shift_sd_ang: float = 0.0
    turn_sd_deg: float = 0.0
    off_sd_ang: float = 0.5
    off_sd_deg: float = 0.7
    defocus_ang: float = 25_000.0
    envelope_b_ang2: float = 80.0
    defocus_sd_ang: float = 0.0
    hand: int = -1
    diameter_ang: float = 300.0
    thickness_ang: float = 1_000.0
    seed: int = 1
    optics: Optics = field(default_factory=Optics)
    known_optics: Optics | None = None
    weak_scale: float = 1.0
    weak_b_ang2: float = 0.0
    tilt_weakens: bool = False

    @property
    def box_px(self):
        return 2 * round(0.64 * self.diameter_ang / self.pixel_ang)

    @property
    def dose_mid_e_ang2(self):
        """Exposure at the middle of each tilt, dose-symmetric."""
        order = np.argsort(np.argsort(np.abs(np.linspace(-1, 1, self.n_tilts)), kind="stable"))
        return self.dose_per_tilt_e_ang2 * (order + 0.5)


FAST = SceneParams(count=120, n_series=2, pixel_ang=6.0)


@dataclass(frozen=True, eq=False)
class DeformedScene:
    """A scene with all its truths.

    Attributes
    ----------
    ensemble : Ensemble
        What is believed; its map and halves were averaged there.
    truth : Dataset
        True poses, alignments and CTF; particles where they lay before the beam came.
    places_ang_yx : dict of str to float64[N, P, 2]
        Series → where each of its particles is truly seen in each tilt, Å from the image centre.
    density : float32[n, n, n]
    """

    params: SceneParams
    ensemble: Ensemble
    truth: Dataset
    places_ang_yx: dict[str, np.ndarray]
    density: np.ndarray

    def source(self, dataset=None):
        """Images of the ensemble's particles, or those of another data set, on the grid of the maps."""
        params = self.params
        sources = RawSources(dataset or self.ensemble, params.diameter_ang / 2, "grant-grigorieff")
        return sources(params.box_px, params.pixel_ang)

    @cached_property
    def true_average(self):
        """The average at the true geometry: the best any refinement could reach."""
        truth = self.truth
        at = Subtilts.of(truth.alignments, truth.particles)
        for name, seen in self.places_ang_yx.items():
            here = truth.particles.tomogram == name
            rigid, _ = truth.alignments[name].project(truth.particles.centers_ang_zyx[here])
            at.shift_ang_yx[here] = (seen - rigid).transpose(1, 0, 2)
        return reconstruct_at_poses(SubtiltImages(self.source(truth), at))

    @cached_property
    def mask(self):
        """A ball about the particle."""
        params = self.params
        return ball(Recipe(params.box_px, params.pixel_ang, params.diameter_ang, 40.0))

    def filtered_halves(self):
        """The halves of the average that is known, filtered and masked, and the finest detail they agree on, Å."""
        params, halves = self.params, self.ensemble.maps[SPECIES].halves
        curve = fsc_curve(*halves, params.pixel_ang, self.mask)
        radius = min(agreement_radius(curve.corrected), params.box_px / 2 - 1)
        agreed = np.clip(curve.corrected, 0, 1)[: int(radius) + 2]
        first, second = (shell_filtered(half, agreed) * self.mask for half in halves)
        return (first, second), params.box_px * params.pixel_ang / radius

    def agrees_with_truth(self, ctfs):
        """Shells up to which the average made with some CTF is that of the truth, counting parts."""
        made = reconstruct_at_poses(self.source(self.ensemble.replace(ctfs=ctfs)))
        return np.clip(shell_sums(made.volume * self.mask, self.density * self.mask).fsc[1:], 0, 1).sum()

    def share_recovered(self, places_ang_yx):
        """Share of the variance of the unknown displacements that estimated places explain; 1 is all.

        Where the centre of the map lies is free: a common shift of all particles in its frame does not count.
        """
        believed = self.ensemble
        before, after, slopes = [], [], []
        for name, true in self.places_ang_yx.items():
            mine = believed.particles[believed.particles.tomogram == name]
            alignment = believed.alignments[name]
            before.append((true - alignment.project(mine.centers_ang_zyx)[0]).reshape(-1, 2))
            after.append((true - places_ang_yx[name]).reshape(-1, 2))
            turns = alignment.rotations[:, None] @ mine.matrices
            slopes.append(turns[:, :, 1::-1].reshape(-1, 2, 3))
        slope, left = np.concatenate(slopes).reshape(-1, 3), np.concatenate(after).ravel()
        left = left - slope @ np.linalg.lstsq(slope, left, rcond=None)[0]
        return 1.0 - np.sum(left**2) / np.sum(np.concatenate(before) ** 2)


def make_scene(params=FAST):
    """Image a scene and average it at the geometry that is believed."""
    rng = np.random.default_rng(params.seed)
    density = density_of(ribosome(), params.box_px, params.pixel_ang)
    camera = _Camera(params, density)
    true_sets, believed_sets = [], []
    series, alignments, ctfs, places, nominal, known = {}, {}, {}, {}, {}, {}
    for number in range(params.n_series):
        name = f"TS_{number + 1:02d}"
        count = len(range(number, params.count, params.n_series))
        particles = _particles(params, name, count, rng)
        alignments[name], nominal[name] = _alignments(params, rng)
        ctfs[name], known[name] = _defocus(params, rng)
        if number == params.n_series - 1:
            scale, b_ang2 = (np.full(params.n_tilts, one) for one in (params.weak_scale, params.weak_b_ang2))
            ctfs[name] = ctfs[name].replace(scale=scale, b_ang2=b_ang2)
        places[name], depth_ang = _bent(params, particles, alignments[name], rng)
        series[name] = camera.series(name, particles, alignments[name], ctfs[name], places[name], depth_ang, rng)
        true_sets.append(particles)
        believed_sets.append(_believed(params, particles, nominal[name], places[name], rng))
    truth = Dataset(particles=ParticleSet.joined(true_sets), series=series, alignments=alignments, ctfs=ctfs)
    rigid = Dataset(particles=ParticleSet.joined(believed_sets), series=series, alignments=nominal, ctfs=known)
    return DeformedScene(params, _averaged(params, rigid), truth, places, density)


def _averaged(params, rigid):
    """Average particles where they are believed to be."""
    source = RawSources(rigid, params.diameter_ang / 2, "grant-grigorieff")(params.box_px, params.pixel_ang)
    made = reconstruct_at_poses(source)
    average = DensityMap(name=SPECIES, volume=made.volume, halves=made.halves, voxel_ang=params.pixel_ang)
    return Ensemble(
        particles=rigid.particles,
        series=rigid.series,
        alignments=rigid.alignments,
        ctfs=rigid.ctfs,
        maps={SPECIES: average},
    )


def _cells(params):
    return int(np.ceil(np.sqrt(np.ceil(params.count / params.n_series))))


def _particles(params, name, count, rng):
    """Put particles into the cells of a grid, turned at random; every other one is of half 2."""
    side = _cells(params)
    cells = rng.permutation(side**2)[:count]
    grid = np.stack([cells // side, cells % side], axis=1) - (side - 1) / 2
    across = _CELL_ANG * (grid + rng.uniform(-0.1, 0.1, grid.shape))
    height = rng.uniform(-0.5, 0.5, (count, 1)) * (params.thickness_ang - params.diameter_ang)
    return ParticleSet(
        centers_ang_zyx=np.concatenate([height, across], axis=1),
        quaternions_xyzw=rng.normal(size=(count, 4)),
        tomogram=np.array(name),
        half=np.arange(count) % 2 + 1,
        features={"species": np.full(count, SPECIES), "diameter_ang": np.full(count, params.diameter_ang)},
    )


def _alignments(params, rng):
    """Return the true alignment of a series and the one that is believed."""
    n = params.n_tilts
    tilt_deg = np.linspace(-params.tilt_max_deg, params.tilt_max_deg, n)
    believed = Alignment(tilt_deg=tilt_deg, axis_deg=np.full(n, 85.0))
    true = believed.replace(
        tilt_deg=tilt_deg + params.turn_sd_deg * rng.normal(size=n),
        axis_deg=believed.axis_deg + params.turn_sd_deg * rng.normal(size=n),
        shift_ang_yx=params.shift_sd_ang * rng.normal(size=(n, 2)),
    )
    return true, believed


def _defocus(params, rng):
    """Return the true CTF of a series and the one that is believed."""
    defocus_ang = params.defocus_ang + rng.uniform(-7000, 7000) + rng.normal(0, 200, params.n_tilts)
    true = CtfSeries(optics=params.optics, defocus_u_ang=defocus_ang, defocus_v_ang=defocus_ang, hand=params.hand)
    known = params.known_optics or params.optics
    # Fringes are where images show them, whoever believes that these are not stretched.
    shown, off = true.magnified(known.magnification), params.defocus_sd_ang * rng.normal(size=params.n_tilts)
    return true, shown.replace(
        defocus_u_ang=shown.defocus_u_ang + off, defocus_v_ang=shown.defocus_v_ang + off, optics=known
    )


def _bent(params, particles, alignment, rng):
    """Return where each tilt shows the particles, and at what heights: float64[N, P, 2] and [N, P]."""
    centres, dose = particles.centers_ang_zyx, params.dose_mid_e_ang2
    field = bend(1.0, _CELL_ANG * _cells(params), params.thickness_ang, dose.max(), rng)
    # Opposite faces of the ice bend unequally.
    leaning = 1.0 + 0.5 * centres[:, :1] / params.thickness_ang
    end_ang = leaning * field.displacement(centres, dose.max())
    scale = params.bend_ang / np.sqrt(np.mean(np.sum(end_ang**2, axis=1)))
    places, depth_ang = np.empty((params.n_tilts, len(centres), 2)), np.empty((params.n_tilts, len(centres)))
    drift = _drift(params, centres, rng)
    for tilt in range(params.n_tilts):
        moved = centres + scale * leaning * field.displacement(centres, dose[tilt]) + drift[tilt]
        seen, depth = alignment.project(moved)
        places[tilt], depth_ang[tilt] = seen[tilt], depth[tilt]
    return places, depth_ang


def _drift(params, centres, rng):
    """Return how each particle moves by itself: float64[N, P, 3]; neighbours alike, steps larger early."""
    if not params.drift_ang:
        return np.zeros((params.n_tilts, *centres.shape))
    share = params.dose_mid_e_ang2 / params.dose_mid_e_ang2.max()
    growth = np.stack([1.0 - np.exp(-4.0 * share), share, 0.3 * np.cos(2 * np.pi * share)])
    ways = rng.normal(size=(3, *centres.shape))
    if params.alike_ang:
        apart = np.linalg.norm(centres[:, None] - centres, axis=-1) / params.alike_ang
        ways = np.linalg.cholesky(np.exp(-0.5 * apart**2) + 1e-6 * np.eye(len(centres))) @ ways
    drift = np.einsum("kn,kpa->npa", growth, ways)
    drift -= drift.mean(axis=0)
    return drift * params.drift_ang / np.sqrt(np.mean(np.sum(drift**2, axis=2)))


def _believed(params, particles, alignment, places_ang_yx, rng):
    """Find the place of each particle that fits its images best if nothing bends, and lose its pose a little."""
    weight = np.sqrt(np.abs(alignment.rotations[:, 2, 2]) * np.exp(-params.dose_mid_e_ang2 / 60.0))
    rows = (weight[:, None, None] * alignment.rotations[:, 1::-1]).reshape(-1, 3)
    seen = weight[:, None, None] * (places_ang_yx - alignment.shift_ang_yx[:, None])
    centres_xyz = np.linalg.lstsq(rows, seen.transpose(0, 2, 1).reshape(len(rows), -1), rcond=None)[0].T
    off_ang = params.off_sd_ang * rng.normal(size=centres_xyz.shape)
    turned = particles.matrices @ small_turns(params.off_sd_deg * rng.normal(size=centres_xyz.shape))
    return particles.replace(
        centers_ang_zyx=centres_xyz[:, ::-1] + off_ang, quaternions_xyzw=quaternions_from_matrices(turned)
    )


def small_turns(turns_deg):
    """Rotations by small angles about x, y and z at once: float64[P, 3, 3] for float64[P, 3]."""
    halves = np.deg2rad(turns_deg) / 2
    return matrices_from_quaternions(np.concatenate([halves, np.ones((len(halves), 1))], axis=1))


class _Camera:
    """Images particles: slices of a map in boxes wide enough for what the CTF spreads."""

    def __init__(self, params, density):
        self._params = params
        spread_px = params.optics.wavelength_ang * 1.3 * params.defocus_ang * 0.5 / params.pixel_ang**2
        self._wide_px = next_fast_size(params.box_px + 2 * int(min(spread_px, params.box_px / 2)))
        self._grid = CubeGrid(self._wide_px, padding=1.4)
        self._cube = self._grid.cube_of(pad_centred(density, (self._wide_px,) * 3, "constant"))
        self._response = Response(self._wide_px, params.pixel_ang, params.optics, "grant-grigorieff")
        k_inv_ang = radial_frequencies((self._wide_px, self._wide_px)) / params.pixel_ang
        self._envelope = np.exp(-0.25 * params.envelope_b_ang2 * k_inv_ang**2)
        field_ang = _CELL_ANG * (_cells(params) + 0.2) + params.diameter_ang + 40.0
        self._size_px = next_fast_size(int(field_ang / params.pixel_ang))

    def series(self, name, particles, alignment, ctf, places_ang_yx, depth_ang, rng):
        params = self._params
        images = np.empty((params.n_tilts, self._size_px, self._size_px), np.uint8)
        for tilt in range(params.n_tilts):
            turns = params.optics.stretch @ alignment.rotations[tilt] @ particles.matrices
            phase = self._phase(tilt, turns, ctf, places_ang_yx[tilt], depth_ang[tilt])
            if params.tilt_weakens:
                phase *= np.float32(alignment.rotations[tilt, 2, 2])
            mean = params.dose_per_tilt_e_ang2 * params.pixel_ang**2
            # As many electrons to a pixel as here are as good as normal.
            counts = mean * (1.0 - 2.0 * phase) + np.sqrt(mean) * rng.standard_normal(phase.shape, np.float32)
            images[tilt] = np.clip(np.rint(counts), 0, 255)
        return TiltSeries(
            name=name,
            images=images,
            tilt_deg=np.linspace(-params.tilt_max_deg, params.tilt_max_deg, params.n_tilts),
            pixel_ang=params.pixel_ang,
            axis_deg=85.0,
            dose_before_e_ang2=params.dose_mid_e_ang2 - params.dose_per_tilt_e_ang2 / 2,
            dose_of_tilt_e_ang2=params.dose_per_tilt_e_ang2,
            optics=params.optics,
        )

    def _phase(self, tilt, turns, ctf, places_ang_yx, depth_ang):
        """Return what all particles do to the phase of the wave, through the CTF: float32[ny, nx], rad."""
        m, n = self._wide_px, self._size_px
        at_px = pixels_from_ang(places_ang_yx, self._params.pixel_ang, (n, n))
        whole = np.rint(at_px).astype(int)
        slices = self._grid.extract(self._cube, np.ascontiguousarray(turns[:, :2], np.float32))
        defocus = ctf.defocus_u_ang[tilt] + ctf.hand * depth_ang
        slices *= self._response.ctf(defocus, defocus, 0.0, 0.0) * shift_phases(m, at_px - whole)
        left = self._response.fading(self._params.dose_mid_e_ang2[tilt], ctf.b_ang2[tilt])
        slices *= left * self._envelope * np.float32(ctf.scale[tilt])
        if self._response.odd_wave is not None:
            slices *= self._response.odd_wave
        boxes = np.fft.fftshift(scipy.fft.irfft2(slices, s=(m, m), norm="ortho"), axes=(1, 2))
        canvas = np.zeros((n + 2 * m, n + 2 * m), np.float32)
        for box, (y, x) in zip(boxes, whole + m - m // 2, strict=True):
            canvas[y : y + m, x : x + m] += box
        rad = interaction_rad_per_volt_ang(self._params.optics) * self._params.pixel_ang
        return np.float32(rad) * canvas[m:-m, m:-m]
