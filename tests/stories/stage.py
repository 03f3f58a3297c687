"""A small project that the pages of the guide are read beside: bars of known names, an index, three families."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import polars as pl

from marketloop.cli import main
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.runtime.template import record_settings

NAMES: Final = (
    "AAPL",
    "MSFT",
    "IBM",
    "GE",
    "KO",
    "PEP",
    "JPM",
    "XOM",
    "CVX",
    "WMT",
    "PG",
    "JNJ",
    "T",
    "VZ",
    "MMM",
    "CAT",
)
ENVIRON: Final = {
    "MARKETLOOP_FEATURES__SET": "basic",
    "MARKETLOOP_FAMILY__PRICE_PREDICTOR__RECIPES": "rank_ridge",
    "MARKETLOOP_FAMILY__MOMENTUM_RANKER__RECIPES": "rank_ridge",
    "MARKETLOOP_TRACKING__ENABLED": "false",
    "MARKETLOOP_COMPUTE__THREADS": "1",
}
"""Settings that make every cycle of the guide a small one; the commands are those of the pages."""
INDEX_SESSIONS: Final = 800


def write_bars(folder: Path) -> None:
    """Write ``bars.parquet``, ``my_bars/`` with a file per ticker, and ``bars.csv`` of one ticker."""
    market = simulate(MarketSpec(tickers=len(NAMES), sessions=1260, seed=3, planted_ic=0.1, start=dt.date(2013, 2, 8)))
    real = {f"SYN{n:03d}": name for n, name in enumerate(NAMES, 1)}
    bars = market.bars.with_columns(pl.col("ticker").replace_strict(real, return_dtype=pl.String))
    bars.write_parquet(folder / "bars.parquet")
    (folder / "my_bars").mkdir()
    for (name,), part in bars.partition_by("ticker", as_dict=True).items():
        part.drop("ticker").write_csv(folder / "my_bars" / f"{name}.csv")
    for name, series in market.series.items():
        if ":" not in name:
            series.tail(INDEX_SESSIONS).write_csv(folder / f"{name}.csv")


def make_project(folder: Path) -> Path:
    """Make the project ``mine`` in `folder` with three versions of the price predictor, a ranker and a regime."""
    write_bars(folder)
    root = folder / "mine"
    assert main(["init", str(root), "--path", str(folder / "bars.parquet")]) == 0
    context: dict[str, Any] = {f"context.{name}": f"../{name}.csv" for name in ("spx", "vix", "us10y", "usd")}
    record_settings(root / "marketloop.toml", context)
    here = ("--project", str(root))
    assert main([*here, "collect"]) == 0
    for recipe in ((), ("--algorithm", "ridge", "--set", "penalty=6"), ()):
        assert main([*here, "retrain", "price_predictor", "--force", "--reason", "the stage", *recipe]) == 0
    assert main([*here, "retrain", "momentum_ranker", "regime_classifier"]) == 0
    return root
