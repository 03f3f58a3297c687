"""Long lists are read page by page, by an index, and without the documents that no list shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from marketloop.state import Connection, Slot, State, alarms, cycles, decisions, drift_scans, events, requests
from marketloop.state import scoreboards as boards
from marketloop.state.decisions import Decision
from marketloop.state.process import this_process
from marketloop.state.requests import Wish
from marketloop.state.scoreboards import Prediction, Saying

OTHER = Slot("momentum_ranker", "rsi10_vol20_support20")
HOUR = dt.timedelta(hours=1)
FRIDAY, MONDAY = dt.date(2026, 1, 2), dt.date(2026, 1, 5)


def test_decisions_are_listed_page_by_page_without_their_records(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        for number in range(1, 6):
            for where in (slot, OTHER):
                decisions.record(db, Decision(where, number, "refused", "no_skill", "why", noon, "c", {"n": number}))
    with state.read() as db:
        first = decisions.recent(db, slot, limit=2)
        rest = decisions.recent(db, slot, before_id=first[-1].id)
        assert [line.version for line in (*first, *rest)] == [5, 4, 3, 2, 1]
        assert not hasattr(first[0], "record")
        assert (first[0].verdict, first[0].reason_code, first[0].decided_at) == ("refused", "no_skill", noon)
        assert len(decisions.recent(db)) == 10


def test_cycles_are_listed_page_by_page_also_when_they_began_together(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        begun = [
            cycles.start(db, trigger="schedule", reason="night", process=this_process(), at=noon + HOUR * (i // 3)).id
            for i in range(7)
        ]
    with state.read() as db:
        found: list[str] = []
        while page := cycles.lines(db, limit=2, before_id=found[-1] if found else None):
            found += [line.id for line in page]
        assert sorted(found) == sorted(begun)
        assert found == [cycle.id for cycle in cycles.recent(db)]
        assert cycles.lines(db, before_id="no such cycle") == ()


def test_events_alarms_and_requests_are_listed_page_by_page(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        for i in range(5):
            kind = "DATA_ARRIVED" if i % 2 else "MARKET_SHOCK"
            events.publish(db, kind, key=f"k{i}", payload={}, source="cli", at=noon)
            alarms.raise_alarm(db, "error", key=f"k{i}", title=f"t{i}", document={}, at=noon, quiet=HOUR)
            requests.ask(db, Wish("manual", f"r{i}"), process=this_process(), at=noon + i * HOUR)
    with state.read() as db:
        newest = events.recent(db, limit=2)
        assert [e.key for e in events.recent(db, before_id=newest[-1].id)] == ["k2", "k1", "k0"]
        assert [e.key for e in events.recent(db, before_id=newest[-1].id, kinds=["DATA_ARRIVED"])] == ["k1"]
        raised = alarms.recent(db, limit=2)
        assert [a.title for a in alarms.recent(db, before_id=raised[-1].id)] == ["t2", "t1", "t0"]
        assert [r.reason for r in requests.recent(db, limit=2, offset=3)] == ["r1", "r0"]


def test_journal_says_who_spoke_of_which_session_and_when_first(state: State, slot: Slot, noon: dt.datetime) -> None:
    def board(day: dt.date, label: str | None) -> list[Prediction]:
        return [Prediction(ticker, day, "HOLD", 0.1, label=label) for ticker in ("A", "B")]

    with state.write_scores() as db:
        boards.write(db, slot, 1, board(FRIDAY, None), at=noon)
        boards.write(db, slot, 1, board(MONDAY, "direction/5/0.02"), at=noon + HOUR)
        boards.write(db, slot, 2, board(MONDAY, "direction/5/0.02")[:1], at=noon + 2 * HOUR)
        boards.write(db, slot, 2, board(MONDAY, "direction/5/0.02"), at=noon + 3 * HOUR)
        boards.write(db, OTHER, 1, board(MONDAY, "rank/5"), at=noon)
    with state.scores.read() as db:
        monday = (
            Saying(MONDAY, 1, "direction/5/0.02", 2, noon + HOUR),
            Saying(MONDAY, 2, "direction/5/0.02", 2, noon + 2 * HOUR),
        )
        assert boards.said(db, slot, since=FRIDAY) == (Saying(FRIDAY, 1, None, 2, noon), *monday)
        assert boards.said(db, slot, since=MONDAY) == monday
        assert boards.load(db, slot, 1)[0].label == "direction/5/0.02"


Reading = Callable[[Connection, Slot], object]

READINGS: dict[str, Reading] = {
    "decisions": lambda db, slot: decisions.recent(db, slot, before_id=9),
    "decisions of all": lambda db, _: decisions.recent(db),
    "decisions of a cycle": lambda db, _: decisions.history(db, cycle_id="c"),
    "cycles": lambda db, _: cycles.lines(db),
    "running cycles": lambda db, _: cycles.fail_running(db, at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    "events": lambda db, _: events.recent(db, before_id=9),
    "events of a kind": lambda db, _: events.recent(db, kinds=["DATA_ARRIVED"]),
    "waiting events": lambda db, _: events.pending(db),
    "requests": lambda db, _: requests.recent(db),
    "last request": lambda db, _: requests.last_started(db),
    "drift": drift_scans.recent,
    "alarms": lambda db, _: alarms.recent(db),
    "journal": lambda db, slot: boards.said(db, slot, since=FRIDAY),
}


@pytest.mark.parametrize("name", READINGS)
def test_list_is_read_by_an_index_and_not_sorted(tmp_path: Path, slot: Slot, name: str) -> None:
    plans: list[str] = []
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        database = state.scores if name == "journal" else state.ledger
        with database.read() as db:

            @event.listens_for(db, "before_cursor_execute")
            def explain(_db: Connection, cursor: object, statement: str, given: object, *_: object) -> None:
                plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)  # type: ignore[attr-defined]
                plans.extend(row[3] for row in plan)

            READINGS[name](db, slot)
    # The journal is grouped by more than its index orders: what is sorted are the rows of the sessions asked for.
    steps = [step for step in plans if name != "journal" or "TEMP B-TREE" not in step]
    by_number = {
        f"SCAN {table}" for table in ("decisions", "events", "alarms")
    }  # from the newest, until the page is full
    assert steps
    assert all(step in by_number or (" USING " in step and "TEMP B-TREE" not in step) for step in steps), plans
