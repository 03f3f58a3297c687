"""Plain evidence of what a plant knows: cut the future off, move names and dates, hold what is left against it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.bench.zoo import market, specimens
from marketloop.bench.zoo.ingredients import BASES
from marketloop.core.catalog import Feature
from marketloop.features import compute

Floats = NDArray[np.float64]
ALL: Final = specimens()
"""Collected once for all tests: making them costs seconds."""
BARS: Final = market().bars
DATES: Final = BARS["date"].unique().sort()
PRICES: Final = ["open", "high", "low", "close"]
LEAST: Final = 25
"""Fewest values that a correlation is taken of."""
CENTURIES: Final = "400y"
"""After 400 years weekdays and months repeat exactly."""


def values(feature: Feature, bars: pl.DataFrame = BARS) -> Floats:
    """Return the feature on `bars`, NaN where null."""
    series = compute(bars, [feature], market().context)[feature.name]
    return series.cast(pl.Float64).fill_null(np.nan).to_numpy()


def differs(one: Floats, other: Floats, tolerance: float) -> bool:
    gap = np.abs(one - other)
    return bool((np.isnan(one) != np.isnan(other)).any() or (gap[np.isfinite(gap)] > tolerance).any())


def cut_changes(feature: Feature, cuts: list[int]) -> bool:
    """Say whether the past changes when all bars after a cut are gone.

    The first short panels are computed before the whole one, for the sake of functions that remember.
    """
    early = [(at, _until(feature, at)) for at in cuts[:4]]
    full = values(feature)
    tolerance = 1e-5 * (_spread(full) or 1.0)
    later = ((at, _until(feature, at)) for at in cuts[4:])
    return any(
        differs(full[(BARS["date"] <= DATES[at]).to_numpy()], short, tolerance) for at, short in chain(early, later)
    )


def _until(feature: Feature, at: int) -> Floats:
    return values(feature, BARS.filter(col("date") <= DATES[at]))


def staggered_changes(feature: Feature, rounds: int) -> bool:
    """Cut each ticker elsewhere and compare its own past: sound for an expression, which sees one ticker only."""
    if not isinstance(feature.expr, pl.Expr):
        return False
    row = pl.int_range(pl.len()).over("ticker")
    place = col("ticker").str.slice(3).cast(pl.Int64) * (720 // 30)
    full = values(feature)
    for turn in range(rounds):
        kept = BARS.select(row <= (place + turn * 720 // rounds) % 720 % pl.len().over("ticker")).to_series()
        if differs(full[kept.to_numpy()], values(feature, BARS.filter(kept)), 1e-5 * _spread(full)):
            return True
    return False


def start_changes(feature: Feature, dropped: tuple[int, ...] = (13, 230)) -> bool:
    """Say whether values change that have their whole look-back when the first bars of the history are gone."""
    full = values(feature)
    for count in dropped:
        late = BARS.filter(col("date") >= DATES[count])
        number = late.select(pl.int_range(pl.len()).over("ticker") >= feature.lookback).to_series().to_numpy()
        same = full[(BARS["date"] >= DATES[count]).to_numpy()][number]
        if differs(same, values(feature, late)[number], 2e-6 * (_spread(full) or 1.0)):
            return True
    return False


def _next(horizon: int, price: str = "close") -> pl.Expr:
    return (col(price).shift(-horizon) / col("close") - 1).over("ticker")


def _today() -> pl.Expr:
    return (col("close") / col("close").shift(1)).log().over("ticker")


def _within(values: Floats) -> Floats:
    """Take the mean of the session off."""
    frame = BARS.select("date", value=pl.Series(values, nan_to_null=True))
    own = frame.select(col("value") - col("value").mean().over("date")).to_series()
    return own.fill_null(np.nan).to_numpy()


def _futures() -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the futures of the tickers beside their session's mean, and these means."""
    frame = BARS.select(
        r1=_next(1), r5=_next(5), r20=_next(20), r35=_next(35), gap=_next(1, "open"), size=_next(1).abs()
    )
    own = {name: frame[name].fill_null(np.nan).to_numpy() for name in frame.columns}
    beside = {name: _within(future) for name, future in own.items()}
    return beside, {name: own[name] - beside[name] for name in own}


BESIDE, MEANS = _futures()
TICKER: Final = BARS["ticker"].rank("dense").to_numpy().astype(np.intp) - 1


def _spread(numbers: Floats) -> float:
    known = numbers[np.isfinite(numbers)]
    return float(known.std()) if len(known) else 0.0


def _correlation(one: Floats, other: Floats) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < LEAST or one[known].std() < 1e-12 or other[known].std() < 1e-12:
        return 0.0
    return float(abs(np.corrcoef(one[known], other[known])[0, 1]))


def _together(content: Floats) -> bool:
    """Say whether `content` is one for all tickers of a session."""
    return _spread(_within(content)) < 0.01 * _spread(content)


def _fresh(content: Floats) -> Floats:
    """Return what is new in each row, against the ticker's last and beside today's move.

    Levels correlate with any future by chance, and a ratio to the price moves with the price.
    """
    frame = BARS.select("date", "ticker", _today().alias("move"), value=pl.Series(content, nan_to_null=True))
    before = frame.select(col("value").forward_fill().shift(1).over("ticker")).to_series().fill_null(np.nan).to_numpy()
    known = np.isfinite(content) & np.isfinite(before)
    if known.sum() < LEAST or _spread(before[known]) < 1e-12:
        return content
    if np.corrcoef(content[known], before[known])[0, 1] < 0.9:
        return content
    today = frame.select(col("move").mean().over("date") if _together(content) else col("move")).to_series()
    move, news = today.fill_null(0.0).to_numpy(), content - before
    known = np.isfinite(news)
    pull = float(np.cov(news[known], move[known])[0, 1] / move[known].var())
    fresh: Floats = news - pull * move
    return fresh


def foresight(content: Floats) -> float:
    """Return the largest correlation of what is new in `content` with a future.

    What differs between the tickers of a session is held against what they do beside each other; what is one for all
    of them, against what they do together.
    """
    news = _fresh(content)
    moved = np.where(np.abs(news) > 0.2 * _spread(news), news, np.nan)
    best = 0.0
    for part in (news, moved):
        together = _together(part)
        for future in (MEANS if together else BESIDE).values():
            best = max(best, _correlation(part if together else _within(part), future))
    return best


def foresight_at_listing(content: Floats) -> float:
    """Return the correlation over tickers of the first content with the gain from there to the last bar.

    A ticker that never has any counts from its first bar, with zero.
    """
    price = np.log(BARS["close"].to_numpy())
    known = np.isfinite(content)
    rows = [np.flatnonzero((k == TICKER) & (known | ~known[k == TICKER].any())) for k in range(30)]
    first, last = np.array([own[0] for own in rows]), np.array([np.flatnonzero(k == TICKER)[-1] for k in range(30)])
    return _correlation(np.nan_to_num(content[first]), price[last] - price[first])


def looked_up(feature: Feature) -> Iterator[Floats]:
    """Yield what goes when names, dates or last digits are others: it was read from a table, not from bars."""
    full = values(feature)
    size = _spread(full) or 1.0
    shaken = np.random.default_rng(1).normal(1.0, 1e-6, len(BARS))
    moves = (
        (0.05, BARS.with_columns(ticker=pl.concat_str(pl.lit("Z"), "ticker"))),
        (0.05, BARS.with_columns(col("date").dt.offset_by(CENTURIES))),
        (0.30, BARS.with_columns(col(PRICES) * pl.Series(shaken), (col("volume") * 1.001).round())),
    )
    for share, bars in moves:
        change = full - np.nan_to_num(values(feature, bars))
        if (np.abs(change) > 3e-4 * size).mean() > share:
            yield np.where(np.abs(change) > 3e-4 * size, change, np.nan)


def silenced(feature: Feature) -> Floats:
    """Mark the rows that speak when their ticker has another name."""
    moved = BARS.with_columns(ticker=pl.concat_str(pl.lit("Z"), "ticker"))
    return np.isnan(values(feature)).astype(np.float64) - np.isnan(values(feature, moved))


def beside_base(feature: Feature) -> Iterator[Floats]:
    """Yield the feature, and what is left of it beside the honest base that it resembles."""
    full = values(feature)
    size = _spread(full) or 1.0
    yield full
    for base in BASES.values():
        own = BARS.select(base.expr.over("ticker")).to_series().fill_null(np.nan).to_numpy()
        if _correlation(own, full) > 0.9:
            yield np.where(np.abs(full - own) > 1e-5 * size, full - own, np.nan)
