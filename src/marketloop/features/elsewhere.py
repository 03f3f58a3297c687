"""Features that know what no bar tells them: what they kept of earlier calls, and what they look up in tables.

The bars are moved 56 years back, where weekdays and month ends fall on the same days, get names that nobody has heard
of, and prices that are off by a hair. Nothing can be looked up or remembered there: what is left is what the bars say,
and what is missing is what a table added. A table that was honest when it was used does not go with what came later.
A column that was computed elsewhere comes whole from its table: what past returns explain of it is taken off first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.values import FloatArray
from marketloop.features.context import known_by
from marketloop.features.evidence import Case, Leak
from marketloop.features.panel import BAR, numbered

__all__ = ["facts_of_names", "kept_answers", "looked_up"]

SAME: Final = 1e-9
BACK: Final = dt.timedelta(weeks=2 * 1461)
"""Twice 28 years: the calendar of 1957 is that of 2013, day by day."""
NOISES: Final = (2e-5, 3e-3)
"""How far prices are off: past any rounding of a key, and past the nearest neighbour of a bar."""
DRAWS: Final = 4
HORIZONS: Final = (1, 2, 5, 10, 15, 20, 40, 60)
LEAST_RELATION, LEAST_CERTAINTY = 0.25, 5.0
"""A correlation that no honest knowledge has with what comes later (good forecasts have 0.05), in standard errors."""
LEAST_SIZE_RELATION: Final = 0.6
"""The same with the size of a move, of which honest knowledge says much (who knew every volatility would have 0.45)."""
LEAST_SHARE: Final = 1e-7
WINDOWS: Final = (2, 3, 5, 10, 15, 20, 30, 40, 60)
LAGS: Final = 10
MOSTLY: Final = 0.5
"""Share of a column's variance that the bars must explain before what they leave is asked about alone."""
LEAST_ROWS, LEAST_TERMS, COMPANY = 20, 12, 4
MANY: Final = 100_000
CLEAR: Final = 6.0
"""Standard errors from which on a difference is more than the noise of the prices."""
STEP: Final = 8.0
"""Times the usual change that a change must be to count as a step."""
SECTORS: Final = 3.0
"""Rows of a session that say the same thing once: tickers move together."""


def kept_answers(case: Case, features: Sequence[Feature], ends: Sequence[dt.date]) -> Iterator[Leak]:
    """Take away what comes after t under names that the functions were never asked about before."""
    for feature in features:
        try:
            whole = _asked(case, feature, _World("a"))
            for number, end in enumerate(ends):
                past = (case.bars["date"] <= end).to_numpy()
                rows = np.flatnonzero(past)
                part = _asked(case, feature, _World(f"b{number:03d}"), until=end)
                wrong = case.differs(feature.name, whole[rows], part, SAME)
                if wrong.any():
                    at = case.earliest(rows, wrong)
                    why = f"when everything after {end} is taken away under names never heard of"
                    yield case.leak(feature, "future", int(rows[at]), float(part[at]), why)
                    break
        except UsageError:
            continue  # nothing can be said of a feature that finds nothing so long ago


def looked_up(case: Case, features: Sequence[Feature], seed: int) -> Iterator[Leak]:
    """Compare what a feature adds to what the bars say with what came later."""
    outcomes = _Outcomes.of(case.bars)
    told = _Told.of(case.bars)
    rng = np.random.default_rng([seed, 2])
    for feature in features:
        try:
            found = next(_relations(case, feature, outcomes, told, rng), None)
        except UsageError:
            continue
        if found is not None:
            row, what, relation = found
            why = f"where no table knows it; the difference goes with {what} (correlation {relation:.2f})"
            yield case.leak(feature, "future", row, float("nan"), why)


def facts_of_names(case: Case, feature: Feature, before: FloatArray, after: FloatArray) -> bool:
    """Say whether `before` differs from `after`, its values under other names, by one honest number per ticker.

    Such a number is a fact of the ticker, as its sector is, unless it goes with what became of the ticker later.
    """
    del feature
    extra = np.where(np.isnan(after), before, before - np.where(np.isnan(after), 0.0, after))
    ticker = case.bars.select(col("ticker").rle_id()).to_series().to_numpy()
    frame = pl.DataFrame({"ticker": ticker, "extra": extra, "close": case.bars["close"]}).filter(
        col("extra").is_not_nan()
    )
    spread = frame.group_by("ticker").agg(width=col("extra").max() - col("extra").min(), size=col("extra").abs().max())
    if (spread["width"] > 1e-6 * spread["size"].clip(1e-12)).any():
        return False
    facts = frame.group_by("ticker", maintain_order=True).agg(
        value=col("extra").first(), first=col("close").first().log(), last=col("close").last().log()
    )
    if len(facts) < 8 or facts["value"].n_unique() < 2:
        return True
    start = np.column_stack([np.ones(len(facts)), facts["first"].to_numpy()])
    value, end = (_residual(start, facts[name].to_numpy()) for name in ("value", "last"))
    relation = _correlation(value, end)
    return abs(relation) < 0.6 or _certainty(relation, len(facts) - 1) < LEAST_CERTAINTY


@dataclass(frozen=True, slots=True)
class _World:
    """Another time and other names; `noise` by which prices are off, drawn by `rng`."""

    tag: str
    noise: float = 0.0
    rng: np.random.Generator | None = None


def _asked(case: Case, feature: Feature, world: _World, until: dt.date | None = None) -> FloatArray:
    bars, context = case.bars, case.context
    if until is not None:
        bars, context = numbered(bars.filter(col("date") <= until)), known_by(context, until)
    names = case.bars["ticker"].unique().sort()
    other = pl.Series([f"{world.tag}{at:06d}" for at in range(len(names))], dtype=pl.String)
    moved = bars.with_columns(col("date") - BACK, col("ticker").replace_strict(names, other))
    if world.rng is not None:
        moved = _shaken(moved, world.noise, world.rng)
    sectors = context.sectors.with_columns(col("ticker").replace(names, other))
    past = replace(
        context,
        market=context.market.with_columns(col("date") - BACK),
        sectors=sectors,
        sector_prices=context.sector_prices.with_columns(col("date") - BACK),
    )
    return case.compute(moved, [feature], past)[feature.name]


def _shaken(bars: pl.DataFrame, noise: float, rng: np.random.Generator) -> pl.DataFrame:
    """Move all prices of a bar, and its volume, by a small factor each."""
    price = pl.Series(np.exp(noise * rng.standard_normal(len(bars))))
    size = pl.Series(np.exp(noise * rng.standard_normal(len(bars))))
    return bars.with_columns(
        *(bars[name] * price for name in ("open", "high", "low", "close")),
        (bars["volume"] * size).cast(bars.schema["volume"]),
    )


def _relations(
    case: Case, feature: Feature, outcomes: _Outcomes, told: _Told, rng: np.random.Generator
) -> Iterator[tuple[int, str, float]]:
    """Yield (row, outcome, correlation) of each relation that no honest knowledge has."""
    own = case.values[feature.name]
    spread = case.spread[feature.name] or 1.0
    for noise in NOISES:
        worlds = [_asked(case, feature, _World(f"n{noise}{k}", noise, rng)) for k in range(DRAWS)]
        there = np.mean(worlds, axis=0)
        silent = np.isnan(own) & np.isfinite(there)
        extra = np.where(np.isnan(there), own, own - there)
        extra = np.where(np.abs(extra) <= LEAST_SHARE * spread, 0.0, extra)
        yield from outcomes.relations(extra)
        if (extra == 0).any():  # a column of 0 and 1 says as much by its zeros
            yield from outcomes.relations(extra, zeros=True)
        rest = told.beyond(extra)
        if rest is not None:
            yield from outcomes.relations(rest)
        blur = np.nan_to_num(np.std(worlds, axis=0))
        clear = np.abs(extra) > CLEAR * np.median(blur) / np.sqrt(DRAWS)
        yield from outcomes.relations(np.where(clear | np.isnan(extra), extra, 0.0))
        if silent.any():
            yield from outcomes.relations(np.where(np.isfinite(there), silent.astype(np.float64), np.nan), zeros=True)


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What came after each row: signed moves by name, and the number of sessions that they reach over."""

    ticker: NDArray[np.int64]
    session: NDArray[np.int64]
    bar: NDArray[np.int64]
    moves: dict[str, tuple[int, FloatArray]]
    """By name; the size of a move tells tickers of one session apart, and sessions only as any volatility does."""

    @classmethod
    def of(cls, bars: pl.DataFrame) -> _Outcomes:
        close, opening = col("close"), col("open")
        later = {
            "the next opening": (1, opening.shift(-1) / close - 1),
            **{f"the return over the next {h} bars": (h, close.shift(-h) / close - 1) for h in HORIZONS},
        }
        frame = bars.select(
            expr.over("ticker").fill_null(float("nan")).alias(name) for name, (_, expr) in later.items()
        )
        return cls(
            ticker=bars["ticker"].rle_id().to_numpy().astype(np.int64),
            session=bars["date"].rank("dense").to_numpy().astype(np.int64) - 1,
            bar=bars[BAR].to_numpy().astype(np.int64),
            moves={name: (reach, frame[name].to_numpy()) for name, (reach, _) in later.items()},
        )

    def relations(self, extra: FloatArray, *, zeros: bool = False) -> Iterator[tuple[int, str, float]]:
        """Correlate `extra` where it is not 0 with each move: means of sessions, then what is left within them."""
        rows = np.flatnonzero(np.isfinite(extra) & (zeros | (extra != 0)))
        if len(rows) < LEAST_ROWS or np.ptp(extra[rows]) == 0:
            return
        value = extra[rows]
        change = np.diff(value, prepend=np.nan)
        change[np.diff(self.ticker[rows], prepend=-1) != 0] = np.nan
        days, code = np.unique(self.session[rows], return_inverse=True)
        mean, jump = _means(code, value), _means(code, change)
        together = _Terms(mean, jump, days, np.zeros(len(days), np.int64), 1.0)
        alone = np.bincount(code)[code] < COMPANY  # less its own mean, a lone row would be 0 beside a move of 0
        left = np.where(alone, np.nan, value - mean[code])
        within = _Terms(left, change - jump[code] + 0 * left, days[code], self.ticker[rows], SECTORS)
        for name, (reach, move) in self.moves.items():
            later = move[rows]
            middle = _means(code, later)
            size = np.abs(later)
            apart = size - _means(code, size)[code]
            for least, what, relations in (
                (LEAST_RELATION, name, together.relations(middle, reach)),
                (LEAST_RELATION, name, within.relations(later - middle[code], reach)),
                (LEAST_SIZE_RELATION, f"the size of {name}", within.relations(apart, reach)),
            ):
                for relation, terms in relations:
                    certain = terms >= LEAST_TERMS and _certainty(relation, terms) >= LEAST_CERTAINTY
                    if certain and abs(relation) >= least:
                        yield int(rows[0]), what, relation


@dataclass(frozen=True, slots=True)
class _Told:
    """What past bars say of a row, in the forms that columns computed elsewhere usually have."""

    columns: FloatArray
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, bars: pl.DataFrame) -> _Told:
        close, volume = col("close"), col("volume").cast(pl.Float64) + 1
        change = close / close.shift(1) - 1
        forms = {
            **{f"change {k}": change.shift(k) for k in range(LAGS)},
            **{f"size {k}": change.shift(k).abs() for k in range(LAGS)},
            **{f"return {k}": close / close.shift(k) - 1 for k in WINDOWS},
            **{f"mean {k}": close / close.rolling_mean(k) - 1 for k in WINDOWS},
            **{f"deviation {k}": change.rolling_std(k) for k in WINDOWS},
            **{f"volume {k}": (volume / volume.rolling_mean(k)).log() for k in WINDOWS},
            "range": (col("high") - col("low")) / close,
            "gap": col("open") / close.shift(1) - 1,
            "level": close.log(),
        }
        frame = bars.select(form.over("ticker").alias(name) for name, form in forms.items())
        columns = frame.select(pl.all().fill_null(float("nan"))).to_numpy()
        known = np.isfinite(columns).all(axis=1)
        return cls(np.column_stack([columns, np.ones(len(columns))]), known)

    def beyond(self, extra: FloatArray) -> FloatArray | None:
        """Return what the past bars leave of `extra`, NaN where they are short; None unless they explain most of it."""
        rows = np.flatnonzero(self.known & np.isfinite(extra) & (extra != 0))
        if len(rows) < LEAST_ROWS * self.columns.shape[1]:
            return None
        design, value = self.columns[rows], extra[rows]
        size = design.std(axis=0)
        left = _residual(design / np.where(size > 0, size, 1.0), value)
        variance, explained = float(value.var()), 1 - float(left.var()) / max(float(value.var()), 1e-300)
        if variance == 0 or explained < MOSTLY or float(left.std()) < LEAST_SHARE * np.sqrt(variance):
            return None
        rest = np.full(len(extra), np.nan)
        rest[rows] = left
        return rest


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a feature adds, at sessions or at rows of tickers, and its changes; `alike` terms of a session are one."""

    level: FloatArray
    change: FloatArray
    session: NDArray[np.int64]
    ticker: NDArray[np.int64]
    alike: float

    def relations(self, move: FloatArray, reach: int) -> Iterator[tuple[float, float]]:
        """Yield the correlation of level, change, steps and levels after a step with `move`, and the terms behind it.

        Terms of a ticker within one stretch of `reach` sessions share most of the move: they are one.
        """
        if not np.nan_to_num(self.level).any():
            return
        size = np.abs(self.change)
        known = np.isfinite(size)
        stepped = known & (size > STEP * (np.median(size[known]) if known.any() else 0.0))
        masks = [(self.level, np.isfinite(self.level)), (self.change, known)]
        if 0 < stepped.sum() <= len(size) / 4:
            masks += [(self.change, stepped), (self.level, stepped)]
        for values, chosen in masks:
            rows = np.flatnonzero(chosen & np.isfinite(move))
            if len(rows) >= LEAST_TERMS:
                stretch = self.session[rows] // reach
                apart = len(np.unique(stretch * MANY + self.ticker[rows]))
                lost = len(np.unique(stretch)) if self.alike > 1 else 0
                late = self.session[rows] > np.median(self.session[rows])
                yield _least(values[rows], move[rows], late), (apart - lost) / self.alike


def _means(code: NDArray[np.int64], values: FloatArray) -> FloatArray:
    """Return the mean of `values` that are known, per code."""
    known = np.isfinite(values)
    count = np.bincount(code[known], minlength=code.max() + 1)
    total = np.bincount(code[known], values[known], minlength=code.max() + 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _least(x: FloatArray, y: FloatArray, late: NDArray[np.bool_]) -> float:
    """Return the rank correlation, or that of the earlier or later half where it is smaller; 0 where they disagree.

    What was found by chance in a few sessions that belong together does not come again in the other half.
    """
    parts = [_correlation(_ranks(x[part]), _ranks(y[part])) for part in (np.ones(len(x), dtype=bool), late, ~late)]
    return min(parts, key=abs) if len({part > 0 for part in parts}) == 1 else 0.0


def _ranks(values: FloatArray) -> FloatArray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _correlation(x: FloatArray, y: FloatArray) -> float:
    if len(x) < 3:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / size if size > 0 else 0.0


def _certainty(relation: float, terms: float) -> float:
    """Return Fisher's z of a correlation, in standard errors."""
    if terms <= 4:
        return 0.0
    return float(np.arctanh(min(abs(relation), 1 - 1e-9)) * np.sqrt(terms - 3))


def _residual(design: FloatArray, values: FloatArray) -> FloatArray:
    rest: FloatArray = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return rest
