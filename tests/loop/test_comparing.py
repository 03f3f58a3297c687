"""Versions side by side: which sessions count, who speaks for them, and what is advised."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop.comparing import Comparison, compare_versions
from marketloop.loop.comparing_sets import compare_feature_sets
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.importance import importance
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.training import train_family
from marketloop.loop.validating import validate
from marketloop.runtime.project import create_project

MARKET = {"tickers": 36, "sessions": 740, "seed": 7, "planted_ic": 0.15, "start": "2013-01-02"}
FIRST, SECOND, LATER = dt.date(2015, 6, 1), dt.date(2015, 6, 19), dt.date(2015, 12, 4)
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
FAMILY = "price_predictor"


def collect(house: House, end: dt.date) -> None:
    ingest(house, CollectRequest(source="synthetic", options=MARKET, end=end))


def night(house: House, end: dt.date) -> None:
    request = CollectRequest(source="synthetic", options=MARKET, end=end)
    (result,) = run_cycle(house, CycleRequest((FAMILY,), choices=RIDGE, collect=request)).families
    assert result.version is not None, result.reason


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Three versions: 1 and 3 of one recipe, eighteen days apart; 2 with another label, of the same bars as 1."""
    root = tmp_path_factory.mktemp("compare") / "project"
    create_project(root)
    house = open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})
    night(house, FIRST)
    train_family(house, FAMILY, Choices(recipes=("rank_ridge",), params={"penalty": 200.0}, target_days=10))
    night(house, SECOND)
    return house


@pytest.fixture(scope="module")
def young(house: House) -> Comparison:
    return compare_versions(house, FAMILY, 1, 3)


@pytest.fixture(scope="module")
def grown(house: House, young: Comparison) -> Comparison:
    """The same two versions half a year later."""
    del young
    collect(house, LATER)
    return compare_versions(house, FAMILY, 1, 3)


def test_stream_speaks_for_the_younger_version_until_it_was_trained(young: Comparison) -> None:
    document = young.document()
    assert tuple(document)[:4] == ("a", "b", "differences", "recommendation")
    assert (document["a"]["version"], document["b"]["version"]) == (1, 3)
    assert document["basis"]["kind"] == "streams"
    assert (document["basis"]["first"], document["basis"]["last"]) == ("2015-06-02", "2015-06-19")
    assert document["basis"]["sessions"] == 14
    assert all(d["interval"] is None for d in document["differences"])
    assert "too few sessions to tell the two apart" in document["recommendation"]
    assert document["gate"]["verdict"] in {"refused", "provisional", "promoted"}
    assert document["gate"]["reason"]


def test_versions_speak_for_themselves_once_enough_sessions_are_new_to_both(grown: Comparison) -> None:
    document = grown.document()
    assert document["basis"]["kind"] == "versions"
    assert (document["basis"]["first"], document["basis"]["last"]) == ("2015-06-22", "2015-12-04")
    assert document["basis"]["tickers"] == 36
    found = {d["metric"]: d for d in document["differences"]}
    assert set(found) == {"accuracy", "log_loss", "rank_ic", "ic1", "sharpe_ratio", "max_drawdown"}
    low, high = found["rank_ic"]["interval"]
    assert low < found["rank_ic"]["difference"] < high
    # two fits of one recipe on nearly the same rows hardly differ
    assert abs(found["rank_ic"]["difference"]) < 0.02
    assert found["rank_ic"]["a"] > 0


def test_sides_carry_the_figures_of_the_ledger(house: House, grown: Comparison) -> None:
    a = grown.document()["a"]
    assert a["metrics"] == dict(validate(house, FAMILY, 1).version.metrics)
    assert a["verdict"] == "provisional"
    assert grown.document()["b"]["trained_at"] > a["trained_at"]


def test_other_labels_are_compared_by_the_order_of_one_session_returns(house: House, grown: Comparison) -> None:
    del grown
    document = compare_versions(house, FAMILY, 1, 2).document()
    assert {d["metric"] for d in document["differences"]} == {"ic1", "sharpe_ratio", "max_drawdown"}
    assert "predict different outcomes (5 sessions, 2.0% against 10 sessions, 2.0%)" in document["warnings"][0]
    assert document["gate"] is None
    assert document["b"]["verdict"] is None


def test_swapped_sides_change_only_the_sign(house: House, grown: Comparison) -> None:
    swapped = compare_versions(house, FAMILY, 3, 1)
    for one, other in zip(grown.differences, swapped.differences, strict=True):
        assert (one.a, one.b) == (other.b, other.a)
        assert one.difference == -other.difference


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [(1, 1, "cannot be compared with itself"), (1, 9, "no version 9: known are 1, 2, 3")],
)
def test_wrong_versions_are_named(house: House, a: int, b: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compare_versions(house, FAMILY, a, b)


def test_feature_sets_are_walked_forward_on_the_same_rows_and_nothing_is_stored(house: House) -> None:
    told: list[str] = []
    before = validate(house, FAMILY).version.version

    def tell(what: str, done: int, total: int) -> None:
        assert 0 < done <= total
        told.append(what)

    found = compare_feature_sets(house, FAMILY, ("legacy", "basic"), tell=tell).document()
    assert (found["a"]["name"], found["b"]["name"]) == ("legacy", "basic")
    assert (found["a"]["features"], found["b"]["features"]) == (9, 20)
    assert found["basis"]["sessions"] > 60
    assert {"accuracy", "rank_ic", "ic1"} <= {d["metric"] for d in found["differences"]}
    assert {"walking forward on legacy", "walking forward on basic"} <= set(told)
    assert validate(house, FAMILY).version.version == before


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("basic",), "expected two different sets"),
        (("basic", "basic"), "expected two different sets"),
        (("basic", "legcy"), 'Did you mean "legacy"'),
    ],
)
def test_wrong_feature_sets_are_named(house: House, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compare_feature_sets(house, FAMILY, names)


def test_importance_is_seen_three_ways_in_falling_order(house: House) -> None:
    found = importance(house, FAMILY, 1, top=7)
    assert len(found["features"]) == 7
    assert found["total"] == 20
    shares = [f["share"] for f in found["features"]]
    assert shares == sorted(shares, reverse=True)
    assert found["sessions"] == 21
    assert all(f["permutation"] is not None for f in found["features"])
    with pytest.raises(UsageError, match="at least 1 feature"):
        importance(house, FAMILY, top=0)


def test_importance_of_a_version_that_was_not_examined_is_the_learners_own(house: House) -> None:
    found = importance(house, FAMILY, 2)
    assert found["sessions"] is None
    slot = house.slot(FAMILY)
    assert found["total"] == len(house.registry.load(slot, 2).manifest["features"])
    assert all(f["contribution"] is None for f in found["features"])


def test_one_version_has_nothing_to_be_compared_with(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("one") / "project"
    create_project(root)
    house = open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})
    collect(house, FIRST)
    train_family(house, FAMILY, RIDGE)
    with pytest.raises(UsageError, match="has one version, 1: there is nothing to compare it with yet"):
        compare_versions(house, FAMILY, 1, 2)
    train_family(house, FAMILY, RIDGE)
    with pytest.raises(UsageError, match=r"no session can tell version 1 from version 2.* version 1 was only trained"):
        compare_versions(house, FAMILY, 1, 2)
