from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketloop.core.errors import UsageError
from marketloop.state import Process, State, cycles, requests, this_process
from marketloop.state.requests import Request, Wish

MINUTE = dt.timedelta(minutes=1)
SLOT = Wish("schedule", "nightly", ("price_predictor",), key="schedule:nightly:2026-01-02T07:00:00+00:00")
HAND = Wish("manual", "because", force=True, choices={"recipes": ["ridge"]}, requested_by="cli")


def ask(state: State, wish: Wish, at: dt.datetime, why_not: str | None = None) -> tuple[Request, bool]:
    with state.write() as db:
        return requests.ask(db, wish, process=this_process(), at=at, why_not=why_not)


def test_request_is_kept_as_it_was_asked(state: State, noon: dt.datetime) -> None:
    asked, new = ask(state, HAND, noon)
    assert new
    with state.read() as db:
        found = requests.get(db, asked.id)
        assert found == asked
        assert requests.find(db, asked.id) == asked
        assert requests.find(db, "nobody asked") is None
    assert found is not None
    assert (found.state, found.families, found.force, found.choices) == ("waiting", (), True, {"recipes": ["ridge"]})
    assert found.id.startswith("retrain_20260102T120000_")


def test_asking_twice_with_one_key_is_asking_once(state: State, noon: dt.datetime) -> None:
    first, new = ask(state, SLOT, noon)
    again, new_again = ask(state, replace(SLOT, reason="another"), noon + MINUTE, why_not="late")
    assert (new, new_again) == (True, False)
    assert again == first
    assert ask(state, HAND, noon)[0].id != ask(state, HAND, noon)[0].id


def test_what_was_due_and_does_not_run_says_why_not(state: State, noon: dt.datetime) -> None:
    skipped, new = ask(state, SLOT, noon, why_not="the exchange was closed")
    assert new
    assert (skipped.state, skipped.outcome, skipped.ended_at) == ("skipped", "skipped", noon)
    with state.write() as db:
        assert requests.next_waiting(db) is None
        assert requests.begin(db, skipped.id, process=this_process(), at=noon) is None
        found = requests.get(db, skipped.id)
    assert found is not None
    assert found.why_not == "the exchange was closed"


@pytest.mark.parametrize(("outcome", "kept"), [("promoted", "done"), ("refused", "done"), ("skipped", "skipped")])
@pytest.mark.parametrize("named", [True, False])
def test_request_whose_process_died_after_the_verdict_ends_as_its_cycle_did(
    state: State, noon: dt.datetime, outcome: str, kept: str, named: bool
) -> None:
    here = this_process()
    asked, _ = ask(state, HAND, noon)
    with state.write() as db:
        assert requests.begin(db, asked.id, process=here, at=noon) is not None
        cycle = cycles.start(db, trigger="manual", reason="because", process=here, at=noon + MINUTE)
        if named:
            requests.tell(db, asked.id, progress={"what": "walking", "done": 1, "total": 2}, cycle_id=cycle.id)
        cycles.finish(db, cycle.id, outcome=outcome, document={}, at=noon + MINUTE)
        requests.settle(
            db,
            asked.id,
            state="failed",
            outcome="failed",
            at=noon + MINUTE,
            why_not="stopped, as it was",
        )
        found = requests.get(db, asked.id)
    assert found is not None
    assert (found.state, found.outcome, found.cycle_id, found.why_not) == (kept, outcome, cycle.id, "")


def test_request_is_not_called_done_by_an_earlier_cycle_of_its_process_when_the_clock_was_put_back(
    state: State, noon: dt.datetime
) -> None:
    here = this_process()
    first, second = ask(state, HAND, noon)[0], ask(state, HAND, noon)[0]
    with state.write() as db:
        requests.begin(db, first.id, process=here, at=noon)
        done = cycles.start(db, trigger="manual", reason="", process=here, at=noon)
        cycles.finish(db, done.id, outcome="promoted", document={}, at=noon)
        requests.settle(db, first.id, state="done", outcome="promoted", at=noon, cycle_id=done.id)
        before = noon - 10 * MINUTE
        requests.begin(db, second.id, process=here, at=before)
        died = cycles.start(db, trigger="manual", reason="", process=here, at=before)
        cycles.finish(db, died.id, outcome="failed", document={}, at=before)
        requests.settle(db, second.id, state="failed", outcome="failed", at=before, why_not="its process died")
        ended = requests.get(db, second.id)
    assert ended is not None
    assert (ended.state, ended.outcome, ended.why_not) == ("failed", "failed", "its process died")


def test_request_whose_cycle_died_has_failed(state: State, noon: dt.datetime) -> None:
    asked, _ = ask(state, HAND, noon)
    with state.write() as db:
        requests.begin(db, asked.id, process=this_process(), at=noon)
        cycle = cycles.start(db, trigger="manual", reason="because", process=this_process(), at=noon + MINUTE)
        cycles.finish(db, cycle.id, outcome="failed", document={}, at=noon + MINUTE)
        requests.settle(db, asked.id, state="failed", outcome="failed", at=noon + MINUTE, why_not="stopped")
        found = requests.get(db, asked.id)
    assert found is not None
    assert (found.state, found.why_not) == ("failed", "stopped")


def test_requests_are_begun_in_the_order_in_which_they_were_asked(state: State, noon: dt.datetime) -> None:
    late, early = ask(state, HAND, noon + MINUTE)[0], ask(state, SLOT, noon)[0]
    with state.write() as db:
        for expected in (early, late):
            found = requests.next_waiting(db)
            assert found == expected
            assert requests.begin(db, found.id, process=this_process(), at=noon + 2 * MINUTE) is not None
        assert requests.next_waiting(db) is None
        assert [request.id for request in requests.unfinished(db)] == [early.id, late.id]
        assert [request.id for request in requests.unfinished(db, triggers=("schedule",))] == [early.id]


def test_request_is_begun_once_told_about_and_settled_once(state: State, noon: dt.datetime) -> None:
    asked, _ = ask(state, SLOT, noon)
    runner = replace(this_process(), pid=1234)
    with state.write() as db:
        begun = requests.begin(db, asked.id, process=runner, at=noon + MINUTE)
        assert begun is not None
        assert (begun.state, begun.claimed_at, begun.process) == ("running", noon + MINUTE, runner)
        assert requests.begin(db, asked.id, process=this_process(), at=noon + MINUTE) is None
        requests.tell(db, asked.id, progress={"what": "fit", "done": 1, "total": 3}, cycle_id="c1")
        requests.settle(db, asked.id, state="done", outcome="promoted", at=noon + 2 * MINUTE)
        with pytest.raises(UsageError, match="ended already as done; only a waiting or running one can end"):
            requests.settle(db, asked.id, state="failed", outcome="failed", at=noon)
        requests.tell(db, asked.id, progress={"what": "too late"})
        found = requests.get(db, asked.id)
    assert found is not None
    assert (found.state, found.outcome, found.cycle_id, found.progress["what"]) == ("done", "promoted", "c1", "fit")


@pytest.mark.parametrize(
    ("state_given", "words"), [("waiting", "expected done, skipped or failed"), ("done", "does not")]
)
def test_settling_names_what_is_wrong(state: State, noon: dt.datetime, state_given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words), state.write() as db:
        requests.settle(db, "r1", state=state_given, outcome="", at=noon)


def test_request_that_could_not_begin_waits_again(state: State, noon: dt.datetime) -> None:
    asked, _ = ask(state, SLOT, noon)
    with state.write() as db:
        assert not requests.put_back(db, asked.id)
        requests.begin(db, asked.id, process=this_process(), at=noon)
        assert requests.put_back(db, asked.id)
        assert requests.next_waiting(db) == replace(asked, process=this_process())


def test_request_of_a_dead_process_is_failed_and_one_of_a_living_stays(state: State, noon: dt.datetime) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = this_process()
    dead, alive, away = (ask(state, HAND, noon)[0] for _ in range(3))
    runners = (Process(gone.pid, here.host, here.boot_id, "1"), here, replace(here, host="elsewhere"))
    with state.write() as db:
        for request, process in zip((dead, alive, away), runners, strict=True):
            requests.begin(db, request.id, process=process, at=noon)
        assert requests.release_dead(db, here, at=noon) == (dead.id,)
        assert requests.release_of(db, runners[2], at=noon) == (away.id,)
        found = [requests.get(db, request.id) for request in (dead, alive, away)]
    assert [request.state for request in found if request] == ["failed", "running", "failed"]
    assert all("died" in request.why_not for request in found if request and request.state == "failed")


def test_last_start_and_recent_requests_can_be_asked_by_trigger(state: State, noon: dt.datetime) -> None:
    slot, hand = ask(state, SLOT, noon)[0], ask(state, HAND, noon + MINUTE)[0]
    with state.write() as db:
        assert requests.last_started(db) is None
        requests.begin(db, slot.id, process=this_process(), at=noon + 3 * MINUTE)
        requests.begin(db, hand.id, process=this_process(), at=noon + 2 * MINUTE)
        newest, by_hand = requests.last_started(db), requests.last_started(db, triggers=("manual", "event"))
        assert newest is not None
        assert by_hand is not None
        assert (newest.id, by_hand.id) == (slot.id, hand.id)
        assert [request.id for request in requests.recent(db)] == [hand.id, slot.id]
        assert [request.id for request in requests.recent(db, limit=5, trigger="schedule")] == [slot.id]
        assert [request.id for request in requests.recent(db, limit=1)] == [hand.id]


def test_two_processes_that_ask_and_begin_the_same_slots_get_each_once(
    url: str, compete: Callable[[str], list[str]]
) -> None:
    said = compete("""
from marketloop.state import requests
from marketloop.state.requests import Wish
asked = begun = 0
with State.open(url) as state:
    for number in range(40):
        with state.write() as db:
            request, new = requests.ask(db, Wish("schedule", "r", key=f"slot {number}"), process=this_process(), at=at)
        with state.write() as db:
            taken = requests.begin(db, request.id, process=this_process(), at=at)
        asked += new
        begun += taken is not None
print(asked, begun)
""")
    counts = [[int(word) for word in answer.split()] for answer in said]
    assert [sum(column) for column in zip(*counts, strict=True)] == [40, 40]
    with State.open(url) as state, state.read() as db:
        found = requests.recent(db, limit=100)
    assert len(found) == 40
    assert {request.state for request in found} == {"running"}


def test_two_transactions_that_ask_with_one_key_make_one_row_even_without_the_writers_lock(
    url: str, state: State, noon: dt.datetime
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a SQLite file has one writer, whoever opens it")
    # Two plain transactions of PostgreSQL that both began before either wrote: the second waits for the first.
    with state.ledger.engine.connect() as first, state.ledger.engine.connect() as second:
        one, new = requests.ask(first, SLOT, process=this_process(), at=noon)
        assert new
        assert requests.find(second, str(SLOT.key)) is None
        first.commit()
        other, new = requests.ask(second, SLOT, process=this_process(), at=noon)
        assert (other, new) == (one, False)
        second.commit()


def test_request_of_many_schedules_with_long_names_is_kept_whole(state: State, noon: dt.datetime) -> None:
    name = "+".join(f"schedule_of_family_{number:03}" for number in range(40))
    asked, new = ask(state, replace(SLOT, requested_by=name, key=f"schedule:{name}:x"), noon)
    with state.read() as db:
        assert (requests.get(db, asked.id), new) == (asked, True)
    assert len(asked.requested_by) > 800
