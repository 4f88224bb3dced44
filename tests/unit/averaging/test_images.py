"""Images of particles: where they are cut, how they are shifted, cropped and weighed."""

import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ParticleImages, batches, cut_to_box, shift_phases
from napari_tomoflow.core.averaging.sampling import Response, Sampling, cropped_rft
from napari_tomoflow.core.averaging.series_images import DatasetImages, SeriesImages
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Dataset, Deformation, Optics, ParticleSet, TiltSeries
from napari_tomoflow.core.ops.ctf import ctf_2d, dose_envelope, rfft_frequencies
from napari_tomoflow.core.ops.geometry import tilt_rotations

RNG = np.random.default_rng(8)
SAMPLING = Sampling(32, 4.0, 40.0, dose_weighting="none", tilt_weighting=False)


def blob_series(positions_px, *, shape=(2, 160, 150), pixel_ang=4.0, width=2.0, noise=0.02, **more):
    """Images of round dark blobs at places (tilt, y, x), to a fraction of a pixel."""
    y, x = np.indices(shape[1:])
    images = 10 + noise * RNG.normal(size=shape)
    for tilt, row, column in positions_px:
        images[tilt] -= np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / width**2)
    return TiltSeries(
        name="blobs",
        images=images.astype(np.float32),
        tilt_deg=np.linspace(0, 30, shape[0]),
        pixel_ang=pixel_ang,
        axis_deg=85.0,
        **more,
    )


def seen(series, alignment, centers):
    """Where particles are seen, pixels: [tilt, particle, yx]."""
    image_ang_yx, _ = alignment.project(centers)
    return image_ang_yx / series.pixel_ang + np.array(series.shape_yx) // 2


def centre_of_mass(images_rft):
    """Where the brightest thing of an image is, px from pixel 0."""
    image = scipy.fft.irfft2(images_rft, norm="ortho")
    n = image.shape[-1]
    image = np.clip(image, 0.3 * image.max(), None) - 0.3 * image.max()
    offset = scipy.fft.fftfreq(n) * n
    return np.array([(image * offset[:, None]).sum(), (image * offset).sum()]) / image.sum()


CENTERS = np.array([[40.0, 61.3, -30.7], [-25.0, -70.2, 55.9]])


@pytest.mark.parametrize(("pixel_ang", "box_px"), [(4.0, 24), (8.0, 14)])
def test_particles_lie_at_pixel_0_wherever_between_pixels_they_are_seen(pixel_ang, box_px):
    alignment = Alignment(
        tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0), shift_ang_yx=np.array([[3.3, -9.1], [8.0, 2.2]])
    )
    places = seen(blob_series([]), alignment, CENTERS)
    series = blob_series([(tilt, *places[tilt, p]) for tilt in range(2) for p in range(2)], width=4.0)
    images = SeriesImages(series, alignment, None, Sampling(box_px, pixel_ang, 40.0)).images(CENTERS)
    assert images.visible.all()
    for particle in range(2):
        for tilt in range(2):
            np.testing.assert_allclose(centre_of_mass(images.images_rft[particle, tilt]), 0, atol=0.1)


def test_local_deformation_moves_the_boxes_with_the_specimen():
    nodes = RNG.normal(0, 12, (2, 3, 3, 2))
    bent = Alignment(
        tilt_deg=[0.0, 30.0],
        axis_deg=np.array(85.0),
        deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=(640, 600)),
    )
    rigid = bent.replace(deformation=None)
    places = seen(blob_series([]), bent, CENTERS)
    series = blob_series([(tilt, *places[tilt, p]) for tilt in range(2) for p in range(2)], width=4.0)
    offsets = [
        centre_of_mass(SeriesImages(series, each, None, SAMPLING).images(CENTERS).images_rft[0, 1])
        for each in (bent, rigid)
    ]
    np.testing.assert_allclose(offsets[0], 0, atol=0.1)
    expected = places[1, 0] - seen(series, rigid, CENTERS)[1, 0]
    np.testing.assert_allclose(offsets[1], expected, atol=0.15)


def test_dense_matter_is_bright_whatever_the_images_show():
    alignment = Alignment(tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0))
    series = blob_series([(0, 80, 75), (1, 80, 75)])
    inverse = series.replace(images=-series.images, contrast="bright")
    centre = np.zeros((1, 3))
    one, other = (SeriesImages(each, alignment, None, SAMPLING).images(centre) for each in (series, inverse))
    assert scipy.fft.irfft2(one.images_rft[0, 0])[0, 0] > 0
    np.testing.assert_allclose(one.images_rft, other.images_rft, atol=1e-3)


def test_particles_beyond_the_border_and_tilts_left_out_are_not_seen():
    alignment = Alignment(tilt_deg=[0.0, 30.0, 40.0], axis_deg=np.array(0.0), kept=np.array([True, False, True]))
    series = blob_series([], shape=(3, 160, 150))
    images = SeriesImages(series, alignment, None, SAMPLING).images(np.array([[0.0, 0, 0], [0, 0, 262.0]]))
    np.testing.assert_array_equal(images.visible, [[True, True], [False, True]])
    assert not images.images_rft[1, 0].any()
    assert not images.power[1, 0].any()


def test_each_particle_has_the_ctf_of_its_own_height_and_the_exposure_of_its_tilt():
    alignment = Alignment(tilt_deg=[0.0, 40.0], axis_deg=np.array(85.0))
    series = blob_series([], noise=1.0, dose_before_e_ang2=np.array([0.0, 30.0]), dose_of_tilt_e_ang2=np.array(4.0))
    ctf = CtfSeries(
        optics=Optics(),
        defocus_u_ang=[31000.0, 32000.0],
        defocus_v_ang=[29500.0, 30000.0],
        azimuth_deg=np.array(35.0),
        hand=-1,
    )
    source = SeriesImages(series, alignment, ctf, Sampling(32, 4.0, 40.0))
    image_ang_yx, depth_ang = alignment.project(CENTERS)
    boxes = source.wide_boxes(1, image_ang_yx[1], depth_ang[1])
    m = boxes.images_rft.shape[1]
    k_yx = rfft_frequencies((m, m), 4.0)
    for particle in range(2):
        rise = -depth_ang[1, particle]
        expected = ctf_2d(k_yx, 32000 + rise, 30000 + rise, 35.0, Optics())
        expected *= dose_envelope(np.hypot(*k_yx), 32.0, 300.0, "grant-grigorieff") * np.cos(np.deg2rad(40))
        np.testing.assert_allclose(boxes.ctf[particle] * boxes.left, expected, atol=1e-4)


def test_hot_pixels_are_mended_and_pixels_that_are_no_numbers_refused():
    alignment = Alignment(tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0))
    series = blob_series([(0, 80, 75), (1, 80, 75)], noise=1.0)
    spoilt = series.images.copy()
    spoilt[0, 84, 70] = 1e5
    sound, mended = (
        SeriesImages(each, alignment, None, SAMPLING).images(np.zeros((1, 3))).images_rft[0, 0]
        for each in (series, series.replace(images=spoilt))
    )
    # One pixel of 32² is the mean of its neighbours now.
    assert np.linalg.norm(mended - sound) < 0.1 * np.linalg.norm(sound)
    spoilt[1, 3, 3] = np.nan
    with pytest.raises(DataError, match="image 1 holds pixels that are not numbers"):
        SeriesImages(series.replace(images=spoilt), alignment, None, SAMPLING)


def test_noise_has_power_1_at_every_frequency_even_if_it_is_coloured():
    shape = (1, 400, 400)
    ky, kx = np.fft.fftfreq(400)[:, None], np.fft.rfftfreq(400)
    colour = 1 / (0.05 + np.hypot(ky, kx))
    noise = scipy.fft.irfft2(scipy.fft.rfft2(RNG.normal(size=shape)) * colour)
    series = TiltSeries(name="n", images=noise.astype(np.float32), tilt_deg=[0.0], pixel_ang=4.0, axis_deg=0.0)
    alignment = Alignment(tilt_deg=[0.0], axis_deg=np.array(0.0))
    source = SeriesImages(series, alignment, None, SAMPLING)
    places = RNG.uniform(-500, 500, (80, 2))
    boxes = source.wide_boxes(0, places, np.zeros(80))
    spectrum = (np.abs(boxes.images_rft / boxes.noise) ** 2).mean(axis=0)
    inner = spectrum[2:12, 2:12]
    assert inner.mean() == pytest.approx(1.0, abs=0.1)
    assert spectrum[14:18, 14:18].mean() == pytest.approx(inner.mean(), rel=0.2)


def test_frequencies_a_filter_took_out_stay_finite():
    kept = np.hypot(np.fft.fftfreq(160)[:, None], np.fft.rfftfreq(160)) < 0.2
    images = scipy.fft.irfft2(scipy.fft.rfft2(RNG.normal(size=(2, 160, 160))) * kept).astype(np.float32)
    series = TiltSeries(name="f", images=images, tilt_deg=[0.0, 30.0], pixel_ang=4.0, axis_deg=85.0)
    alignment = Alignment(tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0))
    made = SeriesImages(series, alignment, None, SAMPLING).images(np.zeros((1, 3)))
    assert np.isfinite(made.images_rft).all()
    assert np.isfinite(made.power).all()


def test_what_the_ctf_carried_out_of_the_box_is_brought_back():
    # A point seen through 4 µm of defocus spreads over 150 Å; a box of 128 Å alone would lose half of it.
    n, wide, pixel_ang = 32, 96, 4.0
    response = Response(wide, pixel_ang, Optics(), "none")
    transfer = response.ctf(40000.0, 40000.0, 0.0, 0.0)
    point = np.full((wide, wide // 2 + 1), 1 / wide, np.complex64)
    images_rft, power = cut_to_box(point * transfer * transfer, transfer**2, n)
    corrected, before = images_rft.real.sum() * n, power.sum()
    assert corrected == pytest.approx(before, rel=1e-3)
    uncut = np.mean(transfer[:, 1:-1] ** 2)
    assert power[:, 1:-1].mean() == pytest.approx(uncut, rel=0.06)


def test_response_equals_the_ctf_of_one_image_after_the_other():
    response = Response(24, 3.0, Optics(amplitude_contrast=0.1), "b-factor")
    values = np.array([[20000.0, 18000, 30, 0], [15000, 15000, 0, 90], [-3000, -4000, 120, 10]])
    got = response.ctf(*values.T)
    for one, (u, v, azimuth, phase) in zip(got, values, strict=True):
        expected = ctf_2d(rfft_frequencies((24, 24), 3.0), u, v, azimuth, Optics(amplitude_contrast=0.1), phase)
        np.testing.assert_allclose(one, expected, atol=2e-5)
    left = dose_envelope(np.hypot(*rfft_frequencies((24, 24), 3.0)), 25.0, 300.0, "b-factor")
    np.testing.assert_allclose(response.fading([25.0])[0], left, rtol=1e-5)


def test_shifting_and_cropping_keep_the_centre():
    image = np.zeros((30, 30), np.float32)
    image[7, 11] = 1.0
    moved = scipy.fft.irfft2(scipy.fft.rfft2(image) * shift_phases(30, np.array([-7.0, -11.0])))
    assert moved[0, 0] == pytest.approx(1.0, abs=1e-5)
    smooth = scipy.fft.irfft2(
        scipy.fft.rfft2(image) * np.exp(-200 * np.hypot(np.fft.fftfreq(30)[:, None], np.fft.rfftfreq(30)) ** 2)
    )
    coarse = cropped_rft(smooth.astype(np.float32), 20) * shift_phases(20, np.array([-7.0, -11.0]) * 20 / 30)
    assert np.unravel_index(np.argmax(scipy.fft.irfft2(coarse)), (20, 20)) == (0, 0)


def test_cropped_images_are_those_of_a_coarser_pixel():
    rotations = tilt_rotations(0.0, np.array([0.0, 20.0]))[None]
    values = (RNG.normal(size=(1, 2, 32, 17)) + 1j * RNG.normal(size=(1, 2, 32, 17))).astype(np.complex64)
    images = ParticleImages(
        images_rft=values, power=np.abs(values), rotations=rotations, visible=np.ones((1, 2), bool), pixel_ang=3.0
    )
    coarse = images.cropped(16)
    assert coarse.pixel_ang == 6.0
    np.testing.assert_array_equal(coarse.images_rft[0, 0, -3, 5], values[0, 0, -3, 5])
    np.testing.assert_array_equal(coarse.power[0, 1, 3, 2], images.power[0, 1, 3, 2])
    with pytest.raises(DataError, match="cropped to 40"):
        images.cropped(40)


def test_axes_are_those_a_reference_is_seen_along():
    # x_tomo = A x_ref and (u, v) = R x_tomo: a point of the map is seen at the products with the axes.
    poses = ParticleSet(centers_ang_zyx=np.zeros((3, 3)), quaternions_xyzw=RNG.normal(size=(3, 4))).matrices
    rotations = np.tile(tilt_rotations(85.0, np.array([-40.0, 10.0])), (3, 1, 1, 1))
    empty = np.zeros((3, 2, 8, 5))
    images = ParticleImages(
        images_rft=empty.astype(np.complex64), power=empty.astype(np.float32), rotations=rotations,
        visible=np.ones((3, 2), bool), pixel_ang=1.0,
    )  # fmt: skip
    point = RNG.normal(size=3)
    for particle in range(3):
        for tilt in range(2):
            direct = rotations[particle, tilt] @ (poses[particle] @ point)
            np.testing.assert_allclose(images.axes(poses)[particle, tilt] @ point, direct[:2], atol=1e-5)


def test_batches_are_of_one_tomogram_and_hold_every_particle_once():
    tomogram = np.array(["b", "a", "b", "b", "a", "c", "b"])
    parts = batches(ParticleSet(centers_ang_zyx=np.zeros((7, 3)), tomogram=tomogram), 2)
    assert [part.tolist() for part in parts] == [[0, 2], [3, 6], [1, 4], [5]]


def test_a_source_cuts_each_particle_out_of_its_own_series():
    alignment = Alignment(tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0))
    particles = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), tomogram=np.array(["one", "two"]))
    series = {name: blob_series([(0, 80, 75)], noise=1.0) for name in ("one", "two")}
    dataset = Dataset(particles=particles, series=series, alignments=dict.fromkeys(series, alignment))
    source = DatasetImages(dataset, SAMPLING)
    alone = [SeriesImages(series[name], alignment, None, SAMPLING).images(np.zeros((1, 3))) for name in series]
    for number, expected in enumerate(alone):
        np.testing.assert_array_equal(source.images(np.array([number])).images_rft, expected.images_rft)
    moved = source.at(particles.replace(centers_ang_zyx=np.full((2, 3), 8.0)))
    assert not np.array_equal(moved.images(np.array([0])).images_rft, alone[0].images_rft)


def test_slices_are_projections_along_the_beam():
    # Gaussian balls, whose projections are known: a place of the map is seen where the rotation puts it.
    n, width = 32, 1.8
    places_xyz = np.array([[5.0, -3.0, 1.0], [-4.0, 6.0, 2.0], [0.5, 1.5, -7.0]])
    offset = np.arange(n) - n // 2
    z, y, x = np.meshgrid(offset, offset, offset, indexing="ij")
    squared = [(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 for a, b, c in places_xyz]
    volume = sum(np.exp(-0.5 * each / width**2) for each in squared)
    rotations = tilt_rotations(*RNG.uniform(-180, 180, (3, 20)))
    grid = CubeGrid(n)
    slices = grid.extract(grid.cube_of(volume), rotations[:, :2].astype(np.float32))
    got = np.fft.fftshift(scipy.fft.irfft2(slices, norm="ortho"), axes=(1, 2))
    v, u = np.meshgrid(offset, offset, indexing="ij")
    for image, rotation in zip(got, rotations, strict=True):
        seen_xy = (places_xyz @ rotation.T)[:, :2]
        flat = [np.exp(-0.5 * ((u - a) ** 2 + (v - b) ** 2) / width**2) for a, b in seen_xy]
        expected = np.sqrt(2 * np.pi) * width * sum(flat)
        # Linear interpolation at padding 2 errs by 4 % for a point a quarter of the box from the centre.
        np.testing.assert_allclose(image, expected, atol=0.05 * expected.max())
        assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("change", "words"),
    [({"box_px": 33}, "even"), ({"pixel_ang": 0.0}, "pixel"), ({"radius_ang": 70.0}, "does not fit")],
)
def test_impossible_samplings_are_refused_with_the_numbers(change, words):
    with pytest.raises(DataError, match=words):
        Sampling(**({"box_px": 32, "pixel_ang": 4.0, "radius_ang": 40.0} | change))


def test_a_pixel_finer_than_the_images_is_refused():
    alignment = Alignment(tilt_deg=[0.0, 30.0], axis_deg=np.array(85.0))
    with pytest.raises(DataError, match="finer"):
        SeriesImages(blob_series([]), alignment, None, Sampling(64, 2.0, 40.0))
