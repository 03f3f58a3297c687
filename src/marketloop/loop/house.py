"""The house of one project: settings, catalog, store, ledger and registry, built once and handed to every step."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from marketloop.core.catalog import Catalog
from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import StrategyConfig
from marketloop.data.store import DeltaBarStore
from marketloop.features import FEATURE_SETS
from marketloop.loop.helm import open_registry, open_state
from marketloop.loop.plugins import ALIASES, build_catalog
from marketloop.registry import Registry, StreamFiles
from marketloop.runtime.clock import Clock, SystemClock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings, load_settings
from marketloop.runtime.threads import cores
from marketloop.state import Slot, State

__all__ = ["House", "enabled_families", "open_house"]


@dataclass
class House:
    """What every step of the loop needs; parts that touch the disk are opened when they are first used.

    A context manager: leaving it closes the ledger.
    """

    project: Project
    settings: Settings
    catalog: Catalog
    clock: Clock = field(default_factory=SystemClock)

    @property
    def strategy(self) -> StrategyConfig:
        """Periods of the configurable indicators."""
        return self.settings.strategy.config

    @property
    def threads(self) -> int:
        """Threads that a fit may use."""
        return self.settings.compute.threads or cores()

    def slot(self, family: str) -> Slot:
        """Return the slot of `family` under the project's configuration key; an unknown family raises."""
        return Slot(self.catalog.family(family).name, self.strategy.key)

    @cached_property
    def store(self) -> DeltaBarStore:
        """Bars and market series, versioned."""
        return DeltaBarStore(self.project.data)

    @cached_property
    def state(self) -> State:
        """The ledger and the scoreboards."""
        return open_state(self.project, self.settings)

    @cached_property
    def registry(self) -> Registry:
        """Artefacts and champions."""
        return open_registry(self.project, self.settings, self.state)

    @cached_property
    def stream_files(self) -> StreamFiles:
        """Files of the streams' scores."""
        return StreamFiles(self.project.models / "streams")

    def close(self) -> None:
        """Close the ledger if it was opened."""
        if "state" in self.__dict__:
            self.state.close()
            del self.__dict__["state"]

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def enabled_families(house: House) -> tuple[str, ...]:
    """Return the families that are retrained without being named: their own default, unless the settings say."""
    asked = {name: house.settings.family_section(name).enabled for name in house.catalog.families}
    return tuple(
        name
        for name, kind in house.catalog.families.items()
        if (kind.by_default if asked[name] is None else asked[name])
    )


def _check_names(settings: Settings, catalog: Catalog) -> None:
    """Raise `UsageError`, naming where it was given, for a setting that names what is not in the catalog."""
    asked = [
        ("features.set", "feature set", settings.features.set, [*FEATURE_SETS]),
        ("serve.primary", "family", settings.serve.primary, [*catalog.families]),
    ]
    for family, section in settings.family.items():
        asked.append((f"family.{family}", "family", family, [*catalog.families]))
        recipes = section.recipes or ()
        asked += [(f"family.{family}.recipes", "recipe", r, [*catalog.recipes, *ALIASES]) for r in recipes]
    for key, kind, value, names in asked:
        if value not in names:
            raise UsageError(f"{settings.origin(key)}: {unknown_name(kind, value, names)}")


def open_house(
    root: Path | None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> House:
    """Build the house of the project in `root` from its settings.

    Parameters
    ----------
    root : Path or None
        None builds a house of default settings around the working directory, for what needs no project.
    environ : mapping, optional
        Environment variables; the process's own by default.
    flags : mapping, optional
        Settings by dotted key that win over file and environment; None means not given.

    Raises
    ------
    UsageError
        A setting or a plugin is wrong.
    """
    settings = load_settings(root, environ=os.environ if environ is None else environ, flags=flags or {})
    catalog = build_catalog(settings.strategy.config, settings.plugins, root)
    _check_names(settings, catalog)
    own_line = settings.origin("monitoring.schedule").kind != "default"
    if own_line or any(section.schedule is not None for section in settings.family.values()):
        importlib.import_module("marketloop.loop.schedules").check_schedules(settings)
    return House(Project(root or Path.cwd()), settings, catalog, clock or SystemClock())
