"""Every family of tickers goes the whole road: candidate, stream, verdict, board; and says what it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, enabled_families, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices
from marketloop.loop.ranking import rank
from marketloop.loop.results import CycleResult, FamilyResult
from marketloop.runtime.project import create_project
from marketloop.state import versions

MARKET = {"tickers": 44, "sessions": 680, "seed": 5, "start": "2013-01-02"}
FAMILIES = ("momentum_ranker", "verdict_classifier", "price_regressor")
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("families") / "project"
    create_project(root)
    return open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})


@pytest.fixture(scope="module")
def cycle(house: House) -> CycleResult:
    collect = CollectRequest(source="synthetic", options=MARKET)
    return run_cycle(house, CycleRequest(FAMILIES, choices=RIDGE, collect=collect))


def of(cycle: CycleResult, family: str) -> FamilyResult:
    return next(result for result in cycle.families if result.family == family)


def scorecard(house: House, family: str) -> dict[str, Any]:
    with house.state.read() as db:
        return dict(versions.require(db, house.slot(family), 1).scorecard)


def test_families_retrained_by_default_are_the_three_main_ones(house: House) -> None:
    assert enabled_families(house) == ("price_predictor", "momentum_ranker", "regime_classifier")


@pytest.mark.parametrize("family", FAMILIES)
def test_family_without_a_champion_publishes_a_provisional_one(cycle: CycleResult, family: str) -> None:
    result = of(cycle, family)
    assert (result.verdict, result.reason_code, result.error) == ("provisional", "first", None)
    assert "rank_ic" in result.metrics


def test_ranker_is_measured_by_its_order_beside_the_errors_of_no_skill(cycle: CycleResult) -> None:
    result = of(cycle, "momentum_ranker")
    assert set(result.baseline) == {"rmse", "mae", "r2"}
    assert "accuracy" not in result.metrics


def test_verdicts_are_judged_as_classes_over_twenty_sessions(house: House, cycle: CycleResult) -> None:
    assert "accuracy" in of(cycle, "verdict_classifier").metrics
    card = scorecard(house, "verdict_classifier")
    assert card["horizon"] == 20
    assert set(card["per_class"]) == {"avoid", "watch", "buy"}


def test_predicted_return_comes_with_an_interval_that_covered_what_it_promised(
    house: House, cycle: CycleResult
) -> None:
    assert of(cycle, "price_regressor").verdict == "provisional"
    interval = scorecard(house, "price_regressor")["prediction_interval"]
    assert interval["level"] == 0.9
    assert interval["coverage"] == pytest.approx(0.9, abs=0.06)
    answer = predict(house, family="price_regressor").document()["predictions"][0]
    assert answer["low"] < answer["score"] < answer["high"]
    assert (answer["probability"], answer["class"], answer["classes"]) == (None, None, {})


def test_ranking_puts_the_highest_score_first_and_holds_while_provisional(house: House, cycle: CycleResult) -> None:
    assert of(cycle, "momentum_ranker").verdict == "provisional"
    document = rank(house).document()
    scores = [row["score"] for row in document["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in document["ranking"]] == list(range(1, 45))
    assert (document["ranking"][0]["percentile"], document["ranking"][-1]["percentile"]) == (1.0, 0.0)
    assert {row["signal"] for row in document["ranking"]} == {"HOLD"}
    assert document["provisional"]
    assert len(rank(house, top=3).document()["ranking"]) == 3


def test_ranking_of_the_market_as_a_whole_is_wrong_use(house: House) -> None:
    with pytest.raises(UsageError, match="orders no tickers"):
        rank(house, family="regime_classifier")


def test_threshold_for_a_label_that_has_none_is_wrong_use(house: House) -> None:
    with pytest.raises(UsageError, match="momentum_ranker has no threshold"):
        run_cycle(house, CycleRequest(("momentum_ranker",), choices=Choices(threshold=0.05)))


def test_single_ticker_fails_the_ranker_by_name_and_not_the_other_families(tmp_path: Path) -> None:
    create_project(tmp_path / "project")
    alone = {**MARKET, "tickers": 1, "sessions": 1700, "start": "2009-01-02"}
    with open_house(
        tmp_path / "project", environ={}, flags={"tracking.enabled": False, "features.set": "basic"}
    ) as house:
        collect = CollectRequest(source="synthetic", options=alone)
        request = CycleRequest(("momentum_ranker", "price_regressor"), choices=RIDGE, collect=collect)
        result = run_cycle(house, request)
    assert of(result, "momentum_ranker").verdict == "failed"
    assert "orders the tickers of a session and there is only" in str(of(result, "momentum_ranker").error)
    assert of(result, "price_regressor").verdict == "provisional"
