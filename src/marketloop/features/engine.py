"""Computes features over a panel of bars: one lazy query per ticker, then a second pass per session."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import Context
from marketloop.features.context import (
    DERIVED,
    JOINED,
    expression,
    join_market,
    join_sectors,
    join_sessions,
    session_values,
    universe_sessions,
)
from marketloop.features.elementwise import is_elementwise
from marketloop.features.panel import BAR, ROW, TICKER, make_panel

__all__ = ["check_features", "compute", "evaluate", "roots"]

UNIVERSE = ("advancers", "decliners", "tickers")
READABLE: Mapping[str, tuple[str, ...]] = {
    "ticker": (*BAR_SCHEMA, *JOINED, *DERIVED),
    "market": ("date", *JOINED),
    "universe": ("date", *UNIVERSE),
    "session": (),
}
"""What an expression may read besides its shared series, by the rows it sees."""


def compute(bars: pl.DataFrame, features: Sequence[Feature], context: Context | None = None) -> pl.DataFrame:
    """Compute `features` for every row of `bars`.

    Parameters
    ----------
    bars : frame of `BAR_SCHEMA`
        Any order of rows and columns. A row that lacks a price is no bar: its features are null and its neighbours are
        computed without it.
    features : sequence of Feature
        Columns of the result, in this order.
    context : Context, optional
        Market series as known; without them the features that they feed are null.

    Returns
    -------
    frame ``date, ticker`` and one float32 column per feature
        Sorted by (ticker, date), as many rows as `bars`, not filled: null before ``lookback + 1`` bars are there and
        where the value is not finite (0/0), never NaN.

    Raises
    ------
    UsageError
        The schema of `bars` is wrong, or a feature cannot be computed; the feature and the cause are named.
    """
    check_features(features)
    panel = make_panel(bars)
    values = evaluate(panel.bars, features, context, dtype=pl.Float32)
    if panel.complete:
        return panel.keys.hstack(values.get_columns())
    values = values.with_columns(panel.bars[ROW])
    rows = panel.keys.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW))
    return rows.join(values, on=ROW, how="left", maintain_order="left").drop(ROW)


def evaluate(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    context: Context | None = None,
    *,
    dtype: type[pl.Float32] | type[pl.Float64] = pl.Float64,
    after: dt.date = dt.date.min,
) -> pl.DataFrame:
    """Compute `features` on the usable bars of a panel; return their columns alone, for the bars later than `after`."""
    ranked = [f for f in features if f.over == "session"]
    first = {f.name: f for f in (*features, *(f.base for f in ranked if f.base))}
    frame = _with_context(bars, list(first.values()), context or Context.empty())
    plain = [f for f in first.values() if f.over != "session"]
    late = bars["date"] > after
    try:
        values = _per_ticker(frame, plain, pl.Float64 if ranked else dtype, late)
    except pl.exceptions.PolarsError:
        _blame(frame, plain)
        raise
    functions = [_called(frame, f).filter(late) for f in plain if not isinstance(f.expr, pl.Expr)]
    values = values.hstack(functions) if values.width else pl.DataFrame(functions)
    if ranked:
        values = _per_session(values.with_columns(bars["date"].filter(late)), ranked)
    return values.select(col(f.name).cast(dtype) for f in features)


def _per_ticker(
    frame: pl.DataFrame, features: Sequence[Feature], dtype: type[pl.DataType], late: pl.Series
) -> pl.DataFrame:
    query = frame.lazy()
    wanted = [f for f in features if isinstance(f.expr, pl.Expr) and f.over == "ticker"]
    for level in _levels(wanted):
        query = query.with_columns(_per_group(e).alias(n) for n, e in level.items())
    # Windows first, masks after: both in one expression cost twice the time.
    windows = {
        f.name: _per_group(expression(f)).alias(f"={f.name}") for f in wanted if not is_elementwise(expression(f))
    }
    raw = {f.name: col(f"={f.name}") if f.name in windows else expression(f) for f in wanted}
    columns = [_finite(_warm(f, raw[f.name]), dtype).alias(f.name) for f in wanted]
    joined = [_finite(col(f.name), dtype) for f in features if f.over in {"market", "universe"}]
    if not columns and not joined:
        return frame.select()
    query = query.with_columns(windows.values())
    return (query if late.all() else query.filter(late)).select(*columns, *joined).collect()


def _per_group(expr: pl.Expr) -> pl.Expr:
    if is_elementwise(expr):
        return expr
    return expr.over(TICKER) if expr.meta.is_scalar() else expr.over(TICKER, mapping_strategy="explode")


def _per_session(values: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    # A nested .over() gives null for every row, silently: the ranks are a query of their own.
    ranks = [expression(f).over("date").alias(f.name) for f in features]
    return values.lazy().with_columns(ranks).collect()


def _levels(features: Iterable[Feature]) -> list[dict[str, pl.Expr]]:
    """Order the shared series that `features` read, so that each level reads earlier ones only."""
    depth: dict[str, int] = {}
    found: dict[str, pl.Expr] = {}
    for feature in features:
        for name in expression(feature).meta.root_names():
            _descend(name, feature, depth, found)
    levels: list[dict[str, pl.Expr]] = [{} for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        levels[level][name] = found[name]
    return levels


def _descend(name: str, feature: Feature, depth: dict[str, int], found: dict[str, pl.Expr]) -> int:
    if name not in feature.shared:
        return -1
    shared = feature.shared[name]
    if name in depth:
        if shared is not found[name] and not shared.meta.eq(found[name]):
            raise UsageError(f'feature "{feature.name}" means another series by "{name}" than a feature before it')
        return depth[name]
    below = [root for root in shared.meta.root_names() if root != name]
    level = 1 + max((_descend(root, feature, depth, found) for root in below), default=-1)
    depth[name], found[name] = level, shared
    return level


def _warm(feature: Feature, values: pl.Expr) -> pl.Expr:
    if feature.source == "sector":
        return values  # its look-back counts sessions of the sector, not bars of the ticker
    return pl.when(col(BAR) >= feature.lookback).then(values)


def _finite(values: pl.Expr, dtype: type[pl.DataType]) -> pl.Expr:
    number = values.cast(dtype)
    return pl.when(number.is_finite()).then(number)


def _with_context(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> pl.DataFrame:
    """Add to `bars` what `features` read beyond them: market series, sector returns, values per session."""
    read = {r for f in features if isinstance(f.expr, pl.Expr) and f.over == "ticker" for r in roots(f)}
    frame = bars
    if read & set(JOINED) or not all(isinstance(f.expr, pl.Expr) for f in features):
        frame = join_market(frame, context.market)
    if read & set(DERIVED):
        frame = join_sectors(frame, context)
    for over in ("market", "universe"):
        chosen = [f for f in features if f.over == over]
        if chosen:
            sessions = context.market if over == "market" else universe_sessions(bars)
            frame = join_sessions(frame, session_values(sessions, chosen))
    return frame


def roots(feature: Feature) -> set[str]:
    """Return every column that a feature's expression reads, through the shared series too."""
    seen: set[str] = set()
    open_ends = list(expression(feature).meta.root_names())
    while open_ends:
        name = open_ends.pop()
        if name not in seen:
            seen.add(name)
            open_ends += feature.shared[name].meta.root_names() if name in feature.shared else []
    return seen


def _called(frame: pl.DataFrame, feature: Feature) -> pl.Series:
    function = feature.expr
    if isinstance(function, pl.Expr):
        raise TypeError(f"{feature.name} is an expression")
    try:
        series = function(frame.drop(TICKER, BAR, ROW))
    except Exception as error:
        raise _broken(feature, error) from error
    if not isinstance(series, pl.Series) or len(series) != len(frame):
        got = f"{len(series)} values" if isinstance(series, pl.Series) else type(series).__name__
        raise UsageError(
            f'feature "{feature.name}" returned {got}: expected a polars Series with one value per row ({len(frame)})'
        )
    try:
        values = series.cast(pl.Float64).alias(feature.name)
    except pl.exceptions.PolarsError as error:
        raise _broken(feature, error) from error
    return frame.select(_finite(_warm(feature, pl.lit(values)), pl.Float64).alias(feature.name)).to_series()


def check_features(features: Sequence[Feature]) -> None:
    """Raise `UsageError` for a feature that stands twice, or whose expression reads what no bars have."""
    for at, feature in enumerate(features):
        if any(feature.name == other.name for other in features[:at]):
            raise UsageError(f'the feature "{feature.name}" is asked for twice; name it once')
        if feature.over not in READABLE:
            raise UsageError(f'feature "{feature.name}": over = "{feature.over}" is none of {", ".join(READABLE)}')
        if isinstance(feature.expr, pl.Expr):
            _check_expression(feature)


def _check_expression(feature: Feature) -> None:
    if re.search(r"\)?\.over\(", str(feature.expr)):
        raise UsageError(
            f'feature "{feature.name}" says .over() inside its expression, which is evaluated per ticker already; '
            "leave it out, or write the feature as a function of the whole panel"
        )
    known = {*READABLE[feature.over], *feature.shared, *([feature.base.name] if feature.base else [])}
    unknown = roots(feature) - known
    if unknown:
        names = ", ".join(sorted(unknown))
        raise UsageError(
            f'feature "{feature.name}" reads {names}, which the bars do not have: they have {", ".join(sorted(known))}'
        )


def _blame(frame: pl.DataFrame, features: Sequence[Feature]) -> None:
    """Compute one feature at a time and raise for the first that fails."""
    for feature in features:
        try:
            _per_ticker(frame, [feature], pl.Float64, frame["date"].is_not_null())
        except pl.exceptions.PolarsError as error:
            raise _broken(feature, error) from error


def _broken(feature: Feature, error: Exception) -> UsageError:
    cause = str(error).strip().splitlines()
    return UsageError(
        f'feature "{feature.name}" cannot be computed: {type(error).__name__}: {cause[0] if cause else "no message"}'
    )
