"""Keeping arrays that lie in files from filling the memory."""

import mmap
from typing import Any

import numpy as np


def release_pages(array: Any) -> None:
    """Hand the memory of a mapped file back; what was written stays, and the next look reads it again.

    The system keeps the pages of a shared map resident until memory runs short, so a result far larger
    than memory would seem to fill it. Only arrays of a file mapped shared are touched; of a private map
    (mode ``"c"``) the changes would be lost.
    """
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":
            return
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
