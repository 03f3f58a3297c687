"""How fast the features are: the whole set, a fresh process, one new session, and a pandas loop beside it."""

from __future__ import annotations

import datetime as dt
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Context
from marketloop.features import builtin_features, compute, latest, resolve

__all__ = ["run"]

PEER_TICKERS = 50
"""Tickers of the pandas loop; its cells per second do not depend on how many there are."""


def run(path: Path, *, repeats: int = 5) -> dict[str, Any]:
    """Measure the ``extended`` set on the bars in `path`.

    Parameters
    ----------
    path : Path
        Parquet file ``date, ticker, open, high, low, close, volume``. Reading it is never counted.
    repeats : int
        How often the warm computations are repeated; their medians count.

    Returns
    -------
    dict
        The document of ``bench features``: ``name, rows, seconds, peak_rss_mb, figures, peer``. `seconds` is the warm
        median, `peak_rss_mb` the peak of the fresh process, reading included. Market series are made up, one row per
        session: their values do not matter to the clock.
    """
    bars = _read(path)
    features = resolve({f.name: f for f in builtin_features()}, "extended")
    context = _made_up_context(bars)
    whole = compute(bars, features, context)
    began = time.process_time()
    warm = [_seconds(lambda: compute(bars, features, context)) for _ in range(repeats)]
    cpu = (time.process_time() - began) / repeats
    since = bars["date"].unique().sort()[-2]
    new = latest(bars, features, context, since=since)
    single = [_seconds(lambda: latest(bars, features, context, since=since)) for _ in range(repeats)]
    fresh = _fresh_process(path)
    median, cells = statistics.median(warm), len(bars) * len(features)
    return {
        "name": "features",
        "rows": len(bars),
        "seconds": round(median, 3),
        "peak_rss_mb": fresh["peak_rss_mb"],
        "figures": {
            "features": len(features),
            "tickers": bars["ticker"].n_unique(),
            "warm_median_s": round(median, 3),
            "warm_all_s": [round(s, 3) for s in warm],
            "warm_cpu_s": round(cpu, 3),
            "fresh_process_s": fresh["seconds"],
            "one_session_s": round(statistics.median(single), 3),
            "one_session_rows": len(new),
            "one_session_max_deviation": _deviation(whole, new, features, since),
            "cells_per_s": round(cells / median),
        },
        "peer": {"pandas_ten_indicators": _pandas_loop(bars)},
    }


def measure_once(path: Path) -> dict[str, float]:
    """Compute the set once and return seconds and the peak memory of this process, in MB."""
    bars = _read(path)
    features = resolve({f.name: f for f in builtin_features()}, "extended")
    context = _made_up_context(bars)
    seconds = _seconds(lambda: compute(bars, features, context))
    unit = 1024**2 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"seconds": round(seconds, 3), "peak_rss_mb": round(peak)}


def _fresh_process(path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "marketloop.bench.features", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"the fresh process ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path} cannot be read as Parquet ({error}): give a file of daily bars") from error


def _made_up_context(bars: pl.DataFrame) -> Context:
    days = bars["date"].unique().sort()
    steps = np.random.default_rng(0).normal(0, 0.01, (4, len(days))).cumsum(axis=1)
    series = {"vix": 15 * np.exp(steps[0]), "spx": 2000 * np.exp(steps[1]), "us10y": 2 + steps[2], "usd": 95 + steps[3]}
    tickers = bars["ticker"].unique().sort()
    names = [f"sector {at % 11}" for at in range(len(tickers))]
    return Context(
        market=pl.DataFrame({"date": days, **series}),
        sectors=pl.DataFrame({"ticker": tickers, "sector": names}),
        sector_prices=Context.empty().sector_prices,
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _deviation(whole: pl.DataFrame, new: pl.DataFrame, features: tuple[Feature, ...], since: dt.date) -> float:
    """Return the largest difference as a share of the larger of value and standard deviation; inf if one is null."""
    old = whole.filter(col("date") > since)
    worst = 0.0
    for name in (f.name for f in features):
        a, b = (frame[name].to_numpy().astype(np.float64) for frame in (old, new))
        if (np.isnan(a) != np.isnan(b)).any():
            return float("inf")
        spread = float(np.nanstd(whole[name].to_numpy().astype(np.float64))) if whole[name].count() else 0.0
        scale = np.maximum(np.maximum(np.abs(a), spread), np.finfo(np.float64).tiny)
        worst = max(worst, float(np.nanmax(np.abs(a - b) / scale, initial=0.0)))
    return worst


def _pandas_loop(bars: pl.DataFrame) -> dict[str, float]:
    """Ten usual indicators the usual way: pandas, ticker by ticker."""
    names = bars["ticker"].unique().sort().head(PEER_TICKERS)
    frame = bars.filter(col("ticker").is_in(names.implode())).sort("ticker", "date").to_pandas()
    seconds = _seconds(lambda: [_ten_indicators(part) for _, part in frame.groupby("ticker")])
    return {
        "rows": len(frame),
        "seconds": round(seconds, 3),
        "cells_per_s": round(10 * len(frame) / seconds),
    }


def _ten_indicators(part: pd.DataFrame) -> pd.DataFrame:
    close, change = part["close"], part["close"].diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = -change.clip(upper=0).ewm(alpha=1 / 14, adjust=False).mean()
    macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    spread = close.rolling(20).std()
    previous = close.shift(1)
    ranges = [part["high"] - part["low"], (part["high"] - previous).abs(), (part["low"] - previous).abs()]
    return pd.DataFrame(
        {
            "sma_20": close.rolling(20).mean(),
            "sma_50": close.rolling(50).mean(),
            "ema_12": close.ewm(span=12, adjust=False).mean(),
            "rsi_14": 100 - 100 / (1 + gain / loss),
            "macd": macd,
            "macd_signal": macd.ewm(span=9, adjust=False).mean(),
            "bb_upper": close.rolling(20).mean() + 2 * spread,
            "bb_lower": close.rolling(20).mean() - 2 * spread,
            "atr_14": pd.concat(ranges, axis=1).max(axis=1).rolling(14).mean(),
            "momentum_10": close.pct_change(10, fill_method=None),
        }
    )


if __name__ == "__main__":
    print(json.dumps(measure_once(Path(sys.argv[1]))))  # noqa: T201 (the answer to the process that measures)
