"""The project directory: where a user's settings, bars, models, reports and ledger are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.files import disk_errors, ensure_folder, write_atomic
from marketloop.runtime.template import settings_text

__all__ = ["PROJECT_VARIABLE", "SETTINGS_FILE", "Project", "create_project", "find_project"]

SETTINGS_FILE: Final = "marketloop.toml"
PROJECT_VARIABLE: Final = "MARKETLOOP_PROJECT"
_GITIGNORE: Final = (
    "/data/\n/models/\n/reports/\n/logs/\n/mlartifacts/\n"
    "/state.db*\n/scoreboard.db*\n/mlflow.db*\n/.session-secret\n"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Project:
    """Paths of one project; making one touches no disk.

    Parameters
    ----------
    root : Path
        The folder that holds ``marketloop.toml``.
    """

    root: Path

    @property
    def settings_file(self) -> Path:
        """The settings, written by the user."""
        return self.root / SETTINGS_FILE

    @property
    def data(self) -> Path:
        """Bars and market series, versioned."""
        return self.root / "data"

    @property
    def models(self) -> Path:
        """Artefacts and their views."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """HTML and JSON reports."""
        return self.root / "reports"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.root / "logs"

    @property
    def state_db(self) -> Path:
        """Ledger of requests, decisions and champions."""
        return self.root / "state.db"

    @property
    def scoreboard_db(self) -> Path:
        """Predictions and their outcomes."""
        return self.root / "scoreboard.db"

    @property
    def mlflow_db(self) -> Path:
        """MLflow's own database."""
        return self.root / "mlflow.db"

    @property
    def mlartifacts(self) -> Path:
        """MLflow's artefacts."""
        return self.root / "mlartifacts"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that `create_project` makes."""
        return self.data, self.models, self.reports, self.logs

    def check_writable(self) -> None:
        """Raise `FailedError` unless files can be made in the project's folders (a missing one is created)."""
        for folder in (self.root, *self.folders):
            ensure_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                raise FailedError(
                    f'the project folder "{folder}" is read-only: make it writable, or choose another with --project'
                )


def find_project(start: Path, *, explicit: Path | None = None, environ: Mapping[str, str] | None = None) -> Project:
    """Find the project: `explicit`, else ``MARKETLOOP_PROJECT``, else the nearest folder upwards from `start`.

    Raises
    ------
    UsageError
        There is none, or the folder that was named holds no ``marketloop.toml``.
    """
    named, origin = explicit, "--project"
    variable = (environ or {}).get(PROJECT_VARIABLE)
    if named is None and variable:
        named, origin = Path(variable), PROJECT_VARIABLE
    if named is not None:
        root = named.expanduser().absolute()
        with disk_errors(root):
            found = (root / SETTINGS_FILE).is_file()
        if not found:
            raise UsageError(
                f'{origin} names "{root}", which holds no {SETTINGS_FILE}: make a project there with '
                f'"marketloop init {named}"'
            )
        return Project(root)
    here = start.absolute()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return Project(folder)
    raise UsageError(
        f'no {SETTINGS_FILE} in "{here}" or above it: make a project with "marketloop init DIR", '
        "or name one with --project DIR"
    )


def create_project(root: Path, *, settings: Mapping[str, Any] | None = None) -> Project:
    """Make a project in `root`: commented settings, the folders, and a ``.gitignore``; nothing is overwritten.

    Parameters
    ----------
    root : Path
        New or existing folder.
    settings : mapping of dotted key to value, optional
        Written into the settings, e.g. ``{"data.source": "folder"}``.

    Raises
    ------
    UsageError
        A project is there already, or a file is in the way.
    FailedError
        The folder cannot be written.
    """
    project = Project(root.expanduser().absolute())
    with disk_errors(project.root):
        taken = project.settings_file.exists() or project.settings_file.is_symlink()
    if taken:
        raise UsageError(
            f'"{project.settings_file}" exists already and was left as it is: edit it, or choose another folder'
        )
    values = {"project.name": project.root.name or "marketloop", **(settings or {})}
    text = settings_text(values)
    for folder in (project.root, *project.folders):
        ensure_folder(folder)
    ignore = project.root / ".gitignore"
    if not ignore.exists():
        write_atomic(ignore, _GITIGNORE.encode())
    write_atomic(project.settings_file, text.encode())  # last: its presence says that the project is complete
    return project
