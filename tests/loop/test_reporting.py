"""Reports of versions: written with each turn, the same from the ledger later, never in the way of a cycle."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop import reporting
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.reporting import report_on_demand
from marketloop.loop.results import CycleResult
from marketloop.loop.training import train_family
from marketloop.loop.validating import validate
from marketloop.runtime.project import create_project

MARKET = {"tickers": 36, "sessions": 740, "seed": 7, "planted_ic": 0.15, "start": "2013-01-02"}
FIRST, SECOND = dt.date(2015, 6, 1), dt.date(2015, 6, 19)
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
FAMILY = "price_predictor"


def night(house: House, end: dt.date) -> CycleResult:
    request = CollectRequest(source="synthetic", options=MARKET, end=end)
    return run_cycle(house, CycleRequest((FAMILY,), choices=RIDGE, collect=request))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("reports") / "project"
    create_project(root)
    return open_house(root, environ={}, flags={"tracking.enabled": False, "features.set": "basic"})


@pytest.fixture(scope="module")
def first(house: House) -> CycleResult:
    return night(house, FIRST)


@pytest.fixture(scope="module")
def second(house: House, first: CycleResult) -> CycleResult:
    del first
    return night(house, SECOND)


def figures(path: Path) -> dict[str, Any]:
    """The figures of a page by name."""
    page = path.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    return {figure["name"]: figure for figure in json.loads(found)}


def z_of(path: Path) -> list[float]:
    (line,) = [trace for trace in figures(path)["decision"]["data"] if trace["name"] == "z of the stream"]
    values: list[float] = line["y"]
    return values


def test_cycle_writes_the_report_and_names_it(house: House, first: CycleResult) -> None:
    (family,) = first.families
    assert family.report == house.project.reports / "price_predictor_v1.html"
    assert first.document()["families"][0]["report"] == str(family.report)
    assert z_of(family.report)[-1] == pytest.approx(family.record["z"])
    page = family.report.read_text(encoding="utf-8")
    assert family.reason.split(";")[0] in page
    assert not list(house.project.reports.glob(".*"))  # nothing half-written is left


def test_refused_version_has_a_report_as_complete_as_any(house: House, first: CycleResult, second: CycleResult) -> None:
    (refused,) = second.families
    assert refused.verdict == "refused"
    assert refused.report == house.project.reports / "price_predictor_v2.html"
    assert first.families[0].report is not None
    assert set(figures(refused.report)) == set(figures(first.families[0].report))
    assert "Refused: this version does not serve" in refused.report.read_text(encoding="utf-8")


def test_report_from_the_ledger_draws_what_was_known_then(
    house: House, first: CycleResult, second: CycleResult, tmp_path: Path
) -> None:
    del second  # newer bars and scores lie in the project by now
    written = first.families[0].report
    assert written is not None
    again = report_on_demand(house, FAMILY, 1, tmp_path / "deep" / "mine.html")
    assert again == tmp_path / "deep" / "mine.html"
    then, now = figures(written), figures(again)
    assert z_of(again) == pytest.approx(z_of(written))
    for name in ("cumulative", "stability", "stability-ic", "reliability"):
        for one, other in zip(then[name]["data"], now[name]["data"], strict=True):
            assert one["x"] == other["x"]
            assert other["y"] == pytest.approx(one["y"], abs=1e-9)


def test_seen_rows_stand_beside_the_same_rows_unseen(house: House, first: CycleResult) -> None:
    del first
    found = validate(house, FAMILY, 1)
    seen, unseen = found.parts
    assert (seen["part"], unseen["part"]) == ("seen", "unseen")
    assert seen["rows"] == unseen["rows"] > 1000
    gap = next(grade for grade in found.grades if grade["name"] == "overfit")
    assert gap["value"] == pytest.approx(seen["figures"]["accuracy"] - unseen["figures"]["accuracy"])
    assert gap["grade"] == "good"


def test_candidate_of_train_has_a_report_of_its_holdout(house: House, second: CycleResult, tmp_path: Path) -> None:
    del second
    made = train_family(house, FAMILY, RIDGE)
    path = report_on_demand(house, FAMILY, made.candidate.version, tmp_path / "trained.html")
    page = path.read_text(encoding="utf-8")
    assert "Not examined" in page
    assert "purged at both edges" in page


def test_candidate_of_a_family_of_values_is_validated(house: House, first: CycleResult, tmp_path: Path) -> None:
    del first
    made = train_family(house, "price_regressor", Choices(recipes=("rank_ridge",), params={"penalty": 1.5}))
    found = validate(house, "price_regressor", made.candidate.version)
    assert [part["part"] for part in found.parts] == ["train", "validation", "test"]
    assert [grade["name"] for grade in found.grades] == ["overfit"]
    assert "accuracy" not in found.document()["metrics"]
    page = report_on_demand(house, "price_regressor", None, tmp_path / "values.html").read_text("utf-8")
    assert "root mean square error" in page


def test_report_that_fails_is_a_warning_and_the_night_goes_on(
    house: House, second: CycleResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    del second

    def burst(*_: object) -> str:
        raise RuntimeError("no more ink")

    monkeypatch.setattr(reporting, "version_report", burst)
    result = night(house, dt.date(2015, 7, 10))
    (family,) = result.families
    assert family.verdict in {"refused", "promoted", "provisional"}
    assert family.report is None
    assert any("was not written: no more ink" in warning for warning in family.warnings)


def test_only_the_newest_reports_of_a_slot_are_kept(
    house: House, first: CycleResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    del first
    folder = house.project.reports
    old = [folder / f"price_predictor_v{number}.html" for number in (900, 901, 1000)]
    others = [folder / "momentum_ranker_v1.html", folder / "price_predictor_rsi14_vol20_support20_v1.html"]
    for path in (*old, *others):
        path.write_text("x")
    monkeypatch.setattr(reporting, "KEPT", 2)
    reporting.forget_old(house, house.slot(FAMILY))
    kept = {path.name for path in folder.iterdir()}
    assert {name for name in kept if re.fullmatch(r"price_predictor_v\d+\.html", name)} == {old[1].name, old[2].name}
    assert {path.name for path in others} <= kept


def test_report_of_a_version_that_does_not_exist_names_those_that_do(house: House, first: CycleResult) -> None:
    del first
    with pytest.raises(UsageError, match="known are 1"):
        report_on_demand(house, FAMILY, 99)


def test_fresh_project_has_nothing_to_report(tmp_path: Path) -> None:
    create_project(tmp_path / "p")
    fresh = open_house(tmp_path / "p", environ={}, flags={"tracking.enabled": False})
    ingest(fresh, CollectRequest(source="synthetic", options={"tickers": 12, "sessions": 300}))
    with pytest.raises(UsageError, match="marketloop retrain price_predictor"):
        report_on_demand(fresh, None, None)


def test_numbers_of_the_charts_lie_beside_the_page_and_are_the_same(house: House, first: CycleResult) -> None:
    (family,) = first.families
    page = report_on_demand(house, FAMILY, 1)
    course = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert (course["family"], course["version"], course["classes"]) == (FAMILY, 1, ["SELL", "HOLD", "BUY"])
    assert course["decision"]["z"][-1] == pytest.approx(family.record["z"])
    assert course["decision"]["z_star"] == pytest.approx(family.record["year"]["z_star"])
    assert course["cumulative"]["value"][-1] == pytest.approx(family.record["mean_ic1"] * family.record["n"])
    account = course["account"]
    assert account["account"][0] == 1.0
    assert len(account["dates"]) == len(account["account"]) == len(account["drawdown"])
    assert set(account["benchmarks"]) >= {"buy_and_hold", "equal_weight"}
    assert len(course["decision"]["dates"]) <= 400


def test_quality_of_the_stored_bars_is_written_with_every_collection(house: House, first: CycleResult) -> None:
    del first
    told = json.loads((house.project.reports / "quality.json").read_text(encoding="utf-8"))
    assert told["rows"] == told["accepted"] + told["quarantined"] > 0
    assert told["data_version"] == house.store.version
    assert told["tickers"] == MARKET["tickers"]
