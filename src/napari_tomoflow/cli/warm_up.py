"""``tomoflow warm-up``: compile every kernel once, so that the first real job does not wait for it."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.interrupt import cancelled_by_signals
from napari_tomoflow.cli.progress import progress_shown
from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import Report, part
from napari_tomoflow.core.stage import Stage

_SMALLEST = {
    "iterations": 2, "rounds": 1, "folds": 2, "starts": 1, "lots": 2, "repeats": 2, "angular_step_deg": 30.0,
    "diameter_ang": 260.0, "spacing_nm": 20.0, "resolution_ang": 80.0, "low_resolution_ang": 160.0,
    "size_px": 96, "n_tilts": 9, "n_ribosomes": 4, "n_proteasomes": 2, "n_gold": 4, "n_vesicles": 1,
}  # fmt: skip
"""What keeps a stage short, by the names parameters have; those a stage lacks are passed over."""

_WORTH_A_RUN = {"symmetry": ("C2",), "annealed": (1000,)}
"""Values that ask for kernels of their own where a parameter offers no choices, by its name."""


def warm_up(
    *,
    every_choice: Annotated[bool, Parameter(name="--every-choice", negative=(), show_default=False)] = False,
) -> int:
    """Compile kernels once, by running every stage on next to nothing; later runs load them from the cache.

    Parameters
    ----------
    every_choice
        Compile what stages need for choices other than those they make by default, too; takes some minutes.
    """
    from napari_tomoflow.core.stages import STAGES

    begun_s = time.monotonic()
    with progress_shown("warm-up") as shown, cancelled_by_signals(shown) as report:
        unfinished = compile_stages(STAGES, report, every_choice=every_choice)
    for sentence in unfinished:
        print(sentence, file=sys.stderr)
    print(f"Kernels are ready; it took {time.monotonic() - begun_s:.1f} s.", file=sys.stderr)
    return Exit.DONE


def compile_stages(stages: Sequence[Stage], report: Report, *, every_choice: bool = False) -> list[str]:
    """Run stages on next to nothing, and say which did not come to their end.

    Parameters
    ----------
    stages : sequence of Stage
    report : callable
    every_choice : bool
        Run each once more for every other choice it offers, and for a bent specimen. Not all can be made on so little,
        so that none of these is told of.
    """
    from napari_tomoflow.cli.tiny_inputs import TinyInputs

    tiny = TinyInputs()
    ways = [(stage, small_params(stage), tiny.of, True) for stage in stages]
    if every_choice:
        ways += [(stage, params, tiny.of, False) for stage in stages for params in other_choices(stage)]
        ways += [(stage, small_params(stage), tiny.bent_of, False) for stage in stages if tiny.can_be_bent(stage)]
    unfinished = []
    for number, (stage, params, inputs_of, is_told_of) in enumerate(ways):
        share = part(report, number, len(ways))
        share(0, 1, f"Compiling {stage.name}")
        try:
            stage(params, inputs_of(stage), report=_saying(stage, share))
        except TomoflowError as error:
            if is_told_of:
                unfinished.append(f"{stage.name} could not be tried to the end: {error}")
    return unfinished


def small_params(stage: Stage) -> Params:
    """Return the parameters of a stage as they come, but for those that make it long."""
    values = {}
    for spec in stage.params.specs():
        if spec.name in _SMALLEST:
            value = _SMALLEST[spec.name]
            values[spec.name] = value if spec.low is None else max(spec.kind(spec.low), value)
    return stage.params(**values)


def other_choices(stage: Stage) -> list[Params]:
    """Return the same parameters with every other choice in turn, as far as it goes with the rest."""
    small, found = small_params(stage), []
    for spec in stage.params.specs():
        for choice in (*spec.choices, *_WORTH_A_RUN.get(spec.name, ())):
            if choice not in (None, spec.default):
                with suppress(TomoflowError):
                    found.append(small.replace(**{spec.name: choice}))
    return found


def _saying(stage: Stage, report: Report) -> Report:
    """Name the stage, whatever it says it is doing."""
    return lambda done, total, _: report(done, total, f"Compiling {stage.name}")
