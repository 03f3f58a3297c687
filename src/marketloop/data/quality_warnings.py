"""Warnings about accepted bars: what is suspicious although no row of it is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from marketloop.core.frames import BAR_PRICES
from marketloop.core.values import Sessions
from marketloop.data.repeats import repeated_bars

__all__ = ["Warnings", "conflict_warnings", "panel_warnings", "repeat_warnings", "revision_warnings", "warning"]

Warnings = tuple[Mapping[str, Any], ...]

JUMP: Final = 0.4
"""Change of the close between two bars, as a fraction, beyond which a split is suspected."""

GAP: Final = 5
"""Sessions without a bar, inside a ticker's history, beyond which a gap is reported."""

STALE_BARS: Final = 10
"""Bars with the same close at the end of a ticker's history that make the tail stale."""

ENDED_SESSIONS: Final = 10
"""Sessions by which a ticker may end before the last bar of all without a warning."""

REVISION: Final = 1e-6
"""Relative difference beyond which a stored value counts as revised."""


def warning(rule: str, ticker: str | None, date: dt.date | None, detail: str, count: int = 1) -> dict[str, Any]:
    """Build one warning, JSON-ready."""
    return {
        "rule": rule,
        "ticker": ticker,
        "date": date.isoformat() if date else None,
        "count": count,
        "detail": detail,
    }


def panel_warnings(bars: pl.DataFrame, sessions: Sessions) -> Warnings:
    """Return the warnings that need the history of each ticker.

    Parameters
    ----------
    bars : frame `BAR_SCHEMA`
        Accepted bars, any order.
    sessions : Sessions
        Must hold every date of `bars`.
    """
    if bars.is_empty():
        return ()
    ordered = bars.sort("ticker", "date")
    ordered = ordered.with_columns(_session=pl.Series(sessions.numbers(ordered["date"].to_numpy()))).with_columns(
        _before=pl.col("close").shift(1).over("ticker"),
        _skipped=pl.col("_session") - pl.col("_session").shift(1).over("ticker") - 1,
    )
    return (*_jumps(ordered), *_gaps(ordered), *_volumes(ordered), *_tails(ordered))


def revision_warnings(accepted: pl.DataFrame, previous: pl.DataFrame) -> Warnings:
    """Return one warning per ticker whose `accepted` bars differ from the `previous` ones of the same date."""
    pairs = accepted.join(previous, on=["ticker", "date"], suffix="_old", how="inner")
    change = pl.max_horizontal(
        *((pl.col(c) / pl.col(f"{c}_old") - 1).abs() for c in BAR_PRICES),
        (pl.col("volume").fill_null(0) - pl.col("volume_old").fill_null(0)).abs()
        / pl.col("volume_old").fill_null(0).clip(lower_bound=1),
    )
    revised = (
        pairs.select("ticker", "date", _change=change)
        .filter(pl.col("_change") > REVISION)
        .group_by("ticker")
        .agg(pl.len().alias("n"), pl.col("date").min(), pl.col("_change").max())
        .sort("ticker")
    )
    return tuple(
        warning("revision", ticker, date, f"{n} stored bars of {ticker} were revised, by up to {worst:.4g} relative", n)
        for ticker, n, date, worst in revised.iter_rows()
    )


def conflict_warnings(accepted: pl.DataFrame, quarantined: pl.DataFrame) -> Warnings:
    """Return one warning per duplicate that disagrees with the row that was kept."""
    doubles = quarantined.filter(pl.col("rule") == "duplicate")
    if doubles.is_empty():
        return ()
    pairs = doubles.join(accepted, on=["ticker", "date"], suffix="_kept", how="inner")
    differs = pl.any_horizontal(pl.col(c).ne_missing(pl.col(f"{c}_kept")) for c in (*BAR_PRICES, "volume"))
    columns = ("ticker", "date", "close", "close_kept")
    return tuple(
        warning(
            "conflicting_duplicate",
            ticker,
            date,
            f"two different bars of {ticker} on {date}: kept close {kept:g}, set aside close {other:g}",
        )
        for ticker, date, other, kept in pairs.filter(differs).sort(*columns).select(columns).iter_rows()
    )


def repeat_warnings(bars: pl.DataFrame) -> Warnings:
    """Return one warning per pair of tickers of which one repeats the other's bars under later dates.

    What is examined would have been learned by heart, or what comes later would be seen under another name.
    """
    return tuple(
        warning(
            "repeated_bars",
            repeat.ticker,
            repeat.date,
            f"{repeat.bars} bars of {repeat.ticker} from {repeat.date} on move as those of {repeat.other} from "
            f"{repeat.other_date} on: remove one of the two",
            repeat.bars,
        )
        for repeat in repeated_bars(bars)
    )


def _jumps(ordered: pl.DataFrame) -> Warnings:
    moved = ordered.with_columns(_move=pl.col("close") / pl.col("_before") - 1).filter(pl.col("_move").abs() > JUMP)
    return tuple(
        warning("jump", ticker, date, f"the close of {ticker} moved by {move:+.1%} to {close:g}; an unadjusted split?")
        for ticker, date, move, close in moved.select("ticker", "date", "_move", "close").iter_rows()
    )


def _gaps(ordered: pl.DataFrame) -> Warnings:
    open_ = ordered.filter(pl.col("_before").is_not_null() & (pl.col("_skipped") > GAP))
    return tuple(
        warning("gap", ticker, date, f"{skipped} sessions of {ticker} are missing before {date}", skipped)
        for ticker, date, skipped in open_.select("ticker", "date", "_skipped").iter_rows()
    )


def _volumes(ordered: pl.DataFrame) -> Warnings:
    zero, missing = (pl.col("volume") == 0), pl.col("volume").is_null()
    found = (
        ordered.group_by("ticker")
        .agg(
            rows=pl.len(),
            zero=zero.sum(),
            zero_on=pl.col("date").filter(zero).min(),
            missing=missing.sum(),
            missing_on=pl.col("date").filter(missing).min(),
        )
        .filter((pl.col("zero") > 0) | (pl.col("missing") > 0))
        .sort("ticker")
    )
    warnings: list[Mapping[str, Any]] = []
    for ticker, rows, zeros, zero_on, gone, gone_on in found.iter_rows():
        if zeros:
            warnings.append(warning("zero_volume", ticker, zero_on, f"{zeros} bars of {ticker} have no trade", zeros))
        if gone == rows:
            warnings.append(warning("no_volume", ticker, None, f"{ticker} has no volume at all", gone))
        elif gone:
            warnings.append(warning("missing_volume", ticker, gone_on, f"{gone} bars of {ticker} lack volume", gone))
    return tuple(warnings)


def _tails(ordered: pl.DataFrame) -> Warnings:
    newest = ordered["_session"].max()
    same = (pl.col("close") == pl.col("close").last()).reverse().cast(pl.UInt32).cum_min().sum()
    ends = (
        ordered.group_by("ticker")
        .agg(pl.col("date").last(), same.alias("same"), (newest - pl.col("_session").last()).alias("behind"))
        .sort("ticker")
    )
    warnings: list[Mapping[str, Any]] = []
    for ticker, date, repeats, behind in ends.iter_rows():
        if repeats >= STALE_BARS:
            text = f"the last {repeats} bars of {ticker} have the same close"
            warnings.append(warning("stale_tail", ticker, date, text, repeats))
        if behind > ENDED_SESSIONS:
            text = f"{ticker} ends on {date}, {behind} sessions before the last bar of the others"
            warnings.append(warning("ended_early", ticker, date, text, behind))
    return tuple(warnings)
