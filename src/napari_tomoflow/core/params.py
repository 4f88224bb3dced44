"""Parameters, declared once: one line per field with default, unit, bounds and help.

Everything that shows or stores a parameter (form, command line, record, docs page, contract
tests) reads `Params.specs`; nothing is ever written a second time.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from napari_tomoflow.core.errors import ParamError

_PLAIN_KINDS = (bool, int, float, str, Path)

ANY_NUMBER = -1
"""Length of a tuple of as many values as a person likes."""


def param(
    default: Any = ...,
    *,
    help: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    expert: bool = False,
) -> Any:
    """Declare one parameter.

    Parameters
    ----------
    default
        Start value; leave it out when the person must give one.
    help
        One sentence, shown as tooltip, in ``--help`` and in the docs.
    unit
        Unit of the value as people write it, e.g. ``"px"``, ``"Å"``, ``"°"``; empty when it has none.
    low, high
        Smallest and largest value allowed, both included.
    expert
        Folded away in the form and listed last in the help.
    """
    return Field(default, description=help, ge=low, le=high, json_schema_extra={"unit": unit, "expert": expert})


@dataclass(frozen=True)
class ParamSpec:
    """What every front end needs to know of one parameter.

    Attributes
    ----------
    kind : type
        `bool`, `int`, `float`, `str` or `pathlib.Path`; the item type of a tuple; the type of the choices.
    length : int
        Number of values of a tuple, `ANY_NUMBER` where it is open, 0 for a plain value.
    choices : tuple
        Allowed values, empty when any of the kind will do.
    optional : bool
        Whether None ("decide by yourself") is allowed.
    """

    name: str
    kind: type
    default: Any
    required: bool
    unit: str
    low: float | None
    high: float | None
    help: str
    expert: bool
    choices: tuple[Any, ...] = ()
    optional: bool = False
    length: int = 0

    @property
    def label(self) -> str:
        """Name and unit as shown in a form: ``Thickness (px)``."""
        words = self.name.split("_")
        while self.unit and len(words) > 1 and words[-1] in _UNIT_WORDS:
            words = words[:-1]
        if words[0] == "n" and len(words) > 1:
            words[0] = "number of"
        text = " ".join(words)
        text = text[0].upper() + text[1:]
        return f"{text} ({self.unit})" if self.unit else text


_UNIT_WORDS = {"ang", "ang2", "per", "px", "deg", "kv", "mm", "nm", "um", "e", "s", "gb"}


class Params(BaseModel):
    """Base of all parameter sets: frozen, closed, and it speaks plainly when a value is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParamError(_explain(type(self), error)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse at declaration a type that no front end can show."""
        cls.specs()

    @classmethod
    @cache
    def specs(cls) -> tuple[ParamSpec, ...]:
        """Describe every field, in the order of declaration."""
        return tuple(_spec(name, info) for name, info in cls.model_fields.items())

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some values changed."""
        return type(self)(**{**dict(self), **changes})

    def changed(self) -> dict[str, Any]:
        """Return the values that differ from their defaults, for the top of a log."""
        return {
            spec.name: getattr(self, spec.name) for spec in self.specs() if getattr(self, spec.name) != spec.default
        }


def _spec(name: str, info: FieldInfo) -> ParamSpec:
    kind, choices, optional, length = _parse_type(name, info.annotation)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    bounds = {type(item).__name__: item for item in info.metadata}
    return ParamSpec(
        name=name,
        kind=kind,
        default=None if info.is_required() else info.default,
        required=info.is_required(),
        unit=str(extra.get("unit", "")),
        low=getattr(bounds.get("Ge"), "ge", None),
        high=getattr(bounds.get("Le"), "le", None),
        help=info.description or "",
        expert=bool(extra.get("expert", False)),
        choices=choices,
        optional=optional,
        length=length,
    )


def _parse_type(name: str, annotation: Any) -> tuple[type, tuple[Any, ...], bool, int]:
    """Split an annotation into kind, choices, optional and tuple length."""
    if get_origin(annotation) in (Union, UnionType):
        inner = [arg for arg in get_args(annotation) if arg is not NoneType]
        if len(inner) == 1:
            kind, choices, _, length = _parse_type(name, inner[0])
            return kind, choices, True, length
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return type(choices[0]), choices, False, 0
    if get_origin(annotation) is tuple:
        items = get_args(annotation)
        kind, length = items[0], ANY_NUMBER if items[-1] is Ellipsis else len(items)
        if kind in _PLAIN_KINDS and set(items) <= {kind, Ellipsis}:
            return kind, (), False, length
    if annotation in _PLAIN_KINDS:
        return annotation, (), False, 0
    raise TypeError(f"Parameter {name!r} has type {annotation}, which no form or command line can show.")


def _explain(params: type[Params], error: ValidationError) -> str:
    """Turn pydantic's report into sentences that name parameter, value and remedy."""
    specs = {spec.name: spec for spec in params.specs()}
    return " ".join(_sentence(specs, dict(one)) for one in error.errors())


def _sentence(specs: dict[str, ParamSpec], one: dict[str, Any]) -> str:
    name = str(one["loc"][0]) if one["loc"] else ""
    spec = specs.get(name)
    if not name:
        return str(one["msg"]).removeprefix("Value error, ")
    if spec is None:
        return f"There is no parameter {name!r}; choose from {', '.join(specs)}."
    if one["type"] == "missing":
        return f"{name} is missing; give a value: {spec.help}"
    return f"{name} cannot be {one['input']!r}; give {_wanted(spec)}."


def _wanted(spec: ParamSpec) -> str:
    """Describe the allowed values in words."""
    if spec.choices:
        return "one of " + ", ".join(map(str, spec.choices))
    noun = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}[spec.kind]
    if spec.length:
        noun = f"{'any number of' if spec.length == ANY_NUMBER else spec.length} values, each {noun}"
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.low is not None and spec.high is not None:
        return f"{noun} from {spec.low:g} to {spec.high:g}{unit}"
    if spec.low is not None:
        return f"{noun} of at least {spec.low:g}{unit}"
    if spec.high is not None:
        return f"{noun} of at most {spec.high:g}{unit}"
    return noun + (f" in{unit}" if unit else "")
