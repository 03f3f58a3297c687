from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from marketloop.state import State, events
from marketloop.state.events import Stored

HOUR = dt.timedelta(hours=1)


def publish(state: State, key: str, at: dt.datetime, kind: str = "DATA_ARRIVED") -> tuple[Stored, bool]:
    with state.write() as db:
        return events.publish(db, kind, key=key, payload={"tickers": ["AAPL"]}, source="cli", at=at)


def test_event_is_kept_as_it_was_published(state: State, noon: dt.datetime) -> None:
    stored, new = publish(state, "k1", noon)
    assert new
    assert (stored.type, stored.payload, stored.source) == ("DATA_ARRIVED", {"tickers": ["AAPL"]}, "cli")
    assert (stored.handled_at, stored.attempts, stored.trouble, stored.result) == (None, 0, "", {})
    with state.read() as db:
        assert events.get(db, stored.id) == stored
        assert events.get(db, stored.id + 1) is None
        assert events.pending(db) == (stored,)


def test_publishing_twice_under_one_key_is_publishing_once(state: State, noon: dt.datetime) -> None:
    first, _ = publish(state, "k1", noon)
    again, new = publish(state, "k1", noon + HOUR, kind="MARKET_SHOCK")
    assert (again, new) == (first, False)
    with state.read() as db:
        assert len(events.recent(db)) == 1


def test_event_is_handled_once(state: State, noon: dt.datetime) -> None:
    stored, _ = publish(state, "k1", noon)
    with state.write() as db:
        assert events.handled(db, stored.id, result={"action": "request", "request_id": "r1"}, at=noon + HOUR)
        assert not events.handled(db, stored.id, result={"action": "none"}, at=noon + 2 * HOUR)
        found = events.get(db, stored.id)
        assert events.pending(db) == ()
    assert found is not None
    assert (found.handled_at, found.result["request_id"]) == (noon + HOUR, "r1")


def test_event_that_could_not_be_acted_on_stays_pending_and_keeps_the_reason(state: State, noon: dt.datetime) -> None:
    stored, _ = publish(state, "k1", noon)
    with state.write() as db:
        for _ in range(2):
            events.failed(db, stored.id, trouble="x" * 600)
        (waiting,) = events.pending(db)
    assert (waiting.attempts, len(waiting.trouble)) == (2, 500)
    with state.write() as db:
        events.handled(db, stored.id, result={"action": "none"}, at=noon)
        found = events.get(db, stored.id)
    assert found is not None
    assert (found.attempts, found.trouble) == (2, "")


def test_pending_events_come_in_order_and_recent_ones_newest_first(state: State, noon: dt.datetime) -> None:
    kinds = ["DATA_ARRIVED", "MARKET_SHOCK", "DATA_ARRIVED"]
    ids = [publish(state, f"k{n}", noon - n * HOUR, kind)[0].id for n, kind in enumerate(kinds)]
    with state.read() as db:
        assert [event.id for event in events.pending(db)] == ids
        assert [event.id for event in events.pending(db, limit=2)] == ids[:2]
        assert [event.id for event in events.recent(db, limit=2)] == ids[:0:-1]
        assert [event.id for event in events.recent(db, kinds=["MARKET_SHOCK"])] == [ids[1]]


def test_two_processes_that_publish_and_handle_the_same_events_do_each_once(
    url: str, compete: Callable[[str], list[str]]
) -> None:
    said = compete("""
from marketloop.state import events
published = acted = 0
with State.open(url) as state:
    for number in range(30):
        with state.write() as db:
            event, new = events.publish(db, "DATA_ARRIVED", key=str(number), payload={}, source="cli", at=at)
        with state.write() as db:
            acted += events.handled(db, event.id, result={"action": "none"}, at=at)
        published += new
print(published, acted)
""")
    counts = [[int(word) for word in answer.split()] for answer in said]
    assert [sum(column) for column in zip(*counts, strict=True)] == [30, 30]
    with State.open(url) as state, state.read() as db:
        assert len(events.recent(db, limit=100)) == 30
        assert events.pending(db) == ()


def test_only_events_whose_next_attempt_is_due_are_given_when_asked_for_these(state: State, noon: dt.datetime) -> None:
    failing, new, future = (
        publish(state, "a", noon)[0],
        publish(state, "b", noon)[0],
        publish(state, "c", 9 * HOUR + noon)[0],
    )
    with state.write() as db:
        assert events.has_new(db)
        for event in (failing, future):
            events.failed(db, event.id, trouble="away")
        delays = (dt.timedelta(0), HOUR)
        assert [event.id for event in events.pending(db, at=noon, delays=delays)] == [new.id, future.id]
        assert [event.id for event in events.pending(db, limit=1, at=noon + HOUR, delays=delays)] == [failing.id]
        events.handled(db, new.id, result={}, at=noon)
        assert not events.has_new(db)
