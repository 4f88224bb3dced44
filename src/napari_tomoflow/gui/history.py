"""States of work by hand that can be taken back, each change told in words."""

from typing import Generic, TypeVar

S = TypeVar("S")


class History(Generic[S]):
    """States one after the other, and a sentence for each step between them.

    Parameters
    ----------
    opened
        The state in the beginning.
    """

    def __init__(self, opened: S) -> None:
        self._states = [opened]
        self._notes: list[str] = []
        self._at = 0

    @property
    def now(self) -> S:
        """How things stand."""
        return self._states[self._at]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done and not taken back, a sentence each."""
        return tuple(self._notes[: self._at])

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return self._at < len(self._notes)

    def undo(self) -> None:
        """Take the last change back."""
        self._at = max(0, self._at - 1)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._at = min(len(self._notes), self._at + 1)

    def do(self, note: str, state: S) -> None:
        """Take a step; what was taken back before is forgotten."""
        del self._states[self._at + 1 :], self._notes[self._at :]
        self._states.append(state)
        self._notes.append(note)
        self._at += 1
