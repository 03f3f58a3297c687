"""Train a kept version again from what was recorded of it, and compare: the same files, or the same predictions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import MarketLoopError, RefusedError, UsageError
from marketloop.core.values import Matrix
from marketloop.data.store import DeltaBarStore
from marketloop.dataset import newest_rows, with_ranks
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.splits import known_before
from marketloop.loop.house import House
from marketloop.loop.lookup import recorded_spec
from marketloop.loop.preparing import Prepared, prepare
from marketloop.loop.scoring import output_of
from marketloop.models import checked_parameters
from marketloop.registry import Artefact
from marketloop.registry.artefacts import library_versions
from marketloop.registry.disk import digest
from marketloop.runtime.clock import FixedClock, ticks
from marketloop.state import Slot

__all__ = ["AGREEMENT", "Rebuilt", "house_then", "rebuild"]

AGREEMENT: Final = 1e-6
"""Largest difference of two predictions that are called the same, where threads added up in another order."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What training a version again came to; nothing of it is kept.

    Parameters
    ----------
    slot : Slot
    version : int
    manifest : mapping
        Of the kept version.
    files : mapping of file name to SHA-256
        Of the rebuilt model.
    difference : float
        Largest absolute difference of the predictions on the newest session of the recorded data.
    compared : int
        Rows on which they were compared.
    seconds : float
    """

    slot: Slot
    version: int
    manifest: Mapping[str, Any]
    files: Mapping[str, str]
    difference: float
    compared: int
    seconds: float

    @property
    def identical(self) -> bool:
        """Whether every file has the recorded hash."""
        return {name: about["sha256"] for name, about in self.manifest["files"].items()} == dict(self.files)

    @property
    def agrees(self) -> bool:
        """Whether the predictions are the same."""
        return self.identical or self.difference <= AGREEMENT

    def document(self) -> dict[str, Any]:
        """Return the `rebuild` document."""
        recorded = {name: str(about["sha256"]) for name, about in self.manifest["files"].items()}
        return {
            "family": self.slot.family,
            "config_key": self.slot.config_key,
            "version": self.version,
            "data_version": self.manifest["data_version"],
            "recipe": self.manifest["recipe"],
            "seed": self.manifest["seed"],
            "threads": self.manifest["threads"],
            "rows": self.manifest["rows"],
            "identical": self.identical,
            "agrees": self.agrees,
            "difference": self.difference,
            "compared": self.compared,
            "files": [
                {"name": name, "sha256": recorded.get(name), "rebuilt": self.files.get(name)}
                for name in sorted({*recorded, *self.files})
            ],
            "libraries": _changed(self.manifest),
            "seconds": round(self.seconds, 2),
            "explanation": self._explanation(),
        }

    def _explanation(self) -> str:
        if self.identical:
            return "every file has the recorded hash"
        changed = ", ".join(f"{lib['name']} {lib['then']} -> {lib['now']}" for lib in _changed(self.manifest))
        because = f"libraries have changed since ({changed})" if changed else _threads(self.manifest)
        said = f"the predictions differ by at most {self.difference:.1e} on {self.compared} rows"
        if self.agrees:
            return f"other bytes, the same model: {because}; {said}, up to {AGREEMENT:g} is the same"
        return f"another model: {said}, up to {AGREEMENT:g} would be the same; {because}"


def rebuild(house: House, family: str, version: int) -> Rebuilt:
    """Train `version` again from its recorded data, settings, seed and threads, and compare.

    Raises
    ------
    UsageError
        The family or the version is unknown, or retention deleted it.
    RefusedError
        What it was made from is not there any more: its data version, market series, features or plugins.
    FailedError
        Its artefact is damaged.
    """
    started = ticks()
    slot = house.slot(family)
    artefact = house.registry.load(slot, version)
    manifest = artefact.manifest
    past = house_then(house, slot, manifest)
    prepared = _prepared_then(past, slot, manifest)
    recipe, parts = _fitted(past, prepared, slot, manifest)
    difference, compared = _difference(recipe, artefact, parts, prepared)
    return Rebuilt(
        slot=slot,
        version=version,
        manifest=manifest,
        files={name: digest(content) for name, content in parts.items()},
        difference=difference,
        compared=compared,
        seconds=ticks() - started,
    )


class _StoreThen(DeltaBarStore):
    """The store as it was: every read is of the recorded versions."""

    def __init__(self, store: DeltaBarStore, tables: Mapping[str, int | None]) -> None:
        super().__init__(store.root)
        self._then = tables

    @property
    def version(self) -> int | None:
        """The recorded version of the bars."""
        return self._then["bars"]

    def read(
        self,
        *,
        version: int | None = None,
        tickers: Sequence[str] | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """Return the bars of the recorded version."""
        wanted = self._then["bars"] if version is None else version
        return super().read(version=wanted, tickers=tickers, start=start, end=end)

    def series(self, *, version: int | None = None) -> dict[str, pl.DataFrame]:
        """Return the market series of the recorded version."""
        return super().series(version=self._then.get("series") if version is None else version)

    def sectors(self, *, version: int | None = None) -> pl.DataFrame:
        """Return the sectors of the recorded version."""
        return super().sectors(version=self._then.get("sectors") if version is None else version)


def house_then(house: House, slot: Slot, manifest: Mapping[str, Any]) -> House:
    """Return a house that reads the recorded tables and lives at the time of the training."""
    tables = {"bars": int(manifest["data_version"]), **_tables(manifest)}
    clock = FixedClock(dt.datetime.fromisoformat(str(manifest["created_at"])))
    settings = house.settings
    fill = manifest.get("fill", settings.features.fill)
    settings = settings.model_copy(update={"features": settings.features.model_copy(update={"fill": fill})})
    past = House(house.project, settings, house.catalog, clock)
    past.store = _StoreThen(house.store, tables)
    try:
        past.store.read(tickers=("",))
    except MarketLoopError as error:
        raise RefusedError(
            f"{slot} v{manifest['version']} was trained on data version {tables['bars']}, which cannot be read any "
            f"more ({error}): restore data/ from a backup, or train a new version"
        ) from error
    return past


def _tables(manifest: Mapping[str, Any]) -> dict[str, int | None]:
    return {name: None if number is None else int(number) for name, number in (manifest.get("tables") or {}).items()}


def _prepared_then(past: House, slot: Slot, manifest: Mapping[str, Any]) -> Prepared:
    """Return the rows of then, or say which of their sources is another one now."""
    name = f"{slot} v{manifest['version']}"
    plugins = manifest.get("plugins")
    if plugins is not None and plugins != past.catalog.fingerprint:
        raise RefusedError(
            f"{name} was trained with other plugins than those of now: their sources enter its features and recipes. "
            "Bring back the plugin files as they were, or train a new version"
        )
    try:
        spec = recorded_spec(past, slot.family, manifest)
        prepared = prepare(past, spec, sample_size=float(manifest.get("sample_size", 1.0)))
    except UsageError as error:
        raise RefusedError(f"{name} cannot be trained again: {error}") from error
    if prepared.matrix.fingerprint != manifest["matrix"]:
        context = manifest.get("context")
        series = context is not None and context != prepared.market.fingerprint
        what = "market series ([context] files)" if series else "features, plugins or market series"
        raise RefusedError(
            f"{name} was trained on other {what} than those of now, so the same rows cannot be made again: bring them "
            "back as they were, or train a new version"
        )
    return prepared


def _fitted(
    past: House, prepared: Prepared, slot: Slot, manifest: Mapping[str, Any]
) -> tuple[Recipe, dict[str, bytes]]:
    """Fit the recorded recipe on the recorded rows and return its parts."""
    recipe = past.catalog.recipe(str(manifest["recipe"]))
    contender = Contender(recipe, checked_parameters(recipe, manifest["params"]))
    matrix: Matrix = with_ranks(prepared.matrix) if recipe.needs_ranks else prepared.matrix
    train = matrix.take(known_before(matrix, int(manifest["trained_through"]) + 1))
    if len(train) != int(manifest["rows"]):
        raise RefusedError(
            f"{slot} v{manifest['version']} learned from {manifest['rows']} rows and its data give {len(train)} now: "
            "it was trained on a sample that was not recorded, or with other settings of the label"
        )
    learner: Learner = contender.build(int(manifest["seed"]), int(manifest["threads"]))
    learner = learner.fit(train.select(tuple(manifest["features"])))
    return recipe, dict(learner.parts())


def _difference(
    recipe: Recipe, artefact: Artefact, parts: Mapping[str, bytes], prepared: Prepared
) -> tuple[float, int]:
    """Return the largest difference of the predictions of both on the newest session, and the number of its rows."""
    rows, names = newest_rows(prepared.matrix), tuple(artefact.manifest["features"])
    own, again = (output_of(recipe.from_parts(p), recipe, names, rows) for p in (artefact.parts, parts))
    return float(np.max(np.abs(own - again), initial=0.0)), len(rows)


def _changed(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    then, now = dict(manifest.get("libraries") or {}), library_versions()
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return [{"name": name, "then": then.get(name), "now": now.get(name)} for name in names]


def _threads(manifest: Mapping[str, Any]) -> str:
    threads = int(manifest["threads"])
    return f"{threads} threads add up in no fixed order" if threads > 1 else "one thread, so the cause is elsewhere"
