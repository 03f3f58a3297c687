from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import State, lease, this_process

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


def test_lease_of_another_host_waits_for_its_heartbeat(state: State, noon: dt.datetime) -> None:
    me = this_process()
    elsewhere = replace(me, host="elsewhere", boot_id="other")
    with state.write() as db:
        theirs = lease.acquire(db, "cycle", process=elsewhere, at=noon)
        assert theirs is not None
        lease.renew(db, theirs, at=noon + 5 * MINUTE)
        assert lease.acquire(db, "cycle", process=me, at=noon + 15 * MINUTE) is None
        assert lease.acquire(db, "cycle", process=me, at=noon + 16 * MINUTE) is not None
        with pytest.raises(FailedError, match=r'lease "cycle" lost: .* this is token 1 of 2'):
            lease.renew(db, theirs, at=noon + 17 * MINUTE)
        lease.release(db, theirs, at=noon + 17 * MINUTE)
        assert lease.holder(db, "cycle") is not None


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
