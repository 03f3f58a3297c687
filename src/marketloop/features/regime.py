"""What a model of the market's regime reads: market series alone, one value per session, each from its own past."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.features.series import FLAT

__all__ = ["REGIME_LOOKBACK", "regime_features", "regime_lookback", "regime_set"]

REGIME_LOOKBACK = 30
"""Sessions that the trend, the volatility and the return of the present are taken over, unless somebody says."""

LEAST, MOST = 5, 250
YEAR = 252
_SET = re.compile(r"market_([0-9]+)")
SPX, VIX, US10Y, USD = (col(name) for name in ("spx", "vix", "us10y", "usd"))
RETURN = SPX / SPX.shift(1) - 1


def regime_set(lookback: int) -> str:
    """Return the name of the set of regime features with `lookback`; it travels with streams and models.

    >>> regime_set(30)
    'market_30'
    """
    return f"market_{_checked(lookback)}"


def regime_lookback(name: str) -> int:
    """Return the look-back that a name of `regime_set` states; another name raises `UsageError`."""
    found = _SET.fullmatch(name)
    if found is None:
        raise UsageError(f'"{name}" is no set of market features: expected market_{REGIME_LOOKBACK} or the like')
    return _checked(int(found[1]))


def regime_features(lookback: int = REGIME_LOOKBACK) -> tuple[Feature, ...]:
    """Return the features of the regime classifier; a series that the context lacks leaves its features null.

    Parameters
    ----------
    lookback : int, 5..250
        Sessions of the S&P 500 over which its trend, volatility and return of the present are taken; it stands in the
        names of these features, so that a model is never asked about another look-back than its own.

    Returns
    -------
    tuple of Feature
        All ``over="market"``: they see sessions, not tickers. Volatilities are annualised; none is a price level.
    """
    _checked(lookback)
    groups = (_returns, _volatility, _trend, _fear, _money)
    return tuple(feature for group in groups for feature in group(lookback))


def _returns(lookback: int) -> Iterator[Feature]:
    for bars in sorted({5, 20, lookback, 120, 250}):
        yield _market(f"spx_return_{bars}", bars, SPX / SPX.shift(bars) - 1, low=-1)
    for bars in (60, YEAR):
        yield _market(f"spx_drawdown_{bars}", bars - 1, SPX / SPX.rolling_max(bars) - 1, low=-1, high=0)


def _volatility(lookback: int) -> Iterator[Feature]:
    for bars in sorted({10, lookback, 60}):
        yield _market(f"spx_vol_{bars}", bars, _annual(bars), low=0)
    usual = _annual(YEAR)
    ratio = pl.when(usual > FLAT).then(_annual(lookback) / usual)
    yield _market(f"spx_vol_ratio_{lookback}", YEAR, ratio, low=0)


def _trend(lookback: int) -> Iterator[Feature]:
    for bars in (50, 200):
        yield _market(f"spx_trend_{bars}", bars - 1, SPX / SPX.rolling_mean(bars) - 1, low=-1)
    spread = RETURN.rolling_std(lookback)
    tstat = pl.when(spread > FLAT).then(math.sqrt(lookback) * RETURN.rolling_mean(lookback) / spread)
    yield _market(f"spx_tstat_{lookback}", lookback, tstat)


def _fear(_: int) -> Iterator[Feature]:
    rank = (VIX.rolling_rank(YEAR, method="average") - 1) / (YEAR - 1)
    yield _market("vix_level", 0, VIX / 100, low=0)
    for bars in (5, 20):
        yield _market(f"vix_change_{bars}", bars, VIX / VIX.shift(bars) - 1, low=-1)
    yield _market("vix_percentile_252", YEAR - 1, rank, low=0, high=1)
    yield _market("vix_premium_20", 20, VIX / 100 - _annual(20))


def _money(_: int) -> Iterator[Feature]:
    yield _market("us10y_level", 0, US10Y)
    for bars in (20, 60):
        yield _market(f"us10y_change_{bars}", bars, US10Y - US10Y.shift(bars))
    for bars in (20, 60):
        yield _market(f"usd_index_change_{bars}", bars, USD / USD.shift(bars) - 1, low=-1)


def _annual(bars: int) -> pl.Expr:
    return RETURN.rolling_std(bars) * math.sqrt(YEAR)


def _market(name: str, lookback: int, expr: pl.Expr, *, low: float | None = None, high: float | None = None) -> Feature:
    return Feature(name, "regime", lookback, expr, None, "market", low, high, over="market")


def _checked(lookback: int) -> int:
    if isinstance(lookback, bool) or not isinstance(lookback, int) or not LEAST <= lookback <= MOST:
        raise UsageError(f"look-back {lookback!r} of the regime: expected {LEAST} to {MOST} sessions")
    return lookback
