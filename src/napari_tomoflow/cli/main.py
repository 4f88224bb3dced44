"""The program ``tomoflow``: one command per stage, and the few around them."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError, Group

from napari_tomoflow import __version__
from napari_tomoflow.cli.demo import demo
from napari_tomoflow.cli.doctor import doctor
from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.export import export
from napari_tomoflow.cli.import_particles import import_particles
from napari_tomoflow.cli.jobs import run_stage
from napari_tomoflow.cli.projects import new, open_, run, status
from napari_tomoflow.cli.report import report
from napari_tomoflow.cli.stage_command import stage_command, usage
from napari_tomoflow.cli.warm_up import warm_up
from napari_tomoflow.core.errors import Cancelled, TomoflowError
from napari_tomoflow.core.stages import STAGES

_PROJECT_GROUP = Group("Projects", sort_key=0)
_STAGE_GROUP = Group("Stages, in the order of the pipeline", sort_key=1)
_MACHINE_GROUP = Group("This machine", sort_key=2)

_PROJECT_COMMANDS: dict[str, Callable[..., int]] = {
    "new": new,
    "status": status,
    "open": open_,
    "run": run,
    "report": report,
    "import-particles": import_particles,
    "export": export,
}
_MACHINE_COMMANDS: dict[str, Callable[..., int]] = {"demo": demo, "doctor": doctor, "warm-up": warm_up}


def build_app() -> App:
    """Assemble the program from `STAGES` and the commands around them."""
    app = App(
        name="tomoflow",
        help="Cryo-electron tomography from tilt series to tomograms.",
        version=__version__,
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, command in _PROJECT_COMMANDS.items():
        app.command(command, name=name, group=_PROJECT_GROUP)
    for place, stage in enumerate(STAGES):
        command = stage_command(stage, run_stage)
        app.command(command, name=stage.name, group=_STAGE_GROUP, sort_key=place, usage=f"Usage: {usage(stage)}")
    for name, command in _MACHINE_COMMANDS.items():
        app.command(command, name=name, group=_MACHINE_GROUP)
    return app


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what cannot be returned is said on standard error."""
    try:
        return int(build_app()(words) or Exit.DONE)
    except CycloptsError as error:
        error.verbose = False
        return _mend(str(error))
    except TomoflowError as error:
        return _mend(str(error))
    except (Cancelled, KeyboardInterrupt):
        print("Cancelled.", file=sys.stderr)
        return Exit.CANCELLED
    except Exception:
        traceback.print_exc()
        print("This is a bug in tomoflow; please report it with the lines above.", file=sys.stderr)
        return Exit.BUG


def _mend(sentence: str) -> int:
    print(f"tomoflow: {sentence}", file=sys.stderr)
    return Exit.MEND


def program() -> NoReturn:
    """Be the process ``tomoflow``."""
    code = main()
    if code == Exit.CANCELLED:
        # Taking the compiled kernels apart costs half of the second a cancel may take.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
