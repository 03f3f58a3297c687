"""Whether a cycle has anything to do, decided from the ledger and the bars' dates before anything is computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from marketloop.data.calendar import load_sessions
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.loop.conditions import NEW_SESSIONS, too_little, trained_through
from marketloop.loop.context import newest_index, tickers_read
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, choose
from marketloop.state import rollouts, scoreboards

if TYPE_CHECKING:  # the cycle asks here
    from marketloop.loop.cycle import CycleRequest

__all__ = ["lagging", "nothing_new"]

SPAN = dt.timedelta(days=90)
"""More than the sessions for which any family waits."""


def nothing_new(house: House, families: Sequence[str], request: CycleRequest) -> dict[str, str]:
    """Return why each family that would find nothing to do has nothing to do; the others are not in it.

    What is left out is decided by `conditions.why_not`, once the rows are made; this only ever says what that would say
    too. A family is passed over when it was trained, by the same recipe, up to the newest session that there is: no
    label can have become known since, and the watch over its champion has seen every session. A family with one row
    per session is passed over, too, while fewer sessions than it waits for have come, unless it has a champion to
    watch. A family whose champion has not been heard on the newest session yet is not passed over, nor is any by
    a forced cycle or one with choices of its own.
    """
    if request.force or request.choices != Choices() or house.store.version is None:
        return {}
    found: dict[str, str] = {}
    units = {unit: _newest_of(house, unit) for unit in {house.catalog.family(family).unit for family in families}}
    for family in families:
        reason = _nothing_new(house, family, units[house.catalog.family(family).unit])
        if reason is not None:
            found[family] = reason
    return found


def lagging(house: House) -> tuple[str, ...]:
    """Return the families whose champion, or version on trial, has not been heard on the newest session yet."""
    spoken = [family for family in house.catalog.families if house.registry.champion(house.slot(family)) is not None]
    if not spoken or house.store.version is None:
        return ()
    units = {unit: _newest_of(house, unit) for unit in {house.catalog.family(family).unit for family in spoken}}
    days = {family: units[house.catalog.family(family).unit].day for family in spoken}
    return tuple(family for family, day in days.items() if day is not None and _journal_lags(house, family, day))


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest day with any value, also of a session that is still arriving, and how many tickers there are."""

    day: dt.date | None
    tickers: int


def _newest_of(house: House, unit: str) -> _Newest:
    if unit == "session":
        return _Newest(newest_index(house), 1)
    bars = house.store.coverage().filter(~pl.col("ticker").is_in(list(tickers_read(house))))
    return _Newest(bars.select(pl.col("last").max()).item(), len(bars))


def _nothing_new(house: House, family: str, newest: _Newest) -> str | None:
    spec = choose(house, family)
    last = trained_through(house, family, replace(spec, small=newest.tickers < SMALL_UNIVERSE).fingerprint)
    if last is None or newest.day is None:
        return None
    if _journal_lags(house, family, newest.day):
        return None
    sessions = load_sessions(house.settings.project.calendar, newest.day - SPAN, newest.day)
    fresh = max(sessions.first + len(sessions.dates) - 1 - last, 0)
    by_session = spec.family.unit == "session"
    least = min(house.settings.retraining.min_new_samples, NEW_SESSIONS if by_session else newest.tickers)
    if fresh > 0 and (not by_session or fresh >= least or _is_watched(house, family)):
        return None
    return too_little(fresh, least, sessions.date(last) if fresh and last >= sessions.first else newest.day)


def _journal_lags(house: House, family: str, newest: dt.date) -> bool:
    """Say whether the champion, or a version on trial, has not been heard on the newest session."""
    slot = house.slot(family)
    champion = house.registry.champion(slot)
    if champion is None:
        return False
    with house.state.read() as db:
        trial = rollouts.current(db, slot)
    speakers = {champion.version, *([trial.version] if trial is not None and trial.version is not None else [])}
    with house.state.scores.read() as db:
        heard = [scoreboards.latest_session(db, slot, version) for version in speakers]
    return any(day is None or day < newest for day in heard)


def _is_watched(house: House, family: str) -> bool:
    champion = house.registry.champion(house.slot(family))
    return champion is not None and champion.status != "provisional"
