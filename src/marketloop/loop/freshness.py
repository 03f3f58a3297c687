"""How new the bars are: the newest session that has closed, and the newest that store and source can show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import MarketLoopError
from marketloop.data.calendar import load_closes
from marketloop.loop.house import House
from marketloop.loop.ingesting import source_of
from marketloop.loop.standing_order import standing_order

__all__ = ["completed_session", "sessions_after", "source_newest", "stored_newest"]

ASKED = 5
"""Tickers that the source is asked about."""
LIVE_DAYS = 14
"""A ticker whose last bar is this much older than the newest one has left the market."""


def completed_session(calendar: str, at: dt.datetime) -> dt.date | None:
    """Return the newest session that had closed by `at`, half days and holidays counted; None before the first."""
    days, closes = _closes(calendar, at.astimezone(dt.UTC).year)
    found = int(np.searchsorted(closes, np.datetime64(at.astimezone(dt.UTC).replace(tzinfo=None)), side="right"))
    return None if found == 0 else days[found - 1].astype(object)


def sessions_after(calendar: str, day: dt.date, until: dt.date) -> int:
    """Return how many sessions lie after `day` and not after `until`; of several years only the last is counted."""
    days, _ = _closes(calendar, until.year)
    return int(((days > np.datetime64(day)) & (days <= np.datetime64(until))).sum())


@lru_cache(maxsize=8)
def _closes(calendar: str, year: int) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Return the sessions around a year and when they close, in UTC."""
    frame = load_closes(calendar, dt.date(year - 1, 12, 1), dt.date(year, 12, 31))
    return frame["date"].to_numpy(), frame["close_utc"].dt.replace_time_zone(None).to_numpy()


def stored_newest(house: House) -> dt.date | None:
    """Return the newest session of which half of the stored tickers have their bar; None without bars."""
    return None if house.store.version is None else _newest(house.store.coverage()["last"].to_list())


def source_newest(house: House, *, at: dt.datetime) -> tuple[dt.date | None, str]:
    """Ask the source for the newest bars of a few tickers.

    Returns
    -------
    date or None
        The newest session of which half of them have their bar; None when the source gave none.
    str
        Why it could not be asked, in one sentence; empty otherwise.
    """
    order = standing_order(house)
    if order is None:
        return None, "no source has been chosen: run `marketloop collect`"
    collection = order.collection
    coverage = house.store.coverage()
    since = coverage["last"].max()
    if not isinstance(since, dt.date):
        return None, "no bars yet: run `marketloop collect`"
    live = coverage.filter(pl.col("last") >= since - dt.timedelta(days=LIVE_DAYS))["ticker"].to_list()
    asked = live[:: max(1, len(live) // ASKED)][:ASKED]
    end = min(house.settings.data.end or dt.date.max, at.date() + dt.timedelta(days=1))
    try:
        bars = source_of(house, collection).fetch(asked, min(since, end), end).bars
    except MarketLoopError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001 -- somebody else's code; the slot waits and says so
        return None, f"the source {collection.source} failed: {type(error).__name__}: {error}"
    last = bars.drop_nulls(["date", "close"]).group_by("ticker").agg(last=pl.col("date").max())
    return _newest([*last["last"].to_list(), *[None] * (len(asked) - len(last))]), ""


def _newest(last: Iterable[Any]) -> dt.date | None:
    """Return the newest day that half of the tickers reach, those that have left the market not counted."""
    days = sorted((day for day in last if isinstance(day, dt.date)), reverse=True)
    missing = sum(not isinstance(day, dt.date) for day in last)
    if not days:
        return None
    live = [day for day in days if day >= days[0] - dt.timedelta(days=LIVE_DAYS)]
    half = (len(live) + missing + 1) // 2
    return live[min(half, len(live)) - 1]
