"""``tomoflow warm-up``: compile every kernel once, so that the first real job does not wait for it."""

import sys
import time

from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.interrupt import cancelled_by_signals
from napari_tomoflow.cli.progress import progress_shown
from napari_tomoflow.core.report import part
from napari_tomoflow.core.simulation.params import SimulateParams

_TINY = SimulateParams(
    size_px=96, pixel_ang=20.0, n_tilts=15, dose_per_tilt_e_ang2=20.0,
    n_ribosomes=6, n_proteasomes=2, n_gold=6, n_vesicles=1, vesicle_diameter_nm=60.0,
)  # fmt: skip


def warm_up() -> int:
    """Compile all kernels once; later runs load them from the cache."""
    from napari_tomoflow.core.stages.align import align
    from napari_tomoflow.core.stages.reconstruct import reconstruct
    from napari_tomoflow.core.stages.simulate import simulate

    begun_s = time.monotonic()
    with progress_shown("warm-up") as shown, cancelled_by_signals(shown) as report:
        simulation = simulate(_TINY, part(report, 0, 3))
        alignment = align(simulation.series, report=part(report, 1, 3))
        reconstruct(simulation.series, alignment, report=part(report, 2, 3))
    print(f"Kernels are ready; it took {time.monotonic() - begun_s:.1f} s.", file=sys.stderr)
    return Exit.DONE
