from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import Process, State, lease, requests, this_process
from marketloop.state.lease import Lease, LeaseLostError
from marketloop.state.requests import Wish

MINUTE = dt.timedelta(minutes=1)


def test_lease_has_one_holder_until_it_is_released(state: State, noon: dt.datetime) -> None:
    me = this_process()
    with state.write() as db:
        first = lease.acquire(db, "cycle", process=me, at=noon)
        assert first is not None
        assert lease.acquire(db, "cycle", process=me, at=noon + 600 * MINUTE) is None
        assert lease.acquire(db, "views", process=me, at=noon) is not None
        assert lease.holder(db, "cycle") == first
        lease.release(db, first, at=noon + MINUTE)
        assert lease.holder(db, "cycle") is None
        second = lease.acquire(db, "cycle", process=me, at=noon + MINUTE)
    assert second is not None
    assert (first.token, second.token) == (1, 2)


def test_lease_of_a_killed_process_is_taken_over_at_once(url: str, state: State, noon: dt.datetime) -> None:
    script = f"""
import datetime as dt, os, signal
from marketloop.state import State, lease, this_process
with State.open({url!r}) as state:
    with state.write() as db:
        lease.acquire(db, "cycle", process=this_process(), at=dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with state.write() as db:
        taken = lease.acquire(db, "cycle", process=this_process(), at=noon)
    assert taken is not None
    assert taken.token == 2


def elsewhere(me: Process) -> Process:
    return replace(me, host="elsewhere", boot_id="other")


def take(state: State, process: Process, at: dt.datetime, tick: float) -> Lease | None:
    with state.write() as db:
        return lease.acquire(db, "cycle", process=process, at=at, tick=tick)


def test_lease_of_another_host_is_taken_over_when_its_heartbeat_stood_still(state: State, noon: dt.datetime) -> None:
    me = this_process()
    theirs = take(state, elsewhere(me), noon, 0.0)
    assert theirs is not None
    assert take(state, me, noon, 5000.0) is None
    with state.write() as db:
        lease.renew(db, theirs, at=noon + 5 * MINUTE)
    assert take(state, me, noon + 11 * MINUTE, 5660.0) is None
    assert take(state, me, noon + 20 * MINUTE, 6259.0) is None
    mine = take(state, me, noon + 21 * MINUTE, 6260.0)
    assert mine is not None
    assert mine.token == 2
    with state.write() as db:
        with pytest.raises(LeaseLostError, match=r'lease "cycle" lost: .* this is token 1 of 2'):
            lease.renew(db, theirs, at=noon + 22 * MINUTE)
        lease.release(db, theirs, at=noon + 22 * MINUTE)
        assert lease.holder(db, "cycle") == mine


@pytest.mark.parametrize("hours", [-48, -5, 5, 48])
def test_lease_of_another_host_is_not_taken_over_because_a_clock_is_wrong(
    state: State, noon: dt.datetime, hours: int
) -> None:
    me, skew = this_process(), dt.timedelta(hours=hours)
    theirs = take(state, elsewhere(me), noon, 0.0)
    assert theirs is not None
    for beat in range(30):  # the holder's clock is right, ours jumps, then the other way round
        ours, holders = (noon + skew, noon) if beat < 15 else (noon, noon + skew)
        with state.write() as db:
            lease.renew(db, theirs, at=holders)
        assert take(state, me, ours, 1000.0 + 60.0 * beat) is None


def test_lease_heartbeat_grows_with_every_beat_when_the_clock_stands_still_or_goes_back(
    state: State, noon: dt.datetime
) -> None:
    held = take(state, this_process(), noon, 0.0)
    assert held is not None
    seen = [held.heartbeat_at]
    for at in (noon, noon, noon - 600 * MINUTE, noon + MINUTE):
        with state.write() as db:
            lease.renew(db, held, at=at)
            now = lease.holder(db, "cycle")
        assert now is not None
        seen.append(now.heartbeat_at)
    assert seen == sorted(set(seen))
    assert seen[-1] == noon + MINUTE


def test_lease_of_another_host_is_watched_anew_when_this_host_was_started_again(
    state: State, noon: dt.datetime
) -> None:
    me = this_process()
    take(state, elsewhere(me), noon, 0.0)
    assert take(state, me, noon, 90_000.0) is None
    restarted = replace(me, boot_id="next")
    assert take(state, restarted, noon, 90_700.0) is None
    assert take(state, restarted, noon, 20.0) is None
    assert take(state, restarted, noon, 619.0) is None
    assert take(state, restarted, noon, 620.0) is not None


def test_lease_says_who_is_in_the_way_without_taking_it(state: State, noon: dt.datetime) -> None:
    me = this_process()
    with state.write() as db:
        assert lease.in_the_way(db, "cycle", process=me, at=noon) is None
        theirs = lease.acquire(db, "cycle", process=elsewhere(me), at=noon)
        assert lease.in_the_way(db, "cycle", process=me, at=noon, tick=0.0) == theirs
        assert lease.in_the_way(db, "cycle", process=me, at=noon, tick=600.0) is None
        assert lease.holder(db, "cycle") == theirs


def test_lease_that_could_not_be_given_back_does_not_block_its_own_process(state: State, noon: dt.datetime) -> None:
    me = this_process()
    first = take(state, me, noon, 0.0)
    assert first is not None
    assert take(state, me, noon, 0.0) is None
    lease.let_go(first, state.ledger.engine.url)
    second = take(state, me, noon, 0.0)
    assert second is not None
    assert second.token == 2
    assert take(state, me, noon, 0.0) is None


def test_fence_lets_nothing_be_written_when_the_lease_is_lost(state: State, noon: dt.datetime) -> None:
    me = this_process()
    theirs = take(state, elsewhere(me), noon, 0.0)
    assert theirs is not None
    wish = Wish("manual", "r", key="k")
    with state.fenced(theirs):
        with state.write() as db:
            requests.ask(db, wish, process=me, at=noon)
        assert take_from_another_thread(state, me, noon) is not None
        for write in (state.write, state.write_scores):
            with pytest.raises(LeaseLostError), write():
                pytest.fail("the block must not be entered")
        with state.read() as db:
            assert requests.find(db, "k") is not None
    with state.write() as db:
        assert not requests.ask(db, wish, process=me, at=noon)[1]


def take_from_another_thread(state: State, me: Process, noon: dt.datetime) -> Lease | None:
    """Overtake as another process would: the fence of one thread is none of another's."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(take, state, me, noon, 0.0).result()
        return pool.submit(take, state, me, noon, 600.0).result()


def test_lease_check_protects_the_transaction_when_it_was_released(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        mine = lease.acquire(db, "cycle", process=this_process(), at=noon)
        assert mine is not None
        lease.check(db, mine)
        lease.release(db, mine, at=noon)
    with pytest.raises(FailedError, match="nobody holds it"), state.write() as db:
        lease.check(db, mine)


def test_one_of_two_processes_gets_the_lease(compete: Callable[[str], list[str]]) -> None:
    answers = compete("""
from marketloop.state import lease
with State.open(url) as state:
    with state.write() as db:
        mine = lease.acquire(db, 'cycle', process=this_process(), at=at)
    print('won' if mine else 'lost'); sys.stdout.flush()
    sys.stdin.readline()
""")
    assert sorted(answers) == ["lost\n", "won\n"]
