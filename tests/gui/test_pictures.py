"""Pictures and windows from the command line, with and without a display."""

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.gui.display import has_display, some_display
from napari_tomoflow.project import Project, run

from .conftest import DAWDLE, MAKE, DawdleParams, MakeParams

WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


def run_module(name, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", f"napari_tomoflow.gui{name}", *map(str, words)],
        capture_output=True, text=True, check=False, env={**WITHOUT_DISPLAY, **environment},
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
def test_screenshots_are_made_without_a_display(tmp_path):
    project = Project.create(tmp_path / "project")
    run(project, MAKE, MakeParams(name="TS 01"))
    run(project, DAWDLE, DawdleParams())
    done = run_module(".screenshots", project.folder, tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    pictures = {path.name: Image.open(path).convert("L") for path in (tmp_path / "pictures").iterdir()}
    assert set(pictures) == {"tilts_TS 01.png", "slice_TS 01.png", "volume_TS 01.png", "dock.png"}
    for name, picture in pictures.items():
        low, high = picture.getextrema()
        assert high - low > 100, name
        assert min(picture.size) > 400, name


def test_screenshots_of_no_project_are_refused_in_one_line(tmp_path):
    done = run_module(".screenshots", tmp_path, tmp_path / "pictures")
    assert done.returncode == 2
    assert "is no project" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("name", [".screenshots", ""])
def test_wrong_words_are_answered_with_the_usage(name):
    done = run_module(name, "a", "b", "c")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m napari_tomoflow.gui")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_window_without_a_display_is_refused_in_one_line(tmp_path):
    done = run_module("", tmp_path)
    assert done.returncode == 2
    assert "There is no display" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_missing_xvfb_is_told_with_the_remedy(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert not has_display()
    with pytest.raises(MissingError, match="tomoflow doctor"), some_display():
        pass


def test_present_display_is_left_alone(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":77")
    with some_display():
        assert os.environ["DISPLAY"] == ":77"
    assert os.environ["DISPLAY"] == ":77"


def test_virtual_display_goes_when_it_is_done(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with some_display():
        inside = os.environ["DISPLAY"]
        assert inside.startswith(":")
    assert "DISPLAY" not in os.environ
