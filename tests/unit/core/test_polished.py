"""What polishing stores of each series."""

import numpy as np

from napari_tomoflow.core.model import Alignment, CtfSeries, Optics, Polished


def test_a_refined_ctf_is_stored_with_and_without_an_alignment_which_comes_last():
    alignment = Alignment(tilt_deg=np.zeros(2), axis_deg=np.zeros(2))
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(2, 2e4), defocus_v_ang=np.full(2, 2e4))
    found = Polished(averages={}, alignments={"A": alignment}, ctfs={"A": ctf, "B": ctf})
    assert [list(map(type, nouns)) for nouns in found.parts().values()] == [[CtfSeries, Alignment], [CtfSeries]]
    assert list(found.parts()) == ["A", "B"]
