"""Noun: a tilt series that came with its alignment."""

from dataclasses import dataclass, fields
from typing import Self

from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries


@dataclass(frozen=True, eq=False, kw_only=True)
class AlignedSeries(TiltSeries):
    """A tilt series imported together with the alignment another program made of it.

    It is a series like any other; a project stores it as two nouns, the series and its alignment, and
    later stages find either.

    Attributes
    ----------
    alignment : Alignment
        One entry for each image, in the order of the stack.
    """

    alignment: Alignment

    @classmethod
    def of(cls, series: TiltSeries, alignment: Alignment) -> Self:
        """Join a series and its alignment."""
        return cls(**{one.name: getattr(series, one.name) for one in fields(TiltSeries)}, alignment=alignment)
