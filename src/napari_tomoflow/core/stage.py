"""A stage of the pipeline, described by its own function.

A stage is one plain function ``f(*inputs, params=..., report=silent) -> result``. Its name, inputs,
parameters, result and summary are read from the signature; the form, the command, the record, the
docs page and the contract tests all come from the `Stage`.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Protocol, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tomoflow.core.params import Params

Allocate = Callable[[str, tuple[int, ...], DTypeLike], NDArray[Any]]
"""``allocate(name, shape, dtype) -> array``: where a result that may exceed memory is put.

It may be a memory map: the stage fills it part by part."""

B = TypeVar("B")
R = TypeVar("R")


class MapBatches(Protocol):
    """``map_batches(function, batches)``: yields ``function(batch)`` of each, in order, worked on anywhere."""

    def __call__(self, function: Callable[[B], R], batches: Sequence[B], /) -> Iterator[R]:
        """Work on all batches; `function` and what it holds must be fit to be sent to another process."""


class Steps(Protocol):
    """Where a stage of many steps keeps what it would need to go on from, should it be stopped."""

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return what was saved under a name for the same work, if anything was."""

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep some arrays under a name, all or none; what was there before is replaced."""


SERVICES = ("report", "allocate", "map_batches", "steps")
"""Keyword arguments a stage may take from whoever runs it."""


def in_memory(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Allocate a result in memory."""
    return np.empty(shape, dtype)


def in_order(function: Callable[[B], R], batches: Sequence[B], /) -> Iterator[R]:
    """Work on batches here, one after the other."""
    return map(function, batches)


class NoSteps:
    """Keeps nothing: what is stopped begins anew."""

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return None."""

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class StageInput:
    """One input of a stage.

    Attributes
    ----------
    kind : type
        Which noun.
    required : bool
        Whether the stage cannot do without it.
    by_file : bool
        Whether a person may name a file instead of taking what the project holds: a parameter of
        the same name takes its path.
    many : bool
        Whether it is any number of nouns, a tuple of them; all are given by file.
    """

    kind: type
    required: bool
    by_file: bool = False
    many: bool = False


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline.

    Attributes
    ----------
    name : str
        Its name in all five places, e.g. ``reconstruct``.
    version : int
        Raised whenever the same input and parameters may give another result.
    function : callable
        The stage itself.
    inputs : mapping of str to StageInput
    params : type[Params]
    result : type
        The noun it returns.
    summary : str
        First line of the docstring.
    cites : tuple of str
        Papers the method is taken from.
    services : frozenset of str
        Which of `SERVICES` the function accepts.
    """

    name: str
    version: int
    function: Callable[..., Any]
    inputs: Mapping[str, StageInput]
    params: type[Params]
    result: type
    summary: str
    cites: tuple[str, ...]
    services: frozenset[str]

    @classmethod
    def of(cls, function: Callable[..., Any], *, version: int, cites: tuple[str, ...] = ()) -> Self:
        """Describe ``f(*inputs, params=..., report=silent) -> Result``."""
        hints = get_type_hints(function)
        signature = inspect.signature(function).parameters
        names = [name for name in signature if name not in SERVICES]
        if names[-1:] != ["params"] or not issubclass(hints["params"], Params) or "report" not in signature:
            raise TypeError(f"{function.__name__} must end in (params: <Params>, report: Report = silent).")
        # A trailing underscore keeps a Python keyword usable as a function name: `import_`.
        return cls(
            name=function.__name__.rstrip("_").replace("_", "-"),
            version=version,
            function=function,
            inputs={name: _input_of(name, hints[name], hints["params"]) for name in names[:-1]},
            params=hints["params"],
            result=hints["return"],
            summary=(inspect.getdoc(function) or "").splitlines()[0],
            cites=cites,
            services=frozenset(SERVICES) & frozenset(signature),
        )

    def __call__(self, params: Params, inputs: Mapping[str, Any], **services: Any) -> Any:
        """Run the function with those `services` it knows."""
        known = {name: service for name, service in services.items() if name in self.services}
        return self.function(**inputs, params=params, **known)


def _input_of(name: str, hint: Any, params: type[Params]) -> StageInput:
    """Read one input: ``Noun`` is required, ``Noun | None`` and ``tuple[Noun, ...]`` are not."""
    by_file = any(spec.name == name and spec.kind is Path for spec in params.specs())
    if get_origin(hint) is tuple:
        if not by_file or get_args(hint)[1:] != (...,):
            raise TypeError(f"Input {name!r} must be tuple[<Noun>, ...] with a parameter of its name; got {hint}.")
        return StageInput(get_args(hint)[0], required=False, by_file=True, many=True)
    if get_origin(hint) in (Union, UnionType):
        kinds = [arg for arg in get_args(hint) if arg is not NoneType]
        if len(kinds) != 1:
            raise TypeError(f"Input {name!r} must be one noun, or one noun or None; got {hint}.")
        return StageInput(kinds[0], required=False, by_file=by_file)
    return StageInput(hint, required=True, by_file=by_file)
