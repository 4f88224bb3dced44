"""Take proteasomes and ribosomal subunits among gold from raw images to polished averages, and compare with the truth.

    PYTHONPATH=tests python tests/benchmarks/bench_polish_fiducials.py DATA PROJECT [gold|features]

DATA is the folder of `sim_fiducial_A`; PROJECT is made by the commands a person would give, unless it is there. A copy
of it is polished in each mode, both species at once. Prints a table: where averages fall below an FSC of 0.5 with the
true map, and how many shells agree with it, counting parts (sums of both halves, which no filter has touched); and how
far the alignment is off where particles lie. The last line is the average of the same particles at the true geometry,
CTF and poses.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform

from napari_tomoflow.cli.main import main as tomoflow
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Alignment, DensityMap, ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.core.ops.fsc import crossing, shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.project import Project
from truth.docking import frame_of, fsc_with
from truth.test_average_fiducials import BOX_PX, FRAME, FRAME_SHIFT_PX_XYZ, PIXEL_ANG, data_of, template

SERIES, P20S, R30S = "A", "P20S", "R30S"
SYMMETRY = {P20S: "D7", R30S: "C1"}
DIAMETER_ANG = {P20S: 190.0, R30S: 200.0}
MASK_PX = {P20S: (22, 6), R30S: (29, 6)}
MODES = ("regularised", "subtilt")
NEAR_ANG = 60.0
ACQUISITION = {
    "--pixel-ang": 5, "--voltage-kv": 300, "--cs-mm": 2.7, "--amplitude-contrast": 0.07, "--axis-deg": -5,
    "--dose-per-tilt": 2.44, "--order": "monotonic",
}  # fmt: skip


def commands(data, landmarks):
    """List what leads from raw images to averages of both species; the second begins with its template, at 50 Å."""
    large, small = (data / "truth" / f"template_{species}_2A.mrc" for species in (R30S, P20S))
    told = {species: ["--species", species, "--diameter-ang", DIAMETER_ANG[species]] for species in SYMMETRY}
    return [
        ["import", data / "tilt_series.mrc", "--name", SERIES, "--angles", data / "tilt_series.rawtlt",
         *(word for pair in ACQUISITION.items() for word in pair)],
        ["align", "--landmarks", landmarks],
        ["ctf"],
        ["reconstruct", "--voxel-ang", 10, "--weighting", "ramp", "--thickness-ang", 800],
        ["match", "--template", small, "--species", P20S, "--angular-step-deg", 12],
        ["match", "--template", large, "--species", R30S, "--angular-step-deg", 12, "--rivals", small],
        ["initial-model", *told[P20S], "--symmetry", "D7", "--iterations", 36, "--starts", 2],
        ["refine", *told[P20S], "--symmetry", "D7", "--box-px", BOX_PX],
        ["refine", *told[R30S], "--symmetry", "C1", "--box-px", BOX_PX, "--reference", large, "--start-ang", 50,
         "--reach-ang", 15],
    ]  # fmt: skip


def averaged(data, folder, landmarks):
    """Make the project, unless it is there."""
    if not folder.exists():
        run("new", folder)
        for name, *words in commands(data, landmarks):
            run(name, folder, *words)


def run(*words):
    """Give a command."""
    if tomoflow([str(one) for one in words]) != 0:
        raise SystemExit(f"`tomoflow {' '.join(map(str, words))}` failed.")


def polished(folder, mode):
    """Polish both species of a copy of the project in one mode."""
    copied = folder.with_name(f"{folder.name}_{mode}")
    if not copied.exists():
        shutil.copytree(folder, copied)
        run("polish", copied, "--mode", mode)
    return copied


def truth_of(data, species):
    """Return the data set of all true particles of a species, its axes of symmetry where averages have them."""
    dataset = data_of(data, species, within_ang=np.inf)
    if species == R30S:
        return dataset
    true = dataset.particles
    shifts = np.einsum("pij,j->pi", true.matrices, FRAME_SHIFT_PX_XYZ * PIXEL_ANG)[:, ::-1]
    turned = poses.quaternions_from_matrices(true.matrices @ FRAME)
    return dataset.replace(
        particles=true.replace(centers_ang_zyx=true.centers_ang_zyx + shifts, quaternions_xyzw=turned)
    )


def true_map(data, species):
    """Return the true map in the frame of the true poses."""
    volume = template(data, species)
    if species == R30S:
        return volume
    centre, matrix = np.full(3, BOX_PX // 2), FRAME[::-1, ::-1]
    return affine_transform(volume, matrix, centre + FRAME_SHIFT_PX_XYZ[::-1] - matrix @ centre, order=3)


def placed_alike(alignment, truth):
    """Return the true particles where an alignment has them, and how far it is off: its images tell where they are.

    The frame of an alignment is free: its places are those that fit where the true geometry shows the particles.
    """
    seen = truth.alignments[SERIES].project(truth.particles.centers_ang_zyx)[0]
    rigid = alignment.replace(deformation=None).image_from_sample()
    rows, rest = rigid[:, :2, :3].reshape(-1, 3), seen[..., ::-1] - rigid[:, None, :2, 3]
    places_xyz = np.linalg.lstsq(rows, rest.transpose(0, 2, 1).reshape(len(rows), -1), rcond=None)[0].T
    true_xyz = truth.particles.centers_ang_zyx[:, ::-1]
    left, _, right = np.linalg.svd((places_xyz - places_xyz.mean(0)).T @ (true_xyz - true_xyz.mean(0)))
    turned = poses.quaternions_from_matrices(left @ right @ truth.particles.matrices)
    particles = truth.particles.replace(centers_ang_zyx=places_xyz[:, ::-1], quaternions_xyzw=turned)
    off = alignment.project(particles.centers_ang_zyx)[0] - seen
    return particles, float(np.sqrt(np.mean(np.sum(off**2, axis=2))))


def found(data, folder, species):
    """Return the FSC of an average with the true map, which true particles it is of, and how far they are off."""
    project = Project.open(folder)
    particles, average = project.load(ParticleSet, species), project.load(DensityMap, species)
    true, off_ang = placed_alike(project.load(Alignment, SERIES), truth_of(data, species))
    apart = np.linalg.norm(particles.centers_ang_zyx[:, None] - true.centers_ang_zyx, axis=2)
    nearest, is_near = apart.argmin(axis=1), apart.min(axis=1) < NEAR_ANG
    frame, *_ = frame_of(particles[is_near], true[nearest[is_near]], PIXEL_ANG, SYMMETRY[species])
    mask = soft_sphere(BOX_PX, *MASK_PX[species])
    fsc = fsc_with(true_map(data, species), np.mean([np.asarray(one) for one in average.halves], axis=0), frame, mask)
    return fsc, nearest[is_near], off_ang


def best(data, species, chosen):
    """Return the FSC with the true map of some particles averaged at the true geometry, CTF and poses."""
    truth = truth_of(data, species)
    source = DatasetImages(
        truth.replace(particles=truth.particles[chosen]), Sampling(BOX_PX, PIXEL_ANG, DIAMETER_ANG[species] / 2)
    )
    made, mask = reconstruct_at_poses(source, symmetry=SYMMETRY[species]), soft_sphere(BOX_PX, *MASK_PX[species])
    return shell_sums(np.mean(made.halves, axis=0) * mask, true_map(data, species) * mask).fsc


def cells(fsc):
    """Put a curve into words: where it falls below 0.5, in Å, and how many shells agree."""
    at = crossing(fsc, np.arange(len(fsc)) / (BOX_PX * PIXEL_ANG), 0.5)
    return f"{2 * PIXEL_ANG if at is None else 1 / at:.2f} Å ({np.clip(fsc[1:], 0, 1).sum():.2f})"


def table(data, folder):
    """Yield the lines of the table."""
    yield f"| | alignment off | {' | '.join(SYMMETRY)} |"
    yield "|" + "---|" * (2 + len(SYMMETRY))
    chosen = {}
    for name, each in (("refined", folder), *((mode, polished(folder, mode)) for mode in MODES)):
        curves = {species: found(data, each, species) for species in SYMMETRY}
        chosen |= {species: numbers for species, (_, numbers, _) in curves.items() if each == folder}
        off_ang = next(iter(curves.values()))[2]
        yield f"| {name} | {off_ang:.2f} Å | {' | '.join(cells(fsc) for fsc, _, _ in curves.values())} |"
    yield f"| truth | 0 | {' | '.join(cells(best(data, species, numbers)) for species, numbers in chosen.items())} |"


def main(data, folder, landmarks="gold"):
    """Print the table."""
    averaged(Path(data), Path(folder), landmarks)
    for line in table(Path(data), Path(folder)):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
