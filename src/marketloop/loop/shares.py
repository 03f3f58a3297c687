"""What the training window holds: shares of the classes, and sessions per market regime (D8)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.labels import REGIME_CLASSES, regime_classes
from marketloop.loop.preparing import Prepared

__all__ = ["class_shares", "left_out", "never_seen", "no_cross_section", "one_sided", "regime_sessions"]

ONE_SIDED = 0.9
MANY = 0.1
"""Share of the scored sessions above which it is said that they do not count."""
AHEAD = 20
"""Sessions over which a regime shows itself."""


def class_shares(matrix: Matrix, classes: tuple[str, ...]) -> dict[str, float]:
    """Return the share of each class among the labelled rows; empty for a family without classes."""
    codes = matrix.label[np.isfinite(matrix.label)].astype(int)
    if not classes or len(codes) == 0:
        return {}
    counts = np.bincount(codes, minlength=len(classes))
    return {name: float(counts[code] / len(codes)) for code, name in enumerate(classes)}


def regime_sessions(prepared: Prepared) -> dict[str, int]:
    """Return how many sessions of the matrix began each regime of the S&P 500 (of the universe's mean without it).

    The regimes are those of the label ``regime`` over 20 sessions. This describes the window; it is no feature.
    """
    sessions = np.unique(prepared.matrix.session)
    days = [prepared.sessions.date(int(session)) for session in sessions]
    level = _level(prepared, pl.Series("date", days, dtype=pl.Date))
    regimes = regime_classes(level[:, None], AHEAD)
    known = regimes[np.isfinite(regimes)].astype(np.intp)
    if len(known) == 0:
        return {}
    counts = np.bincount(known, minlength=len(REGIME_CLASSES))
    return dict(zip(REGIME_CLASSES, counts.tolist(), strict=True))


def left_out(dropped: int, counted: int) -> tuple[str, ...]:
    """Warn when many of the scored sessions say nothing about the order because too few tickers had their bars."""
    if dropped <= MANY * (dropped + counted):
        return ()
    return (
        (
            f"{dropped:,} of {dropped + counted:,} scored sessions have fewer than {SMALL_UNIVERSE} tickers and do not "
            "count for skill or rank IC: collect more tickers that go back as far, or leave out the young ones"
        ),
    )


def no_cross_section(tickers: int) -> tuple[str, ...]:
    """Warn that so few tickers are tested by the timing of positions."""
    if tickers >= SMALL_UNIVERSE:
        return ()
    return (
        (
            f"{tickers} ticker(s) are no cross-section: what was tested is the timing of positions, each less its own "
            "past mean, with much less power; having held what rose counts for nothing"
        ),
    )


def never_seen(shares: Mapping[str, float]) -> tuple[str, ...]:
    """Return a warning for each class that no row of the training window has: no model can learn of it."""
    return tuple(
        f"no label of the training window is {name}: nothing can be learned of it; collect a longer history"
        for name, share in shares.items()
        if share == 0
    )


def one_sided(kind: str, shares: Mapping[str, float]) -> tuple[str, ...]:
    """Return a warning when one entry of `shares` (counts or fractions) holds more than 90 % of all."""
    total = sum(shares.values())
    found = [(name, value / total) for name, value in shares.items() if total > 0 and value / total > ONE_SIDED]
    return tuple(
        f"one {kind} holds {share:.0%} of the training window ({name}): what is learned may hold there only; "
        "collect a longer history or change the threshold"
        for name, share in found
    )


def _level(prepared: Prepared, days: pl.Series) -> NDArray[np.float64]:
    spx = prepared.context.market.select("date", value="spx").drop_nulls()
    if spx.is_empty():
        ordered = prepared.bars.sort("ticker", "date")
        returns = ordered.select("date", r=pl.col("close").pct_change().over("ticker"))
        mean = returns.group_by("date").agg(pl.col("r").mean().fill_null(0)).sort("date")
        spx = mean.select("date", value=(1 + pl.col("r")).cum_prod())
    joined = days.to_frame().join(spx, on="date", how="left", maintain_order="left")
    level: NDArray[np.float64] = joined["value"].forward_fill().backward_fill().cast(pl.Float64).to_numpy()
    return level
