"""TA-Lib itself, ticker by ticker, and plain code for what TA-Lib does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from marketloop.core.values import Context
from marketloop.features import builtin_features, compute

Array = NDArray[np.float64]


class Bars(NamedTuple):
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


def stoch_rsi(close: Array) -> Array:
    rsi = talib.RSI(close, 10)[10:]
    fast: Array = talib.STOCHF(rsi, rsi, rsi, 14, 1)[0] / 100
    return fast


TALIB: dict[str, Callable[[Bars], Array]] = {
    "sma_20_slope": lambda b: talib.SMA(b.close, 20) / np.roll(talib.SMA(b.close, 20), 5) - 1,
    "sma_50_ratio": lambda b: b.close / talib.SMA(b.close, 50) - 1,
    "sma_200_ratio": lambda b: b.close / talib.SMA(b.close, 200) - 1,
    "ema_12_ratio": lambda b: b.close / talib.EMA(b.close, 12) - 1,
    "ema_26_ratio": lambda b: b.close / talib.EMA(b.close, 26) - 1,
    "sma_20_50_cross": lambda b: talib.SMA(b.close, 20) / talib.SMA(b.close, 50) - 1,
    "macd": lambda b: talib.MACD(b.close, 12, 26, 9)[0] / b.close,
    "macd_signal": lambda b: talib.MACD(b.close, 12, 26, 9)[1] / b.close,
    "macd_hist": lambda b: talib.MACD(b.close, 12, 26, 9)[2] / b.close,
    "adx_14": lambda b: talib.ADX(b.high, b.low, b.close, 14),
    "plus_di_14": lambda b: talib.PLUS_DI(b.high, b.low, b.close, 14),
    "minus_di_14": lambda b: talib.MINUS_DI(b.high, b.low, b.close, 14),
    "psar_distance": lambda b: (b.close - talib.SAR(b.high, b.low, 0.02, 0.2)) / b.close,
    "rsi": lambda b: talib.RSI(b.close, 10),
    "roc_10": lambda b: talib.ROCP(b.close, 10),
    "mom_10": lambda b: talib.MOM(b.close, 10) / talib.ATR(b.high, b.low, b.close, 14),
    "williams_r_14": lambda b: talib.WILLR(b.high, b.low, b.close, 14),
    "stoch_k": lambda b: talib.STOCH(b.high, b.low, b.close, 14, 3, slowd_period=3)[0],
    "stoch_d": lambda b: talib.STOCH(b.high, b.low, b.close, 14, 3, slowd_period=3)[1],
    "cci_20": lambda b: talib.CCI(b.high, b.low, b.close, 20),
    "aroon_osc_25": lambda b: talib.AROONOSC(b.high, b.low, 25),
    "stoch_rsi": lambda b: stoch_rsi(b.close),
    "trix_15": lambda b: talib.TRIX(b.close, 15),
    "ultimate_osc": lambda b: talib.ULTOSC(b.high, b.low, b.close, 7, 14, 28),
    "bb_upper_distance": lambda b: (talib.BBANDS(b.close, 20, 2, 2)[0] - b.close) / b.close,
    "bb_lower_distance": lambda b: (b.close - talib.BBANDS(b.close, 20, 2, 2)[2]) / b.close,
    "bb_squeeze": lambda b: talib.STDDEV(b.close, 20, 1) / talib.ATR(b.high, b.low, b.close, 10),
    "atr_14_pct": lambda b: talib.ATR(b.high, b.low, b.close, 14) / b.close,
    "keltner_position": lambda b: (b.close - talib.EMA(b.close, 20)) / (2 * talib.ATR(b.high, b.low, b.close, 10)),
    "obv_slope_20": lambda b: (
        (talib.OBV(b.close, b.volume) - np.roll(talib.OBV(b.close, b.volume), 20)) / talib.SUM(b.volume, 20)
    ),
    "volume_sma_ratio": lambda b: talib.SMA(b.volume, 5) / talib.SMA(b.volume, 50) - 1,
    "mfi_14": lambda b: talib.MFI(b.high, b.low, b.close, b.volume, 14),
    "doji": lambda b: talib.CDLDOJI(b.open, b.high, b.low, b.close) / 100,
    "hammer": lambda b: talib.CDLHAMMER(b.open, b.high, b.low, b.close) / 100,
    "engulfing": lambda b: np.sign(talib.CDLENGULFING(b.open, b.high, b.low, b.close)),
    "macd_level": lambda b: talib.MACD(b.close, 12, 26, 9)[0],
    "macd_signal_level": lambda b: talib.MACD(b.close, 12, 26, 9)[1],
    "bb_lower_level": lambda b: talib.BBANDS(b.close, 20, 2, 2)[2],
}


def windows(values: pd.Series, bars: int, function: Callable[[Array], float]) -> pd.Series:
    return values.rolling(bars).apply(function, raw=True)


def drawdown(close: Array) -> float:
    return float(min(close[k] / close[: k + 1].max() - 1 for k in range(len(close))))


def tercile(spread: Array) -> float:
    return float(spread[-1] > np.quantile(spread, 1 / 3)) + float(spread[-1] > np.quantile(spread, 2 / 3))


def plain(frame: pd.DataFrame, spx: pd.Series) -> dict[str, pd.Series]:
    high, low, close, volume = (frame[c] for c in ("high", "low", "close", "volume"))
    r, m = close.pct_change(), spx.pct_change()
    rsi = pd.Series(talib.RSI(close.to_numpy(), 10))
    middle = {n: (high.rolling(n).max() + low.rolling(n).min()) / 2 for n in (9, 26, 52)}
    spans = pd.concat([((middle[9] + middle[26]) / 2).shift(26), middle[52].shift(26)], axis=1)
    top, bottom = spans.max(axis=1, skipna=False), spans.min(axis=1, skipna=False)
    cloud = ((close - top).where(close > top, 0) + (close - bottom).where(close < bottom, 0)) / close
    illiquidity = r.abs() / (close * volume)
    spread = r.rolling(20).std()

    def place(x: pd.Series, n: int) -> pd.Series:
        return (x - x.rolling(n).min()) / (x.rolling(n).max() - x.rolling(n).min())

    return {
        "ichimoku_cloud": cloud,
        "hist_vol_30": np.log(close).diff().rolling(30).std() * np.sqrt(252),
        "volume_spike": (volume > 2 * volume.shift(1).rolling(20).mean()).astype(float),
        "ret_60": close.pct_change(60),
        "ret_skew_20": r.rolling(20).skew(),
        "ret_kurt_20": r.rolling(20).kurt(),
        "autocorr_20": r.rolling(20).corr(r.shift(1)),
        "max_drawdown_60": windows(close, 60, drawdown),
        "rsi_divergence": place(rsi, 20) - place(close, 20),
        "volatility_regime": windows(spread, 252, tercile),
        "beta_60": r.rolling(60).cov(m) / m.where(r.notna()).rolling(60).var(),
        "corr_60": r.rolling(60).corr(m),
        "range_position_60": (close - low.rolling(60).min()) / (high.rolling(60).max() - low.rolling(60).min()),
        "high_252_distance": close / high.rolling(252).max() - 1,
        "amihud_20": np.log(illiquidity.rolling(20).mean() / illiquidity.rolling(252).mean()),
        "spx_trend_50": spx / spx.rolling(50).mean() - 1,
        "spx_momentum_20": spx.pct_change(20),
        "sma_200_level": close.rolling(200).mean(),
    }


@pytest.fixture(scope="module")
def bars(walk: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return walk(tickers=3, sessions=500, seed=5)


@pytest.fixture(scope="module")
def context(bars: pl.DataFrame, market_context: Callable[..., Context]) -> Context:
    return market_context(bars)


@pytest.fixture(scope="module")
def values(bars: pl.DataFrame, context: Context) -> pl.DataFrame:
    return compute(bars, builtin_features(), context)


def assert_same(name: str, ours: pl.Series, theirs: Array) -> None:
    """Compare from the look-back on: before it the feature is null whatever the oracle says."""
    lookback = next(f.lookback for f in builtin_features() if f.name == name)
    mine = ours.to_numpy()
    assert np.isnan(mine[:lookback]).all()
    lookback += 2 * (name == "stoch_k")  # TA-Lib begins with the first %D
    known = theirs[lookback:]
    assert np.isfinite(known).all()
    np.testing.assert_allclose(mine[lookback:], known, rtol=3e-6, atol=3e-6 * float(np.std(known)) + 1e-12)


@pytest.mark.parametrize("name", TALIB)
def test_feature_equals_talib(name: str, bars: pl.DataFrame, values: pl.DataFrame) -> None:
    for (ticker,), part in bars.group_by("ticker"):
        theirs = TALIB[name](Bars(*(part[c].to_numpy() for c in Bars._fields)))
        theirs = np.concatenate([np.full(len(part) - len(theirs), np.nan), theirs])
        assert_same(name, values.filter(pl.col("ticker") == ticker)[name], theirs)


def test_features_without_talib_equal_plain_code(bars: pl.DataFrame, values: pl.DataFrame, context: Context) -> None:
    spx = context.market.select("date", "spx")
    for (ticker,), part in bars.group_by("ticker"):
        frame = part.join(spx, on="date", how="left", maintain_order="left").to_pandas()
        mine = values.filter(pl.col("ticker") == ticker)
        for name, theirs in plain(frame, frame["spx"]).items():
            if name.startswith("spx_"):  # its look-back counts sessions of the index, which begin before the ticker
                np.testing.assert_allclose(mine[name].to_numpy()[60:], theirs.to_numpy()[60:], rtol=3e-6, atol=1e-7)
            else:
                assert_same(name, mine[name], theirs.to_numpy(dtype=float))
