"""What a hand on the wheel needs: settings, ledger and registry of a project, without data, features or models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.registry import ModelViews, Registry, open_registry
from marketloop.runtime.clock import Clock, SystemClock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings, load_settings
from marketloop.state import Slot, State, versions

__all__ = ["Helm", "model_views", "open_helm", "open_registry", "open_state"]


@dataclass
class Helm:
    """A project as far as the registry goes: opened in a fraction of the time that a `House` takes.

    A context manager: leaving it closes the ledger.
    """

    project: Project
    settings: Settings
    clock: Clock = field(default_factory=SystemClock)

    @cached_property
    def state(self) -> State:
        """The ledger and the scoreboards."""
        return open_state(self.project, self.settings)

    @cached_property
    def registry(self) -> Registry:
        """Artefacts and champions."""
        return open_registry(self.project, self.settings, self.state)

    @property
    def views(self) -> ModelViews:
        """Files under ``models/``."""
        return model_views(self.project, self.settings, self.registry)

    def slot(self, family: str, config_key: str | None = None) -> Slot:
        """Return the slot of a family that has versions, under the project's configuration unless another is named.

        Raises
        ------
        UsageError
            Nothing was ever trained there; the sentence says where something was.
        """
        wanted = Slot(family, config_key or self.settings.strategy.config.key)
        with self.state.read() as db:
            known = tuple(dict.fromkeys(row.slot for row in versions.listing(db)))
        if wanted in known:
            return wanted
        keys = [slot.config_key for slot in known if slot.family == family]
        if keys:
            raise UsageError(
                f"{family} has no version with the configuration {wanted.config_key}, it has with {', '.join(keys)}: "
                f"add --config {keys[-1]}, or train one"
            )
        families = sorted({slot.family for slot in known})
        raise UsageError(
            f'no version of the family "{family}": versions there are of {", ".join(families) or "none"}.'
            f"{did_you_mean(family, families)} Train one with `marketloop retrain FAMILY`"
        )

    def close(self) -> None:
        """Close the ledger if it was opened."""
        if "state" in self.__dict__:
            self.state.close()
            del self.__dict__["state"]

    def __enter__(self) -> Helm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_helm(root: Path, *, environ: Mapping[str, str] | None = None, clock: Clock | None = None) -> Helm:
    """Return the helm of the project in `root`; a wrong setting raises `UsageError`."""
    settings = load_settings(root, environ=os.environ if environ is None else environ, flags={})
    return Helm(Project(root), settings, clock or SystemClock())


def open_state(project: Project, settings: Settings, *, busy_timeout_s: float = 30.0) -> State:
    """Open the databases that the settings name, by default two SQLite files of the project.

    `busy_timeout_s` is how many seconds a writer waits for another one.
    """
    url = settings.state.url
    if url is not None:
        return State.open(url, busy_timeout_s=busy_timeout_s)
    own = f"sqlite:///{project.scoreboard_db}"
    return State.open(f"sqlite:///{project.state_db}", scoreboard_url=own, busy_timeout_s=busy_timeout_s)


def model_views(project: Project, settings: Settings, registry: Registry) -> ModelViews:
    """Return the views of a project."""
    return ModelViews(
        folder=project.models,
        root=registry.root,
        state=registry.state,
        config_key=settings.strategy.config.key,
        primary=settings.serve.primary,
        keep=settings.registry.keep,
    )
