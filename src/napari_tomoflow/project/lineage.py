"""The graph of jobs, computed from their records: which result is newest, which descends from which."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from napari_tomoflow.project.record import ItemRecord, JobRecord, Reference

EDIT = "edit"
"""Stage of the jobs made by hand (`project.edits`); their inputs are named by the kind of noun."""


@dataclass(frozen=True)
class Result:
    """A finished item of a job."""

    job: JobRecord
    series: str

    @property
    def item(self) -> ItemRecord:
        """Its part of the record."""
        return self.job.items[self.series]

    @property
    def inputs(self) -> dict[str, Reference]:
        """Where its inputs came from."""
        return self.job.inputs.get(self.series, {})

    def reference(self, kind: str) -> Reference:
        """Refer to it as an input of another item."""
        return Reference(kind=kind, fingerprint=self.item.fingerprint, job=self.job.number)

    @property
    def variant(self) -> tuple[str, str, str]:
        """What a newer result must share with this one to stand in its place: stage, series and species."""
        return self.job.stage, self.series, str(self.job.params.get("species", ""))

    def origin(self, folder: Path) -> Path | None:
        """Return the file a series was read from; None when it was made without one."""
        paths = [reference.path for reference in self.inputs.values() if reference.kind == "RawStack"]
        return (folder / paths[0]).resolve() if paths else None


class Lineage:
    """All jobs of a project at one moment.

    Parameters
    ----------
    records
        By rising number.
    """

    def __init__(self, records: Sequence[JobRecord]) -> None:
        self._records = {record.number: record for record in records}
        self._newest_of_variant: dict[tuple[str, str, str], Result] = {}
        self._of_noun: dict[tuple[str, str], list[Result]] = {}
        self._edits: dict[tuple[str, str], list[Result]] = {}
        for result in self.finished():
            self._newest_of_variant[result.variant] = result
            for kind in result.item.outputs:
                self._of_noun.setdefault((kind, result.series), []).append(result)
                if result.job.stage == EDIT:
                    self._edits.setdefault((kind, result.series), []).append(result)

    def finished(self) -> Iterator[Result]:
        """Yield the results that later jobs take by default, oldest first."""
        for record in self._records.values():
            if record.status in ("done", "partial"):
                yield from (Result(record, name) for name, item in record.items.items() if item.status == "done")

    def newest(self, kind: str, series: str, *, but_job: int | None = None) -> Result | None:
        """Find the newest finished result that holds a noun, leaving one job out of account."""
        return next((result for result in self.holding(kind, series) if result.job.number != but_job), None)

    def holding(self, kind: str, series: str, from_job: int | None = None) -> Iterator[Result]:
        """Yield the finished results that hold a noun, the newest first, of all or of a job's ancestry."""
        if from_job is None:
            yield from reversed(self._of_noun.get((kind, series), []))
            return
        for record in self._ancestry(series, from_job):
            item = record.items.get(series)
            if item is not None and item.status == "done" and kind in item.outputs:
                yield Result(record, series)

    def items(self) -> tuple[str, ...]:
        """Name all items with a finished result, in the order they came."""
        return tuple(dict.fromkeys(name for _, name in self._of_noun))

    def kinds(self, series: str) -> frozenset[str]:
        """Name the nouns that finished results of a series hold."""
        return frozenset(kind for kind, name in self._of_noun if name == series)

    def in_ancestry(self, kind: str, series: str, job: int) -> Result | None:
        """Find a noun among the results of a job and of all it was made from; the newest wins."""
        return next(self.holding(kind, series, job), None)

    @cached_property
    def stale(self) -> frozenset[tuple[int, str]]:
        """The (job, series) upstream of which something has been run or edited again with another result."""
        # An edit stands for several nouns, each as good as what it was edited from; other jobs are judged whole.
        stale: dict[tuple[int, str], frozenset[str]] = {}
        for number, record in self._records.items():  # inputs have smaller numbers, so they are judged already
            for series, inputs in record.inputs.items():
                outdated = [one.kind for one in inputs.values() if self._is_outdated(record, one, series, stale)]
                if record.stage == EDIT:
                    outdated = [kind for kind in outdated if kind in record.items[series].outputs]
                if outdated:
                    stale[number, series] = frozenset(outdated)
        return frozenset(stale)

    def _ancestry(self, series: str, job: int) -> Iterator[JobRecord]:
        """Yield a job and all that a series of it was made from, the newest first.

        A job that joins series under another name was made from what all of these were made from.
        """
        begin = self._records.get(job)
        items = [series] if begin is None or series in begin.items else list(begin.items)
        waiting, seen = {(job, item) for item in items}, set()
        while waiting:
            number = max(waiting)[0]
            here = {item for of_job, item in waiting if of_job == number}
            waiting -= {(number, item) for item in here}
            record = self._records.get(number)
            if record is None or number in seen:
                continue
            seen.add(number)
            yield record
            for item in here:
                waiting |= {
                    (reference.job, reference.item or item)
                    for reference in record.inputs.get(item, {}).values()
                    if reference.job is not None
                }

    def _is_outdated(
        self, record: JobRecord, reference: Reference, series: str, stale: Mapping[tuple[int, str], frozenset[str]]
    ) -> bool:
        if reference.job is None:
            return False
        series = reference.item or series
        source = self._records.get(reference.job)
        outdated = stale.get((reference.job, series), frozenset())
        if source is None or reference.kind in outdated or (outdated and source.stage != EDIT):
            return True
        if source.stage != EDIT:
            newest = self._newest_of_variant.get(Result(source, series).variant)
        elif record.stage != EDIT:
            newest = next(reversed(self._edits.get((reference.kind, series), [])), None)
        else:
            return False  # an edit of an edit is no worse for the edits that followed
        if newest is not None and newest.job.number > reference.job:
            return newest.item.fingerprint != reference.fingerprint
        return record.stage != EDIT and self._is_edited(record, reference, series)

    def _is_edited(self, record: JobRecord, reference: Reference, series: str) -> bool:
        """Tell whether what a job took was edited since, other than in the light of that job's own result."""
        return any(
            edit.inputs[reference.kind].job == reference.job
            and all(ancestor.number != record.number for ancestor in self._ancestry(series, edit.job.number))
            for edit in self._edits.get((reference.kind, series), [])
            if reference.kind in edit.inputs
        )
