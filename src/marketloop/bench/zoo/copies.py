"""Bars as sources deliver them: rows that come again under later dates or other names, and mere look-alikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.ingredients import CLOSE, RETURN, Draft, draft
from marketloop.bench.zoo.specimen import BarsPlant
from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA

__all__ = ["honest_bars", "repeated_bars"]

NEW: Final = "SYN031"
PRICES: Final = list(BAR_PRICES)
Alter = Callable[[pl.DataFrame], pl.DataFrame]


def _with(bars: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([bars, more.select(list(BAR_SCHEMA))]).sort("ticker", "date")


def _moved(bars: pl.DataFrame, ticker: str, by: int) -> pl.DataFrame:
    """Return the bars of `ticker` under the name `NEW`, `by` sessions later (earlier where negative)."""
    dates = bars.select("date").unique().sort("date")
    later = dates.with_columns(to=col("date").shift(-by)).drop_nulls()
    rows = bars.filter(col("ticker") == ticker).join(later, on="date", maintain_order="left")
    return rows.with_columns(date=col("to"), ticker=pl.lit(NEW))


def _scaled(bars: pl.DataFrame, price: float, volume: float, digits: int) -> pl.DataFrame:
    return bars.with_columns(col(PRICES) * price, (col("volume") * volume).round()).with_columns(
        col(PRICES).round(digits)
    )


def repeated_bars() -> Iterator[Draft]:
    """Yield bars of which some come again."""
    plants: tuple[tuple[float, Alter, str], ...] = (
        (1.0, lambda bars: _with(bars, _moved(bars, "SYN004", 200)), "a name again, 200 sessions later"),
        (1.0, _rescaled, "a name again, 150 sessions later, at other prices, in cents"),
        (
            1.0,
            lambda bars: _with(bars, _moved(bars, "SYN009", -5)),
            "a name's bars five sessions early under another name",
        ),
        (0.1, _spliced, "the history before a listing is another name's, from before"),
        (0.1, lambda bars: _pasted(bars, 120), "120 sessions of a name come again in its own later history"),
        (0.01, lambda bars: _pasted(bars, 25), "25 sessions of a name come again in its own later history"),
        (0.1, _shaken, "a name again, 100 sessions later, every price off by some 0.001 %"),
    )
    for strength, alter, note in plants:
        yield draft("duplicates", strength, BarsPlant(alter), note)


def _rescaled(bars: pl.DataFrame) -> pl.DataFrame:
    return _with(bars, _scaled(_moved(bars, "SYN012", 150), 3.7, 0.25, 2))


def _shaken(bars: pl.DataFrame) -> pl.DataFrame:
    more = _moved(bars, "SYN017", 100)
    noise = 1 + 1e-5 * np.random.default_rng(3).standard_normal(len(more))
    return _with(bars, _scaled(more.with_columns(col(PRICES) * pl.Series(noise)), 0.6, 1.7, 6))


def _spliced(bars: pl.DataFrame) -> pl.DataFrame:
    """Give SYN020, which lists late, a past: that of SYN010, moved on to end where SYN020 begins."""
    start = bars.filter(col("ticker") == "SYN020")["date"].min()
    more = _moved(bars, "SYN010", 120).filter(col("date") < start).with_columns(ticker=pl.lit("SYN020"))
    return _with(bars, _scaled(more, 2.2, 1.0, 6))


def _pasted(bars: pl.DataFrame, length: int) -> pl.DataFrame:
    """Put the returns of a stretch of SYN022 in the place of a later stretch, at the level of prices there."""
    own, rest = bars.filter(col("ticker") == "SYN022"), bars.filter(col("ticker") != "SYN022")
    source, target = 100, 400
    if len(own) <= target + length:
        return bars
    level = own["close"][target - 1] / own["close"][source - 1]
    copied = own.slice(source, length).with_columns(col(PRICES) * level, date=own["date"].slice(target, length))
    after = own.slice(target + length)
    again = copied["close"][-1] / own["close"][target + length - 1]
    return _with(pl.concat([rest, own.head(target), copied]), after.with_columns(col(PRICES) * again))


def honest_bars() -> Iterator[Draft]:
    """Yield bars without repetition, however alike they look."""
    plants: tuple[tuple[Alter, str], ...] = (
        (lambda bars: bars, "the market itself"),
        (_share_class, "a second class of shares, which moves with the first but for small change"),
        (_basket, "a fund of all names"),
        (_flat, "a name that does not trade for 15 sessions, its last price repeated"),
        (_coarse, "a name of few prices, many bars of which are equal"),
        (lambda bars: _scaled(bars, 1.0, 1.0, 2), "prices in cents"),
        (_adjusted, "history divided by two, as after a split"),
        (_follower, "a small name that follows a large one a session later, by a third"),
        (_successor, "another company under the name of one that failed"),
        (lambda bars: bars.sample(fraction=1.0, shuffle=True, seed=1), "rows in no order"),
    )
    for alter, note in plants:
        yield draft("duplicates", 0.0, BarsPlant(alter), note)


def _path(like: pl.DataFrame, returns: np.ndarray[tuple[int, ...], np.dtype[np.float64]], seed: int) -> pl.DataFrame:
    """Return bars on the dates of `like` whose closes follow `returns`, with ranges and volumes of their own."""
    rng = np.random.default_rng(seed)
    close = 40.0 * np.cumprod(1 + returns)
    first = close * (1 + 0.004 * rng.standard_normal(len(close)))
    wide = 1 + 0.006 * np.abs(rng.standard_normal((2, len(close))))
    high, low = np.maximum(first, close) * wide[0], np.minimum(first, close) / wide[1]
    volume = np.rint(1e6 * np.exp(0.4 * rng.standard_normal(len(close))))
    return like.with_columns(
        ticker=pl.lit(NEW),
        open=pl.Series(first),
        high=pl.Series(high),
        low=pl.Series(low),
        close=pl.Series(close),
        volume=pl.Series(volume),
    )


def _returns(bars: pl.DataFrame, ticker: str) -> pl.DataFrame:
    return bars.filter(col("ticker") == ticker).with_columns(move=RETURN.fill_null(0.0))


def _share_class(bars: pl.DataFrame) -> pl.DataFrame:
    own = _returns(bars, "SYN002")
    noise = 0.002 * np.random.default_rng(21).standard_normal(len(own))
    return _with(bars, _path(own, own["move"].to_numpy() + noise, 22))


def _basket(bars: pl.DataFrame) -> pl.DataFrame:
    moves = bars.with_columns(move=RETURN.over("ticker")).group_by("date").agg(col("move").mean()).sort("date")
    like = bars.filter(col("ticker") == "SYN002").join(moves, on="date", maintain_order="left")
    return _with(bars, _path(like, like["move"].fill_null(0.0).to_numpy(), 23))


def _flat(bars: pl.DataFrame) -> pl.DataFrame:
    """Freeze SYN006 for 15 sessions; no volume is traded in them."""
    row = pl.int_range(pl.len()).over("ticker")
    frozen = (col("ticker") == "SYN006") & row.is_between(301, 315)
    last = pl.when(frozen).then(None).otherwise(CLOSE).forward_fill()
    prices = [pl.when(frozen).then(last).otherwise(col(name)).alias(name) for name in PRICES]
    return bars.with_columns(*prices, pl.when(frozen).then(0.0).otherwise(col("volume")).alias("volume"))


def _coarse(bars: pl.DataFrame) -> pl.DataFrame:
    """Add a name at about two, in steps of a tenth."""
    own = bars.filter(col("ticker") == "SYN015")
    more = _path(own, 0.015 * np.random.default_rng(24).standard_normal(len(own)), 29)
    return _with(bars, more.with_columns((col(PRICES) / 20).round(1).clip(0.1), (col("volume") / 1e5).round() * 1e5))


def _adjusted(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(col(PRICES) / 2, col("volume") * 2)


def _follower(bars: pl.DataFrame) -> pl.DataFrame:
    own = _returns(bars, "SYN010")
    noise = 0.012 * np.random.default_rng(25).standard_normal(len(own))
    return _with(bars, _path(own, own["move"].shift(1).fill_null(0.0).to_numpy() / 3 + noise, 26))


def _successor(bars: pl.DataFrame) -> pl.DataFrame:
    last = bars.filter(col("ticker") == "SYN005")["date"].max()
    like = bars.filter((col("ticker") == "SYN002") & (col("date") > last)).slice(40)
    noise = 0.02 * np.random.default_rng(27).standard_normal(len(like))
    return _with(bars, _path(like, noise, 28).with_columns(ticker=pl.lit("SYN005")))
