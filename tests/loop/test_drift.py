"""Scans of champions: what they read, what they record, whom they tell, and when they are due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.loop.journal import desk
from tests.loop.ledgers import SLOT, HandClock, project

from marketloop.core.errors import UsageError
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.drift_report import announce, scan_all
from marketloop.loop.drift_watch import DriftWatch, due_scan
from marketloop.loop.drifting import history_document
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.reacting import react
from marketloop.loop.served import served_since
from marketloop.runtime.project import create_project
from marketloop.state import alarms, drift_scans, events, heartbeats
from marketloop.state.drift_scans import DriftScan

MARKET = {"tickers": 12, "sessions": 800, "seed": 3, "start": "2013-01-02"}
SETTINGS = {"tracking.enabled": False, "retraining.schedule": "off", "features.set": "basic"}
TRAINED, NOW = dt.date(2015, 12, 1), dt.date(2016, 1, 15)
RIDGE = CycleRequest(
    ("price_predictor",),
    choices=Choices(recipes=("rank_ridge",), params={"penalty": 1.5}),
    collect=CollectRequest(source="synthetic", options=MARKET, end=TRAINED),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A project whose champion learned until December, and whose bars go on until the middle of January."""
    root = tmp_path_factory.mktemp("drift") / "project"
    create_project(root, settings=SETTINGS)
    with open_house(root, environ={}) as house:
        run_cycle(house, RIDGE)
        ingest(house, CollectRequest(source="synthetic", options=MARKET, end=NOW))
        yield house


def finding(action: str = "retrain", **changes: Any) -> DriftScan:
    """Return a scan as `scan_champion` makes it, of one feature that drifted."""
    feature = {"name": "rsi", "state": "drifted", "psi": 0.9, "ks": 0.5, "wasserstein": 1.0, "shift": 1.0}
    document = {
        "family": SLOT.family,
        "reference": 0.5,
        "current": 0.39,
        "points_lost": 11.0,
        "calibration": 0.9,
        "feature_drift": "High",
        "features": [{**feature, "p_adjusted": 0.001, "memory": 5.0, "missing": 0.0, "importance": 0.4}],
        "findings": [{"about": "accuracy", "action": action, "reason": "11.0 points of accuracy lost"}],
        "retrain_by": None,
        **changes,
    }
    return DriftScan(SLOT, 1, dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 11, tzinfo=dt.UTC), action, document)


def test_scan_compares_the_newest_sessions_with_those_the_champion_learned_from(house: House) -> None:
    (scan,) = scan_all(house, "price_predictor")["families"]
    assert scan["recent_sessions"]["count"] == 20
    assert scan["recent_sessions"]["last"] == scan["as_of"] == NOW.isoformat()
    assert scan["reference_sessions"]["last"] < TRAINED.isoformat()
    assert len(scan["features"]) == 20
    assert scan["action"] in {"monitor", "plan", "retrain"}


def test_scan_says_null_and_not_zero_of_accuracy_before_enough_has_matured(house: House) -> None:
    (scan,) = scan_all(house, "price_predictor")["families"]
    assert (scan["current"], scan["points_lost"], scan["calibration"]) == (None, None, None)
    assert (scan["performance"]["lost"], scan["performance"]["sessions"]) == (None, 0)


def test_scan_is_recorded_and_its_history_is_a_map_of_features_by_scans(house: House) -> None:
    scan_all(house, "price_predictor")
    with house.state.read() as db:
        newest = drift_scans.latest(db, house.slot("price_predictor"))
    assert newest is not None
    history = history_document(house, "price_predictor")
    assert len(history["p_adjusted"]) == len(history["features"]) == 20
    assert {len(row) for row in history["p_adjusted"]} == {len(history["as_of"])}
    assert history["as_of"][-1] == newest.as_of.isoformat()


def test_scan_passes_over_what_was_scanned_already_when_asked_for_news_only(house: House) -> None:
    scan_all(house, "price_predictor")
    assert scan_all(house, "price_predictor", only_new=True)["families"] == []


def test_scan_of_a_family_without_a_champion_is_wrong_use(house: House) -> None:
    with pytest.raises(UsageError, match="momentum_ranker has no champion yet"):
        scan_all(house, "momentum_ranker")


def test_scan_that_asks_to_retrain_is_an_event_that_a_loop_acts_on(tmp_path: Path) -> None:
    clock = HandClock()
    house = project(tmp_path / "p", clock, retraining_on_events=True)
    announce(house, finding())
    announce(house, finding())
    with house.state.read() as db:
        found = events.recent(db, limit=5, kinds=("DRIFT_DETECTED",))
    assert len(found) == 1
    assert found[0].payload["features"] == ["rsi"]
    (reaction,) = react(house, at=clock.now())
    assert reaction.action == "skipped"  # there are no bars, and it says so
    assert "no bars" in reaction.why
    house.close()


def test_scan_that_finds_something_is_an_alarm_once(tmp_path: Path) -> None:
    house = project(tmp_path / "p", HandClock())
    for _ in range(3):
        announce(house, finding("plan", retrain_by="2026-01-16"))
    with house.state.read() as db:
        raised = alarms.latest(db, f"drift:{SLOT.family}:{SLOT.config_key}:1:plan")
        published = events.recent(db, limit=5)
    assert raised is not None
    assert (raised.kind, raised.repeats) == ("drift", 2)
    assert raised.document["worst_features"] == ["rsi (p 0.001, moved +1.00 sd)"]
    assert raised.document["action"] == "plan a retraining by 2026-01-16"
    assert published == ()
    house.close()


def test_scan_that_finds_nothing_is_recorded_and_told_to_nobody(tmp_path: Path) -> None:
    house = project(tmp_path / "p", HandClock())
    announce(house, replace(finding("monitor")))
    with house.state.read() as db:
        assert drift_scans.latest(db, SLOT) is not None
        assert events.recent(db, limit=5) == ()
        assert alarms.latest(db, f"drift:{SLOT.family}:{SLOT.config_key}:1:monitor") is None
    house.close()


def test_served_counts_the_champions_own_matured_predictions(tmp_path: Path) -> None:
    made = desk(tmp_path / "p")
    version = made.crown()
    figures = {"accuracy": 0.9, "calibration_score": 0.95}
    made.house.registry.examined(SLOT, version, metrics=figures, baseline={}, scorecard={}, at=made.clock.at)
    made.clock.at = dt.datetime(2025, 1, 2, tzinfo=dt.UTC)
    for day in range(60, 100):
        made.say(version, day, [{"class_name": "BUY", "probability": 0.4}] * 12)
    made.collect(120)
    from_ledger = made.house.registry.champion(SLOT)
    assert from_ledger is not None
    champion = replace(from_ledger, recorded_at=dt.datetime(2025, 1, 2, tzinfo=dt.UTC))
    assert served_since(made.house, champion).performance.sessions == 0  # no outcome is joined yet
    scan_all(made.house)  # joins them; the hand-made files cannot be scanned, and that is no reason to stop
    served = served_since(made.house, champion)
    assert served.performance.sessions == 40
    assert served.performance.lost == pytest.approx(100 * (0.9 - (served.performance.current or 0)))
    assert served.performance.finding.action == "retrain"
    assert served.calibration is not None
    made.house.close()


def test_scan_is_due_once_a_day_at_six_on_the_exchanges_clock(tmp_path: Path) -> None:
    clock = HandClock(dt.datetime(2026, 1, 2, 10, 30, tzinfo=dt.UTC))  # 05:30 in New York
    house = project(tmp_path / "p", clock)
    assert due_scan(house, at=clock.now()) is None
    clock.pass_by(minutes=29)
    assert due_scan(house, at=clock.now()) is None
    clock.pass_by(minutes=1)
    assert due_scan(house, at=clock.now()) == dt.datetime(2026, 1, 2, 11, tzinfo=dt.UTC)
    clock.pass_by(days=3)  # nobody looked: only the newest slot is due
    assert due_scan(house, at=clock.now()) == dt.datetime(2026, 1, 5, 11, tzinfo=dt.UTC)
    house.close()


def test_scan_is_never_due_when_monitoring_is_off(tmp_path: Path) -> None:
    clock = HandClock()
    house = project(tmp_path / "p", clock, monitoring_enabled=False)
    assert due_scan(house, at=clock.now()) is None
    clock.pass_by(days=2)
    assert due_scan(house, at=clock.now()) is None
    house.close()


def test_watch_begins_a_scan_in_a_process_of_its_own_and_only_once(tmp_path: Path) -> None:
    clock = HandClock()
    house = project(tmp_path / "p", clock)
    watch = DriftWatch(house)
    assert not watch.look()
    clock.pass_by(days=1)
    assert watch.look()
    watch.wait(120.0)
    assert not watch.look()
    with house.state.read() as db:
        book = heartbeats.last(db, "drift")
    assert book is not None
    assert book.document["until"] == "2026-01-03T11:00:00+00:00"
    house.close()


def test_wrong_schedule_of_the_scan_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"monitoring.schedule = \"at six\""):
        project(tmp_path / "p", HandClock(), monitoring_schedule="at six")
