"""One item of a job: what is to be done, doing it, and how it ended."""

import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike, NDArray

from napari_tomoflow.core.model import Dataset, Ensemble, ParticleSet, RawStack, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import Report
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.project.book import load_noun
from napari_tomoflow.project.ensembles import load_ensemble
from napari_tomoflow.project.fingerprint import READER_OPTIONS
from napari_tomoflow.project.gathering import load_dataset
from napari_tomoflow.project.record import Reference
from napari_tomoflow.project.services import FolderSteps, batch_pool


@dataclass(frozen=True)
class Task:
    """All that is needed to work on one item; fit to be sent to another process.

    Attributes
    ----------
    project : pathlib.Path
        Folder that paths are relative to.
    input_folders : dict of str to pathlib.Path
        Input → folder of the item that made it.
    folder : pathlib.Path
        Where results are put; a name that says they are not complete.
    steps : pathlib.Path
        Folder for what the stage would need to go on from, should it be stopped.
    workers : int
        How many processes may share its batches.
    """

    name: str
    stage: Stage
    params: Params
    project: Path
    inputs: Mapping[str, Reference]
    input_folders: Mapping[str, Path]
    folder: Path
    steps: Path
    workers: int = 1


@dataclass(frozen=True)
class Outcome:
    """How an item ended: with outputs, with an error the person can mend, or with a bug.

    Attributes
    ----------
    seconds : float
        Time it took.
    peak_memory : int
        Largest resident memory the process that worked on it has had, bytes.
    outputs : dict of str to str
        Name of the noun → file, relative to the task's folder.
    parts : dict of str to dict of str to str
        The same of each other item that the result has parts for.
    error : str
        The sentence of either kind of error.
    bug : Exception or None
    trace : str
        Traceback of the bug.
    not_drawn : str
        Why the result, which is there, has no pictures; empty when it has all there are of it.
    """

    seconds: float
    peak_memory: int
    outputs: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    error: str = ""
    bug: Exception | None = None
    trace: str = ""
    not_drawn: str = ""


def peak_memory() -> int:
    """Return the largest resident memory this process has had, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def make(task: Task, report: Report) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Load the inputs of an item, run the stage, save its result in the task's folder.

    Returns
    -------
    dict of str to str
        Name of the noun → file, relative to that folder.
    dict of str to dict of str to str
        The same of each other item that the result has parts for.
    """
    from napari_tomoflow.io.mrc import allocate_mrc
    from napari_tomoflow.io.results import outputs_of, save  # costs pandas

    def allocate(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return allocate_mrc(task.folder / f"{name}.mrc", shape, dtype)

    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    inputs = {name: _load(task, name) for name in task.stage.inputs}
    steps = FolderSteps(task.steps)
    with batch_pool(task.workers) as map_batches:
        result = task.stage(task.params, inputs, report=report, allocate=allocate, map_batches=map_batches, steps=steps)
    saved = save(result, task.folder)
    steps.clear()
    parts = {
        name: {kind: file for part in nouns for kind, file in outputs_of(part).items()}
        for name, nouns in result.parts().items()
    }
    return saved, parts


def draw(task: Task) -> None:
    """Leave pictures of the saved result beside it, if there are any of its kind."""
    from napari_tomoflow.io.plots import DRAWN, DRAWN_ALONE, save_figures

    kind = task.stage.result
    of_series = [name for name, needed in task.stage.inputs.items() if issubclass(needed.kind, TiltSeries)]
    if kind in DRAWN and (of_series or kind in DRAWN_ALONE):
        series = _load(task, of_series[0]) if of_series else None
        volumes = [name for name, needed in task.stage.inputs.items() if needed.kind is Tomogram]
        tomogram = _load(task, volumes[0]) if volumes else None
        save_figures(load_noun(kind, task.folder), series, task.folder, tomogram)


def _load(task: Task, name: str) -> Any:
    """Load one input; None when the project has it not."""
    kind = task.stage.inputs[name].kind
    if task.stage.inputs[name].many:
        given = (reference for key, reference in task.inputs.items() if key.startswith(f"{name}."))
        return tuple(_read(task, name, reference) for reference in given)
    if kind is Ensemble:
        return load_ensemble(task.inputs, task.input_folders, name)
    if kind is Dataset:
        return load_dataset(task.inputs, task.input_folders, name)
    if name not in task.inputs:
        return None
    reference = task.inputs[name]
    if reference.job is not None:
        return load_noun(kind, task.input_folders[name])
    return _read(task, name, reference)


def _read(task: Task, name: str, reference: Reference) -> Any:
    """Read an input from a file."""
    kind = task.stage.inputs[name].kind
    path = (task.project / reference.path).resolve()
    if kind is not RawStack:
        from napari_tomoflow.io.given import read_given

        return read_given(
            kind,
            path,
            voxel_ang=getattr(task.params, f"{name}_voxel_ang", None),
            unit=getattr(task.params, f"{name}_unit", None),
            tomogram=_tomogram_of(task) if kind is ParticleSet else None,
        )
    from napari_tomoflow.io.sources import read_raw_stack

    options = {option: getattr(task.params, option) for option in READER_OPTIONS if hasattr(task.params, option)}
    return read_raw_stack(path, **options).replace(name=task.name)


def _tomogram_of(task: Task) -> Tomogram | None:
    """Load the tomogram of an item, if its stage takes one and there is one."""
    names = [name for name, needed in task.stage.inputs.items() if needed.kind is Tomogram and not needed.many]
    tomogram: Tomogram | None = _load(task, names[0]) if names else None
    return tomogram
