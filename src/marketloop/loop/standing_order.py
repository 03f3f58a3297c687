"""What every night collects: what the last `collect` asked for, and above it settings that were edited since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from marketloop.data.collection import Collection
from marketloop.loop.house import House

__all__ = ["StandingOrder", "from_settings", "said_by_settings", "standing_order"]

KEYS: Final = ("source", "path", "universe", "tickers", "top", "start", "options")
"""Settings of ``[data]`` of which a collection keeps what they said; `timeframe` and `end` hold as they are now."""
COMPARED: Final = ("source", "path", "universe", "tickers")


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """What is collected when no flag says otherwise.

    Parameters
    ----------
    collection : Collection
    notes : mapping of setting to sentence
        Where record and settings differ, which of them holds and what to do to have it the other way.
    """

    collection: Collection
    notes: Mapping[str, str]


def standing_order(house: House) -> StandingOrder | None:
    """Return what is collected without flags; None before the first `collect`.

    Flags come first, then a setting of ``[data]`` that was edited since the last `collect`, then what that one
    recorded. A setting that nobody touched since is not above the record: the flags of that `collect` overruled it.

    Raises
    ------
    FailedError
        The record is damaged.
    """
    recorded = Collection.load(house.project.data)
    if recorded is None:
        return None
    now = said_by_settings(house)
    edited = [key for key in KEYS if recorded.settings and now[key] != recorded.settings.get(key)]
    if not edited:
        return StandingOrder(recorded, _waiting(house, recorded, now))
    notes = {
        key: f"[data] {key} was changed since the last collection and holds now: {_shown(recorded.settings.get(key))} "
        f"before, {_shown(now[key])} now"
        for key in edited
    }
    return StandingOrder(_edited(house, recorded, edited), notes)


def from_settings(house: House, source: str | None = None) -> Collection:
    """Return what ``[data]`` asks for; with another `source` its options are not those of the settings."""
    asked = house.settings.data
    return Collection(
        source=source or asked.source,
        path=None if asked.path is None else str(asked.path),
        tickers=asked.tickers,
        universe=asked.universe,
        start=asked.start,
        options=asked.options if source in {None, asked.source} else {},
    )


def said_by_settings(house: House) -> dict[str, Any]:
    """Return what ``[data]`` says now, as the JSON values that a collection keeps of it."""
    said: dict[str, Any] = json.loads(house.settings.data.model_dump_json(include=set(KEYS)))
    return said


def _edited(house: House, recorded: Collection, edited: list[str]) -> Collection:
    """Return the record with the edited settings on top; another source, universe or size asks for tickers anew."""
    asked = from_settings(house)
    if "source" in edited and asked.source != recorded.source:
        return asked
    found = recorded
    if "path" in edited:
        found = replace(found, path=asked.path)
    if {"universe", "tickers", "top"} & set(edited):
        found = replace(found, universe=asked.universe, tickers=asked.tickers)
    if "start" in edited:
        found = replace(found, start=asked.start)
    if "options" in edited:
        found = replace(found, options=asked.options)
    return found


def _waiting(house: House, recorded: Collection, now: Mapping[str, Any]) -> dict[str, str]:
    """Return a note for each setting that somebody gave and that the record overrules."""
    held = {
        "source": recorded.source,
        "path": recorded.path,
        "universe": recorded.universe,
        "tickers": list(recorded.tickers),
    }
    given = [key for key in COMPARED if house.settings.origin(f"data.{key}").kind != "default"]
    if house.settings.data.top is not None:
        given = [key for key in given if key != "tickers"]  # the record names the largest of them
    return {
        key: f"[data] {key} = {_shown(now[key])} does not hold: the last `collect` asked for {_shown(held[key])}; run "
        f"`marketloop collect` with --{key} to have it, or edit the setting"
        for key in given
        if _plain(house, key, held[key]) != _plain(house, key, now[key])
    }


def _plain(house: House, key: str, value: Any) -> Any:
    return str((house.project.root / Path(value)).resolve()) if key == "path" and value else value


def _shown(value: Any) -> str:
    return "nothing" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)
