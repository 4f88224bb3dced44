"""The book: a project is a folder of jobs, each with its record, its log and its results."""

from napari_tomoflow.project.book import Cell, Project
from napari_tomoflow.project.edits import record_edit
from napari_tomoflow.project.lane import compute_lane
from napari_tomoflow.project.record import ItemRecord, JobRecord, Reference
from napari_tomoflow.project.runner import run

__all__ = ["Cell", "ItemRecord", "JobRecord", "Project", "Reference", "compute_lane", "record_edit", "run"]
