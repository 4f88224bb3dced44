"""Whatever the tomogram and however particles are turned, every table gives them back where they were."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.particle_samples import angle_between_deg, in_place_of
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.particle_formats import FORMATS, TomogramFrame
from napari_tomoflow.io.particle_tables import read_particle_table, write_particle_table

# A field of a micrometre; float32, in which IMOD stores places, has steps of 6e-4 Å there.
_WIDEST_ANG = 1e4

fields = st.builds(
    lambda shape, voxel, origin, binning: TomogramFrame(shape, voxel, origin, voxel / binning),
    st.tuples(*[st.integers(1, 900)] * 3),
    st.floats(0.5, _WIDEST_ANG / 900),
    st.tuples(*[st.floats(-2000, 2000)] * 3),
    st.sampled_from([1.0, 2.0, 7.4074]),
)
# Tilts of 0° and 180°, where two of three angles are one, are as likely as any other.
angles = st.tuples(
    st.floats(-180, 180), st.one_of(st.sampled_from([0.0, 180.0, 90.0, 1e-7]), st.floats(0, 180)), st.floats(-180, 180)
)
particles = st.lists(st.tuples(st.tuples(*[st.floats(0, 1)] * 3), angles), min_size=1, max_size=5, unique=True)


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda chosen: chosen.name)
@settings(max_examples=20, deadline=None)
@given(frame=fields, placed=particles)
@example(  # two in one place
    frame=TomogramFrame((1, 1, 1), 1.0, (0.0, 0.0, 0.0), 1.0),
    placed=[((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0))],
)
def test_a_table_gives_particles_back_where_and_as_they_were(chosen, frame, placed):
    corner = -(np.array(frame.shape_zyx) // 2) * frame.voxel_ang + frame.origin_ang_zyx
    inside = np.array([place for place, _ in placed]) * (np.array(frame.shape_zyx) - 1) * frame.voxel_ang
    written = ParticleSet(
        centers_ang_zyx=corner + inside,
        quaternions_xyzw=poses.quaternions_from_matrices(poses.matrices_from_relion([turn for _, turn in placed])),
        tomogram=np.array("TS_01"),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"TS_01{'_info' if chosen.name == 'eman2' else ''}{chosen.suffixes[0]}"
        write_particle_table(path, written, frames=frame, program=chosen.name)
        back = in_place_of(read_particle_table(path, frames=frame), written)
    assert np.abs(back.centers_ang_zyx - written.centers_ang_zyx).max() < 1e-3
    same_place = len(np.unique(np.round(written.centers_ang_zyx, 2), axis=0)) < len(written)
    if "turns" in chosen.keeps and not same_place:
        assert angle_between_deg(back, written).max() < 1e-3
