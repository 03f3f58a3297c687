"""The service retrains inside somebody else's program, which neither waits for it nor falls with it."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.loop.ledgers import HandClock, cycle, project
from tests.loop.moody import all_cycles, all_requests, eventually, moody_project, open_moody

import marketloop
from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop import Event, EventType, RetrainingService, publish
from marketloop.loop.house import House
from marketloop.loop.pulse import pulse
from marketloop.state import cycles, events, requests, this_process

BY_HAND = requests.Wish("manual", "by hand", ("price_predictor",))
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fastapi_service.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return moody_project(tmp_path / "project")


@pytest.fixture
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("fastapi_service", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fastapi_service"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fastapi_service"]


def test_service_is_a_public_name() -> None:
    assert marketloop.RetrainingService is RetrainingService


def test_retrain_waits_for_its_cycle_and_tells_what_went_wrong(root: Path) -> None:
    with RetrainingService(root) as service:
        result = service.retrain("price_predictor", reason="new product")
        assert (result.outcome, result.models_trained) == ("failed", ())
        assert "in a bad mood" in result.errors["cycle"]
        stats = service.stats()
    assert stats["total_retrainings"] == 1
    assert stats["last_outcome"] == "failed"
    with open_moody(root) as house:
        (request,) = all_requests(house)
    assert (request.id, request.reason, request.requested_by) == (result.request_id, "new product", "python")


def test_wrong_wishes_are_refused_before_anything_is_asked(root: Path) -> None:
    with RetrainingService(root) as service:
        with pytest.raises(UsageError, match='unknown family "price"'):
            service.retrain(["price"])
        with pytest.raises(UsageError, match="needs a reason"):
            service.retrain(force=True)
        with pytest.raises((UsageError, RefusedError), match=r"no version|no champion"):
            service.rollback()
        with pytest.raises(UsageError, match="unknown family"):
            service.rollback("prices")
        assert service.stats()["total_retrainings"] == 0
    with pytest.raises(UsageError, match=r"holds no marketloop\.toml"):
        RetrainingService(root / "data")


def test_what_is_given_wins_over_the_settings_also_in_its_cycles(root: Path) -> None:
    with RetrainingService(root) as service:
        stats = service.stats()
    assert (stats["min_interval_hours"], stats["min_new_samples"]) == (24, 100)
    given = RetrainingService(root, "rows.csv", 6, 50, auto_backup=False)
    stats = given.stats()
    assert (stats["min_interval_hours"], stats["min_new_samples"]) == (6, 50)
    assert given._environ() == {
        "MARKETLOOP_RETRAINING__TRAINING_DATA_PATH": str(Path("rows.csv").absolute()),
        "MARKETLOOP_RETRAINING__MIN_INTERVAL_HOURS": "6",
        "MARKETLOOP_RETRAINING__MIN_NEW_SAMPLES": "50",
        "MARKETLOOP_REGISTRY__KEEP": "3",
    }
    given.close()


def test_rollback_is_told_at_once(tmp_path: Path) -> None:
    clock = HandClock()
    with project(tmp_path / "p", clock) as house:
        cycle(house, clock)
        cycle(house, clock, code="superior")
    with RetrainingService(tmp_path / "p") as service:
        assert service.rollback(reason="bad")["to"] == 1
    assert "rolled back to version 1 by hand" in (tmp_path / "p" / "models" / "alerts.log").read_text(encoding="utf-8")


def test_stats_say_why_an_event_would_not_retrain_now(root: Path) -> None:
    with RetrainingService(root) as service:
        assert not service.stats()["can_retrain_now"]
        assert "no bars" in service.stats()["why_not"]


def outcomes(house: House) -> list[dict[str, Any]]:
    """Return what came of each event, newest first."""
    with house.state.read() as db:
        return [event.result for event in events.recent(db)]


def test_started_service_reacts_to_events_and_stop_ends_its_cycle(root: Path) -> None:
    (root / "mood").write_text("sleep", encoding="utf-8")
    with RetrainingService(root) as service, open_moody(root) as house:
        service.start()
        service.start()
        assert pulse(house)["running"]
        assert service.status()["running"]
        publish(Event(EventType.ANALYSIS_COMPLETED, {"batch_size": 80}), root)
        eventually(lambda: "on_events is off" in str(outcomes(house)))
        assert all_requests(house) == []
        service.listen()
        publish(Event(EventType.ANALYSIS_COMPLETED, {"batch_size": 80}), root)
        eventually(lambda: len(all_requests(house)) == 1)
        assert "no bars" in all_requests(house)[0].why_not  # the opt-in holds, a condition does not
        with house.state.write() as db:
            requests.ask(db, BY_HAND, process=this_process(), at=house.clock.now())
        eventually(lambda: any(cycle.outcome == cycles.RUNNING for cycle in all_cycles(house)))
        service.stop()
        assert not service.running
        (cycle,) = all_cycles(house)
        assert cycle.outcome == "failed"
        assert "stopped" in str(cycle.document["error"]).lower()
        assert cycle.process.is_dead(this_process())


def test_failing_start_is_logged_and_never_fatal_to_the_host(
    example: ModuleType, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "state.db").write_text("this is no database" * 100, encoding="utf-8")
    service = RetrainingService(root)

    async def live() -> str:
        async with example.retraining(service):
            return "the app answers"

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(live()) == "the app answers"
    assert "the app goes on without it" in caplog.text
    assert "is not a database" in caplog.text
    assert not service.running


def test_example_starts_and_stops_the_service_with_the_app(example: ModuleType, root: Path) -> None:
    pytest.importorskip("fastapi", reason="FastAPI is not installed: the example needs it")
    service = RetrainingService(root)
    app = example.create_app(service)
    seen: list[bool] = []

    async def live() -> list[str]:
        """Drive the app's lifespan as a server does."""
        told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        said: list[str] = []
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            await told.put({"type": kind})

        async def send(message: dict[str, str]) -> None:
            said.append(message["type"])
            seen.append(service.running)

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, told.get, send)
        return said

    assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == [True, False]
