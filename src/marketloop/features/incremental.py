"""Features of new sessions alone, each read from its own look-back instead of the whole history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.values import Context
from marketloop.features.engine import check_features, evaluate
from marketloop.features.panel import BAR, ROW, Panel, make_panel, numbered

__all__ = ["latest"]

TIERS = (25, 80, 190, 272)
"""Look-backs that are read together: fewer queries for some rows more."""


def latest(bars: pl.DataFrame, features: Sequence[Feature], context: Context | None, *, since: dt.date) -> pl.DataFrame:
    """Compute `features` for the sessions after `since`.

    Each feature reads the new bars and its look-back before them; a recursion is started anew there. The values equal
    those of a full computation within ``1e-6 * max(|value|, standard deviation of the feature)``.

    Parameters
    ----------
    bars : frame of `BAR_SCHEMA`
        The new bars with their history; history older than the largest look-back is not needed.
    features : sequence of Feature
    context : Context or None
        Market series as known, with their own history.
    since : date
        Last session that is computed already.

    Returns
    -------
    frame ``date, ticker`` and one float32 column per feature
        The rows of `compute` after `since`, not filled.
    """
    check_features(features)
    panel = make_panel(bars)
    rows = panel.keys.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW)).filter(col("date") > since)
    near = _recent(context, since, max(f.lookback for f in features)) if context and features else context
    found: dict[str, pl.Series] = {}
    new = panel.bars.filter(col("date") > since).select(ROW)
    for tier, chosen in _by_tier(features).items():
        window = _window(panel, since, tier)
        values = evaluate(window, chosen, near, dtype=pl.Float32, after=since)
        found |= {series.name: series for series in values}
    values = new.hstack([found[f.name] for f in features])
    if len(values) == len(rows):
        return rows.drop(ROW).hstack(values.drop(ROW).get_columns())
    return rows.join(values, on=ROW, how="left", maintain_order="left").drop(ROW)


def _by_tier(features: Sequence[Feature]) -> dict[int, list[Feature]]:
    tiers: dict[int, list[Feature]] = {}
    largest = max((f.lookback for f in features), default=0)
    for feature in features:
        tier = next((t for t in TIERS if t >= feature.lookback), largest)
        tiers.setdefault(tier, []).append(feature)
    return tiers


def _recent(context: Context, since: dt.date, lookback: int) -> Context:
    """Leave out sessions of the context that no look-back reaches; twice as many stay, for series with gaps."""
    old = context.market["date"].unique().sort()
    old = old.filter(old <= since).tail(2 * lookback + 100)
    if old.is_empty():
        return context
    recent = col("date") >= old[0]
    return replace(context, market=context.market.filter(recent), sector_prices=context.sector_prices.filter(recent))


def _window(panel: Panel, since: dt.date, lookback: int) -> pl.DataFrame:
    """Return each ticker's bars after `since` and `lookback` before them.

    Where a ticker missed sessions its bars reach back further: the others' bars of these sessions come with them, and
    one before.
    """
    days = panel.bars["date"].to_physical().to_numpy()
    old = (panel.bars["date"] <= since).to_numpy()
    bar = panel.bars[BAR].to_numpy()
    starts = np.flatnonzero(bar == 0)
    first_new = np.add.reduceat(old, starts) if len(starts) else starts
    lengths = np.diff(np.append(starts, len(bar)))
    # a ticker without new bars still counts in the breadth of earlier sessions
    first = np.minimum(first_new, lengths - 1) - lookback
    fresh = np.flatnonzero(first_new < lengths)
    if len(fresh):
        reach = days[(starts + np.maximum(first, 0))[fresh]].min()
        first = np.minimum(first, np.add.reduceat(days < reach, starts, dtype=np.int64) - 1)
    return numbered(panel.bars.filter(pl.Series(bar >= np.repeat(first, lengths))))
