"""The loop lives through years: every slot runs once, or its row says why not."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars as xc
import polars as pl
import pytest

from marketloop.data.collection import Collection
from marketloop.loop import readiness
from marketloop.loop.due import Due, due_slots, next_runs, waiting_slots
from marketloop.loop.house import House, open_house
from marketloop.runtime.project import create_project
from marketloop.state import lease, requests, this_process
from marketloop.state.requests import Request, Wish

HOUR = dt.timedelta(hours=1)
SOME_HOURS = dt.timedelta(hours=6)
ORDINARY = {"family.regime_classifier.enabled": False}


@dataclass
class Shelf:
    """A store whose bars of a session arrive some hours after its close, if at all."""

    closes: list[tuple[dt.date, dt.datetime]]
    delay: dt.timedelta = dt.timedelta(hours=1)
    late: dict[dt.date, dt.timedelta] = field(default_factory=dict)
    now: dt.datetime = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)

    @property
    def version(self) -> int:
        return sum(close + self.late.get(day, self.delay) <= self.now for day, close in self.closes)

    def coverage(self) -> pl.DataFrame:
        last = max(day for day, close in self.closes if close + self.late.get(day, self.delay) <= self.now)
        return pl.DataFrame({"ticker": ["A", "B"], "first": [dt.date(2000, 1, 3)] * 2, "last": [last] * 2})


def closes_of(calendar: str, first: str, last: str) -> list[tuple[dt.date, dt.datetime]]:
    table = xc.get_calendar(calendar, start=first, end=last).closes
    return [(day.date(), close.to_pydatetime().astimezone(dt.UTC)) for day, close in table.items()]


@contextmanager
def project(folder: Path, settings: Mapping[str, Any], shelf: Shelf) -> Iterator[House]:
    create_project(folder / "p", settings={"tracking.enabled": False, **settings})
    with open_house(folder / "p", environ={}) as house:
        house.__dict__["store"] = shelf
        yield house


def look(house: House, shelf: Shelf, at: dt.datetime) -> tuple[Due, ...]:
    """Do what a worker does: record what is due, run what waits."""
    shelf.now = at
    found = due_slots(house, at=at)
    if not found:
        return ()
    with house.state.write() as db:
        for due in found:
            wish = Wish("schedule", "test", due.families, choices={"tune": due.tune}, key=due.key)
            _, new = requests.ask(db, wish, process=this_process(), at=at, why_not=due.why_not)
            assert new, f"{due.key} was handed out twice"
        while (request := requests.next_waiting(db)) is not None:
            requests.begin(db, request.id, process=this_process(), at=at)
            requests.settle(db, request.id, state=requests.DONE, outcome="refused", at=at)
    return found


def rows(house: House) -> dict[str, Request]:
    with house.state.read() as db:
        return {request.key: request for request in requests.recent(db, limit=100_000, trigger="schedule")}


def ran(house: House) -> list[str]:
    return sorted(key for key, row in rows(house).items() if row.state == requests.DONE)


def why(house: House, key: str) -> str:
    return rows(house)[key].why_not


def walk(house: House, shelf: Shelf, first: dt.datetime, last: dt.datetime, *, step: dt.timedelta = SOME_HOURS) -> None:
    at = first
    while at <= last:
        look(house, shelf, at)
        at += step


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def wall(day: dt.date, hour: int, zone: str) -> dt.datetime:
    """Return the instant of an hour on a wall clock; one that is skipped counts from the end of the gap."""
    at = dt.datetime.combine(day, dt.time(hour), ZoneInfo(zone)).astimezone(dt.UTC)
    shown = at.astimezone(ZoneInfo(zone)).hour
    return at if shown == hour else at.replace(minute=0)


def expected(closes: list[tuple[dt.date, dt.datetime]], zone: str, first: dt.date, last: dt.date) -> list[str]:
    """Write down by hand which runs a year of the default profile has."""
    found, seen, seen_in_full = [], dt.date.min, dt.date.min
    day = first
    while day <= last:
        sunday = day.weekday() == 6
        at = wall(day, 3 if sunday else 2, zone)
        newest = max(session for session, close in closes if close <= at)
        if newest > (seen_in_full if sunday else seen):
            found.append(f"schedule:{'full' if sunday else 'nightly'}:{at.isoformat()}")
            seen = newest
            seen_in_full = newest if sunday else seen_in_full
        day += dt.timedelta(days=1)
    return sorted(found)


@pytest.mark.parametrize(
    ("calendar", "zone", "runs"),
    [("XNYS", "America/New_York", 304), ("XTKS", "Asia/Tokyo", 298), ("24/7", "UTC", 366)],
)
def test_every_night_of_a_year_runs_once_or_says_why_not(tmp_path: Path, calendar: str, zone: str, runs: int) -> None:
    shelf = Shelf(closes_of(calendar, "2023-12-01", "2025-01-31"))
    begin, end = dt.date(2024, 1, 1), dt.date(2024, 12, 31)
    with project(tmp_path, {**ORDINARY, "project.calendar": calendar}, shelf) as house:
        walk(house, shelf, wall(begin, 0, zone), wall(end, 23, zone))
        assert ran(house) == expected(shelf.closes, zone, begin, end)
        found = rows(house)
    days = [begin + dt.timedelta(days=n) for n in range(366)]
    nights = {f"schedule:nightly:{wall(day, 2, zone).isoformat()}" for day in days}
    sundays = {f"schedule:full:{wall(day, 3, zone).isoformat()}" for day in days if day.weekday() == 6}
    assert set(found) == nights | sundays
    assert all(row.why_not for row in found.values() if row.state == requests.SKIPPED)
    assert sum(row.state == requests.DONE for row in found.values()) == runs


def test_half_days_and_holidays_and_changed_clocks_are_counted_by_the_exchange(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        walk(house, shelf, utc("2024-03-08 12:00"), utc("2024-03-12 12:00"), step=HOUR)
        assert ran(house) == [
            "schedule:full:2024-03-10T07:00:00+00:00",
            "schedule:nightly:2024-03-09T07:00:00+00:00",
            "schedule:nightly:2024-03-12T06:00:00+00:00",
        ]
        assert "full (0 3 * * sun) replaces it" in why(house, "schedule:nightly:2024-03-10T07:00:00+00:00")
        assert "no session since the last run: the newest, 2024-03-08" in why(
            house, "schedule:nightly:2024-03-11T06:00:00+00:00"
        )
        walk(house, shelf, utc("2024-11-26 12:00"), utc("2024-11-30 12:00"), step=HOUR)
        thanksgiving, half_day = "2024-11-29T07:00:00+00:00", "2024-11-30T07:00:00+00:00"
        assert "no session since" in why(house, f"schedule:nightly:{thanksgiving}")
        assert rows(house)[f"schedule:nightly:{half_day}"].state == requests.DONE


def test_regimes_are_learned_four_times_a_year_together_with_the_night(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, {}, shelf) as house:
        walk(house, shelf, utc("2024-06-20 00:00"), utc("2024-07-02 12:00"))
        both = rows(house)["schedule:nightly+quarterly:2024-07-01T06:00:00+00:00"]
        # A Monday: price and momentum have seen Friday's session already.
        assert (both.state, both.families) == (requests.DONE, ("regime_classifier",))
        assert [row.key for row in rows(house).values() if "regime_classifier" in row.families] == [both.key]


def test_night_that_waits_for_late_bars_runs_once_they_are_there(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    shelf.late[dt.date(2024, 5, 7)] = dt.timedelta(hours=14)  # 10:00 UTC, four hours after the slot
    with project(tmp_path, ORDINARY, shelf) as house:
        walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-08 09:00"), step=HOUR)
        slot = "schedule:nightly:2024-05-08T06:00:00+00:00"
        assert slot not in rows(house)
        assert "the bars of 2024-05-07 are not there, the newest are of 2024-05-06" in waiting_slots(house)[slot]
        walk(house, shelf, utc("2024-05-08 10:00"), utc("2024-05-08 13:00"), step=HOUR)
        assert rows(house)[slot].requested_at == utc("2024-05-08 10:00")
        assert ran(house) == [slot]
        assert waiting_slots(house) == {}


def test_night_whose_bars_never_come_is_skipped_at_the_deadline_and_says_why(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    shelf.late[dt.date(2024, 5, 7)] = dt.timedelta(hours=40)
    with project(tmp_path, {**ORDINARY, "retraining.data_deadline_hours": 3}, shelf) as house:
        walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-09 12:00"), step=HOUR)
        row = rows(house)["schedule:nightly:2024-05-08T06:00:00+00:00"]
        assert row.requested_at == utc("2024-05-08 09:00")
        assert "the bars of 2024-05-07 are not there" in row.why_not
        assert "waited until 3 h after 2024-05-08 02:00 America/New_York" in row.why_not
        # The next night has its own session's bars, and with them those of the night before.
        assert ran(house) == ["schedule:nightly:2024-05-09T06:00:00+00:00"]


def test_source_that_has_ended_is_learned_from_once_and_then_skipped_at_once(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2013-02-01", "2013-03-01"))
    with project(tmp_path, ORDINARY, shelf) as house:
        (house.project.data).mkdir(exist_ok=True)
        Collection("sample", tickers=("AAPL", "MSFT")).save(house.project.data)
        shelf.coverage = lambda: pl.DataFrame(  # type: ignore[method-assign]
            {"ticker": ["AAPL", "MSFT"], "first": [dt.date(2000, 3, 1)] * 2, "last": [dt.date(2013, 3, 1)] * 2}
        )
        walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-09 12:00"), step=HOUR)
        assert ran(house) == ["schedule:nightly:2024-05-08T06:00:00+00:00"]
        row = rows(house)["schedule:nightly:2024-05-09T06:00:00+00:00"]
        assert row.why_not.startswith("the source sample ends on 2013-03-01, ")
        assert row.requested_at == utc("2024-05-09 06:00")


def test_loop_that_was_down_for_days_runs_the_newest_night_and_records_the_others(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-08 12:00"))
        look(house, shelf, utc("2024-05-17 20:00"))
        assert ran(house) == [
            "schedule:full:2024-05-12T07:00:00+00:00",
            "schedule:nightly:2024-05-08T06:00:00+00:00",
            "schedule:nightly:2024-05-17T06:00:00+00:00",
        ]
        said = why(house, "schedule:nightly:2024-05-10T06:00:00+00:00")
        assert said == ("missed while no loop ran: the slot of 2024-05-17 02:00 America/New_York takes its place")


def test_schedule_begins_with_the_first_look_and_anew_when_its_line_is_changed(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        look(house, shelf, utc("2024-05-08 06:00"))
        assert rows(house) == {}
        look(house, shelf, utc("2024-05-08 20:00"))
        assert rows(house) == {}
    settings = (tmp_path / "p" / "marketloop.toml").read_text()
    (tmp_path / "p" / "marketloop.toml").write_text(f'{settings}\n[family.momentum_ranker]\nschedule = "0 12 * * *"\n')
    with open_house(tmp_path / "p", environ={}) as house:
        house.__dict__["store"] = shelf
        look(house, shelf, utc("2024-05-08 21:00"))
        assert rows(house) == {}
        look(house, shelf, utc("2024-05-09 17:00"))
        assert sorted((row.key, row.families) for row in rows(house).values()) == [
            ("schedule:momentum_ranker:2024-05-09T16:00:00+00:00", ("momentum_ranker",)),
            ("schedule:nightly:2024-05-09T06:00:00+00:00", ("price_predictor",)),
        ]


def test_two_schedules_at_one_instant_are_one_request_for_both_families(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    own = {"family.price_regressor.enabled": True, "family.price_regressor.schedule": "0 2 * * 2-6"}
    with project(tmp_path, {**ORDINARY, **own}, shelf) as house:
        walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-08 12:00"))
        found = rows(house)["schedule:nightly+price_regressor:2024-05-08T06:00:00+00:00"]
        assert found.families == ("price_predictor", "momentum_ranker", "price_regressor")
        assert len(rows(house)) == 1


def test_slot_waits_while_another_cycle_runs(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        look(house, shelf, utc("2024-05-08 00:00"))
        with house.state.write() as db:
            held = lease.acquire(db, "cycle", process=this_process(), at=utc("2024-05-08 05:00"))
            assert held is not None
        look(house, shelf, utc("2024-05-08 07:00"))
        assert "another cycle is running" in waiting_slots(house)["schedule:nightly:2024-05-08T06:00:00+00:00"]
        with house.state.write() as db:
            lease.release(db, held, at=utc("2024-05-08 08:00"))
        look(house, shelf, utc("2024-05-08 09:00"))
        assert ran(house) == ["schedule:nightly:2024-05-08T06:00:00+00:00"]


def test_slot_is_skipped_while_the_scheduled_run_before_it_has_not_ended(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        look(house, shelf, utc("2024-05-08 00:00"))
        shelf.now = utc("2024-05-08 07:00")
        (due,) = due_slots(house, at=shelf.now)
        assert due_slots(house, at=shelf.now) == (due,)  # nobody has recorded it: the answer is the same
        wish = Wish("schedule", "test", due.families, key=due.key)
        with house.state.write() as db:
            request, _ = requests.ask(db, wish, process=this_process(), at=shelf.now)
            requests.begin(db, request.id, process=this_process(), at=shelf.now)
        shelf.now = utc("2024-05-09 07:00")
        (late,) = due_slots(house, at=shelf.now)
        assert late.why_not == f"the scheduled run {request.id} is still running"


def test_night_that_failed_is_made_good_on_a_day_without_a_session(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, ORDINARY, shelf) as house:
        look(house, shelf, utc("2024-05-24 12:00"))
        shelf.now = utc("2024-05-25 07:00")
        (due,) = due_slots(house, at=shelf.now)
        with house.state.write() as db:
            wish = Wish("schedule", "test", due.families, key=due.key)
            request, _ = requests.ask(db, wish, process=this_process(), at=shelf.now)
            requests.settle(db, request.id, state=requests.FAILED, outcome="failed", at=shelf.now, why_not="died")
        look(house, shelf, utc("2024-05-27 00:00"))  # Sunday's full run is missed until then, and runs now
        look(house, shelf, utc("2024-05-27 07:00"))  # Memorial Day is Monday: Friday's session is the newest
        assert "no session since" in why(house, "schedule:nightly:2024-05-27T06:00:00+00:00")
        assert ran(house) == ["schedule:full:2024-05-26T07:00:00+00:00"]


def test_next_runs_pass_over_nights_without_a_session(tmp_path: Path) -> None:
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    with project(tmp_path, {}, shelf) as house:
        walk(house, shelf, utc("2024-05-23 12:00"), utc("2024-05-25 12:00"))
        found = {run.name: f"{run.at:%m-%d %H:%M}" for run in next_runs(house, at=utc("2024-05-25 12:00"))}
        # Sunday is full, Monday is Memorial Day: the night to Wednesday is the next with a new session.
        assert found == {"full": "05-26 07:00", "nightly": "05-29 06:00", "quarterly": "07-01 06:00"}
        assert due_slots(house, at=utc("2024-05-25 12:00")) == ()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_worker_that_is_down_at_random_under_a_clock_that_jumps_runs_no_slot_twice_and_forgets_none(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    start, end = utc("2024-01-02 12:00"), utc("2024-06-28 12:00")
    with project(tmp_path, {}, shelf) as house:
        at = true = start
        look(house, shelf, at)
        furthest = at
        while true < end:
            true += dt.timedelta(minutes=dice.choice([17, 120, 300, 300, 900, 60 * 24 * dice.randint(1, 6)]))
            at = true + dt.timedelta(minutes=dice.choice([0, 0, 0, -1, -45, -60 * 30, 20]))
            look(house, shelf, at)
            furthest = max(furthest, at)
        found = rows(house)
        assert {row.state for row in found.values()} == {requests.DONE, requests.SKIPPED}
        assert all(row.why_not for row in found.values() if row.state == requests.SKIPPED)
    told = [(name, key.split(":", 2)[2]) for key in found for name in key.split(":")[1].split("+")]
    assert len(told) == len(set(told))
    days = [start.date() + dt.timedelta(days=n) for n in range(1, (furthest - 7 * HOUR - start).days)]
    nights = {("nightly", wall(day, 2, "America/New_York").isoformat()) for day in days}
    sundays = {("full", wall(day, 3, "America/New_York").isoformat()) for day in days if day.weekday() == 6}
    assert nights | sundays <= set(told)
    runs = [row for row in found.values() if row.state == requests.DONE and "price_predictor" in row.families]
    assert len(runs) > 40


def test_cycle_of_another_host_that_is_heard_of_no_more_holds_a_slot_up_for_ten_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 0.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    slot = "schedule:nightly:2024-05-08T06:00:00+00:00"
    with project(tmp_path, ORDINARY, shelf) as house:
        look(house, shelf, utc("2024-05-08 00:00"))
        with house.state.write() as db:
            away = replace(this_process(), host="elsewhere")
            assert lease.acquire(db, "cycle", process=away, at=utc("2024-05-08 05:00")) is not None
        look(house, shelf, utc("2024-05-08 07:00"))
        tick += lease.PATIENCE.total_seconds() - 1
        look(house, shelf, utc("2024-05-08 07:10"))
        assert "on elsewhere" in waiting_slots(house)[slot]
        tick += 1
        look(house, shelf, utc("2024-05-08 07:11"))
        assert ran(house) == [slot]


def test_source_that_never_answers_makes_a_slot_wait_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), []

    def hang(*_: object, **__: object) -> tuple[None, str]:
        asked.append(1)
        answer.wait(timeout=60)
        return None, ""

    monkeypatch.setattr(readiness, "source_newest", hang)
    monkeypatch.setattr(readiness, "ANSWER_S", 0.05)
    shelf = Shelf(closes_of("XNYS", "2023-12-01", "2025-01-31"))
    shelf.late[dt.date(2024, 5, 7)] = dt.timedelta(hours=14)
    slot = "schedule:nightly:2024-05-08T06:00:00+00:00"
    try:
        with project(tmp_path, ORDINARY, shelf) as house:
            walk(house, shelf, utc("2024-05-07 12:00"), utc("2024-05-08 09:00"), step=HOUR)
            assert "the source has not answered within 0.05 s" in waiting_slots(house)[slot]
            assert asked == [1]  # one question at a time
            walk(house, shelf, utc("2024-05-08 10:00"), utc("2024-05-08 11:00"), step=HOUR)
            assert ran(house) == [slot]
    finally:
        answer.set()
