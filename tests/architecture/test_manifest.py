"""The manifest of the plugin is in step with the stages and with what `io` opens."""

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.io.particle_formats import FORMATS
from napari_tomoflow.io.particle_tables import TABLE_SUFFIXES
from napari_tomoflow.io.stacks import STACK_SUFFIXES
from napari_tomoflow.io.volumes import VOLUME_SUFFIXES

PLUGIN = "napari-tomoflow"
MADE_BY_HAND = (
    "dock", "alignment_inspector", "ctf_inspector", "tomogram_view", "picker", "gallery", "placed_averages",
    "average_inspector",
)  # fmt: skip
"""Commands of the widgets that belong to no stage."""


@pytest.fixture(scope="module")
def contributions():
    return PluginManifest.from_distribution(PLUGIN).contributions


def test_npe2_accepts_the_manifest_and_finds_every_function():
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", PLUGIN, "--imports"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_has_command_widget_and_menu(stage, contributions):
    command_id = f"{PLUGIN}.{stage.name.replace('-', '_')}"
    commands = {command.id: command for command in contributions.commands}
    assert commands[command_id].python_name == f"napari_tomoflow.gui.dock:{stage.function.__name__}"
    assert command_id in {widget.command for widget in contributions.widgets}
    assert command_id in {item.command for items in contributions.menus.values() for item in items}


def test_no_widget_is_left_of_a_stage_that_is_gone(contributions):
    expected = {f"{PLUGIN}.{stage.name.replace('-', '_')}" for stage in STAGES}
    expected |= {f"{PLUGIN}.{name}" for name in MADE_BY_HAND}
    assert {widget.command for widget in contributions.widgets} == expected


def test_widgets_share_one_place(contributions):
    assert all(widget.tabify for widget in contributions.widgets)


def test_one_reader_takes_every_file_io_opens(contributions):
    (reader,) = contributions.readers
    opened = {*STACK_SUFFIXES, *VOLUME_SUFFIXES, *TABLE_SUFFIXES}
    assert set(reader.filename_patterns) == {f"*{suffix}" for suffix in opened}


def test_particles_can_be_saved_in_every_format_that_its_ending_tells(contributions):
    offered = [
        ending
        for writer in contributions.writers
        if "points" in writer.layer_types
        for ending in writer.filename_extensions
    ]
    assert sorted(offered) == sorted({chosen.suffixes[0] for chosen in FORMATS})


def test_every_command_is_used(contributions):
    used = {reader.command for reader in contributions.readers} | {writer.command for writer in contributions.writers}
    used |= {sample.command for sample in contributions.sample_data}
    used |= {widget.command for widget in contributions.widgets}
    assert {command.id for command in contributions.commands} == used


def test_importing_the_gui_package_imports_nothing():
    code = "import sys, napari_tomoflow.gui; print([n for n in ('napari', 'qtpy', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_gui_uses_only_what_napari_offers_to_plugins():
    package = Path(__file__).parents[2] / "src" / "napari_tomoflow" / "gui"
    sources = {path.name: path.read_text("utf-8") for path in package.glob("*.py")}
    private = ("napari._", "window._", "viewer._", "_qt_window", "_qt_viewer", "PyQt", "PySide", "layer._")
    assert [(name, word) for name, text in sources.items() for word in private if word in text] == []
