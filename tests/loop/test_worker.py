"""The worker runs one request at a time in a process of its own, and outlives whatever becomes of it."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.loop.moody import all_cycles, all_requests, eventually, moody_project, open_moody

from marketloop.core.errors import FailedError
from marketloop.loop import Event, EventType, fulfilling, publish, worker
from marketloop.loop.claiming import claim
from marketloop.loop.cycle import CycleRequest
from marketloop.loop.due import Due
from marketloop.loop.flight import single_flight
from marketloop.loop.fulfilling import fulfil, queue
from marketloop.loop.house import House
from marketloop.loop.pulse import LEASE, pulse
from marketloop.loop.worker import Worker
from marketloop.state import alarms, events, heartbeats, lease, requests, this_process
from marketloop.state.lease import LeaseLostError

MANUAL = CycleRequest(("price_predictor",), reason="test")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_moody(moody_project(tmp_path / "project")) as opened:
        yield opened


@pytest.fixture
def one(house: House) -> Iterator[Worker]:
    made = Worker(house)
    yield made
    made.stop()


def mood(house: House, word: str) -> None:
    (house.project.root / "mood").write_text(word, encoding="utf-8")


def break_settings(house: House) -> None:
    """Let every process that opens the project from now on fail at once."""
    path = house.project.settings_file
    path.write_text("alpha_skil = 1\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def has_cycle(house: House) -> bool:
    return any(request.cycle_id for request in all_requests(house)) or bool(all_cycles(house))


def test_cycle_that_is_killed_is_recorded_told_and_does_not_block_the_next(house: House, one: Worker) -> None:
    mood(house, "sleep")
    queue(house, MANUAL, by="test")
    one.tick()
    eventually(lambda: has_cycle(house))
    os.kill(all_cycles(house)[0].process.pid, signal.SIGKILL)
    one.wait()
    (request,), (cycle,) = all_requests(house), all_cycles(house)
    assert (request.state, cycle.outcome) == ("failed", "failed")
    assert "signal 9" in request.why_not or "died" in request.why_not
    with house.state.read() as db:
        assert {alarm.title for alarm in alarms.recent(db)} >= {"A retraining died"}
        assert [event.type for event in events.recent(db)] == ["RETRAINING_COMPLETED"]
    mood(house, "fail")
    queue(house, MANUAL, by="test")
    one.tick()
    one.wait()
    request, cycle = all_requests(house)[1], all_cycles(house)[1]
    assert (request.state, request.outcome, cycle.outcome) == ("failed", "failed", "failed")
    assert "in a bad mood" in request.why_not
    assert request.cycle_id in {None, cycle.id}
    assert request.process == cycle.process
    assert cycle.process.pid != os.getpid()
    assert not one.busy


def test_process_that_dies_before_it_claims_its_request_fails_it_with_its_last_words(house: House, one: Worker) -> None:
    queue(house, MANUAL, by="test")
    break_settings(house)
    one.tick()
    one.wait()
    (request,) = all_requests(house)
    assert request.state == "failed"
    assert "ended with code 2" in request.why_not
    assert "alpha_skil" in request.why_not
    assert all_cycles(house) == []


@pytest.mark.parametrize("manner", ["sleep", "stubborn"])
def test_stop_ends_a_running_cycle_and_records_it_as_stopped(house: House, one: Worker, manner: str) -> None:
    mood(house, manner)
    queue(house, MANUAL, by="test")
    one.tick()
    eventually(lambda: has_cycle(house))
    one.stop()
    (request,), (cycle,) = all_requests(house), all_cycles(house)
    assert (request.state, cycle.outcome) == ("failed", "failed")
    assert "stopped" in request.why_not
    assert "stopped" in str(cycle.document["error"]).lower()
    assert cycle.process.is_dead(this_process())
    with house.state.read() as db:
        assert lease.holder(db, LEASE) is None
    assert not pulse(house)["running"]


def test_request_that_had_not_begun_when_the_worker_was_stopped_waits_for_the_next(house: House, one: Worker) -> None:
    queue(house, MANUAL, by="test")
    one.tick()
    one.stop()
    (request,) = all_requests(house)
    assert request.state in {"waiting", "failed"}  # failed if it was quick enough to begin
    if request.state == "waiting":
        break_settings(house)
        assert one.tick()
        one.wait()
        assert all_requests(house)[0].state == "failed"


def test_heartbeat_tells_what_runs_and_that_a_loop_is_there(house: House, one: Worker) -> None:
    assert pulse(house) == {"running": False, "last_seen": None, "process": None}
    mood(house, "sleep")
    asked = queue(house, MANUAL, by="test")
    one.tick()
    with house.state.read() as db:
        beat = heartbeats.last(db, LEASE)
    assert beat is not None
    assert beat.document["request"]["request_id"] == asked.id
    assert beat.document["next_retraining"] is None  # the project has no schedule
    assert "price_predictor" in [family["family"] for family in beat.document["families"]]
    assert pulse(house)["running"]


def test_slot_becomes_a_request_once_and_one_that_does_not_run_says_why(
    house: House, one: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = dt.datetime(2026, 1, 6, 7, tzinfo=dt.UTC)
    due = (
        Due("nightly", ("price_predictor",), slot, tune=False),
        Due("monthly", ("regime_classifier",), slot, tune=True, why_not="nothing is new"),
    )
    monkeypatch.setattr(worker, "due_slots", lambda *_, **__: due)
    one.tick()
    one.tick()
    run, skipped = sorted(all_requests(house), key=lambda request: request.state != "skipped", reverse=True)
    assert run.key == "schedule:nightly:2026-01-06T07:00:00+00:00"
    assert (run.trigger, run.requested_by, dict(run.choices)) == ("schedule", "nightly", {})
    assert (skipped.state, skipped.why_not, dict(skipped.choices)) == ("skipped", "nothing is new", {"tune": True})


def test_while_another_cycle_runs_a_slot_is_skipped_and_a_manual_request_waits(house: House, one: Worker) -> None:
    with single_flight(house, trigger="manual", reason="by hand"):
        with house.state.write() as db:
            wish = requests.Wish("schedule", "schedule nightly", key="schedule:nightly:x")
            requests.ask(db, wish, process=this_process(), at=house.clock.now())
        one.tick()
        (slot,) = all_requests(house)
        queue(house, MANUAL, by="test")
        one.tick()
        assert not one.busy
    assert slot.state == "skipped"
    assert "another cycle is running" in slot.why_not
    assert all_requests(house)[1].state == "waiting"
    one.tick()
    assert one.busy


def test_second_worker_stands_by_and_takes_over_when_the_first_ends(house: House, one: Worker) -> None:
    said: list[str] = []
    second = Worker(house, say=lambda what, _: said.append(what))
    assert one.tick()
    assert not second.tick()
    assert not second.tick()
    assert said == ["standing by"]
    one.stop()
    assert second.tick()
    second.stop()


def test_worker_takes_over_from_one_that_was_killed_and_its_cycle_is_gone(house: House, one: Worker) -> None:
    mood(house, "sleep")
    queue(house, MANUAL, by="test")
    command = [sys.executable, "-m", "marketloop.cli", "--project", str(house.project.root), "loop"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    eventually(lambda: has_cycle(house))
    (cycle,) = all_cycles(house)
    assert not one.tick()
    first.kill()
    first.communicate()
    eventually(lambda: cycle.process.is_dead(this_process()))  # it ends with its worker
    assert one.tick()
    (request,), (cycle,) = all_requests(house), all_cycles(house)
    assert (request.state, cycle.outcome) == ("failed", "failed")


def test_trouble_is_told_and_the_worker_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, object]] = []
    one = Worker(house, say=lambda what, about: said.append((what, about.get("error"))))
    rounds = []

    def broken(*_: object, **__: object) -> tuple[Due, ...]:
        rounds.append(1)
        raise FailedError("the exchange has burnt down") if len(rounds) < 4 else ValueError("odd")

    monkeypatch.setattr(worker, "due_slots", broken)
    publish(Event(EventType.MARKET_SHOCK, {"vix": 10}), house)
    one.run(lambda: len(rounds) >= 5, pause=0.01)
    assert said.count(("trouble", "the exchange has burnt down")) == 3
    assert ("trouble", "ValueError: odd") in said
    assert "event" in [what for what, _ in said]  # the others of a round are done all the same
    with house.state.read() as db:
        (alarm,) = alarms.recent(db)
    assert (alarm.kind, alarm.title) == ("error", "The loop is in trouble")


def test_request_wakes_the_resting_worker(house: House) -> None:
    one, done = Worker(house), threading.Event()
    thread = threading.Thread(target=one.run, args=(done.is_set,), kwargs={"pause": 3600.0})
    thread.start()
    try:
        eventually(lambda: bool(pulse(house)["running"]))
        break_settings(house)
        queue(house, MANUAL, by="test")
        eventually(lambda: all_requests(house)[0].state == "failed")
    finally:
        done.set()
        thread.join(timeout=60)
    assert not thread.is_alive()


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a process of another host."""
    with monkeypatch.context() as patch:
        patch.setattr("marketloop.state.process.socket.gethostname", lambda: "elsewhere")
        yield


def test_request_left_by_another_host_is_failed_once_its_lease_has_stood_still(
    house: House, one: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 0.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    asked = queue(house, MANUAL, by="test")
    with elsewhere(monkeypatch):
        claim(house, asked.id)
    one.tick()
    tick += 590.0
    one.tick()
    assert all_requests(house)[0].state == "running"
    with house.state.write() as db:  # a sign of life begins the patience anew
        held = lease.holder(db, requests.lease_of(asked.id))
        assert held is not None
        lease.renew(db, held, at=house.clock.now())
    tick += 590.0
    one.tick()
    assert all_requests(house)[0].state == "running"
    tick += 600.0
    one.tick()
    (request,) = all_requests(house)
    assert (request.state, "on elsewhere" in request.why_not) == ("failed", True)


def test_request_waits_for_a_cycle_of_another_host_only_while_that_is_heard_of(
    house: House, one: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 0.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    with elsewhere(monkeypatch), house.state.write() as db:
        assert lease.acquire(db, "cycle", process=this_process(), at=house.clock.now()) is not None
    queue(house, MANUAL, by="test")
    one.tick()
    assert not one.busy
    tick += 600.0
    one.tick()
    assert one.busy


def claimed_tuning(house: House) -> requests.Request:
    wish = requests.Wish("manual", "r", ("price_predictor", "momentum_ranker"), choices={"tune": True})
    with house.state.write() as db:
        asked, _ = requests.ask(db, wish, process=this_process(), at=house.clock.now())
    return claim(house, asked.id)


def test_recipe_that_raises_in_a_search_ends_neither_the_other_searches_nor_the_training(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def broken(_: House, family: str, *__: object, **___: object) -> None:
        tried.append(family)
        raise ZeroDivisionError("a plugin's recipe")

    monkeypatch.setattr(fulfilling, "tune_family", broken)
    with pytest.raises(RuntimeError, match="in a bad mood"):  # of the training itself: it was reached
        fulfil(house, claimed_tuning(house))
    assert tried == ["price_predictor", "momentum_ranker"]
    assert len(all_cycles(house)) == 1
    (request,) = all_requests(house)
    assert "in a bad mood" in request.why_not
    with house.state.read() as db:
        assert lease.holder(db, requests.lease_of(request.id)) is None


def test_search_that_slept_through_the_lease_of_its_request_begins_no_cycle(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = claimed_tuning(house)

    def sleep(*_: object, **__: object) -> None:
        with house.state.write() as db:
            held = lease.holder(db, requests.lease_of(request.id))
            if held is not None:
                lease.release(db, held, at=house.clock.now())

    monkeypatch.setattr(fulfilling, "tune_family", sleep)
    with pytest.raises(LeaseLostError):
        fulfil(house, request)
    assert all_cycles(house) == []


def test_plans_that_cannot_be_made_do_not_silence_the_heartbeat(
    house: House, one: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a condition of a plugin")

    monkeypatch.setattr(worker, "plan_document", broken)
    with pytest.raises(ValueError, match="a condition"):
        one.tick()
    assert pulse(house)["running"]
    with house.state.read() as db:
        beat = heartbeats.last(db, LEASE)
    assert beat is not None
    assert beat.document["trouble"] == "ValueError: a condition of a plugin"


def test_worker_deletes_once_a_day_what_was_done_with_long_ago(house: House, one: Worker) -> None:
    old = house.clock.now() - dt.timedelta(days=91)
    with house.state.write() as db:
        requests.ask(db, requests.Wish("manual", "old"), process=this_process(), at=old, why_not="it was off")
    one.tick()
    assert all_requests(house) == []
