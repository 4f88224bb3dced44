"""The stage `extract`, its files, and that a stack averages to what the raw series does."""

import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.averaging.stack_images import StackImages
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import (
    Aberrations,
    Alignment,
    CtfSeries,
    Dataset,
    Optics,
    ParticleSet,
    SubtiltSet,
    TiltSeries,
)
from napari_tomoflow.core.ops.aberrations import odd_phase_rad
from napari_tomoflow.core.ops.ctf import ctf_2d, rfft_frequencies
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.stages.extract import ExtractParams, extract
from napari_tomoflow.io.mrc import allocate_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.subtilts import read_subtilts

N_TILTS, SIZE, PIXEL_ANG = 15, 200, 6.0
LOBES_XYZ = np.array([[30.0, 0, 0], [0, 42, 0], [-20, -14, 24], [6, -30, -36]])
SMALL = ExtractParams(diameter_ang=140.0, box_px=40, dtype="float32")


@pytest.fixture(scope="module")
def dataset():
    """Twelve chiral particles of four lobes in a series of two exposures, with CTF and noise."""
    rng = np.random.default_rng(17)
    alignment = Alignment(
        tilt_deg=np.linspace(-56, 56, N_TILTS), axis_deg=np.array(82.0), shift_ang_yx=rng.normal(0, 20, (N_TILTS, 2))
    )
    optics = Optics()
    defocus = rng.normal(25000, 300, N_TILTS)
    ctf = CtfSeries(
        optics=optics, defocus_u_ang=defocus + 200, defocus_v_ang=defocus - 200, azimuth_deg=np.array(20.0), hand=-1
    )
    centers = np.stack([rng.uniform(-150, 150, 12), *rng.uniform(-380, 380, (2, 12))], axis=1)
    particles = ParticleSet(
        centers_ang_zyx=centers,
        quaternions_xyzw=rng.normal(size=(12, 4)),
        tomogram=np.array("TS"),
        half=np.arange(12) % 2 + 1,
    )
    noise = rng.normal(0, 1.0, (N_TILTS, SIZE, SIZE))
    images = []
    k_yx = rfft_frequencies((SIZE, SIZE), PIXEL_ANG)
    for tilt in range(N_TILTS):
        image_rft = np.zeros((SIZE, SIZE // 2 + 1), complex)
        for matrix, center in zip(particles.matrices, centers, strict=True):
            lobes = center + (LOBES_XYZ @ matrix.T)[:, ::-1]
            seen, _ = alignment.project(lobes)
            depth = alignment.project(center[None])[1][tilt, 0]
            for v, u in seen[tilt]:
                wave = np.exp(-2j * np.pi * (k_yx[0] * v + k_yx[1] * u)) * np.exp(
                    -2 * (np.pi * np.hypot(*k_yx) * 9.0) ** 2
                )
                image_rft += wave * ctf_2d(k_yx, defocus[tilt] + 200 - depth, defocus[tilt] - 200 - depth, 20.0, optics)
        clean = np.fft.fftshift(scipy.fft.irfft2(image_rft))
        images.append(100 - 30 * clean + noise[tilt])
    series = TiltSeries(
        name="TS", images=np.array(images, np.float32), tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG, axis_deg=82.0,
        dose_before_e_ang2=np.argsort(np.argsort(np.abs(alignment.tilt_deg), kind="stable")) * 2.0,
    )  # fmt: skip
    return Dataset(particles=particles, series={"TS": series}, alignments={"TS": alignment}, ctfs={"TS": ctf})


def lobes_map(size, pixel_ang):
    offset = (np.arange(size) - size // 2) * pixel_ang
    squared = [
        (offset[:, None, None] - z) ** 2 + (offset[:, None] - y) ** 2 + (offset - x) ** 2 for x, y, z in LOBES_XYZ
    ]
    return sum(np.exp(-0.5 * each / 9.0**2) for each in squared)


@pytest.mark.parametrize("ctf", ["none", "flip", "multiply", "weigh"])
def test_a_stack_averages_to_the_particle_as_the_raw_series_does(dataset, ctf):
    sampling = Sampling(32, PIXEL_ANG, 70.0)
    truth = lobes_map(32, PIXEL_ANG)
    subtilts = extract(dataset, params=SMALL.replace(ctf=ctf))
    direct = reconstruct_at_poses(DatasetImages(dataset, sampling)).volume
    stacked = reconstruct_at_poses(StackImages(subtilts, sampling)).volume
    # From 96 Å, where the CTF lets something through, to 38 Å, where the lobes fade into the noise.
    assert shell_sums(direct, truth).fsc[2:6].min() > 0.8
    assert shell_sums(stacked, truth).fsc[2:6].min() > 0.8
    assert shell_sums(stacked, direct).fsc[2:6].min() > 0.95


def test_odd_aberrations_are_taken_out_once(dataset):
    lens = Optics(aberrations=Aberrations(odd_zernike=(0.0, 0.0, 0.0, 0.0, 0.0, 1e5)))
    series, ctf = dataset.series["TS"], dataset.ctfs["TS"]
    turn = np.exp(1j * odd_phase_rad(rfft_frequencies((SIZE, SIZE), PIXEL_ANG), lens))
    turned = series.replace(images=scipy.fft.irfft2(scipy.fft.rfft2(series.images) * turn).astype(np.float32))
    blind = dataset.replace(series={"TS": turned})
    aberrant = blind.replace(ctfs={"TS": ctf.replace(optics=lens)})
    subtilts = extract(aberrant, params=SMALL)
    assert not subtilts.optics.aberrations.is_odd
    sampling = Sampling(32, PIXEL_ANG, 70.0)
    sources = DatasetImages(aberrant, sampling), StackImages(subtilts, sampling), DatasetImages(blind, sampling)
    right = reconstruct_at_poses(DatasetImages(dataset, sampling)).volume
    raw, stacked, unaware = (shell_sums(reconstruct_at_poses(one).volume, right).fsc[2:6] for one in sources)
    assert raw.min() > 0.95
    assert stacked.min() > 0.95
    assert unaware.min() < 0.6


def test_stacks_are_as_far_stretched_as_the_images_they_are_cut_from(dataset):
    lens = Optics(magnification=((1.01, 0.004), (-0.002, 0.985)))
    stretched = dataset.replace(ctfs={"TS": dataset.ctfs["TS"].replace(optics=lens)})
    subtilts, sampling = extract(stretched, params=SMALL), Sampling(32, PIXEL_ANG, 70.0)
    assert subtilts.optics == lens
    of_tilts = lens.stretch @ dataset.alignments["TS"].rotations
    raw, stacked = (
        one.images(np.arange(2)) for one in (DatasetImages(stretched, sampling), StackImages(subtilts, sampling))
    )
    np.testing.assert_allclose(raw.rotations, [of_tilts, of_tilts], atol=1e-12)
    for number, seen in enumerate(stacked.visible):
        np.testing.assert_allclose(
            stacked.rotations[number, seen], of_tilts[subtilts.tilt[subtilts.particle == number]], atol=1e-9
        )


def test_strong_tilts_count_more(dataset):
    ctf = dataset.ctfs["TS"]
    scale = np.where(np.arange(N_TILTS) % 2, 1.2, 0.6)
    uneven = dataset.replace(ctfs={"TS": ctf.replace(scale=scale, b_ang2=np.full(N_TILTS, 100.0))})
    sampling = Sampling(32, PIXEL_ANG, 70.0)
    plain, weighed = (DatasetImages(one, sampling).images(np.arange(2)) for one in (dataset, uneven))
    # Along x by 3 steps of 32 pixels.
    left = np.exp(-0.25 * 100.0 * (3 / (32 * plain.pixel_ang)) ** 2)
    ratio = np.sqrt(weighed.power[:, :, 0, 3] / plain.power[:, :, 0, 3])
    np.testing.assert_allclose(ratio, np.tile(scale * left, (2, 1)), rtol=0.05)
    plain, weighed = (extract(one, params=SMALL).weight for one in (dataset, uneven))
    assert set(np.round(weighed / plain, 6)) == {0.6, 1.2}


def test_sub_tilts_are_rows_by_particle_and_exposure_with_the_defocus_of_their_height(dataset):
    subtilts = extract(dataset, params=SMALL)
    assert subtilts.images.shape == (len(subtilts), 40, 40)
    assert np.all(np.diff(subtilts.particle) >= 0)
    first = subtilts.particle == 3
    assert np.all(np.diff(subtilts.dose_e_ang2[first]) > 0)
    alignment, ctf = dataset.alignments["TS"], dataset.ctfs["TS"]
    _, depth = alignment.project(subtilts.particles.centers_ang_zyx)
    expected = ctf.defocus_u_ang[subtilts.tilt] - depth[subtilts.tilt, subtilts.particle]
    np.testing.assert_allclose(subtilts.defocus_u_ang, expected)
    np.testing.assert_allclose(subtilts.rotations, alignment.rotations[subtilts.tilt], atol=1e-9)


def test_uncorrected_images_have_a_background_of_0_and_1(dataset):
    images = extract(dataset, params=SMALL.replace(ctf="none")).images
    corners = np.concatenate([images[:, :6, :6], images[:, -6:, -6:]])
    assert abs(corners.mean()) < 0.1
    assert corners.std() == pytest.approx(1.0, abs=0.1)


def test_weighed_images_are_multiplied_by_what_relion_expects_of_them(dataset):
    weighed, plain = (extract(dataset, params=SMALL.replace(ctf=ctf, box_px=64)) for ctf in ("weigh", "none"))
    series = dataset.series["TS"]
    np.testing.assert_allclose(weighed.dose_e_ang2, series.dose_before_e_ang2[weighed.tilt])
    k_yx = rfft_frequencies((64, 64), PIXEL_ANG)
    row = int(np.flatnonzero((weighed.particle == 2) & (weighed.tilt == 4))[0])
    ctf = ctf_2d(k_yx, weighed.defocus_u_ang[row], weighed.defocus_v_ang[row], 20.0, weighed.optics)
    with np.errstate(divide="ignore"):
        critical = 0.245 * np.hypot(*k_yx) ** -1.665 + 2.81
    left = np.cos(np.deg2rad(series.tilt_deg[4])) * np.exp(-0.5 * series.dose_before_e_ang2[4] / critical)
    expected = np.fft.irfft2(np.fft.rfft2(np.fft.ifftshift(plain.images[row])) * ctf * left, s=(64, 64))
    inside = np.hypot(*(np.indices((64, 64)) - 32)) < 16
    # The box it was cut from was wider than this one, so the rim differs.
    got = weighed.images[row][inside]
    assert np.corrcoef(got, np.fft.fftshift(expected)[inside])[0, 1] > 0.99
    assert got.std() == pytest.approx(np.fft.fftshift(expected)[inside].std(), rel=0.03)


def test_each_particle_reconstructed_by_itself_shows_its_own_pose(dataset):
    subtilts = extract(dataset, params=SMALL.replace(content="volumes"))
    assert subtilts.images is None
    n = 40
    offset = (np.arange(n) - n // 2) * PIXEL_ANG
    near = np.linalg.norm(np.indices((n, n, n)) - n // 2, axis=0) < 12
    own, mirrored = [], []
    for number, matrix in enumerate(subtilts.particles.matrices):
        planes = slice(number * n, (number + 1) * n)
        volume, sampling = subtilts.volumes[planes], subtilts.sampling[planes]
        squared = [
            (offset[:, None, None] - z) ** 2 + (offset[:, None] - y) ** 2 + (offset - x) ** 2
            for x, y, z in LOBES_XYZ @ matrix.T
        ]
        truth = sum(np.exp(-0.5 * each / 9.0**2) for each in squared)
        # What is expected of the volume is the density times the sampling.
        for density, found in ((truth, own), (np.roll(truth[::-1], 1, axis=0), mirrored)):
            expected = scipy.fft.irfftn(scipy.fft.rfftn(density) * sampling)
            found.append(np.corrcoef(volume[near], expected[near])[0, 1])
    assert np.mean(own) > 0.6
    assert np.mean(own) > np.mean(mirrored) + 0.15
    assert np.all(np.array(own) > mirrored)


def test_particles_few_tilts_show_are_left_out_and_counted(dataset):
    at_the_edge = dataset.particles.centers_ang_zyx.copy()
    at_the_edge[4] = (0.0, 570.0, 0.0)
    moved = dataset.replace(particles=dataset.particles.replace(centers_ang_zyx=at_the_edge))
    subtilts = extract(moved, params=SMALL)
    assert subtilts.quality["left_out"] == 1
    assert 4 not in subtilts.particles.ids
    none = moved.replace(particles=moved.particles.replace(centers_ang_zyx=np.full((12, 3), 900.0)))
    with pytest.raises(DataError, match="within enough images"):
        extract(none, params=SMALL)


def test_what_is_saved_is_read_back_and_understood_as_other_programs_would(dataset, tmp_path):
    params = SMALL.replace(content="both", dtype="float16")
    subtilts = extract(
        dataset, params=params, allocate=lambda name, shape, dtype: allocate_mrc(tmp_path / f"{name}.mrc", shape, dtype)
    )
    assert save(subtilts, tmp_path) == {"SubtiltSet": "subtilts.star"}
    back = load(SubtiltSet, tmp_path)
    assert not list(tmp_path.glob("*.partial"))
    for name in ("images", "volumes", "sampling"):
        np.testing.assert_array_equal(np.asarray(getattr(back, name)), getattr(subtilts, name))
    for name in ("particle", "tilt", "quaternions_xyzw", "shift_ang_yx", "defocus_u_ang", "dose_e_ang2", "weight"):
        np.testing.assert_allclose(getattr(back, name), getattr(subtilts, name), atol=1e-9)
    np.testing.assert_allclose(back.particles.centers_ang_zyx, subtilts.particles.centers_ang_zyx)
    assert (back.correction, back.pixel_ang, back.optics) == ("multiply", PIXEL_ANG, subtilts.optics)
    # Without the columns that are ours alone: whole rotations, as Warp writes them.
    text = (tmp_path / "subtilts.star").read_text().replace("tomoflow", "unknown")
    (tmp_path / "foreign.star").write_text(text)
    foreign = read_subtilts(tmp_path / "foreign.star")
    whole = foreign.rotations @ foreign.particles.matrices[foreign.particle]
    np.testing.assert_allclose(whole, subtilts.rotations @ subtilts.particles.matrices[subtilts.particle], atol=1e-6)
    np.testing.assert_array_equal(foreign.particle, subtilts.particle)


def test_what_is_not_known_of_the_ctf_is_said(dataset):
    assert "warnings" not in extract(dataset, params=SMALL).quality
    undecided = dataset.replace(ctfs={"TS": dataset.ctfs["TS"].replace(hand=0)})
    assert "hand of TS is undecided" in extract(undecided, params=SMALL).quality["warnings"][0]
    assert "No CTF is known of TS" in extract(dataset.replace(ctfs={}), params=SMALL).quality["warnings"][0]


def test_impossible_wishes_are_refused(dataset):
    with pytest.raises(ParamError, match="odd"):
        ExtractParams(box_px=33)
    with pytest.raises(ParamError, match="flip"):
        ExtractParams(content="volumes", ctf="none")
    with pytest.raises(ParamError, match="diameter_ang"):
        extract(dataset, params=ExtractParams())
    other = dataset.series["TS"].replace(name="other", pixel_ang=7.5)
    mixed = Dataset(
        particles=dataset.particles.replace(tomogram=np.array(["TS", "other"] * 6)),
        series={"TS": dataset.series["TS"], "other": other},
        alignments=dict.fromkeys(("TS", "other"), dataset.alignments["TS"]),
        ctfs={"TS": dataset.ctfs["TS"], "other": dataset.ctfs["TS"].replace(optics=Optics(voltage_kv=200))},
    )
    with pytest.raises(DataError, match="extract them apart"):
        extract(mixed, params=SMALL)
