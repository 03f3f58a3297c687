"""Series of one ticker that several features read; each is computed once."""

from __future__ import annotations

import math

import polars as pl
import polars_talib as talib
from polars import col

from marketloop.core.values import StrategyConfig

__all__ = ["CLOSE", "HIGH", "LOW", "OPEN", "VOLUME", "highest", "lowest", "position", "ratio", "shared_series"]

OPEN, HIGH, LOW, CLOSE, VOLUME = (col(name) for name in ("open", "high", "low", "close", "volume"))

FLAT = 1e-10
"""A standard deviation of returns, or of prices as a share of the price, below which a window did not move."""


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Divide, null where the denominator is not above zero."""
    return pl.when(denominator > 0).then(numerator / denominator)


def highest(series: pl.Expr, bars: int) -> pl.Expr:
    """Return the maximum over the last `bars` bars, t included."""
    return series.rolling_max(bars)


def lowest(series: pl.Expr, bars: int) -> pl.Expr:
    """Return the minimum over the last `bars` bars, t included."""
    return series.rolling_min(bars)


def position(value: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    """Return where `value` lies between `low` (0) and `high` (1); null where the two are equal."""
    return ratio(value - low, high - low)


def shared_series(strategy: StrategyConfig) -> dict[str, pl.Expr]:
    """Return the shared series by name, in the words of the feature catalog.

    ``hh_n`` and ``ll_n`` are the highest high and the lowest low of n bars, ``s_20`` the population standard deviation
    of the close, ``flow`` is typical price times volume, ``live_n`` says whether anything moved within n bars: a
    recursion that decays towards 0/0 in a flat stretch would remember what happened before its declared look-back.
    """
    period, volume_bars, range_bars = (
        strategy.rsi_period,
        strategy.volume_exhaustion_lookback_daily,
        strategy.support_resistance_lookback_daily,
    )
    r, r_spx, flow = col.r, col.r_spx, col.flow
    up, down = CLOSE.shift(1) < CLOSE, CLOSE.shift(1) > CLOSE
    changed = (CLOSE.shift(1) != CLOSE).cast(pl.Float64)
    bar_range = pl.max_horizontal(HIGH, CLOSE.shift(1)) - pl.min_horizontal(LOW, CLOSE.shift(1))
    return {
        # returns
        "r": CLOSE / CLOSE.shift(1) - 1,
        "r_mean_20": r.rolling_mean(20),
        "r_std_20": r.rolling_std(20),
        "r_pair_mean_20": (r * r.shift(1)).rolling_mean(20),
        "r_spx": col.spx / col.spx.shift(1) - 1,
        "r_spx_var_60": pl.when(r.is_not_null()).then(r_spx).rolling_var(60, ddof=0),
        "r_cov_60": (r * r_spx).rolling_mean(60) - r.rolling_mean(60) * r_spx.rolling_mean(60),
        # averages of price
        "sma_20": CLOSE.rolling_mean(20),
        "sma_50": CLOSE.rolling_mean(50),
        "sma_200": CLOSE.rolling_mean(200),
        "s_20": CLOSE.rolling_std(20, ddof=0),
        "ema_12": talib.ema(CLOSE, 12),
        "ema_20": talib.ema(CLOSE, 20),
        "ema_26": talib.ema(CLOSE, 26),
        "macd_lines": talib.macd(CLOSE, 12, 26, 9),
        # ranges
        "live_7": bar_range.rolling_max(7) > 0,
        "live_42": bar_range.rolling_max(42) > 0,
        "atr_10": talib.atr(HIGH, LOW, CLOSE, 10),
        "atr_14": talib.atr(HIGH, LOW, CLOSE, 14),
        "tenkan": (highest(HIGH, 9) + lowest(LOW, 9)) / 2,
        "kijun": (highest(HIGH, 26) + lowest(LOW, 26)) / 2,
        "span_a": ((col.tenkan + col.kijun) / 2).shift(26),
        "span_b": ((highest(HIGH, 52) + lowest(LOW, 52)) / 2).shift(26),
        "hh_14": highest(HIGH, 14),
        "ll_14": lowest(LOW, 14),
        "hh_60": highest(HIGH, 60),
        "ll_60": lowest(LOW, 60),
        "hh_252": highest(HIGH, 252),
        "resistance": highest(HIGH, range_bars).shift(1),
        "support": lowest(LOW, range_bars).shift(1),
        "fast_k": 100 * position(CLOSE, col.ll_14, col.hh_14),
        "slow_k": col.fast_k.rolling_mean(3),
        # relative strength
        "rsi": pl.when(changed.rolling_max(3 * period) > 0).then(talib.rsi(CLOSE, period)).otherwise(math.nan),
        "rsi_high_14": highest(col.rsi, 14),
        "rsi_low_14": lowest(col.rsi, 14),
        "rsi_high_20": pl.max_horizontal(col.rsi_high_14, col.rsi_high_14.shift(6)),
        "rsi_low_20": pl.min_horizontal(col.rsi_low_14, col.rsi_low_14.shift(6)),
        "close_in_20": position(CLOSE, lowest(CLOSE, 20), highest(CLOSE, 20)),
        # volume
        "typical": (HIGH + LOW + CLOSE) / 3,
        "flow": col.typical * VOLUME,
        "flow_up_14": pl.when(col.typical > col.typical.shift(1)).then(flow).otherwise(flow * 0).rolling_sum(14),
        "flow_down_14": pl.when(col.typical < col.typical.shift(1)).then(flow).otherwise(flow * 0).rolling_sum(14),
        "volume_5": VOLUME.rolling_mean(5),
        "volume_20": VOLUME.rolling_mean(20),
        "volume_50": VOLUME.rolling_mean(50),
        "volume_vl": VOLUME.rolling_mean(volume_bars),
        "flow_20": flow.rolling_mean(20),
        "signed_volume_20": (VOLUME * (up.cast(pl.Int8) - down.cast(pl.Int8))).rolling_mean(20),
        "accumulation_20": (ratio((CLOSE - LOW) - (HIGH - CLOSE), HIGH - LOW).fill_null(0) * VOLUME).rolling_mean(20),
        # a bar without volume says nothing of liquidity; it is left out of both means
        "illiquidity": ratio(r.abs(), CLOSE * VOLUME),
        "illiquidity_20": col.illiquidity.rolling_mean(20, min_samples=1),
        "illiquidity_252": col.illiquidity.rolling_mean(252, min_samples=1),
    }
