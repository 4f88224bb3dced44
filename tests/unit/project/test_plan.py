"""Which items a job has and where their inputs come from."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, run
from napari_tomoflow.project.plan import Request, make_plan
from unit.project import fake_stages as fake


def stack_at(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, np.zeros((3, 8, 8), np.float32), 2.0)
    return path


def jobs_of(plan):
    return {name: {given: reference.job for given, reference in inputs.items()} for name, inputs in plan.items.items()}


def test_inputs_are_the_newest_finished_results_of_each_noun(small_project):
    run(small_project, fake.MEASURE, fake.MeasureParams(axis_deg=1))
    run(small_project, fake.MEASURE, fake.MeasureParams(axis_deg=2), series=["B"])
    plan = make_plan(small_project, Request(fake.BUILD, fake.BuildParams()))
    assert jobs_of(plan) == {"A": {"series": 1, "alignment": 3}, "B": {"series": 2, "alignment": 4}}
    assert small_project.load(Alignment, "B").axis_deg[0] == 2


def test_optional_input_that_is_missing_is_left_out(small_project):
    assert jobs_of(make_plan(small_project, Request(fake.BUILD, fake.BuildParams()))) == {
        "A": {"series": 1},
        "B": {"series": 2},
    }


def test_inputs_can_be_taken_from_the_lineage_of_a_job(small_project):
    run(small_project, fake.MEASURE, fake.MeasureParams(axis_deg=1))
    run(small_project, fake.INVENT, fake.InventParams(name="A", seed=5))
    run(small_project, fake.MEASURE, fake.MeasureParams(axis_deg=2))
    plan = make_plan(small_project, Request(fake.BUILD, fake.BuildParams(), from_job=3))
    assert jobs_of(plan)["A"] == {"series": 1, "alignment": 3}
    plan = make_plan(small_project, Request(fake.BUILD, fake.BuildParams(), from_job=4))
    assert jobs_of(plan) == {"A": {"series": 4}}
    assert small_project.find(Alignment, "A", from_job=4) is None
    assert small_project.find(TiltSeries, "A", from_job=3) == small_project.job_folder(1) / "A"


def test_results_of_an_unfinished_job_are_not_taken_by_default(small_project):
    def interrupt(done, total, doing):
        if "B: " in doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(small_project, fake.MEASURE, fake.MeasureParams(), report=interrupt)
    assert small_project.job(3).items["A"].status == "done"
    assert small_project.find(Alignment, "A") is None
    assert small_project.find(Alignment, "A", from_job=3) == small_project.job_folder(3) / "A"


def test_missing_input_names_noun_series_and_the_stage_that_makes_it(tmp_path):
    project = Project.create(tmp_path / "p")
    with pytest.raises(MissingError, match=r"holds no tilt series yet; run `tomoflow import` first"):
        make_plan(project, Request(fake.MEASURE, fake.MeasureParams()))


def test_series_without_its_input_is_left_out_unless_asked_for(small_project):
    # A stage that cannot do without an alignment, which only A has.
    needy = replace(
        fake.BUILD, inputs={name: replace(given, required=True) for name, given in fake.BUILD.inputs.items()}
    )
    run(small_project, fake.MEASURE, fake.MeasureParams(), series=["A"])
    plan = make_plan(small_project, Request(needy, fake.BuildParams()))
    assert list(plan.items) == ["A"]
    assert plan.left_out == ("B has no finished Alignment; run `tomoflow align` first.",)
    record = run(small_project, needy, fake.BuildParams())
    assert (record.status, record.left_out) == ("done", plan.left_out)
    assert f"Left out: {plan.left_out[0]}" in (small_project.job_folder(record.number) / "log.txt").read_text()
    with pytest.raises(MissingError, match="B has no finished Alignment; run `tomoflow align` first"):
        make_plan(small_project, Request(needy, fake.BuildParams(), series=("A", "B")))
    with pytest.raises(MissingError, match="B has no finished Alignment among the ancestors of job 2"):
        make_plan(small_project, Request(needy, fake.BuildParams(), from_job=2))


def test_unknown_series_lists_the_known_ones(small_project):
    with pytest.raises(MissingError, match=r"There is no series Z .* choose from A, B"):
        make_plan(small_project, Request(fake.MEASURE, fake.MeasureParams(), series=("Z",)))


def test_unknown_job_is_named(small_project):
    with pytest.raises(MissingError, match="There is no job 9"):
        make_plan(small_project, Request(fake.MEASURE, fake.MeasureParams(), from_job=9))


def test_same_name_from_a_second_file_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    one, two = stack_at(tmp_path / "x" / "TS.mrc"), stack_at(tmp_path / "y" / "TS.mrc")
    run(project, fake.GATHER, fake.GatherParams(), sources=[one])
    with pytest.raises(ParamError, match=r"Name clash: TS is .*x/TS.mrc already, not .*y/TS.mrc; give --name"):
        run(project, fake.GATHER, fake.GatherParams(), sources=[two])
    assert run(project, fake.GATHER, fake.GatherParams(name="other"), sources=[two]).status == "done"
    assert run(project, fake.GATHER, fake.GatherParams(pixel_ang=3.0), sources=[one]).status == "done"
    assert project.series() == ("TS", "other")


def test_same_name_twice_in_one_import_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    stacks = [stack_at(tmp_path / "x" / "TS.mrc"), stack_at(tmp_path / "y" / "TS.mrc")]
    with pytest.raises(ParamError, match="Name clash"):
        run(project, fake.GATHER, fake.GatherParams(), sources=stacks)
    assert project.jobs() == ()


def test_simulated_series_cannot_take_the_name_of_an_imported_one(tmp_path):
    project = Project.create(tmp_path / "p")
    run(project, fake.GATHER, fake.GatherParams(), sources=[stack_at(tmp_path / "TS.mrc")])
    with pytest.raises(ParamError, match="not a new simulation"):
        run(project, fake.INVENT, fake.InventParams(name="TS"))


def test_one_name_for_two_files_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    stacks = (stack_at(tmp_path / "1.mrc"), stack_at(tmp_path / "2.mrc"))
    with pytest.raises(ParamError, match="One name, X, was given for 2 files"):
        make_plan(project, Request(fake.GATHER, fake.GatherParams(name="X"), sources=stacks))


@pytest.mark.parametrize("name", ["a/b", ".hidden", "..", "x.partial", "running.1", "job.json", "log.txt"])
def test_name_that_cannot_be_a_folder_is_refused(small_project, name):
    with pytest.raises(ParamError, match="A series cannot be named"):
        run(small_project, fake.INVENT, fake.InventParams(name=name))


def test_file_that_is_not_there_and_folder_are_refused(small_project, tmp_path):
    with pytest.raises(MissingError, match=r"There is no file .*nothing\.mrc"):
        run(small_project, fake.GATHER, fake.GatherParams(), sources=[tmp_path / "nothing.mrc"])
    with pytest.raises(DataError, match="is a folder; give a stack in it"):
        run(small_project, fake.GATHER, fake.GatherParams(), sources=[tmp_path])
    with pytest.raises(ParamError, match="needs a file"):
        run(small_project, fake.GATHER, fake.GatherParams())
    assert len(small_project.jobs()) == 2


def test_files_and_series_are_refused_by_stages_that_take_none(small_project, tmp_path):
    with pytest.raises(ParamError, match="measure takes no files"):
        run(small_project, fake.MEASURE, fake.MeasureParams(), sources=[tmp_path / "x.mrc"])
    with pytest.raises(ParamError, match="invent makes new series"):
        run(small_project, fake.INVENT, fake.InventParams(), series=["A"])


def test_changed_list_of_angles_beside_a_stack_changes_the_fingerprint(tmp_path):
    project = Project.create(tmp_path / "p")
    stack = stack_at(tmp_path / "TS.mrc")
    (tmp_path / "TS.tlt").write_text("-60\n0\n60\n")
    first = run(project, fake.GATHER, fake.GatherParams(), sources=[stack])
    (tmp_path / "TS.tlt").write_text("-60\n0\n61.5\n")
    second = run(project, fake.GATHER, fake.GatherParams(), sources=[stack])
    assert first.inputs["TS"].keys() == {"recorded", "beside.TS.tlt"}
    assert first.fingerprint != second.fingerprint


def test_changed_file_named_by_a_parameter_changes_the_fingerprint(small_project, tmp_path):
    guide = tmp_path / "guide.txt"
    guide.write_text("1")
    first = run(small_project, fake.BUILD, fake.BuildParams(guide=guide))
    guide.write_text("12")
    second = run(small_project, fake.BUILD, fake.BuildParams(guide=guide))
    assert first.params == second.params == {**first.params, "guide": "../guide.txt"}
    assert first.fingerprint != second.fingerprint


def test_text_that_names_a_file_to_read_counts_as_a_file(tmp_path):
    project = Project.create(tmp_path / "p")
    order = tmp_path / "order.txt"
    order.write_text("0\n1\n2\n")
    stack = stack_at(tmp_path / "TS.mrc")
    by_file = make_plan(project, Request(fake.GATHER, fake.GatherParams(order=str(order)), sources=(stack,)))
    by_word = make_plan(project, Request(fake.GATHER, fake.GatherParams(order="monotonic"), sources=(stack,)))
    assert by_file.items["TS"].keys() == {"recorded", "params.order"}
    assert by_word.items["TS"].keys() == {"recorded"}
