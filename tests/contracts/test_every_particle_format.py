"""A contract for every table of particles: being listed is being tested."""

import re

import numpy as np
import pytest

from contracts.particle_samples import FRAME, N, angle_between_deg, in_place_of, particles_for
from napari_tomoflow.core.errors import DataError, TomoflowError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.particle_formats import FORMATS
from napari_tomoflow.io.particle_formats.particle_format import ALL
from napari_tomoflow.io.particle_tables import format_of, is_particle_table, read_particle_table, write_particle_table

POSITION_ANG, ANGLE_DEG = 1e-3, 1e-3
"""What a round trip may cost, as promised; the EM and IMOD formats store float32."""

RUBBISH = (b"", b"\x00\x01\x02\x03" * 200, b"[[{]", b"a b c d e f\n" * 9, b"nan,nan,nan\n" * 4)

ONLY_ONE = [(chosen, "tomogram") for chosen in FORMATS if chosen.one_tomogram]
ONLY_ONE += [(chosen, "species") for chosen in FORMATS if chosen.one_species]
WITH_WORDS = [chosen for chosen in FORMATS if chosen.columns is None or "species" in chosen.columns]

every_format = pytest.mark.parametrize("chosen", FORMATS, ids=lambda chosen: chosen.name)


@pytest.fixture
def path(chosen, tmp_path):
    """Name a file of the format for one tomogram."""
    return tmp_path / f"TS_01{'_info' if chosen.name == 'eman2' else ''}{chosen.suffixes[0]}"


def tried(path, program=None):
    """Read a file, or return why it is refused."""
    try:
        return read_particle_table(path, frames=FRAME, program=program), ""
    except TomoflowError as error:
        return None, str(error)


def is_one_sentence(text, path):
    return str(path) in text and text.endswith(".") and ". " not in text


def there_and_back(path, chosen, particles):
    write_particle_table(path, particles, frames=FRAME, program=chosen.name)
    return read_particle_table(path, frames=FRAME)


@every_format
@pytest.mark.parametrize("seed", range(2))
def test_a_round_trip_keeps_positions_and_poses(path, chosen, seed):
    particles = particles_for(chosen, seed)
    back = in_place_of(there_and_back(path, chosen, particles), particles)
    assert len(back) == N
    assert np.abs(back.centers_ang_zyx - particles.centers_ang_zyx).max() < POSITION_ANG
    assert angle_between_deg(back, particles).max() < ANGLE_DEG


@every_format
def test_a_round_trip_keeps_all_columns_there_is_a_place_for(path, chosen):
    particles = particles_for(chosen)
    back = in_place_of(there_and_back(path, chosen, particles), particles)
    for field in chosen.keeps - {"turns", "score"}:
        np.testing.assert_array_equal(getattr(back, field), getattr(particles, field), err_msg=field)
    np.testing.assert_allclose(back.score, particles.score, rtol=1e-6)
    for name, values in particles.features.items():
        np.testing.assert_array_equal(back.features[name], values, err_msg=name)
        assert back.features[name].dtype.kind in "iuf" or values.dtype.kind == "U"


@every_format
def test_particles_without_a_score_or_class_are_no_obstacle(path, chosen):
    particles = particles_for(chosen)
    score = particles.score.copy()
    score[:5] = np.nan
    particles = particles.replace(score=score, class_ids=particles.class_ids * (np.arange(N) >= 5))
    back = in_place_of(there_and_back(path, chosen, particles), particles)
    assert not np.any(np.nan_to_num(back.score[:5]))
    if "score" in chosen.keeps:
        np.testing.assert_allclose(back.score[5:], score[5:], rtol=1e-6)


@pytest.mark.parametrize("chosen", WITH_WORDS, ids=lambda chosen: chosen.name)
def test_words_are_kept_as_they_are(path, chosen):
    word = 'β-tubulin, "13%" of #2'
    particles = particles_for(chosen)
    given = {"species": np.full(N, word), "class_ids": 1, "tomogram": np.array("TS 01é")}
    features = {**particles.features, "species": given.pop("species")}
    particles = particles.replace(features=features, **given)
    back = there_and_back(path, chosen, particles)
    assert set(back.features["species"]) == {word}
    if not chosen.one_tomogram:
        assert set(back.tomogram) == {"TS 01é"}


@every_format
def test_a_second_round_trip_changes_nothing_more(path, chosen):
    once = there_and_back(path, chosen, particles_for(chosen))
    twice = there_and_back(path, chosen, once)
    np.testing.assert_allclose(
        twice.centers_ang_zyx, once.centers_ang_zyx, atol=1e-9 if chosen.name != "imod" else 2e-3
    )
    assert once.features.keys() == twice.features.keys()
    for name, values in once.features.items():
        np.testing.assert_array_equal(twice.features[name], values, err_msg=name)


@every_format
def test_a_file_tells_of_which_program_it_is(path, chosen):
    write_particle_table(path, particles_for(chosen), frames=FRAME, program=chosen.name)
    assert format_of(path) is chosen
    assert is_particle_table(path)


@every_format
def test_what_has_no_place_is_told_and_nothing_else(path, chosen):
    everything = next(one for one in FORMATS if one.keeps == ALL)
    particles = particles_for(everything).replace(tomogram=np.array("TS_01"))
    particles = particles.replace(features={**particles.features, "species": np.full(N, "20S")})
    said = " ".join(write_particle_table(path, particles, frames=FRAME, program=chosen.name))
    words = {"turns": "orientations", "class_ids": "classes", "half": "half-sets", "score": "scores"}
    for field, word in words.items():
        assert (word in said) == (field not in chosen.keeps), said
    assert ("mine" in said) == (chosen.columns is not None), said
    assert write_particle_table(path, particles_for(chosen), frames=FRAME, program=chosen.name) == []


@every_format
def test_what_the_format_needs_of_the_tomogram_is_asked_for_by_name(path, chosen):
    particles = particles_for(chosen)
    if not chosen.in_voxels:
        assert write_particle_table(path, particles, program=chosen.name) == []
        return
    with pytest.raises(DataError, match=r"voxel size of the tomogram (TS_01|017|cell 7b)"):
        write_particle_table(path, particles, program=chosen.name)
    assert not path.exists()


@pytest.mark.parametrize(("chosen", "kind"), ONLY_ONE, ids=lambda value: getattr(value, "name", value))
def test_particles_of_several_tomograms_or_kinds_are_not_written_where_they_do_not_fit(path, chosen, kind):
    particles = particles_for(FORMATS[0])
    particles = particles.replace(**{"tomogram": {"features": {}}, "species": {"tomogram": np.array("TS_01")}}[kind])
    with pytest.raises(DataError, match=f"about one {kind}, but these particles are of"):
        write_particle_table(path, particles, frames=FRAME, program=chosen.name)
    assert list(path.parent.iterdir()) == []


@every_format
def test_no_particles_are_written_and_read_or_refused_in_one_sentence(path, chosen):
    write_particle_table(path, ParticleSet(centers_ang_zyx=np.zeros((0, 3))), frames=FRAME, program=chosen.name)
    back, refusal = tried(path)
    assert is_one_sentence(refusal, path) if back is None else len(back) == 0


@every_format
def test_particles_outside_the_tomogram_are_counted(path, chosen):
    particles = particles_for(chosen).replace(tomogram=np.array("TS_01"))
    centers = particles.centers_ang_zyx.copy()
    centers[:7] = 1e5
    back = there_and_back(path, chosen, particles.replace(centers_ang_zyx=centers))
    assert any(f"7 of {N} particles lie outside the tomogram TS_01" in text for text in back.quality["warnings"])


@every_format
@pytest.mark.parametrize("share", [0.15, 0.5, 0.93])
def test_a_file_cut_short_is_read_in_part_or_refused_in_one_sentence(path, chosen, share):
    write_particle_table(path, particles_for(chosen), frames=FRAME, program=chosen.name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    back, refusal = tried(path)
    # A text table cut between rows cannot be told from a shorter one.
    assert is_one_sentence(refusal, path) if back is None else 0 < len(back) < N


@every_format
@pytest.mark.parametrize(
    "rubbish", [b"", b"\x00\x01\x02\x03" * 200, b"[[{]", b"a b c d e f\n" * 9, b"nan,nan,nan\n" * 4]
)
def test_rubbish_is_refused_in_one_sentence(path, chosen, rubbish):
    path.write_bytes(rubbish)
    back, refusal = tried(path, chosen.name)
    assert back is None
    assert is_one_sentence(refusal, path)


@every_format
def test_a_position_that_is_no_number_is_named(path, chosen):
    particles = particles_for(chosen)
    moved = particles.centers_ang_zyx.copy()
    moved[0, 2] += 0.3 * FRAME.voxel_ang
    raws = []
    for one in (particles, particles.replace(centers_ang_zyx=moved)):
        write_particle_table(path, one, frames=FRAME, program=chosen.name)
        raws.append(path.read_bytes())
    path.write_bytes(_with_nan(*raws, chosen))
    with pytest.raises(DataError, match=r"not a number|not made of") as caught:
        read_particle_table(path, frames=FRAME)
    assert str(path) in str(caught.value)


def _with_nan(raw, moved, chosen):
    """Put NaN where two files, of particles of which one was moved, first differ."""
    if chosen.name in ("motl", "imod"):
        at = next(at for at, (a, b) in enumerate(zip(raw, moved, strict=True)) if a != b) // 4 * 4
        nan = np.array(np.nan, "<f4" if chosen.name == "motl" else ">f4").tobytes()
        return raw[:at] + nan + raw[at + 4 :]
    words, others = (re.split(r"([\s,\[\]{}]+)", text.decode()) for text in (raw, moved))
    at = next(at for at, (a, b) in enumerate(zip(words, others, strict=True)) if a != b)
    return "".join([*words[:at], "NaN", *words[at + 1 :]]).encode()


@every_format
@pytest.mark.parametrize("seed", range(6))
def test_a_spoiled_word_anywhere_is_read_over_or_refused_in_one_sentence(path, chosen, seed):
    write_particle_table(path, particles_for(chosen), frames=FRAME, program=chosen.name)
    path.write_bytes(_spoiled(path.read_bytes(), chosen, np.random.default_rng(seed)))
    back, refusal = tried(path)
    assert len(back) > 0 if back is not None else is_one_sentence(refusal, path)


def _spoiled(raw, chosen, rng):
    if chosen.name in ("motl", "imod"):
        at = rng.integers(0, min(len(raw), 1200), 3)
        changed = bytearray(raw)
        for place in at:
            changed[place] = rng.integers(0, 256)
        return bytes(changed)
    words = re.split(r"([\s,:\[\]{}]+)", raw.decode())
    # Words at the head are tried as often as numbers in the body.
    at = 2 * rng.integers(0, min(len(words) // 2, 40 if rng.random() < 0.5 else len(words) // 2))
    words[at] = rng.choice(["x", "", "1e999", "-1", "null", "[]", '"', "9" * 30, "_x"])
    return "".join(words).encode()


@every_format
def test_a_full_disk_leaves_nothing_behind(path, chosen, monkeypatch):
    import errno
    import os

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="full"):
        write_particle_table(path, particles_for(chosen), frames=FRAME, program=chosen.name)
    assert list(path.parent.iterdir()) == []


def test_formats_have_names_of_their_own():
    names = [chosen.name for chosen in FORMATS]
    assert len(set(names)) == len(names)
