"""What the disk refuses, said plainly, and paths that survive a move of the project."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import cannot_write

_REFUSED_TO_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals inside the block into one sentence about `path`."""
    try:
        yield
    except OSError as error:
        raise plain(error, path) from error


def plain(error: OSError, path: Path) -> DataError:
    """Say in one sentence which file could not be used, why, and what to do; `path` if the error names none."""
    where = Path(error.filename) if isinstance(error.filename, str | os.PathLike) else path
    if error.errno in _REFUSED_TO_WRITE:
        return cannot_write(where, error)
    return DataError(f"{where} cannot be used ({error.strerror or error}); check the file and its disk, run again.")


def portable(path: Path, folder: Path) -> str:
    """Write a path relative to `folder` when it lies inside or beside it, else absolute.

    What lies beside a project is likely to be moved with it; what lies elsewhere is not.
    """
    full, base = path.expanduser().resolve(), folder.resolve()
    if full.is_relative_to(base.parent):
        return Path(os.path.relpath(full, base)).as_posix()
    return full.as_posix()
