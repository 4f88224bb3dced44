"""What a person does to a CTF: every change a step that can be taken back, told in words and numbers.

It knows neither viewer nor files. Legend: N tilts.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.one_tilt import OneTilt
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.model import Alignment, CtfSeries, Noun, TiltSeries
from napari_tomoflow.core.report import Report
from napari_tomoflow.core.stages.ctf import ctf
from napari_tomoflow.gui.history import History
from napari_tomoflow.gui.left_out import with_reasons, with_tilt_toggled

Hand = Literal[-1, 1]


@dataclass(frozen=True, eq=False)
class State:
    """How things stand after some changes.

    Attributes
    ----------
    ctf : CtfSeries
    excluded_because : tuple of str
        For the series.
    """

    ctf: CtfSeries
    excluded_because: tuple[str, ...]


class Session(History[State]):
    """Work on the CTF of one series.

    Parameters
    ----------
    series : TiltSeries
    ctf : CtfSeries
    alignment : Alignment or None
        That the fit was made with.
    params : CtfParams
        That it was made by.
    """

    def __init__(
        self, series: TiltSeries, ctf: CtfSeries, alignment: Alignment | None = None, params: CtfParams = CtfParams()
    ) -> None:
        super().__init__(State(ctf, series.excluded_because))
        self.series = series
        self.alignment = alignment
        self.params = params

    @property
    def ctf(self) -> CtfSeries:
        """The CTF as it now is."""
        return self.now.ctf

    @property
    def tilt_deg(self) -> NDArray[np.float64]:
        """Angles of the tilts, as aligned where they are, float64[N]."""
        return self.series.tilt_deg if self.alignment is None else self.alignment.tilt_deg

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Tilts in use, bool[N]."""
        return self.changed_series.kept

    @property
    def changed_series(self) -> TiltSeries:
        """The series with the tilts left out as they now are."""
        return with_reasons(self.series, self.now.excluded_because)

    @property
    def doubtful(self) -> dict[int, str]:
        """Why a tilt should be looked at, by its index."""
        return {int(tilt): why for tilt, why in self.ctf.quality.get("tilts_doubtful", {}).items()}

    def toggle_tilt(self, tilt: int) -> None:
        """Leave a tilt out, or take it in again."""
        is_kept = bool(self.kept[tilt])
        reasons = with_tilt_toggled(self.now.excluded_because, tilt, is_kept=is_kept)
        verb = "Left out" if is_kept else "Took in"
        self.do(f"{verb} tilt {self._name(tilt)}.", replace(self.now, excluded_because=reasons))

    def measure(self, tilt: int, report: Report) -> OneTilt:
        """Measure the spectrum of a tilt."""
        return OneTilt.measure(self.series, self.alignment, self.ctf, tilt, self.params, report)

    def set_defocus(self, one: OneTilt, defocus_ang: float, *, is_fitted: bool = False) -> None:
        """Give a tilt another defocus; it is no longer doubtful.

        Raises
        ------
        DataError
            There can be no such defocus.
        """
        before_um = 1e-4 * float(self.ctf.defocus_ang[one.tilt])
        ctf = _without_doubt(one.with_defocus(defocus_ang), one, defocus_ang)
        verb = "Fitted" if is_fitted else "Set"
        note = f"{verb} tilt {self._name(one.tilt)}: {before_um:.3f} µm became {1e-4 * defocus_ang:.3f} µm."
        self.do(note, replace(self.now, ctf=ctf))

    def fitted_with(self, hand: Hand, report: Report) -> CtfSeries:
        """Fit the whole series again with a hand that is given."""
        series = self.changed_series.replace(defocus_hand=hand)
        return ctf(series, self.alignment, params=self.params.replace(hand="declared"), report=report)

    def take_fit(self, fitted: CtfSeries) -> None:
        """Take a fit of the whole series with a hand that was given."""
        self.do(f"Fitted all tilts again with defocus hand {fitted.hand:+d}.", replace(self.now, ctf=fitted))

    def changed(self) -> tuple[Noun, ...]:
        """Return the nouns that differ from what was opened, fit to be saved."""
        if not self.notes:
            return ()
        is_same = self.now.excluded_because == self.series.excluded_because
        return (self.ctf,) if is_same else (self.changed_series, self.ctf)

    def _name(self, tilt: int) -> str:
        return f"{tilt} ({self.tilt_deg[tilt]:+.1f}°)"


def _without_doubt(ctf: CtfSeries, one: OneTilt, defocus_ang: float) -> CtfSeries:
    """Bring what is told of a tilt in step with the defocus a person gave it."""
    quality: dict[str, Any] = dict(ctf.quality)
    quality["tilts_doubtful"] = {
        tilt: why for tilt, why in quality.get("tilts_doubtful", {}).items() if int(tilt) != one.tilt
    }
    spectra = quality.get("spectra")
    if spectra and one.tilt in spectra["tilts"] and len(spectra["k_inv_ang"]) == len(one.k_inv_ang):
        place, curve = spectra["tilts"].index(one.tilt), one.curve(defocus_ang)
        quality["spectra"] = spectra | {
            "measured": _with(spectra["measured"], place, curve.measured),
            "fitted": _with(spectra["fitted"], place, curve.fitted),
        }
    return ctf.replace(quality=quality)


def _with(rows: list[list[float]], place: int, values: NDArray[np.float64]) -> list[list[float]]:
    return [*rows[:place], [round(float(value), 4) for value in values], *rows[place + 1 :]]
