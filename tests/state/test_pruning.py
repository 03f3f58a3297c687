"""What was done with long ago is deleted, some rows at a time; what waits, and what happened, stays."""

from __future__ import annotations

import datetime as dt

from marketloop.state import State, events, lease, outbox, requests, this_process
from marketloop.state.pruning import KEPT, prune
from marketloop.state.requests import Wish

DAY = dt.timedelta(days=1)


def fill(state: State, at: dt.datetime, key: str, *, done: bool) -> None:
    with state.write() as db:
        wish = Wish("manual", key, key=key)
        requests.ask(db, wish, process=this_process(), at=at, why_not="off" if done else None)
        event, _ = events.publish(db, "DATA_ARRIVED", key=key, payload={}, source="cli", at=at)
        outbox.append(db, "views", key=key, payload={}, at=at)
        if done:
            events.handled(db, event.id, result={}, at=at)
            message = next(m for m in outbox.pending(db, "views") if m.key == key)
            outbox.sent(db, message, at=at)


def left(state: State) -> tuple[list[str], list[str], int]:
    with state.read() as db:
        asked = sorted(request.key for request in requests.recent(db))
        return asked, sorted(event.key for event in events.recent(db)), outbox.waiting(db, ["views"])


def test_old_rows_that_are_done_with_go_and_others_stay(state: State, noon: dt.datetime) -> None:
    old = noon - KEPT - DAY
    for number in range(3):
        fill(state, old, f"old{number}", done=True)
    fill(state, old, "waits", done=False)
    fill(state, noon - KEPT + DAY, "young", done=True)
    with state.write() as db:
        assert prune(db, at=noon, limit=2) == 6
        assert prune(db, at=noon, limit=2) == 3
        assert prune(db, at=noon) == 0
    assert left(state) == (["waits", "young"], ["waits", "young"], 1)


def test_number_of_an_event_is_never_given_again(state: State, noon: dt.datetime) -> None:
    fill(state, noon - KEPT - DAY, "old", done=True)
    with state.write() as db:
        prune(db, at=noon)
        assert events.publish(db, "DATA_ARRIVED", key="new", payload={}, source="cli", at=noon)[0].id == 2


def test_leases_of_old_requests_go_and_that_of_the_cycle_stays(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        for name in (requests.lease_of("r"), "cycle"):
            assert lease.acquire(db, name, process=this_process(), at=noon - KEPT - DAY) is not None
        prune(db, at=noon)
        assert lease.holder(db, requests.lease_of("r")) is None
        assert lease.holder(db, "cycle") is not None
