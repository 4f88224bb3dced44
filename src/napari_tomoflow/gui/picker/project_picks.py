"""The picks of a project: where they come from, and how they are saved as jobs. It knows no viewer."""

from collections.abc import Sequence

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Alignment, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.report import Report, watched
from napari_tomoflow.gui.picker.journal import Journal
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.io.particle_formats import TomogramFrame
from napari_tomoflow.project import JobRecord, Project, record_edit
from napari_tomoflow.project.particle_imports import series_named

Draft = tuple[str, ParticleSet, str, int]
"""What is to be saved: tomogram, picks, what was done to them, and the job they go on from."""


class ProjectPicks:
    """A project whose tomograms are picked; as long as it is open no other process can do so.

    Raises
    ------
    TomoflowError
        Another process picks in it, or the log of a session that died cannot be read.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._journal = Journal(project.folder)
        try:
            self.session = self._begin()
        except BaseException:
            self._journal.close()
            raise

    @property
    def title(self) -> str:
        """Name of the project."""
        return self.project.name

    def names(self) -> tuple[str, ...]:
        """Name the series that have a tomogram."""
        return tuple(name for name in self.project.series() if self.project.find(Tomogram, name) is not None)

    def tomogram(self, name: str) -> Tomogram:
        """Return the newest tomogram of a series; its voxels stay on disk."""
        return self.project.load(Tomogram, name)

    def tilts(self, name: str) -> tuple[TiltSeries, Alignment]:
        """Return the tilts a tomogram was made from, and as they were aligned for it."""
        job = self._newest(Tomogram, name)
        series = self.project.load(TiltSeries, name, from_job=job)
        aligned = self.project.find(Alignment, name, from_job=job) is not None
        return series, self.project.load(Alignment, name, from_job=job) if aligned else Alignment.nominal(series)

    def open(self, name: str, job: int | None = None) -> None:
        """Bring a tomogram into view of the session, with the picks of a job, or the newest there are of it."""
        self.tomogram(name)  # one that cannot be read is not opened
        if job is None:
            self.session.open(name, self._newest(ParticleSet, name))
        else:
            self.session.open(name, job, is_asked_for=True)
        self._journal.sync()

    def prepare(self, name: str) -> None:
        """Have the picks of a tomogram at hand, as they were left or the newest there are, without looking at it."""
        self.session.prepare(name, self._newest(ParticleSet, name))

    def named(self, name: str) -> str | None:
        """Find the series that a table means by a name; None where it means none."""
        return series_named(name, self.project.series())

    def frame(self, name: str) -> TomogramFrame:
        """Return what tables are told of a tomogram."""
        return TomogramFrame.of(self.tomogram(name), self.project.load(TiltSeries, name).pixel_ang)

    def drafts(self, names: Sequence[str]) -> list[Draft]:
        """Take the picks of some tomograms as they now are, to be saved."""
        taken = []
        for name in names:
            note = "\n".join(self.session.notes(name))
            of_job = self.session.job_of(name) or self._newest(Tomogram, name)
            taken.append((name, self.session.begin_saving(name), note, of_job))
        return taken

    def save(self, drafts: Sequence[Draft], report: Report) -> dict[str, JobRecord]:
        """Write a job for each tomogram; safe in any thread."""
        return {
            name: record_edit(self.project, name, [particles], note=note, of_job=of_job)
            for name, particles, note, of_job in watched(drafts, report, "Saving picks")
        }

    def note_saved(self, records: dict[str, JobRecord]) -> None:
        """Note what was saved; where nothing else is unsaved, the log begins anew when it is opened next."""
        for name, record in records.items():
            self.session.note_saved(name, record.number)
        self._journal.sync()

    def close(self) -> None:
        """Let others pick in the project; what was not saved is there when it is opened again."""
        self._journal.close()

    def _begin(self) -> Session:
        try:
            session = Session(self._load, self._journal.write, list(self._journal.events()))
        except MissingError as error:
            raise MissingError(
                f"{self._journal.path} goes on from picks that are gone ({error}); move it away to begin with what "
                "was saved."
            ) from None
        if session.unsaved():
            return session
        heading = session.heading()
        self._journal.begin(heading)
        return Session(self._load, self._journal.write, [heading])

    def _newest(self, kind: type[ParticleSet] | type[Tomogram], name: str) -> int:
        result = self.project.lineage().newest(kind.__name__, name)
        return result.job.number if result else 0

    def _load(self, name: str, job: int) -> ParticleSet:
        return self.project.load(ParticleSet, name, from_job=job)
