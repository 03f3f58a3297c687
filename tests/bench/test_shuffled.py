"""Real sessions in another order keep what happens within them; mirrored ones have no direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars import col

from marketloop.bench.shuffled import read_moves, shuffled_ground, shuffled_order
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.synthetic import MarketSpec, simulate


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "bars.parquet"
    bars = simulate(MarketSpec(tickers=14, sessions=120, seed=5)).bars
    gap = (col("ticker") == "SYN003") & (col("date") == bars["date"][40])
    bars.filter(~gap).write_parquet(path)
    return path


def _moves(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(move=(col("close") / col("close").shift(1) - 1).over("ticker")).drop_nulls("move")


def test_order_holds_every_session_once_and_keeps_blocks_whole() -> None:
    order = shuffled_order(43, 10, np.random.default_rng(1))
    assert sorted(order.tolist()) == list(range(43))
    starts = [at for at in range(43) if order[at] % 10 == 0]
    assert len(starts) == 5
    assert all(order[at + 1] == order[at] + 1 for at in range(42) if (order[at] + 1) % 10 and order[at] != 42)


def test_market_has_only_tickers_with_every_session(file: Path) -> None:
    assert len(read_moves(file).tickers) == 13
    assert "SYN003" not in read_moves(file).tickers


def test_shuffled_market_holds_the_same_moves_in_another_order_for_all_tickers_alike(file: Path) -> None:
    ground = shuffled_ground(file, seed=3, tickers=12, sessions=119, block=1, mirrored=False)
    assert dict(ground.bars.schema) == dict(BAR_SCHEMA)
    real = pl.read_parquet(file).filter(col("ticker").is_in(ground.bars["ticker"].unique().implode()))
    wide = _moves(ground.bars).pivot("ticker", index="date", values="move").sort("date").drop("date")
    old = _moves(real).pivot("ticker", index="date", values="move").sort("date").drop("date").select(wide.columns)
    places = [int(np.abs(old.to_numpy() - row).max(axis=1).argmin()) for row in wide.to_numpy()]
    assert np.abs(old.to_numpy()[places] - wide.to_numpy()).max() < 1e-9
    assert len(set(places)) == len(places)
    assert places != sorted(places)


def test_bars_stay_possible(file: Path) -> None:
    for mirrored in (False, True):
        bars = shuffled_ground(file, seed=3, tickers=12, sessions=119, block=20, mirrored=mirrored).bars
        highest, lowest = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
        assert bars.filter((col("high") < highest) | (col("low") > lowest) | (col("low") <= 0)).is_empty()
        assert bars["volume"].min() >= 1  # type: ignore[operator]


def test_mirrored_session_turns_all_moves_round_together(file: Path) -> None:
    plain = shuffled_ground(file, seed=3, tickers=12, sessions=119, block=1, mirrored=False)
    turned = shuffled_ground(file, seed=3, tickers=12, sessions=119, block=1, mirrored=True)
    again = shuffled_ground(file, seed=3, tickers=12, sessions=119, block=1, mirrored=True)
    assert turned.bars.equals(again.bars)
    sign = (
        _moves(turned.bars)
        .group_by("date")
        .agg(up=(col("move") > 0).mean())
        .join(_moves(plain.bars).group_by("date").agg(col("move").abs().mean()), on="date")
    )
    assert len(sign) == 118
    index = turned.series["spx"]["value"]
    assert (index / index.shift(1) - 1).drop_nulls().abs().sum() > 0


def test_sessions_come_again_only_after_all_others(file: Path) -> None:
    bars = shuffled_ground(file, seed=3, tickers=12, sessions=238, block=1, mirrored=False).bars
    one = _moves(bars.filter(col("ticker") == bars["ticker"][0]))["move"].round(9)
    first, second = one.head(118), one.slice(118)
    assert first.n_unique() >= 117
    assert len(set(second.to_list()) & set(first.to_list())) >= 116


def test_market_wants_more_tickers_than_there_are(file: Path) -> None:
    with pytest.raises(UsageError, match="13 tickers with all of its 120 sessions"):
        shuffled_ground(file, seed=3, tickers=14, sessions=100, block=1, mirrored=True)


def test_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        read_moves(tmp_path / "none.parquet")
