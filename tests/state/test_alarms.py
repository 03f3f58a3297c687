"""Alarms in the ledger: told once per quiet time, repeats counted, found again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from marketloop.state import State, alarms, outbox
from marketloop.state.alarms import Raised

HOUR = dt.timedelta(hours=1)


def ring(state: State, at: dt.datetime, key: str = "failed:price", kind: str = "error") -> tuple[Raised, bool]:
    with state.write() as db:
        return alarms.raise_alarm(db, kind, key=key, title="it failed", document={"n": 1}, at=at, quiet=6 * HOUR)


def test_alarm_is_kept_with_its_document(state: State, noon: dt.datetime) -> None:
    raised, new = ring(state, noon)
    assert new
    with state.read() as db:
        assert alarms.get(db, raised.id) == raised
        assert alarms.latest(db, "failed:price") == raised
        assert alarms.get(db, raised.id + 1) is None
    assert (raised.title, raised.document, raised.repeats, raised.last_at) == ("it failed", {"n": 1}, 0, noon)


def test_repeat_within_the_quiet_time_is_counted_and_not_new(state: State, noon: dt.datetime) -> None:
    first, _ = ring(state, noon)
    again, new = ring(state, noon + HOUR)
    assert (new, again.id, again.repeats, again.last_at) == (False, first.id, 1, noon + HOUR)
    with state.read() as db:
        assert alarms.recent(db) == (again,)


def test_what_goes_on_and_on_is_told_once_per_quiet_time(state: State, noon: dt.datetime) -> None:
    told = [ring(state, noon + hours * HOUR)[1] for hours in range(0, 25, 3)]
    assert told == [True, False, True, False, True, False, True, False, True]


def test_another_key_is_another_alarm(state: State, noon: dt.datetime) -> None:
    ring(state, noon)
    assert ring(state, noon, key="failed:rank")[1]


def test_clock_that_was_put_back_far_silences_nothing(state: State, noon: dt.datetime) -> None:
    ring(state, noon + dt.timedelta(days=300))
    assert ring(state, noon)[1]


def test_alarms_of_the_last_hour_are_counted(state: State, noon: dt.datetime) -> None:
    for minutes in (0, 30, 70):
        ring(state, noon + dt.timedelta(minutes=minutes), key=f"k{minutes}")
    with state.read() as db:
        after = noon + dt.timedelta(minutes=10)
        assert alarms.raised_since(db, after, kinds={"error", "drift"}) == 2
        assert alarms.raised_since(db, after, kinds={"drift"}) == 0
        assert alarms.raised_since(db, after, kinds=()) == 0


def test_recent_alarms_are_listed_newest_first_and_by_kind(state: State, noon: dt.datetime) -> None:
    for n, kind in enumerate(("error", "success", "error")):
        ring(state, noon, key=f"k{n}", kind=kind)
    with state.read() as db:
        assert [a.key for a in alarms.recent(db)] == ["k2", "k1", "k0"]
        assert [a.key for a in alarms.recent(db, kinds=("error",))] == ["k2", "k0"]
        first = alarms.recent(db)[-1].id
        assert [a.key for a in alarms.written_after(db, first)] == ["k1", "k2"]
        assert [a.key for a in alarms.written_after(db, 0, limit=2)] == ["k1", "k2"]


def test_two_processes_that_ring_together_tell_once(url: str, compete: Callable[[str], list[str]]) -> None:
    script = (
        "from marketloop.state import alarms\n"
        "with State.open(url) as state, state.write() as db:\n"
        "    new = alarms.raise_alarm(db, 'error', key='k', title='t', document={}, at=at, quiet=dt.timedelta(1))[1]\n"
        "print(new)\n"
    )
    assert sorted(answer.strip() for answer in compete(script)) == ["False", "True"]


def test_message_is_claimed_by_one_of_two_readers(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        outbox.append(db, "alarm", key="alarm:1:json-1", payload={}, at=noon)
        (message,) = outbox.pending(db, "alarm")
        assert [outbox.claim(db, message), outbox.claim(db, message)] == [True, False]
        outbox.troubled(db, message, "refused")
        (again,) = outbox.pending(db, "alarm")
        assert again.attempts == 1
        assert outbox.claim(db, again)
        outbox.sent(db, again, at=noon)
        assert outbox.pending(db, "alarm") == ()
        assert not outbox.claim(db, again)
