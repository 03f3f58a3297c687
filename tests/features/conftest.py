"""Small seeded markets for the tests of the features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from marketloop.core.values import Context

Walk = Callable[..., pl.DataFrame]


def business_days(sessions: int) -> list[dt.date]:
    days = np.busday_offset("2015-01-01", np.arange(sessions), roll="forward")
    return [day.item() for day in days]


def walk_market(tickers: int = 3, sessions: int = 400, seed: int = 0) -> pl.DataFrame:
    """Random walks rounded to cents; ticker k is listed k sessions after ticker 0."""
    rng = np.random.default_rng(seed)
    days = business_days(sessions)
    frames = []
    for k in range(tickers):
        close = rng.uniform(20, 200) * np.exp(np.cumsum(rng.normal(0.0003, 0.015, sessions)))
        opened = close * np.exp(rng.normal(0, 0.006, sessions))
        high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.006, sessions)))
        low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.006, sessions)))
        volume = np.round(np.exp(rng.normal(13, 0.4, sessions)))
        prices = {"open": opened, "high": high, "low": low, "close": close}
        rounded = {name: np.round(value, 2) for name, value in prices.items()}
        frame = pl.DataFrame({"date": days, "ticker": [f"T{k:02d}"] * sessions, **rounded, "volume": volume})
        frames.append(frame.slice(k))
    return pl.concat(frames)


def walk_context(bars: pl.DataFrame, seed: int = 1) -> Context:
    """Market series for the sessions of `bars`; two sectors, the first of which has a fund."""
    rng = np.random.default_rng(seed)
    days = bars["date"].unique().sort()
    many = len(days)
    steps = rng.normal(0, 0.01, (3, many)).cumsum(axis=1)
    market = pl.DataFrame(
        {
            "date": days,
            "vix": 15 * np.exp(steps[0]),
            "spx": 2000 * np.exp(steps[1]),
            "us10y": 2 + rng.normal(0, 0.03, many).cumsum(),
            "usd": np.full(many, 95.0),
        }
    )
    tickers = bars["ticker"].unique().sort()
    names = ["Tech" if at % 3 else "Energy" for at in range(len(tickers))]
    sectors = pl.DataFrame({"ticker": tickers, "sector": names})
    funds = pl.DataFrame({"date": days, "sector": ["Tech"] * many, "close": 50 * np.exp(steps[2])})
    return Context(market=market, sectors=sectors, sector_prices=funds)


@pytest.fixture(scope="session")
def walk() -> Walk:
    return walk_market


@pytest.fixture(scope="session")
def market_context() -> Callable[..., Context]:
    return walk_context
