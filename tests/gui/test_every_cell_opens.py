"""A double-click on any cell of the project table opens what shows it."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from contracts.samples import inputs_of, params_of
from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import (
    Alignment,
    Average,
    Classes,
    CtfSeries,
    DensityMap,
    FinishedMap,
    ParticleSet,
    Polished,
    Simulation,
    SubtiltSet,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.core.stages.map_back import map_back
from napari_tomoflow.gui.average_inspector.inspector import AverageInspector
from napari_tomoflow.gui.ctf_inspector.inspector import CtfInspector
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.inspector.inspector import AlignmentInspector
from napari_tomoflow.gui.layers import SPECIMEN_AXES
from napari_tomoflow.gui.map_back.view import PlacedAverages
from napari_tomoflow.gui.opening import open_result
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, run
from unit.mapping_back import placed

STAGE = {stage.name: stage for stage in STAGES}
SERIES, SPECIES = "TS", "ball"
N = 12

SHOWN_BY = {
    "import": f"{SERIES} tilts", "simulate": "sim tilts", "motion": f"{SERIES} tilts", "align": AlignmentInspector,
    "ctf": CtfInspector, "reconstruct": SERIES, "match": Picker, "pick": Picker, "extract": f"{SPECIES} cut out",
    "initial-model": AverageInspector, "refine": AverageInspector, "polish": (AverageInspector, AlignmentInspector),
    "postprocess": AverageInspector, "classify": AverageInspector, "map-back": PlacedAverages,
    "align-map": AverageInspector,
}  # fmt: skip
"""Stage → the tool its cells open, or the name of the layer; those of polishing are of averages and of series."""


def density(name=SPECIES):
    """Make a map with halves."""
    rng = np.random.default_rng(1)
    volumes = rng.normal(size=(3, N, N, N)).astype(np.float32)
    return DensityMap(name=name, volume=volumes[0], voxel_ang=10.0, halves=(volumes[1], volumes[2]))


def average(name=SPECIES, **more):
    return Average(map=density(name), particles=particles(), **more)


def particles():
    rng = np.random.default_rng(2)
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-90, 90, (6, 3)),
        tomogram=np.array(SERIES),
        score=np.linspace(0, 1, 6),
        features={"species": np.full(6, SPECIES)},
    )


def results():
    """Make one result of every stage, without its work."""
    given = inputs_of(STAGE["reconstruct"])
    series: TiltSeries = given["series"].replace(name=SERIES)
    alignment: Alignment = given["alignment"]
    ctf: CtfSeries = given["ctf"]
    rng = np.random.default_rng(3)
    finished = density()
    return {
        "import": series,
        "simulate": Simulation(series=series.replace(name="sim"), alignment=alignment, ctf=ctf, particles=particles()),
        "motion": series,
        "align": alignment,
        "ctf": ctf,
        "reconstruct": Tomogram(
            name=SERIES, volume=rng.normal(size=(24, 32, 32)).astype(np.float32), voxel_ang=10.0
        ),
        "match": particles(),
        "pick": particles(),
        "extract": SubtiltSet(
            particles=particles(), particle=np.arange(6), tilt=np.zeros(6), pixel_ang=10.0,
            images=rng.normal(size=(6, N, N)).astype(np.float32),
        ),
        "initial-model": average(classes=tuple(average(f"{SPECIES}_{number}") for number in (1, 2))),
        "refine": average(),
        "polish": Polished(averages={SPECIES: average()}, alignments={SERIES: alignment}, ctfs={SERIES: ctf}),
        "postprocess": FinishedMap(
            name=SPECIES, volume=finished.volume, voxel_ang=10.0, mask=np.ones((N,) * 3, np.float32),
            halves=finished.halves, local_volume=finished.volume, quality={"resolution_ang": 30.0},
        ),
        "classify": Classes(particles=particles().replace(class_ids=np.ones(6, int)), maps=(density(), density())),
        "map-back": map_back(placed.tomogram(), placed.ensemble(4)),
        "align-map": density(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def made_project(tmp_path_factory):
    """A project that every stage has worked in, as far as the project knows."""
    folder = tmp_path_factory.mktemp("cells")
    project = Project.create(folder / "p")
    write_mrc(folder / f"{SERIES}.mrc", np.zeros((21, 64, 64), np.float32), 10.0, stack=True)
    write_mrc(folder / "template.mrc", density().volume, 10.0)
    for name, result in results().items():
        stage = STAGE[name]
        inputs = STAGE["align"].inputs if name == "motion" else stage.inputs  # frames are not what this is about
        fake = replace(stage, function=lambda *inputs, result=result, **services: result, inputs=inputs)
        known = {spec.name for spec in stage.params.specs()}
        said = {"species": SPECIES, "name": "", "template": folder / "template.mrc"}
        if name == "simulate":
            said["name"] = "sim"
        params = params_of(stage).replace(**{key: value for key, value in said.items() if key in known})
        sources = [folder / f"{SERIES}.mrc"] if name == "import" else []
        starts_series, of_maps = name in ("import", "simulate"), name in ("postprocess", "align-map")
        chosen = [] if starts_series else [SPECIES] if of_maps else [SERIES]
        record = run(project, fake, params, series=chosen, sources=sources)
        assert record.status == "done", (name, record)
    return project.folder


@pytest.fixture
def project(made_project, tmp_path):
    shutil.copytree(made_project, tmp_path / "p")
    return Project.open(tmp_path / "p")


@pytest.fixture
def problems(monkeypatch):
    """All that the dock and its tools could not do."""
    told = []
    for where in ("dock.show_error", "telling.show_error"):
        monkeypatch.setattr(f"napari_tomoflow.gui.{where}", told.append)
    return told


@pytest.fixture
def dock(make_napari_viewer, project, problems, qtbot):
    dock = TomoflowDock(make_napari_viewer(), project.folder)
    dock.viewer.window.add_dock_widget(dock, name="Tomoflow")
    yield dock
    for widget in list(dock.viewer.window.dock_widgets.values()):
        if isinstance(widget, Picker):
            qtbot.waitUntil(lambda widget=widget: widget.is_settled, timeout=60000)


def double_click(dock, row, stage):
    model = dock.table.rows
    dock.table.doubleClicked.emit(model.index(model.series.index(row), model.stages.index(stage)))


def is_there(dock, shown_by):
    """Tell whether a tool has something open, or a layer is in the viewer."""
    if isinstance(shown_by, str):
        return shown_by in dock.viewer.layers
    widgets = [widget for widget in dock.viewer.window.dock_widgets.values() if isinstance(widget, shown_by)]
    return any(getattr(widget, "session", widget) is not None for widget in widgets)


@pytest.mark.parametrize("stage", STAGE)
def test_a_double_click_opens_what_shows_the_result(stage, dock, project, problems):
    rows = [row for row, cells in project.table().items() if stage in cells]
    assert rows
    for row in rows:
        double_click(dock, row, stage)
        assert not problems
        assert is_there(dock, SHOWN_BY[stage]), row


def test_each_class_of_an_initial_model_opens_with_its_own_map(dock, project, problems):
    for name in (SPECIES, f"{SPECIES}_1", f"{SPECIES}_2"):
        double_click(dock, name, "initial-model")
        inspector = next(w for w in dock.viewer.window.dock_widgets.values() if isinstance(w, AverageInspector))
        assert inspector.session.name == name
        assert len(inspector.session.particles) == 6
    assert not problems


@pytest.mark.parametrize(
    ("stage", "row", "name"), [("postprocess", SPECIES, "ball map"), ("extract", SPECIES, "ball cut out")]
)
def test_results_without_a_tool_are_layers_with_scale_and_units(stage, row, name, make_napari_viewer, project):
    viewer = make_napari_viewer()
    open_result(viewer, project, row, project.table()[row][stage].job)
    layer = viewer.layers[name]
    np.testing.assert_allclose(layer.scale, 10.0)
    assert {str(unit) for unit in layer.units} == {"angstrom"}
    if stage == "postprocess":
        assert layer.axis_labels == SPECIMEN_AXES
        np.testing.assert_allclose(layer.data_to_world((N // 2,) * 3), 0.0)


def test_what_a_job_has_not_made_is_told(dock, project):
    with pytest.raises(MissingError, match="has made nothing of"):
        open_result(dock.viewer, project, "nobody", project.table()[SERIES]["align"].job)
