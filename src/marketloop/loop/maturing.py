"""What became of the journal's predictions, written down as soon as the bars tell it, and again when bars change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import polars as pl

from marketloop.core.catalog import Catalog
from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.core.values import Sessions
from marketloop.dataset import LabelSpec
from marketloop.labels import Panel, build_panel
from marketloop.loop.context import MissingContextError, market_of, stored_bars
from marketloop.loop.house import House
from marketloop.loop.market_rows import market_rows
from marketloop.loop.preparing import choose, complete_sessions
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, champions, outcomes, scoreboards
from marketloop.state.outcomes import Outcome

__all__ = ["default_label", "join_outcomes", "label_of", "slots_heard"]

REVISED: Final = dt.timedelta(days=90)
"""How far behind the newest outcome bars may change so that outcomes are revised; what changed before stands."""

_Wanted = dict[str, set[dt.date]]


def join_outcomes(house: House) -> int:
    """Write the outcomes that are known by now of everything in the journal; return how many were new or revised.

    Doing it again writes nothing. A label that cannot be computed any more (its plugin is gone, its market series is
    missing) is left out, and said so.
    """
    wanted: dict[str, _Wanted] = {"ticker": {}, "session": {}}
    for slot in slots_heard(house):
        unit = house.catalog.family(slot.family).unit
        for label, days in _spoken_of(house, slot).items():
            wanted[unit].setdefault(label, set()).update(days)
    found = [outcome for unit, labels in wanted.items() if labels for outcome in _matured(house, unit, labels)]
    if not found:
        return 0
    with house.state.write_scores() as db:
        written = outcomes.write(db, found, at=house.clock.now())
    house.state.scores.sync()
    return written


def slots_heard(house: House) -> tuple[Slot, ...]:
    """Return the slots that ever had a champion and whose family there still is."""
    with house.state.read() as db:
        return tuple(slot for slot in champions.slots(db) if slot.family in house.catalog.families)


def default_label(house: House, slot: Slot) -> str:
    """Return what a prediction of `slot` is about where the journal does not say: what the settings say now."""
    return choose(house, slot.family).label.key


def label_of(catalog: Catalog, key: str) -> LabelSpec:
    """Return the label that the journal names by `key`.

    Raises
    ------
    UsageError
        There is no such label.
    """
    name, _, rest = key.partition("/")
    horizon, _, threshold = rest.partition("/")
    try:
        return LabelSpec(int(horizon), float(threshold) if threshold else None, catalog.label(name))
    except ValueError as error:
        raise UsageError(f'label "{key}": expected name/horizon or name/horizon/threshold') from error


def _spoken_of(house: House, slot: Slot) -> _Wanted:
    """Return by label the sessions of which the slot's versions spoke, as far back as outcomes may change."""
    usual = default_label(house, slot)
    with house.state.scores.read() as db:
        newest = outcomes.newest_session(db, usual)
        since = dt.date.min if newest is None else newest - REVISED
        found: _Wanted = {}
        for saying in scoreboards.said(db, slot, since=since):
            found.setdefault(saying.label or usual, set()).add(saying.as_of)
    return found


def _matured(house: House, unit: str, wanted: Mapping[str, Iterable[dt.date]]) -> list[Outcome]:
    """Compute the outcomes of every ticker on the `wanted` sessions, those that are known by now."""
    log = get_logger("loop")
    bars = stored_bars(house)
    try:
        rows, sessions, panel = _panel(house, unit, bars)
    except MissingContextError as error:
        log.warning("outcomes are not joined", labels=sorted(wanted), reason=str(error))
        return []
    traded, version, found = set(rows["date"].unique()), str(house.store.version), []
    for key, days in wanted.items():
        try:
            label = label_of(house.catalog, key)
        except MarketLoopError as error:
            log.warning("outcomes are not joined", labels=[key], reason=str(error))
            continue
        found += _of_label(label, sorted(traded & set(days)), panel, sessions, version)
    return found


def _panel(house: House, unit: str, bars: pl.DataFrame) -> tuple[pl.DataFrame, Sessions, Panel]:
    """Return the bars that training would see, and their panel: labels are computed as they are for training."""
    if unit == "session":
        rows = market_rows(house, bars)
        return rows.bars, rows.market.sessions, build_panel(rows.bars, rows.market.sessions, rows.market.context)
    market = market_of(house, bars)
    complete, _ = complete_sessions(bars.filter(~pl.col("ticker").is_in(list(market.tickers))))
    return complete, market.sessions, build_panel(complete, market.sessions, market.context)


def _of_label(label: LabelSpec, days: list[dt.date], panel: Panel, sessions: Sessions, version: str) -> list[Outcome]:
    values = label.label.build(panel, label.horizon, label.threshold)
    found = []
    for day, row in zip(days, panel.rows_of(sessions.numbers(days).astype(np.int32)), strict=True):
        for column in np.flatnonzero(np.isfinite(values.value[row])):
            value = float(values.value[row, column])
            found.append(
                Outcome(
                    label=label.key,
                    as_of=day,
                    ticker=panel.tickers[column],
                    value=value,
                    known_on=sessions.date(int(values.known_on[row, column])),
                    data_version=version,
                    class_name=label.label.classes[int(value)] if label.label.classes else None,
                )
            )
    return found
