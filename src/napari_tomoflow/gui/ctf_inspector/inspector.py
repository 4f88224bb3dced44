"""The CTF inspector: a panel beside the tilts, with spectrum, plots, buttons, keys and the way to save."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QWidget

from napari_tomoflow.core.ctf.one_tilt import OneTilt
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.gui.background import Background
from napari_tomoflow.gui.ctf_inspector.panel import Panel
from napari_tomoflow.gui.ctf_inspector.scene import Scene
from napari_tomoflow.gui.ctf_inspector.session import Hand, Session, State
from napari_tomoflow.gui.ctf_inspector.words import hand_text, quality_text, tilt_words
from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.tilt_inspector import TiltInspector
from napari_tomoflow.project import Project

_NOTHING_OPEN = "Double-click a CTF in the Tomoflow dock to open it here."


class CtfInspector(TiltInspector):
    """Look at the CTF of every tilt against its spectrum, mend it, and save it as an edit.

    Parameters
    ----------
    napari_viewer
        Where the tilts are shown.
    """

    subject = "CTF"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.scene: Scene | None = None
        self.one: OneTilt | None = None
        self._measured_of: tuple[int, State] | None = None
        self.looking = Background()
        self.looking.ended.connect(self._look)
        acts = {
            "X": self.toggle_tilt, "N": self.next_doubtful, "B": self.previous_doubtful, "F": self.refit,
            "Control-Z": self.undo, "Control-Shift-Z": self.redo,
        }  # fmt: skip
        self._acts: dict[str, Callable[[], None]] = acts
        self.panel = Panel(self, acts, self.set_defocus, self.fit_again, self.save)
        for plot in self.panel.tilt_plots:
            plot.tilt_chosen.connect(self._go_to_tilt)
        self.panel.defocus.valueChanged.connect(self._preview)
        self.refresh()

    @property
    def session(self) -> Session | None:
        """The work on the series that is open."""
        return self.scene.session if self.scene else None

    def open_job(self, project: Project, series: str, job: int) -> None:
        """Open the CTF a job made, with the series and the alignment it was made from.

        Raises
        ------
        TomoflowError
            Files of the CTF or the series are gone or damaged.
        """
        ctf = project.load(CtfSeries, series, from_job=job)
        tilts = project.load(TiltSeries, series, from_job=job)
        try:
            alignment = project.load(Alignment, series, from_job=job)
        except MissingError:
            alignment = None
        self.show_ctf(tilts, ctf, alignment, _params_of(project, job))
        self._project, self._of_job = project, job
        self.refresh()

    def show_ctf(
        self,
        series: TiltSeries,
        ctf: CtfSeries,
        alignment: Alignment | None = None,
        params: CtfParams = CtfParams(),
    ) -> None:
        """Show a CTF; without a project there is nowhere to save it."""
        self.close_ctf()
        self._project, self._of_job = None, 0
        scene = self.scene = Scene(self.viewer, Session(series, ctf, alignment, params))
        scene.tilt_shown.connect(self._show_tilt)
        scene.closed.connect(self._note_closed)
        self.destroyed.connect(scene.close)
        scene.bind_keys(self._acts)
        self.redraw()

    def close_ctf(self) -> None:
        """Take the layer away; changes that were not saved are lost."""
        self.background.cancel()
        self.looking.cancel()
        if self.scene is not None:
            self.scene.close()

    def set_defocus(self) -> None:
        """Give the tilt in view the defocus of the field."""
        one, defocus_ang = self.one, 1e4 * self.panel.defocus.value()
        if one is None:
            return
        try:
            self.change(lambda session: session.set_defocus(one, defocus_ang))
        except DataError as error:
            show_error(str(error))

    def refit(self) -> None:
        """Fit the defocus of the tilt in view near that of the field."""
        session, one, near_ang = self.session, self.one, 1e4 * self.panel.defocus.value()
        if session is None or one is None:
            return
        within_ang = 1e4 * session.params.max_change_um
        self.begin(
            lambda report: one.refit(near_ang, within_ang, report), partial(session.set_defocus, one, is_fitted=True)
        )

    def fit_again(self, hand: Hand) -> None:
        """Fit all tilts again with a hand that is given."""
        session = self.session
        if session is not None:
            self.begin(partial(session.fitted_with, hand), session.take_fit)

    def next_doubtful(self) -> None:
        """Go to the next tilt, by rising angle, that should be looked at."""
        self._walk(1)

    def previous_doubtful(self) -> None:
        """Go to the one before."""
        self._walk(-1)

    def redraw(self) -> None:
        """Draw everything as it now is."""
        if self.scene is None or self.session is None:
            return
        self.scene.refresh()
        for plot in self.panel.tilt_plots:
            plot.show_session(self.session)
        self._show_tilt(self.scene.tilt)
        self.refresh()

    def refresh(self) -> None:
        """Bring buttons and texts in step."""
        session, panel = self.session, self.panel
        free = session is not None and not self.background.is_busy
        panel.title.setText(self.title_text(_NOTHING_OPEN))
        panel.quality.setText(quality_text(session) if session else "")
        panel.hand.setText(hand_text(session.ctf) if session else "")
        panel.last.setText(session.notes[-1] if session and session.notes else "")
        has_one = free and self.one is not None
        obstacle = self.obstacle_to_saving()
        panel.enable(
            free=free, has_one=has_one, has_doubts=bool(session and session.doubtful),
            can_undo=free and bool(session and session.notes), can_redo=free and bool(session and session.can_redo),
            obstacle=obstacle,
        )  # fmt: skip

    def _walk(self, step: int) -> None:
        session, scene = self.session, self.scene
        if session is None or scene is None or not session.doubtful:
            return
        ranks = sorted(int(scene.rank[tilt]) for tilt in session.doubtful)
        here = int(scene.rank[scene.tilt])
        ahead = [rank for rank in ranks[::step] if (rank - here) * step > 0]
        self._go_to_tilt(int(scene.order[ahead[0] if ahead else ranks[::step][0]]))

    def _go_to_tilt(self, tilt: int) -> None:
        if self.scene is not None:
            self.scene.go_to_tilt(tilt)

    def _show_tilt(self, tilt: int) -> None:
        """Mark a tilt everywhere, draw what is known of it at once, and have its spectrum measured."""
        session = self.session
        if session is None:
            return
        for plot in self.panel.tilt_plots:
            plot.show_tilt(tilt)
        self.panel.show_tilt(tilt_words(session, tilt), float(session.ctf.defocus_ang[tilt]), session.kept[tilt])
        if self._measured_of is None or self._measured_of[0] != tilt:
            self.one = None
            self.panel.spectrum.clear_picture()
            self._show_stored(session, tilt)
        self._look()

    def _show_stored(self, session: Session, tilt: int) -> None:
        """Draw the curves the fit left in its quality."""
        spectra = session.ctf.quality.get("spectra", {"tilts": []})
        if tilt in spectra["tilts"]:
            place = spectra["tilts"].index(tilt)
            k, measured, fitted = spectra["k_inv_ang"], spectra["measured"][place], spectra["fitted"][place]
            self.panel.spectrum.show_curve(k, measured, fitted, float(session.ctf.fit_ang[tilt]))

    def _look(self) -> None:
        """Measure the spectrum of the tilt in view, unless that was done or another is being measured."""
        scene, session = self.scene, self.session
        if scene is None or session is None or self.looking.is_busy:
            return
        wanted = (scene.tilt, session.now)
        if self._measured_of == wanted:
            return

        def take(one: OneTilt) -> None:
            if self.session is session:
                self.one, self._measured_of = one, wanted
                if scene.tilt == one.tilt:
                    self._preview()
                self.refresh()

        self.looking.start(partial(session.measure, scene.tilt), take)

    def _preview(self, defocus_um: float | None = None) -> None:
        """Draw the spectrum against the defocus of the field."""
        one = self.one
        if one is not None and self.scene is not None and one.tilt == self.scene.tilt:
            defocus_ang = 1e4 * self.panel.defocus.value()
            self.panel.spectrum.show_measured(one.k_inv_ang, one.curve(defocus_ang), one.picture(defocus_ang))

    def _note_closed(self) -> None:
        self.scene, self.one, self._measured_of = None, None, None
        self.background.cancel()
        self.looking.cancel()
        self.panel.spectrum.clear_all()
        self.refresh()


def open_ctf_inspector(viewer: Any, project: Project, series: str, job: int) -> CtfInspector:
    """Open a CTF in the inspector of a viewer, which is docked if it is not yet there.

    Where that holds changes that were not saved, the person is asked first.
    """
    inspector = docked(viewer, "CTF inspector", CtfInspector)
    if inspector.may_leave():
        inspector.open_job(project, series, job)
    return inspector


def _params_of(project: Project, job: int) -> CtfParams:
    """Find the parameters of the fit that a job is, or that an edit was made of."""
    record = project.job(job)
    while record.stage != "ctf" and record.from_job:
        record = project.job(record.from_job)
    return CtfParams(**record.params) if record.stage == "ctf" else CtfParams()
