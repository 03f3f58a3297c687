"""Every feature on two screens: name, look-back in bars, expression; FEATURES.md's list in its order.

An expression sees the bars of one ticker in order of time and the series of `shared_series` by name; it is null before
``lookback + 1`` bars are there and where it is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import polars_talib as talib
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.values import StrategyConfig
from marketloop.features.kernels import max_drawdown_60, volatility_regime
from marketloop.features.series import CLOSE, FLAT, HIGH, LOW, OPEN, VOLUME, position, ratio, shared_series

__all__ = ["builtin_features"]

MACD, MACD_SIGNAL = (col.macd_lines.struct.field(name) for name in ("macd", "macdsignal"))

YEAR = 252
"""Bars of a year of daily equity bars."""

RANKED = (
    *("ret_5", "ret_20", "ret_60", "rsi", "price_vs_sma20"),
    *("high_252_distance", "ret_std_20", "volume_vs_average", "amihud_20", "beta_60"),
)


def builtin_features(strategy: StrategyConfig = StrategyConfig()) -> tuple[Feature, ...]:  # noqa: B008 (frozen value)
    """Return the features of the house, with the periods of `strategy`, in the order of the feature sets.

    Returns
    -------
    tuple of Feature
        Technical 45, statistical 12, market context 8, derived 10, then ranks 10 and price levels 6.
    """
    series = shared_series(strategy)
    families = (_trend, _momentum, _volatility, _volume, _pattern, _statistical, _market, _derived, _level)
    plain = [replace(f, shared=series) for family in families for f in family(strategy)]
    named = {f.name: f for f in plain}
    return (*plain[:75], *(_rank(named[name]) for name in RANKED), *plain[75:])


def _trend(_: StrategyConfig) -> Iterator[Feature]:
    macd, signal = MACD / CLOSE, MACD_SIGNAL / CLOSE
    bottom, top = pl.min_horizontal("span_a", "span_b"), pl.max_horizontal("span_a", "span_b")
    di = pl.when(col.live_42)
    yield Feature("sma_20_slope", "trend", 24, col.sma_20 / col.sma_20.shift(5) - 1, low=-1)
    yield Feature("sma_50_ratio", "trend", 49, CLOSE / col.sma_50 - 1, low=-1)
    yield Feature("sma_200_ratio", "trend", 199, CLOSE / col.sma_200 - 1, low=-1)
    yield Feature("ema_12_ratio", "trend", 108, CLOSE / col.ema_12 - 1, low=-1)
    yield Feature("ema_26_ratio", "trend", 234, CLOSE / col.ema_26 - 1, low=-1)
    yield Feature("sma_20_50_cross", "trend", 49, col.sma_20 / col.sma_50 - 1, low=-1)
    yield Feature("macd", "trend", 260, macd, 0.0)
    yield Feature("macd_signal", "trend", 260, signal, 0.0)
    yield Feature("macd_hist", "trend", 260, macd - signal, 0.0)
    yield Feature("adx_14", "trend", 266, di.then(talib.adx(HIGH, LOW, CLOSE, 14)), low=0, high=100)
    yield Feature("plus_di_14", "trend", 238, di.then(talib.plus_di(HIGH, LOW, CLOSE, 14)), low=0, high=100)
    yield Feature("minus_di_14", "trend", 238, di.then(talib.minus_di(HIGH, LOW, CLOSE, 14)), low=0, high=100)
    yield Feature("psar_distance", "trend", 200, 1 - talib.sar(HIGH, LOW, 0.02, 0.2) / CLOSE)
    yield Feature("ichimoku_conversion", "trend", 8, CLOSE / col.tenkan - 1, low=-1)
    yield Feature("ichimoku_cloud", "trend", 77, 1 - CLOSE.clip(bottom, top) / CLOSE, 0.0)


def _momentum(strategy: StrategyConfig) -> Iterator[Feature]:
    rsi_bars = 17 * strategy.rsi_period
    cci = pl.when(col.typical.rolling_std(20) > 0).then(talib.cci(HIGH, LOW, CLOSE, 20))
    ultimate = pl.when(col.live_7).then(talib.ultosc(HIGH, LOW, CLOSE, 7, 14, 28))
    stoch_rsi = position(col.rsi, col.rsi_low_14, col.rsi_high_14)
    yield Feature("rsi", "momentum", rsi_bars, col.rsi, 50.0, low=0, high=100)
    yield Feature("roc_10", "momentum", 10, CLOSE / CLOSE.shift(10) - 1, low=-1)
    yield Feature("mom_10", "momentum", 238, pl.when(col.live_42).then((CLOSE - CLOSE.shift(10)) / col.atr_14), 0.0)
    yield Feature("williams_r_14", "momentum", 13, col.fast_k - 100, -50.0, low=-100, high=0)
    yield Feature("stoch_k", "momentum", 15, col.slow_k, 50.0, low=0, high=100)
    yield Feature("stoch_d", "momentum", 17, col.slow_k.rolling_mean(3), 50.0, low=0, high=100)
    yield Feature("cci_20", "momentum", 19, cci, 0.0)
    yield Feature("aroon_osc_25", "momentum", 25, talib.aroonosc(HIGH, LOW, 25), 0.0, low=-100, high=100)
    yield Feature("stoch_rsi", "momentum", rsi_bars + 13, stoch_rsi, 0.5, low=0, high=1)
    yield Feature("trix_15", "momentum", 200, talib.trix(CLOSE, 15), 0.0)
    yield Feature("ultimate_osc", "momentum", 28, ultimate, 50.0, low=0, high=100)


def _volatility(_: StrategyConfig) -> Iterator[Feature]:
    log_range = (HIGH / LOW).log()
    parkinson = (YEAR * (log_range**2).rolling_mean(20) / (4 * math.log(2))).sqrt()
    log_return_std = (1 + col.r).log().rolling_std(30)
    live, squeeze = pl.when(col.live_42), pl.when(col.s_20 > FLAT * CLOSE)
    yield Feature("bb_upper_distance", "volatility", 19, (col.sma_20 + 2 * col.s_20) / CLOSE - 1)
    yield Feature("bb_lower_distance", "volatility", 19, 1 - (col.sma_20 - 2 * col.s_20) / CLOSE)
    yield Feature("bb_width", "volatility", 19, 4 * col.s_20 / col.sma_20, low=0)
    yield Feature("bb_squeeze", "volatility", 170, squeeze.then(col.s_20 / col.atr_10), 1.0, low=0)
    yield Feature("atr_14_pct", "volatility", 238, col.atr_14 / CLOSE, low=0)
    yield Feature("hist_vol_30", "volatility", 30, log_return_std * math.sqrt(YEAR), low=0)
    yield Feature("keltner_position", "volatility", 180, live.then((CLOSE - col.ema_20) / (2 * col.atr_10)), 0.0)
    yield Feature("parkinson_20", "volatility", 19, parkinson, low=0)


def _volume(strategy: StrategyConfig) -> Iterator[Feature]:
    bars = strategy.volume_exhaustion_lookback_daily
    spike = (2 * col.volume_vl.shift(1) < VOLUME).cast(pl.Float64)
    money = 100 * ratio(col.flow_up_14, col.flow_up_14 + col.flow_down_14).clip(0, 1)
    obv_slope, cmf = (ratio(x, col.volume_20) for x in (col.signed_volume_20, col.accumulation_20))
    vwap = ratio(col.flow_20, col.volume_20)
    yield Feature("obv_slope_20", "volume", 20, obv_slope, 0.0, low=-1, high=1)
    yield Feature("volume_sma_ratio", "volume", 49, ratio(col.volume_5, col.volume_50) - 1, 0.0, low=-1)
    yield Feature("volume_spike", "volume", bars, spike, 0.0, low=0, high=1)
    yield Feature("vwap_distance_20", "volume", 19, CLOSE / vwap - 1, low=-1)
    yield Feature("mfi_14", "volume", 14, money, 50.0, low=0, high=100)
    yield Feature("cmf_20", "volume", 19, cmf, 0.0, low=-1, high=1)


def _pattern(strategy: StrategyConfig) -> Iterator[Feature]:
    bars = strategy.support_resistance_lookback_daily
    doji, hammer = (candle(OPEN, HIGH, LOW, CLOSE) / 100 for candle in (talib.cdldoji, talib.cdlhammer))
    engulfing = talib.cdlengulfing(OPEN, HIGH, LOW, CLOSE).sign()
    yield Feature("doji", "pattern", 10, doji, 0.0, low=0, high=1)
    yield Feature("hammer", "pattern", 11, hammer, 0.0, low=0, high=1)
    yield Feature("engulfing", "pattern", 2, engulfing, 0.0, low=-1, high=1)
    yield Feature("support_distance", "pattern", bars, 1 - col.support / CLOSE)
    yield Feature("resistance_distance", "pattern", bars, col.resistance / CLOSE - 1)


def _statistical(_: StrategyConfig) -> Iterator[Feature]:
    r, moved = col.r, pl.when(col.r_std_20 > FLAT)
    pair_cov = col.r_pair_mean_20 - col.r_mean_20 * col.r_mean_20.shift(1)
    pair_var = col.r_std_20 * col.r_std_20.shift(1) * (19 / 20)
    autocorr = moved.then(pl.when(col.r_std_20.shift(1) > FLAT).then((pair_cov / pair_var).clip(-1, 1)))
    zscore = pl.when(col.s_20 > FLAT * CLOSE).then((CLOSE - col.sma_20) / (col.s_20 * math.sqrt(20 / 19)))
    downside = (pl.min_horizontal(r, 0.0) ** 2).rolling_mean(20).clip(0).sqrt()
    for bars in (1, 5, 20, 60):
        yield Feature(f"ret_{bars}", "statistical", bars, CLOSE / CLOSE.shift(bars) - 1, low=-1)
    yield Feature("ret_tstat_20", "statistical", 20, moved.then(math.sqrt(20) * col.r_mean_20 / col.r_std_20), 0.0)
    yield Feature("ret_std_20", "statistical", 20, col.r_std_20, low=0)
    yield Feature("ret_skew_20", "statistical", 20, moved.then(r.rolling_skew(20, bias=False)), 0.0)
    yield Feature("ret_kurt_20", "statistical", 20, moved.then(r.rolling_kurtosis(20, bias=False)), 0.0)
    yield Feature("zscore_20", "statistical", 19, zscore, 0.0)
    yield Feature("autocorr_20", "statistical", 21, autocorr, 0.0, low=-1, high=1)
    yield Feature("downside_dev_20", "statistical", 20, downside, low=0)
    yield Feature("max_drawdown_60", "statistical", 59, max_drawdown_60, low=-1, high=0)


def _market(_: StrategyConfig) -> Iterator[Feature]:
    vix, spx, us10y = col.vix, col.spx, col.us10y
    net_advance = ratio(col.advancers - col.decliners, col.advancers + col.decliners)
    breadth = pl.when(col.tickers >= 20).then(net_advance).rolling_mean(10)
    relative, market, universe = col.sector_return_20 - col.spx_return_20, "market", "universe"
    yield Feature("vix_level", market, 0, vix / 100, None, market, low=0, over=market)
    yield Feature("vix_change_5", market, 5, vix / vix.shift(5) - 1, 0.0, market, low=-1, over=market)
    yield Feature("spx_trend_50", market, 49, spx / spx.rolling_mean(50) - 1, 0.0, market, low=-1, over=market)
    yield Feature("spx_momentum_20", market, 20, spx / spx.shift(20) - 1, 0.0, market, low=-1, over=market)
    yield Feature("us10y_level", market, 0, us10y, None, market, over=market)
    yield Feature("us10y_change_20", market, 20, us10y - us10y.shift(20), 0.0, market, over=market)
    yield Feature("sector_relative_20", market, 20, relative, 0.0, "sector")
    yield Feature("breadth_10", market, 10, breadth, 0.0, universe, low=-1, high=1, over=universe)


def _derived(strategy: StrategyConfig) -> Iterator[Feature]:
    rsi_bars, volume_bars = 17 * strategy.rsi_period, strategy.volume_exhaustion_lookback_daily
    divergence = position(col.rsi, col.rsi_low_20, col.rsi_high_20) - col.close_in_20
    moved, spx_var = pl.when(col.r_spx_var_60 > FLAT**2), col.r_spx_var_60
    r_std_60 = col.r.rolling_std(60, ddof=0)
    corr = moved.then(pl.when(r_std_60 > FLAT).then((col.r_cov_60 / (r_std_60 * spx_var.sqrt())).clip(-1, 1)))
    amihud = (col.illiquidity_20 / col.illiquidity_252).log()
    yield Feature("price_vs_sma20", "derived", 19, CLOSE / col.sma_20 - 1, low=-1)
    yield Feature("rsi_divergence", "derived", rsi_bars + 19, divergence, 0.0, low=-1, high=1)
    yield Feature("volume_vs_average", "derived", volume_bars - 1, ratio(VOLUME, col.volume_vl) - 1, 0.0, low=-1)
    yield Feature("volatility_regime", "derived", 271, volatility_regime, 1.0, low=0, high=2)
    yield Feature("beta_60", "derived", 60, moved.then(col.r_cov_60 / spx_var), 1.0, "market")
    yield Feature("corr_60", "derived", 60, corr, 0.0, "market", low=-1, high=1)
    yield Feature("overnight_gap", "derived", 1, OPEN / CLOSE.shift(1) - 1, 0.0, low=-1)
    yield Feature("range_position_60", "derived", 59, position(CLOSE, col.ll_60, col.hh_60), 0.5, low=0, high=1)
    yield Feature("high_252_distance", "derived", 251, CLOSE / col.hh_252 - 1, low=-1, high=0)
    yield Feature("amihud_20", "derived", 252, amihud, 0.0)


def _level(_: StrategyConfig) -> Iterator[Feature]:
    yield Feature("sma_50_level", "level", 49, col.sma_50, low=0)
    yield Feature("sma_200_level", "level", 199, col.sma_200, low=0)
    yield Feature("macd_level", "level", 260, MACD)
    yield Feature("macd_signal_level", "level", 260, MACD_SIGNAL)
    yield Feature("bb_upper_level", "level", 19, col.sma_20 + 2 * col.s_20)
    yield Feature("bb_lower_level", "level", 19, col.sma_20 - 2 * col.s_20)


def _rank(base: Feature) -> Feature:
    value = col(base.name)
    rank = pl.when(value.count() >= 5).then((value.rank("average") - 1) / (value.count() - 1) - 0.5)
    name = f"rank_{base.name}"
    source = base.source if base.source != "bars" else "universe"
    return Feature(name, "rank", base.lookback, rank, None, source, -0.5, 0.5, over="session", base=base)
