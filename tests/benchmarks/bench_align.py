"""How long alignment from disk takes, where the time goes and how much memory it needs, from 512² to 4096².

The same simulated specimen is shown at every size: expected counts are simulated at 512² or 1024², interpolated
to the size by padding their transform, and noise is added pixel by pixel.
"""

import resource
import time
from collections import defaultdict

import mrcfile
import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.stages.align import align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.io.stacks import open_stack

FIELD_ANG = 5530.0
COUNTS_PER_ANG2 = 2.0
LIMITS_S = {(41, 1024): 20.0, (60, 4096): 240.0}
LIMIT_GB = 6.0


class Stopwatch:
    """A report that adds up the seconds between calls under what was being done."""

    def __init__(self):
        self.seconds = defaultdict(float)
        self._doing, self._since = "Starting", time.perf_counter()

    def __call__(self, done, total, doing):
        now = time.perf_counter()
        self.seconds[self._doing] += now - self._since
        self._doing, self._since = doing, now

    def __str__(self):
        longest_first = sorted(self.seconds.items(), key=lambda item: -item[1])
        return ", ".join(f"{doing} {seconds:.1f}" for doing, seconds in longest_first if seconds > 0.2)


def enlarged(image, size):
    """Interpolate a square image by padding its transform."""
    n = len(image)
    image_rft = scipy.fft.rfft2(image.astype(np.float32), workers=-1)
    padded = np.zeros((size, size // 2 + 1), np.complex64)
    half = n // 2
    padded[:half, :half], padded[-half:, :half] = image_rft[:half, :half], image_rft[-half:, :half]
    return scipy.fft.irfft2(padded, s=(size, size), workers=-1) * np.float32(size / n) ** 2


def write_series(path, n_tilts, size):
    """Write int16 counts of a series as a microscope does, image after image; return the series, read from disk."""
    seen_px = min(size, 512)
    made = simulate(
        SimulateParams(size_px=seen_px, pixel_ang=FIELD_ANG / seen_px, n_tilts=n_tilts, noise=False, axis_error_deg=2.0)
    ).series
    pixel_ang = FIELD_ANG / size
    rng = np.random.default_rng(0)
    with mrcfile.new_mmap(path, (n_tilts, size, size), mrc_mode=1) as mrc:
        for i, image in enumerate(made.images):
            expected = enlarged(image, size) * (COUNTS_PER_ANG2 * pixel_ang**2 / image.mean())
            noise = rng.standard_normal(expected.shape, np.float32) * np.sqrt(np.maximum(expected, 0.0))
            # Ten steps per electron keep what rounding would take from the few counts of a small pixel.
            mrc.data[i] = np.rint(10.0 * (expected + noise))
    return made.replace(images=open_stack(path), pixel_ang=pixel_ang)


@pytest.mark.slow
@pytest.mark.parametrize(("n_tilts", "size"), [(41, 512), (41, 1024), (41, 2048), (60, 4096)])
def test_time_and_memory_of_aligning_from_disk(n_tilts, size, tmp_path):
    path = tmp_path / "stack.mrc"
    try:
        series = write_series(path, n_tilts, size)
        watch, started, used = Stopwatch(), time.perf_counter(), time.process_time()
        alignment = align(series, report=watch)
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
    finally:
        path.unlink(missing_ok=True)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(  # noqa: T201
        f"\n{n_tilts} × {size}²: {seconds:.1f} s ({cpu:.1f} CPU-s), at most {gigabytes:.2f} GB; {watch}; "
        f"residual {alignment.quality['residual_px']['mean']} px"
    )
    assert alignment.kept.all()
    assert seconds < LIMITS_S.get((n_tilts, size), np.inf)
    assert gigabytes < LIMIT_GB
