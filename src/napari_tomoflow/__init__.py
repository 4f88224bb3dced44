"""Cryo-electron tomography from tilt series to subtomogram averages, in napari and without it."""

import os

__version__ = "0.1.0"

# Threads with nothing to do shall sleep. By default they spin, which costs small kernels several times their own work,
# most of all on a busy machine; no result depends on it. It is read when numpy and numba load, in workers, too; what
# a user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
