"""What blocks of parameters do to images, and that alignments then do the same."""

import numpy as np
import pytest

from napari_tomoflow.core.polishing.geometry import PARTS, Term
from unit.core.polishing.peaks import geometry

STRENGTHS = {"particles": 2.0, "shifts": 5.0, "angles": 0.1, "bending": 4.0, "images": 2.0}
each_part = pytest.mark.parametrize("part", PARTS)


def random_values(block, seed=3):
    return np.random.default_rng(seed).normal(size=block.shape)


@each_part
def test_slopes_are_pulled_back_as_offsets_are_pushed(part):
    known = geometry()
    block = known.block(part, STRENGTHS[part])
    values = random_values(block)
    slopes = np.random.default_rng(4).normal(size=(len(known.tilts), 2, len(known.centers_ang_zyx)))
    assert np.sum(block.offsets(values) * slopes) == pytest.approx(np.sum(values * block.pulled(slopes)))


@each_part
def test_sharpness_is_the_curvature_of_what_images_tell(part):
    known = geometry(count=5, n_tilts=5)
    block = known.block(part, STRENGTHS[part])
    curvatures = np.random.default_rng(5).uniform(0, 1, (len(known.tilts), 5))
    sharpness = block.sharpness(curvatures)
    for index in list(np.ndindex(block.shape))[::7]:
        one = np.zeros(block.shape)
        one[index] = 1.0
        assert sharpness[index] == pytest.approx(np.sum(curvatures[:, None] * block.offsets(one) ** 2))


@each_part
def test_an_alignment_shows_what_its_terms_say(part):
    known = geometry()
    block = known.block(part, STRENGTHS[part])
    values = random_values(block)
    alignment, centers = known.refined([Term(part, STRENGTHS[part], values)])
    before = known.alignment.project(known.centers_ang_zyx)[0][known.tilts]
    after = alignment.project(centers)[0][known.tilts]
    moved, said = (after - before).transpose(0, 2, 1), block.offsets(values)
    assert np.abs(said).max() > 1.0
    # Angles and heights enter to first order only.
    assert np.sqrt(np.mean((moved - said) ** 2)) < 0.03 * np.sqrt(np.mean(said**2))


def test_what_bends_adds_to_what_bent_before():
    known = geometry()
    terms = [Term("bending", 4.0, random_values(known.block("bending", 4.0)))]
    once, _ = known.refined(terms)
    again = geometry()
    again = type(again)(again.series, once, again.tilts, again.centers_ang_zyx)
    twice, _ = again.refined(terms)
    rigid, one, two = (each.project(known.centers_ang_zyx)[0] for each in (known.alignment, once, twice))
    np.testing.assert_allclose(two - rigid, 2 * (one - rigid), atol=0.2)


def test_tilts_not_in_use_stay_as_they_are():
    known = geometry()
    terms = [Term(part, STRENGTHS[part], random_values(known.block(part, STRENGTHS[part]))) for part in PARTS[1:]]
    alignment, centers = known.refined(terms)
    np.testing.assert_array_equal(
        alignment.project(known.centers_ang_zyx)[0][2], known.alignment.project(known.centers_ang_zyx)[0][2]
    )
    np.testing.assert_array_equal(centers, known.centers_ang_zyx)
