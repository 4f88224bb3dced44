"""``python -m napari_tomoflow.gui.screenshots PROJECT FOLDER``: pictures of a project, with or without a display."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.core.model import MappedBack, Noun, TiltSeries, Tomogram
from napari_tomoflow.gui.display import some_display

if TYPE_CHECKING:
    import napari

    from napari_tomoflow.project import Project

USAGE = "usage: python -m napari_tomoflow.gui.screenshots PROJECT FOLDER"

_WINDOW = (1600, 1000)
_SETTLE_S = 0.6
_VIEW_OF_3D_DEG = (0.0, 30.0, 30.0)
_ROOM_IN_3D = 0.8


def main(words: list[str]) -> int:
    """Draw the pictures; return the exit code of the program."""
    if len(words) != 2:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    try:
        with some_display():
            for path in take_screenshots(Path(words[0]), Path(words[1])):
                sys.stderr.write(f"{path}\n")
    except TomoflowError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def take_screenshots(folder: Path, pictures: Path) -> Iterator[Path]:
    """Draw every series of a project and yield the files as they are written.

    ``slice_<series>.png`` and ``volume_<series>.png`` show the tomogram in 2-D and 3-D,
    ``tilts_<series>.png`` the tilt images, ``labels_<series>.png`` and ``placed_<series>.png`` averages mapped back
    in a slice and in 3-D, ``dock.png`` the window with the dock.
    """
    from napari_tomoflow.core.stages import STAGES
    from napari_tomoflow.gui.window import open_window
    from napari_tomoflow.project import Project

    project = Project.open(folder)
    pictures.mkdir(parents=True, exist_ok=True)
    viewer, dock = open_window()
    try:
        viewer.window.resize(*_WINDOW)
        _settle()
        for series in project.series():
            yield from _pictures_of(viewer, project, series, pictures)
        dock.open_project(folder)
        dock.panel.choose(STAGES[-1].name)
        _settle()
        yield _save(viewer, pictures / "dock.png", canvas_only=False)
    finally:
        viewer.close()


def _pictures_of(viewer: "napari.Viewer", project: "Project", series: str, pictures: Path) -> Iterator[Path]:
    if _show(viewer, project, TiltSeries, series):
        yield _save(viewer, pictures / f"tilts_{series}.png")
    if _show(viewer, project, Tomogram, series):
        yield _save(viewer, pictures / f"slice_{series}.png")
        yield _save_in_3d(viewer, pictures / f"volume_{series}.png")
    if project.find(MappedBack, series) is not None:
        yield from _pictures_of_placed(viewer, project.load(MappedBack, series), pictures)
        _show(viewer, project, Tomogram, series)


def _pictures_of_placed(viewer: "napari.Viewer", placed: MappedBack, pictures: Path) -> Iterator[Path]:
    """Draw averages over the slice that is shown, and by themselves in 3-D."""
    from napari_tomoflow.gui.map_back.scene import PlacedScene

    tomogram = viewer.layers[-1]
    scene = PlacedScene(viewer, placed)
    yield _save(viewer, pictures / f"labels_{placed.name}.png")
    tomogram.visible = False
    yield _save_in_3d(viewer, pictures / f"placed_{placed.name}.png")
    scene.close()


def _save_in_3d(viewer: "napari.Viewer", path: Path) -> Path:
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    viewer.scene.camera.angles = _VIEW_OF_3D_DEG
    viewer.scene.camera.zoom *= _ROOM_IN_3D
    _save(viewer, path)
    viewer.dims.ndisplay = 2
    viewer.reset_view()
    return path


def _show(viewer: "napari.Viewer", project: "Project", kind: type[Noun], series: str) -> bool:
    """Show one result alone; tell whether there is one.

    The old layers go last: a viewer that is empty for a moment lays its sliders over each other.
    """
    from napari_tomoflow.gui.opening import go_to_start, show_noun

    if project.find(kind, series) is None:
        return False
    noun = project.load(kind, series)
    shown = show_noun(viewer, noun)
    for layer in [layer for layer in viewer.layers if layer not in shown]:
        viewer.layers.remove(layer)
    go_to_start(viewer, noun)
    viewer.reset_view()
    return True


def _save(viewer: "napari.Viewer", path: Path, *, canvas_only: bool = True) -> Path:
    _settle()
    viewer.screenshot(str(path), canvas_only=canvas_only, flash=False)
    return path


def _settle() -> None:
    """Let the window draw what has changed."""
    from qtpy.QtWidgets import QApplication

    end_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < end_s:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
