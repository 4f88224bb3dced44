"""The one place that decides how kernels are compiled."""

from collections.abc import Callable
from typing import Any

from numba import njit

# Every flag of fastmath but nnan and ninf: NaN marks missing data and must survive.
_NAN_SAFE = {"nsz", "arcp", "contract", "afn", "reassoc"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop nest on first call, run it on all cores and without the GIL."""
    compiled: Callable[..., Any] = njit(parallel=True, nogil=True, cache=True, fastmath=_NAN_SAFE)(function)
    return compiled


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop nest that one thread runs: a helper of a kernel, or a loop too short to share."""
    compiled: Callable[..., Any] = njit(nogil=True, cache=True, fastmath=_NAN_SAFE)(function)
    return compiled
