"""A person at the picker, in a process of its own: real keys and mouse in a real window.

``python recorded_picking.py PROJECT record|look PICTURES`` writes what the session holds as a line of JSON. After
``record`` it lives on, so that it can be killed.
"""

import json
import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_tomoflow.gui.picker.picker import Picker

_PATIENCE_S = 60.0
_LEFT = Qt.MouseButton.LeftButton


class Person:
    """Hands and eyes."""

    def __init__(self, project, pictures):
        self.pictures = Path(pictures)
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1700, 1000)
        self.picker = Picker(self.viewer)
        self.viewer.window.add_dock_widget(self.picker, name="Picker", area="right")
        self.picker.open_project(project)
        self.wait()

    def wait(self):
        end_s = time.monotonic() + _PATIENCE_S
        QTest.qWait(50)
        while not self.picker.is_settled:
            assert time.monotonic() < end_s, "the picker does not settle"
            QTest.qWait(20)

    def press(self, key, modifiers=Qt.KeyboardModifier.NoModifier):
        self.picker.window().activateWindow()
        self.picker.board.setFocus()
        assert QTest.qWaitForWindowActive(self.picker.window().windowHandle(), 5000)
        QTest.keyClick(self.picker.board, key, modifiers)
        self.wait()

    def undo(self, times):
        for _ in range(times):
            self.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    def redo(self, times):
        for _ in range(times):
            self.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)

    def spot(self, pane, right_ang, down_ang):
        board = self.picker.board
        return board.mapFromScene(board._boxes[pane].mapViewToScene(QPointF(right_ang, down_ang)))

    def click(self, pane, right_ang, down_ang, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.mouseClick(self.picker.board.viewport(), _LEFT, modifiers, self.spot(pane, right_ang, down_ang))
        self.wait()

    def drag(self, pane, start_ang, end_ang):
        view, path = self.picker.board.viewport(), np.linspace(start_ang, end_ang, 8)
        QTest.mousePress(view, _LEFT, Qt.KeyboardModifier.NoModifier, self.spot(pane, *path[0]))
        for place in path:
            QTest.mouseMove(view, self.spot(pane, *place))
            QTest.qWait(30)
        QTest.mouseRelease(view, _LEFT, Qt.KeyboardModifier.NoModifier, self.spot(pane, *path[-1]))
        self.wait()

    def photograph(self, name):
        self.wait()
        self.viewer.screenshot(str(self.pictures / name), canvas_only=False, flash=False)

    def tell(self):
        """Say all that the session holds."""
        session = self.picker.session
        tomograms = {}
        for name in session.tomograms:
            found = session.particle_set(name)
            tomograms[name] = [
                (int(one), *np.round(place, 6).tolist(), str(species))
                for one, place, species in zip(found.ids, found.centers_ang_zyx, found.features["species"], strict=True)
            ]
        history = session._state.history
        told = {
            "in_view": session.tomogram,
            "tomograms": tomograms,
            "types": [one.to_dict() for one in session.types],
            "unsaved": session.unsaved(),
            "done": [change.note for change in history.done],
            "undone": [change.note for change in history.undone],
        }
        say(told)


def say(told):
    """Tell the parent process."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def record(person):
    """Pick 20, snap, undo 5, redo 3, change type, switch tomogram."""
    rng = np.random.default_rng(1)
    truth = np.load(person.picker.picks.project.folder / "truth.npy")
    person.picker.session.change_type(0, diameter_ang=120.0, box_ang=180.0)
    person.press(Qt.Key.Key_A)
    for z, y, x in truth:
        person.picker.scene.go_to((z, 0.0, 0.0))
        away = rng.uniform(-25, 25, 2)
        person.click("xy", x + away[0], y + away[1])
    person.photograph("picked.png")
    person.press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    person.press(Qt.Key.Key_C)
    person.photograph("snapped.png")
    found = person.picker.session.particle_set("TS_01").centers_ang_zyx
    say(np.linalg.norm(found - truth, axis=1).tolist())
    assert len(found) == 20
    person.undo(5)
    person.redo(3)
    person.picker.panel.add_type.click()
    person.picker.session.select(person.picker.session.picks.there()[:6])
    person.press(Qt.Key.Key_2)
    person.photograph("retyped.png")
    person.press(Qt.Key.Key_BracketRight)
    z, y, x = truth[0]
    person.picker.scene.go_to((z, 0.0, 0.0))
    person.click("xy", x, y)
    person.press(Qt.Key.Key_S)
    person.drag("xy", (x, y), (x - 60.0, y + 40.0))
    person.photograph("second.png")


if __name__ == "__main__":
    person = Person(*sys.argv[1:2], sys.argv[3])
    if sys.argv[2] == "record":
        record(person)
        person.tell()
        while True:
            QApplication.processEvents()
            time.sleep(0.01)
    person.photograph("reopened.png")
    person.tell()
    person.picker.close_project()
    person.viewer.close()
