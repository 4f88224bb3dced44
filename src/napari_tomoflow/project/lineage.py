"""The graph of jobs, computed from their records: which result is newest, which descends from which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from napari_tomoflow.project.record import ItemRecord, JobRecord, Reference


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
        self._newest_of_stage: dict[tuple[str, str], Result] = {}
        self._of_noun: dict[tuple[str, str], list[Result]] = {}
        for result in self.finished():
            self._newest_of_stage[result.job.stage, result.series] = result
            for kind in result.item.outputs:
                self._of_noun.setdefault((kind, result.series), []).append(result)

    def finished(self) -> Iterator[Result]:
        """Yield the results that later jobs take by default, oldest first."""
        for record in self._records.values():
            if record.status in ("done", "partial"):
                yield from (Result(record, name) for name, item in record.items.items() if item.status == "done")

    def newest(self, kind: str, series: str, *, but_job: int | None = None) -> Result | None:
        """Find the newest finished result that holds a noun, leaving one job out of account."""
        results = reversed(self._of_noun.get((kind, series), []))
        return next((result for result in results if result.job.number != but_job), None)

    def in_ancestry(self, kind: str, series: str, job: int) -> Result | None:
        """Find a noun among the results of a job and of all it was made from; the newest wins."""
        waiting, seen = [job], set()
        while waiting:
            number = max(waiting)
            waiting.remove(number)
            record = self._records.get(number)
            if record is None or number in seen:
                continue
            seen.add(number)
            item = record.items.get(series)
            if item is not None and item.status == "done" and kind in item.outputs:
                return Result(record, series)
            references = record.inputs.get(series, {}).values()
            waiting += [reference.job for reference in references if reference.job is not None]
        return None

    @cached_property
    def stale(self) -> frozenset[tuple[int, str]]:
        """The (job, series) upstream of which something has been run again with another result."""
        stale: set[tuple[int, str]] = set()
        for number, record in self._records.items():  # inputs have smaller numbers, so they are judged already
            for series, inputs in record.inputs.items():
                if any(self._is_outdated(reference, series, stale) for reference in inputs.values()):
                    stale.add((number, series))
        return frozenset(stale)

    def _is_outdated(self, reference: Reference, series: str, stale: set[tuple[int, str]]) -> bool:
        if reference.job is None:
            return False
        source = self._records.get(reference.job)
        if source is None or (reference.job, series) in stale:
            return True
        newest = self._newest_of_stage.get((source.stage, series))
        if newest is None or newest.job.number <= reference.job:
            return False
        return newest.item.fingerprint != reference.fingerprint
