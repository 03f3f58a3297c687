"""What `status` tells: whether a loop runs, what runs next, what is waited for, and why nothing would run now."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marketloop.loop.due import due_slots
from marketloop.loop.house import House, open_house
from marketloop.loop.pulse import LEASE
from marketloop.loop.status import status_document
from marketloop.runtime.project import create_project
from marketloop.state import heartbeats, lease, requests, this_process
from marketloop.state.process import Process
from marketloop.state.requests import Wish

NOON = dt.datetime(2024, 5, 8, 16, tzinfo=dt.UTC)  # a Wednesday, 12:00 in New York
SECOND = dt.timedelta(seconds=1)


class Watch:
    """A clock that is set by hand."""

    at = NOON

    def now(self) -> dt.datetime:
        return self.at


class Shelf:
    """A store whose newest bars are of a given day."""

    def __init__(self, last: dt.date) -> None:
        self.last = last

    version = 1

    def coverage(self) -> pl.DataFrame:
        return pl.DataFrame({"ticker": ["A"], "first": [dt.date(2000, 1, 3)], "last": [self.last], "rows": [6000]})

    def series(self) -> dict[str, pl.DataFrame]:
        return {}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    create_project(tmp_path / "p", settings={"tracking.enabled": False})
    with open_house(tmp_path / "p", environ={}, clock=Watch()) as made:
        made.__dict__["store"] = Shelf(dt.date(2024, 5, 7))
        yield made


def beat(house: House, at: dt.datetime, process: Process | None = None) -> None:
    with house.state.write() as db:
        heartbeats.beat(db, LEASE, document={}, process=process or this_process(), at=at)


def family(document: dict[str, Any], name: str = "price_predictor") -> dict[str, Any]:
    return next(row for row in document["families"] if row["family"] == name)


def test_without_a_loop_nothing_runs_next_and_status_says_so(house: House) -> None:
    said = status_document(house)
    assert (said["running"], said["next_retraining"], said["loop_seen_at"]) == (False, None, None)
    assert "start one with `marketloop up`" in family(said)["why_no_run"]
    assert [(job["name"], job["schedule"]) for job in said["scheduled_jobs"]] == [
        ("nightly", "0 2 * * *"),
        ("full", "0 3 * * sun"),
        ("quarterly", "0 2 1 1,4,7,10 *"),
    ]


def test_with_a_loop_the_next_runs_are_those_of_the_exchange(house: House) -> None:
    beat(house, NOON - 5 * SECOND)
    said = status_document(house)
    assert said["running"]
    assert said["next_retraining"] == "2024-05-09T06:00:00+00:00"
    assert family(said)["next_run"] == "2024-05-09T06:00:00+00:00"
    assert family(said, "regime_classifier")["next_run"] == "2024-07-01T06:00:00+00:00"
    assert family(said)["why_no_run"] is None
    assert family(said)["can_retrain_now"]


def test_loop_that_was_silent_or_died_does_not_run(house: House) -> None:
    beat(house, NOON - dt.timedelta(minutes=5))
    assert not status_document(house)["running"]
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    here = this_process()
    beat(house, NOON, Process(child.pid, here.host, here.boot_id, "1"))
    assert not status_document(house)["running"]


def test_running_cycle_is_told_apart_from_a_running_loop(house: House) -> None:
    with house.state.write() as db:
        lease.acquire(db, "cycle", process=this_process(), at=NOON)
    said = status_document(house)
    assert (said["running"], said["cycle_running"]) == (False, True)
    assert not family(said)["can_retrain_now"]
    assert "another cycle is running" in family(said)["why_not"]


def test_slot_that_waits_for_its_bars_says_which(house: House) -> None:
    beat(house, NOON)
    due_slots(house, at=NOON)
    Watch.at = dt.datetime(2024, 5, 9, 7, tzinfo=dt.UTC)
    try:
        assert due_slots(house, at=Watch.at) == ()
        job = status_document(house)["scheduled_jobs"][0]
    finally:
        Watch.at = NOON
    assert "the bars of 2024-05-08 are not there, the newest are of 2024-05-07" in job["waiting_for"]


def test_family_that_no_schedule_names_and_schedules_that_are_off_are_explained(tmp_path: Path) -> None:
    create_project(tmp_path / "q", settings={"retraining.schedule": "off"})
    with open_house(tmp_path / "q", environ={}, clock=Watch()) as made:
        said = status_document(made)
    assert said["scheduled_jobs"] == []
    assert 'schedule = "off"' in family(said)["why_no_run"]
    assert family(said)["why_not"] == "there are no bars to learn from: run `marketloop collect`"


def test_latest_requests_stand_there_with_their_reasons(house: House) -> None:
    with house.state.write() as db:
        wish = Wish("event", "VIX 41", ("price_predictor",), requested_by="event 1", key="event:1")
        requests.ask(db, wish, process=this_process(), at=NOON, why_not="too soon")
    (row,) = status_document(house)["requests"]
    assert (row["trigger"], row["state"], row["why_not"]) == ("event", "skipped", "too soon")
