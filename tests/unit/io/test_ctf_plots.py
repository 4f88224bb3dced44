"""Figures of a CTF show what it holds, with and without the curves the stage leaves."""

import numpy as np

from napari_tomoflow.core.model import CtfSeries, Optics, TiltSeries
from napari_tomoflow.io.plots import save_figures


def ctf_and_series(**quality):
    n = 5
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(n, 4e4), defocus_v_ang=np.full(n, 3.9e4), quality=quality)
    series = TiltSeries(
        name="TS", images=np.zeros((n, 4, 4), np.float32), tilt_deg=np.linspace(-40, 40, n), pixel_ang=4.0
    )
    return ctf, series


def test_a_ctf_of_another_program_is_drawn_without_curves(tmp_path):
    ctf, series = ctf_and_series()
    assert [path.name for path in save_figures(ctf, series, tmp_path)] == ["ctf.png"]


def test_the_curves_of_the_fitted_tilts_are_drawn_each_in_a_panel(tmp_path):
    from napari_tomoflow.io.plots.ctf import ctf_figures

    curve = list(np.linspace(-1, 1, 20))
    spectra = {"tilts": [0, 2, 4], "k_inv_ang": list(np.linspace(0.02, 0.1, 20)), "measured": [curve] * 3}
    ctf, series = ctf_and_series(spectra={**spectra, "fitted": [curve] * 3}, tilts_doubtful={"1": "no rings"})
    figures = ctf_figures(ctf, series)
    shown = [panel for panel in figures["spectra"].axes if panel.get_visible()]
    assert len(shown) == 3
    assert [panel.get_title().split("°")[0] for panel in shown] == ["-40", "0", "40"]
    np.testing.assert_allclose(shown[0].lines[1].get_ydata(), curve)
    assert sorted(path.name for path in save_figures(ctf, series, tmp_path)) == ["ctf.png", "spectra.png"]
