"""Which items a job has and where their inputs come from."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, run
from napari_tomoflow.project.plan import Request, make_plan
from unit.project.fake_stages import (
    BUILD,
    GATHER,
    INVENT,
    MEASURE,
    BuildParams,
    GatherParams,
    InventParams,
    MeasureParams,
    project_with_series,
)


@pytest.fixture
def project(tmp_path):
    return project_with_series(tmp_path / "p", "A", "B")


def stack_at(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, np.zeros((3, 8, 8), np.float32), 2.0)
    return path


def jobs_of(plan):
    return {name: {given: reference.job for given, reference in inputs.items()} for name, inputs in plan.items.items()}


def test_inputs_are_the_newest_finished_results_of_each_noun(project):
    run(project, MEASURE, MeasureParams(axis_deg=1))
    run(project, MEASURE, MeasureParams(axis_deg=2), series=["B"])
    plan = make_plan(project, Request(BUILD, BuildParams()))
    assert jobs_of(plan) == {"A": {"series": 1, "alignment": 3}, "B": {"series": 2, "alignment": 4}}
    assert project.load(Alignment, "B").axis_deg[0] == 2


def test_optional_input_that_is_missing_is_left_out(project):
    assert jobs_of(make_plan(project, Request(BUILD, BuildParams()))) == {"A": {"series": 1}, "B": {"series": 2}}


def test_inputs_can_be_taken_from_the_lineage_of_a_job(project):
    run(project, MEASURE, MeasureParams(axis_deg=1))
    run(project, INVENT, InventParams(name="A", seed=5))
    run(project, MEASURE, MeasureParams(axis_deg=2))
    plan = make_plan(project, Request(BUILD, BuildParams(), from_job=3))
    assert jobs_of(plan)["A"] == {"series": 1, "alignment": 3}
    plan = make_plan(project, Request(BUILD, BuildParams(), from_job=4))
    assert jobs_of(plan) == {"A": {"series": 4}}
    assert project.find(Alignment, "A", from_job=4) is None
    assert project.find(TiltSeries, "A", from_job=3) == project.job_folder(1) / "A"


def test_results_of_an_unfinished_job_are_not_taken_by_default(project):
    def interrupt(done, total, doing):
        if "B: " in doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(project, MEASURE, MeasureParams(), report=interrupt)
    assert project.job(3).items["A"].status == "done"
    assert project.find(Alignment, "A") is None
    assert project.find(Alignment, "A", from_job=3) == project.job_folder(3) / "A"


def test_missing_input_names_noun_series_and_the_stage_that_makes_it(tmp_path):
    project = Project.create(tmp_path / "p")
    with pytest.raises(MissingError, match=r"holds no tilt series yet; run `tomoflow import` first"):
        make_plan(project, Request(MEASURE, MeasureParams()))


def test_series_without_its_input_is_left_out_unless_asked_for(project):
    # A stage that cannot do without an alignment, which only A has.
    needy = replace(BUILD, inputs={name: replace(given, required=True) for name, given in BUILD.inputs.items()})
    run(project, MEASURE, MeasureParams(), series=["A"])
    plan = make_plan(project, Request(needy, BuildParams()))
    assert list(plan.items) == ["A"]
    assert plan.left_out == ("B has no finished Alignment; run `tomoflow align` first.",)
    with pytest.raises(MissingError, match="B has no finished Alignment; run `tomoflow align` first"):
        make_plan(project, Request(needy, BuildParams(), series=("A", "B")))
    with pytest.raises(MissingError, match="B has no finished Alignment among the ancestors of job 2"):
        make_plan(project, Request(needy, BuildParams(), from_job=2))


def test_unknown_series_lists_the_known_ones(project):
    with pytest.raises(MissingError, match=r"There is no series Z .* choose from A, B"):
        make_plan(project, Request(MEASURE, MeasureParams(), series=("Z",)))


def test_unknown_job_is_named(project):
    with pytest.raises(MissingError, match="There is no job 9"):
        make_plan(project, Request(MEASURE, MeasureParams(), from_job=9))


def test_same_name_from_a_second_file_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    one, two = stack_at(tmp_path / "x" / "TS.mrc"), stack_at(tmp_path / "y" / "TS.mrc")
    run(project, GATHER, GatherParams(), sources=[one])
    with pytest.raises(ParamError, match=r"Name clash: TS is .*x/TS.mrc already, not .*y/TS.mrc; give --name"):
        run(project, GATHER, GatherParams(), sources=[two])
    assert run(project, GATHER, GatherParams(name="other"), sources=[two]).status == "done"
    assert run(project, GATHER, GatherParams(pixel_ang=3.0), sources=[one]).status == "done"
    assert project.series() == ("TS", "other")


def test_same_name_twice_in_one_import_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    stacks = [stack_at(tmp_path / "x" / "TS.mrc"), stack_at(tmp_path / "y" / "TS.mrc")]
    with pytest.raises(ParamError, match="Name clash"):
        run(project, GATHER, GatherParams(), sources=stacks)
    assert project.jobs() == ()


def test_simulated_series_cannot_take_the_name_of_an_imported_one(tmp_path):
    project = Project.create(tmp_path / "p")
    run(project, GATHER, GatherParams(), sources=[stack_at(tmp_path / "TS.mrc")])
    with pytest.raises(ParamError, match="not a new simulation"):
        run(project, INVENT, InventParams(name="TS"))


def test_one_name_for_two_files_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    stacks = (stack_at(tmp_path / "1.mrc"), stack_at(tmp_path / "2.mrc"))
    with pytest.raises(ParamError, match="One name, X, was given for 2 files"):
        make_plan(project, Request(GATHER, GatherParams(name="X"), sources=stacks))


@pytest.mark.parametrize("name", ["a/b", ".hidden", "..", "x.partial"])
def test_name_that_cannot_be_a_folder_is_refused(project, name):
    with pytest.raises(ParamError, match="A series cannot be named"):
        run(project, INVENT, InventParams(name=name))


def test_file_that_is_not_there_and_folder_are_refused(project, tmp_path):
    with pytest.raises(MissingError, match=r"There is no file .*nothing\.mrc"):
        run(project, GATHER, GatherParams(), sources=[tmp_path / "nothing.mrc"])
    with pytest.raises(DataError, match="is a folder; give a stack in it"):
        run(project, GATHER, GatherParams(), sources=[tmp_path])
    with pytest.raises(ParamError, match="needs a file"):
        run(project, GATHER, GatherParams())
    assert len(project.jobs()) == 2


def test_files_and_series_are_refused_by_stages_that_take_none(project, tmp_path):
    with pytest.raises(ParamError, match="measure takes no files"):
        run(project, MEASURE, MeasureParams(), sources=[tmp_path / "x.mrc"])
    with pytest.raises(ParamError, match="invent makes new series"):
        run(project, INVENT, InventParams(), series=["A"])


def test_changed_list_of_angles_beside_a_stack_changes_the_fingerprint(tmp_path):
    project = Project.create(tmp_path / "p")
    stack = stack_at(tmp_path / "TS.mrc")
    (tmp_path / "TS.tlt").write_text("-60\n0\n60\n")
    first = run(project, GATHER, GatherParams(), sources=[stack])
    (tmp_path / "TS.tlt").write_text("-60\n0\n61.5\n")
    second = run(project, GATHER, GatherParams(), sources=[stack])
    assert first.inputs["TS"].keys() == {"recorded", "beside.TS.tlt"}
    assert first.fingerprint != second.fingerprint


def test_changed_file_named_by_a_parameter_changes_the_fingerprint(project, tmp_path):
    guide = tmp_path / "guide.txt"
    guide.write_text("1")
    first = run(project, BUILD, BuildParams(guide=guide))
    guide.write_text("12")
    second = run(project, BUILD, BuildParams(guide=guide))
    assert first.params == second.params == {**first.params, "guide": "../guide.txt"}
    assert first.fingerprint != second.fingerprint
