"""A champion with proven skill: who may replace it, and when."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices
from marketloop.loop.results import FamilyResult
from marketloop.runtime.project import create_project

MARKET = {"tickers": 44, "sessions": 900, "seed": 5, "planted_ic": 0.12, "start": "2013-01-02"}
FIRST, SOON, LATER = dt.date(2016, 4, 15), dt.date(2016, 4, 29), dt.date(2016, 7, 20)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("reign") / "project"
    create_project(root)
    return open_house(root, environ={}, flags={"tracking.enabled": False})


def night(house: House, end: dt.date, penalty: float = 1.5) -> FamilyResult:
    request = CycleRequest(
        ("price_predictor",),
        choices=Choices(recipes=("rank_ridge",), params={"penalty": penalty}),
        collect=CollectRequest(source="synthetic", options=MARKET, end=end),
    )
    return run_cycle(house, request).families[0]


@pytest.fixture(scope="module")
def reign(house: House) -> list[FamilyResult]:
    return [night(house, FIRST), night(house, SOON), night(house, LATER), night(house, LATER, penalty=6.0)]


def test_planted_signal_is_proven_at_the_first_look(house: House, reign: list[FamilyResult]) -> None:
    first = reign[0]
    assert (first.verdict, first.reason_code) == ("promoted", "first")
    assert first.record["z"] >= first.record["year"]["z_star"]
    champion = house.registry.champion(house.slot("price_predictor"))
    assert champion is not None
    assert (champion.status, champion.skill_proven) == ("champion", True)


def test_young_champion_stays_while_the_challenger_has_nothing_on_it(reign: list[FamilyResult]) -> None:
    soon = reign[1]
    assert (soon.verdict, soon.reason_code) == ("refused", "not_better")
    assert soon.record["pair"]["n"] < 40
    assert soon.record["continuity"] > 0.3


def test_old_champion_is_refreshed_by_an_equal(reign: list[FamilyResult]) -> None:
    later = reign[2]
    assert (later.verdict, later.reason_code) == ("promoted", "refresh")
    assert later.record["pair"]["n"] >= 40
    assert later.record["year"] == reign[0].record["year"]


def test_another_recipe_pays_more_and_is_compared_over_the_whole_past(reign: list[FamilyResult]) -> None:
    other = reign[3]
    assert other.verdict == "refused"
    assert (other.record["year"]["k"], other.record["year"]["alpha"]) == (1, 0.025 / 4)
    assert other.record["pair"]["n"] > 200


def test_proven_champion_gives_signals(house: House, reign: list[FamilyResult]) -> None:
    answers = predict(house)
    assert answers.champion.version == reign[2].version
    assert {"BUY", "SELL"} <= {prediction.signal for prediction in answers.predictions}
    assert not any(row["provisional"] for row in answers.document()["predictions"])
