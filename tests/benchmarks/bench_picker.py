"""Measure what one more pick costs a person who has many: from the click until all of the window is drawn again.

    xvfb-run -a python tests/benchmarks/bench_picker.py [picks] [clicks]

Each click adds a pick at random. ``command`` is the change itself with its line in the log, ``window`` adds everything
the window does before the next click can come: the four panes, tables and texts; ``pause`` is what it does once the
person pauses: the canvas of the viewer and the statistics.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.project import Project, record_edit

SHAPE = (300, 1000, 1000)
VOXEL_ANG = 10.0
DIAMETER_ANG = 150.0


def make_project(folder: Path, n_picks: int, shape: tuple[int, int, int] = SHAPE) -> Project:
    """Make a project with one tomogram of noise and picks all over it."""
    from gui.conftest import MAKE, MakeParams  # a stage that makes a series of nothing
    from napari_tomoflow.project import run

    rng = np.random.default_rng(0)
    project = Project.create(folder)
    run(project, MAKE, MakeParams(name="TS_01"))
    volume = rng.normal(size=shape).astype(np.float32)
    half_ang = np.array(shape) * VOXEL_ANG / 2
    picks = ParticleSet(
        centers_ang_zyx=rng.uniform(-half_ang, half_ang, (n_picks, 3)),
        tomogram=np.array("TS_01"),
        score=rng.normal(size=n_picks),
        features={"species": np.array(["ball"] * n_picks)},
        quality={"types": [{"name": "ball", "diameter_ang": DIAMETER_ANG, "box_ang": 1.5 * DIAMETER_ANG}]},
    )
    nouns = [Tomogram(name="TS_01", volume=volume, voxel_ang=VOXEL_ANG), picks]
    record_edit(project, "TS_01", nouns, note="Made up.", of_job=1)
    return project


def measure(picker: Picker, n_clicks: int) -> dict[str, tuple[float, float]]:
    """Return the median of each cost: by the clock, and of this thread on the processor, ms."""
    session, rng = picker.session, np.random.default_rng(1)
    half_ang = np.array(picker.tomogram.volume.shape) * VOXEL_ANG / 2
    taken: dict[str, list[tuple[float, float]]] = {"command": [], "window": [], "pause": []}

    def note(name: str, work: Callable[[], None]) -> None:
        start = time.perf_counter(), time.thread_time()
        work()
        taken[name].append((time.perf_counter() - start[0], time.thread_time() - start[1]))

    def add_unseen() -> None:
        with _silenced(session):
            session.add(place)

    def click() -> None:
        picker.tools.added.emit(session.add(place))
        QApplication.processEvents()

    def settle() -> None:
        while not picker.is_settled:
            QApplication.processEvents()

    for _ in range(n_clicks):
        place = rng.uniform(-half_ang, half_ang)
        for name, work in (("command", add_unseen), ("window", click), ("pause", settle)):
            note(name, work)
    medians = {name: 1e3 * np.median(times, axis=0) for name, times in taken.items()}
    return {name: (float(clock), float(processor)) for name, (clock, processor) in medians.items()}


class _silenced:
    """Let a session change without anybody looking."""

    def __init__(self, session: Session) -> None:
        self._signals = (session.changed, session.selected)

    def __enter__(self) -> None:
        for signal in self._signals:
            signal.block()

    def __exit__(self, *_: object) -> None:
        for signal in self._signals:
            signal.unblock()


def main(
    n_picks: int = 100_000, n_clicks: int = 20, shape: tuple[int, int, int] = SHAPE
) -> dict[str, tuple[float, float]]:
    """Measure in a window of its own."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project", n_picks, shape)
        viewer = napari.Viewer()
        viewer.window.resize(1700, 1000)
        picker = Picker(viewer, project.folder)
        viewer.window.add_dock_widget(picker, name="Picker", area="right")
        while not picker.is_settled:
            QApplication.processEvents()
        found = measure(picker, n_clicks)
        drawn = sum(overlay.n_drawn for overlay in picker.board.overlays.values())
        picker.close_project()
        picker.scene.close()
        viewer.close()
    words = ", ".join(f"{name} {clock:.1f} ms ({own:.1f} ms of processor)" for name, (clock, own) in found.items())
    sys.stdout.write(f"{n_picks} picks, {drawn} of them drawn: {words}\n")
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(*(int(word) for word in sys.argv[1:]))
