"""A backtest trades only what was said out of sample: by a stream, by a walk-forward, by the model after training."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from marketloop import Backtester
from marketloop.core.errors import UsageError
from marketloop.evaluation.backtest import Plan
from marketloop.evaluation.positions import Sizing
from marketloop.evaluation.prices import Costs
from marketloop.loop.backtest_result import BacktestResult
from marketloop.loop.backtesting import find_model, write_orders
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.record import record_of
from marketloop.loop.streams import stored_scores
from marketloop.loop.training import train_family
from marketloop.runtime.project import create_project

MARKET = {"tickers": 24, "sessions": 820, "seed": 7, "planted_ic": 0.15, "start": "2013-01-02"}
TRAINED, LATER = dt.date(2015, 12, 1), dt.date(2016, 2, 19)
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
FAMILY = "price_predictor"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Version 1 with its stream, version 2 without one, and eleven weeks of bars that neither was trained on."""
    root = tmp_path_factory.mktemp("backtest") / "project"
    create_project(root)
    house = open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})
    collect = CollectRequest(source="synthetic", options=MARKET, end=TRAINED)
    (result,) = run_cycle(house, CycleRequest((FAMILY,), choices=RIDGE, collect=collect)).families
    assert result.version == 1, result.reason
    train_family(house, FAMILY, RIDGE)
    ingest(house, CollectRequest(source="synthetic", options=MARKET, end=LATER))
    return house


@pytest.fixture(scope="module")
def result(house: House) -> BacktestResult:
    return Backtester(config=house).run()


def test_champion_is_followed_on_its_stream_and_then_by_its_own_word(house: House, result: BacktestResult) -> None:
    stream, own = result.sources
    assert (stream.name, own.name) == ("stream", "model")
    assert (stream.last, own.first) == (TRAINED, TRAINED + dt.timedelta(days=1))
    assert own.last == LATER == result.dates[-1]
    assert stream.sessions + own.sessions == len(result.dates)
    assert own.detail == "version 1 itself"
    assert find_model(house).manifest["stream_id"] in stream.detail


def test_scores_of_the_record_are_those_of_the_stream_until_the_training(house: House) -> None:
    model = find_model(house)
    record = record_of(house, model.learner, model.manifest)
    kept = stored_scores(house, str(model.manifest["stream_id"]))
    before = record.scores.filter(pl.col("session") <= record.through)
    assert before["score"].to_list() == kept["score"].to_list()
    assert record.scores["session"].max() == record.prepared.panel.last
    assert record.through == model.manifest["trained_through"]


def test_first_session_with_scores_is_the_first_that_decides(house: House, result: BacktestResult) -> None:
    model = find_model(house)
    kept = stored_scores(house, str(model.manifest["stream_id"]))
    first = int(kept["session"].min())  # type: ignore[arg-type]
    assert result.dates[0] == record_of(house, model.learner, model.manifest).prepared.sessions.date(first)


def test_figures_have_the_names_of_the_document(result: BacktestResult) -> None:
    document = result.document()
    for name in ("total_return", "annual_return", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate"):
        assert document[name] == getattr(result, name)
    assert document["turnover"] == result.turnover > 0
    assert 0 < result.exposure <= 1
    assert set(document["benchmarks"]) == {"buy_and_hold", "equal_weight", "sp500"}
    assert document["report"] is None
    assert document["sessions"] == len(result.dates)
    assert any("no skill is proven" in warning for warning in result.warnings)


def test_planted_signal_is_worth_something_before_costs(house: House) -> None:
    plan = Plan(costs=Costs(0.0, 0.0, 0.0), sizing=Sizing(short=True))
    free = Backtester(config=house).run(plan=plan)
    dear = Backtester(config=house).run(plan=Plan(costs=Costs(100.0, 100.0, 0.0), sizing=Sizing(short=True)))
    assert free.sharpe_ratio > 0.5
    assert dear.total_return < free.total_return


def test_version_without_a_stream_is_walked_forward_and_says_so(house: House, result: BacktestResult) -> None:
    walked = Backtester(find_model(house, FAMILY, 2), house).run()
    assert [source.name for source in walked.sources] == ["walk-forward", "model"]
    assert any("chosen on this same history" in warning for warning in walked.warnings)
    assert walked.dates == result.dates
    # The same recipe on the same bars: what is walked forward now is what was said then.
    assert walked.backtest.account.equity == pytest.approx(result.backtest.account.equity, rel=1e-6)


def test_period_and_capital_are_those_asked_for(house: House, result: BacktestResult) -> None:
    start, end = result.dates[5], result.sources[0].last
    part = Backtester(config=house).run(start.isoformat(), end, initial_capital=1000)
    assert (part.dates[0], part.dates[-1]) == (start, end)
    assert part.backtest.account.equity[0] == 1000
    assert np.isfinite(part.total_return)
    assert [source.name for source in part.sources] == ["stream"]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2013-01-02", None, "out-of-sample signals exist from 2015-"),
        (None, "2030-01-02", r"to 2016-02-19; choose two dates among these"),
        ("2016-01-04", "2015-12-15", "the earlier first"),
        ("2016-01-02", "2016-01-03", "a backtest needs two"),
        ("soon", None, 'start_date "soon": expected a date as YYYY-MM-DD'),
    ],
)
def test_dates_outside_say_what_is_there(house: House, start: str | None, end: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Backtester(config=house).run(start, end)


def test_orders_carry_dates_and_names(house: House, result: BacktestResult, tmp_path: Path) -> None:
    del house
    path = write_orders(result, tmp_path / "new" / "orders.csv")
    orders = pl.read_csv(path, try_parse_dates=True)
    assert orders.columns[:4] == ["date", "decided_on", "ticker", "side"]
    assert (orders["decided_on"] < orders["date"]).all()
    assert set(orders["ticker"]) <= set(result.tickers)
    assert len(orders) == len(result.orders()) > 0


def test_tear_sheet_is_written_under_the_project(house: House, result: BacktestResult, tmp_path: Path) -> None:
    backtester = Backtester(config=house)
    path = backtester.report(result)
    assert path.parent == house.project.reports
    assert path.name == f"backtest_{FAMILY}_{house.strategy.key}_v1.html"
    assert "Backtest" in path.read_text(encoding="utf-8")
    assert backtester.report(result, tmp_path / "mine.html") == tmp_path / "mine.html"


def test_model_of_another_configuration_or_of_the_whole_market_is_refused(house: House) -> None:
    model = find_model(house)
    with pytest.raises(UsageError, match="the model reads features of rsi7_vol20_support20"):
        record_of(house, model.learner, {**model.manifest, "config_key": "rsi7_vol20_support20"})
    with pytest.raises(UsageError, match="regime_classifier speaks of the whole market"):
        record_of(house, model.learner, {**model.manifest, "family": "regime_classifier"})


def test_model_that_is_not_confident_enough_holds_nothing(house: House) -> None:
    flags = {"tracking.enabled": False, "features.set": "basic", f"family.{FAMILY}.confidence": 0.999}
    with open_house(house.project.root, environ={}, flags=flags) as careful:
        silent = Backtester(config=careful).run()
    assert silent.exposure == 0
    assert any("no position was ever taken" in warning for warning in silent.warnings)
