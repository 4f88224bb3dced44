"""Reading and writing whole files so that every failure is one sentence and nothing half-written stays."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from napari_tomoflow.core.errors import DataError

PARTS_FOLDER = "parts"
"""Holds a folder for each item that parts of a result belong to, until a project gives them their places."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def partial(path: Path) -> Path:
    """Name under which `path` is written until it is whole: ``NAME.partial`` beside it."""
    return path.with_name(path.name + ".partial")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a file to write; on success it is flushed and takes the name `path`, on failure it is removed.

    Raises
    ------
    DataError
        The disk is full, the folder is read-only, or it is not there.
    """
    aside = partial(path)
    try:
        yield aside
        publish(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def publish(path: Path) -> None:
    """Flush the partial file of `path` to the disk and give it its final name."""
    aside = partial(path)
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(aside, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, "utf-8", newline="\n")


def cannot_write(path: Path, error: OSError) -> DataError:
    """Say in one sentence why `path` could not be written and what to do."""
    if error.errno in _FULL:
        free = f"{_free_bytes(path.parent) / 1e9:.3g} GB free"
        return DataError(f"{path} cannot be written: the disk or quota is full ({free}); free some space, run again.")
    if error.errno in _FORBIDDEN:
        return DataError(
            f"{path} cannot be written: {path.parent} is read-only for you; change its permissions or the folder."
        )
    return DataError(f"{path} cannot be written: {error.strerror or error}; check that {path.parent} is a folder.")


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors about what is read from a file name it; what the file lacks by name is an error about it.

    Raises
    ------
    DataError
        As it came, with the file before it if it did not name one.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path} does not say {error.args[0]}; write it again with its program.") from error
    except DataError as error:
        if path.name in str(error):
            raise
        raise DataError(f"{path}: {error}") from error


def require_file(path: Path, kind: str) -> None:
    """Check that `path` is a readable file with something in it; `kind` says what it should be.

    Raises
    ------
    DataError
        It is missing, a folder, empty, or may not be read.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give the path of {kind}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the path of {kind} in it.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its permissions.") from error
    if empty:
        raise DataError(f"{path} is empty (0 bytes); copy {kind} again from its source.")


def read_text(path: Path, kind: str) -> str:
    """Read a text file: UTF-8, or Latin-1 where a microscope's program wrote that.

    Raises
    ------
    DataError
        It cannot be read or is not text.
    """
    require_file(path, kind)
    raw = path.read_bytes()
    if b"\0" in raw:
        raise DataError(f"{path} is not a text file; give the path of {kind}.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that a job wrote beside its results.

    Raises
    ------
    DataError
        It is missing or damaged.
    """
    try:
        return cast(dict[str, Any], json.loads(read_text(path, "a JSON file")))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is damaged: {error}; run the job again.") from error


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON file beside the results of a job, whole or not at all."""
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
