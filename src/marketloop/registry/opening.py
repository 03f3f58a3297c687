"""Opens the registry of a project, with the mirrors that hear of every change."""

from __future__ import annotations

from marketloop.registry.registry import Registry
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings
from marketloop.state import State

__all__ = ["open_registry"]


def open_registry(project: Project, settings: Settings, state: State) -> Registry:
    """Return the registry of a project; those who mirror it hear of every change."""
    topics = ("event", "views", *(("mlflow",) if settings.tracking.enabled else ()))
    return Registry(project.models / "registry", state, topics)
