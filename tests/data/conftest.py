"""Small frames and sessions that the tests of this room share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import Sessions
from marketloop.data.calendar import load_sessions

Bars = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def sessions() -> Sessions:
    """Sessions of New York, 2014 to 2016."""
    return load_sessions("XNYS", dt.date(2014, 1, 1), dt.date(2016, 12, 31))


@pytest.fixture
def make_bars(sessions: Sessions) -> Bars:
    """Build flawless bars: ``make_bars("AAA", "BBB", count=20, first=5)`` begins at the sixth session of 2014."""

    def build(*tickers: str, count: int = 20, first: int = 0) -> pl.DataFrame:
        days = sessions.dates[first : first + count]
        frames = []
        for at, ticker in enumerate(tickers):
            close = (100.0 + 10 * at) * np.exp(0.01 * np.sin(np.arange(first, first + count)))
            frames.append(
                pl.DataFrame(
                    {
                        "date": days,
                        "ticker": [ticker] * count,
                        "open": close * 0.999,
                        "high": close * 1.01,
                        "low": close * 0.99,
                        "close": close,
                        "volume": np.full(count, 1000.0 + at),
                    },
                    schema=dict(BAR_SCHEMA),
                )
            )
        return pl.concat(frames)

    return build


@pytest.fixture
def one_bar() -> Callable[..., pl.DataFrame]:
    """Build one flawless bar of 2014-01-02 with some values replaced."""

    def build(**values: Any) -> pl.DataFrame:
        bar = {
            "date": dt.date(2014, 1, 2),
            "ticker": "AAA",
            "open": 10.0,
            "high": 11.0,
            "low": 9.0,
            "close": 10.5,
            "volume": 100.0,
        }
        return pl.DataFrame([{**bar, **values}], schema=dict(BAR_SCHEMA))

    return build
