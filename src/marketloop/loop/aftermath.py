"""What a worker writes about a cycle that ended without a word, or that it stopped itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Final

from marketloop.loop.alarms import enter, went_wrong
from marketloop.loop.children import Child
from marketloop.loop.events import publish_end_of_cycle
from marketloop.loop.house import House
from marketloop.runtime.redact import redact_text
from marketloop.state import Connection, cycles, lease, requests, this_process
from marketloop.state.requests import Request

__all__ = ["close_request", "record_stopped", "running_elsewhere"]

_UNFINISHED: Final = frozenset({requests.WAITING, requests.RUNNING})


def running_elsewhere(db: Connection, at: dt.datetime) -> str | None:
    """Say which cycle of another process is running, None when there is none; `db` writes down what was seen."""
    held = lease.in_the_way(db, "cycle", process=this_process(), at=at)
    return None if held is None else f"another cycle is running ({held.process})"


def record_stopped(db: Connection, child: Child, request: Request | None, *, killed: bool, at: dt.datetime) -> None:
    """Record as failed the cycle of a child that we have stopped, and its request; what had not begun waits on."""
    how = "killed, it did not end in time" if killed else "it ended in order"
    why = f"stopped: the loop was asked to end ({how}); the champion is as it was, ask again"
    for cycle in cycles.recent(db, limit=5):
        if cycle.outcome == cycles.RUNNING and cycle.process.pid == child.pid:
            cycles.finish(db, cycle.id, outcome="failed", document={"error": why}, at=at)
            publish_end_of_cycle(db, cycle.id, at=at)
    if request is not None:
        _fail(db, request.id, why, at, states={requests.RUNNING})


def close_request(db: Connection, house: House, request: Request, child: Child) -> None:
    """Record the failure of a request whose process ended without a word about it, and raise an alarm."""
    code, at = child.exit_code, house.clock.now()
    now = requests.get(db, request.id)
    unclaimed = now is not None and now.state == requests.WAITING and code != 0
    unsettled = now is not None and now.state == requests.RUNNING and now.process.pid == child.pid
    if unclaimed or unsettled:
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        words = child.last_words()
        why = redact_text(f"the cycle's process {how}" + (f": {words}" if words else ""))
        _fail(db, request.id, why, at)
        ended = requests.get(db, request.id)
        if ended is None or ended.state != requests.FAILED:  # its cycle had come to a verdict before
            return
        enter(db, house, went_wrong("A retraining could not run", key=f"request:{request.id}", error=why))


def _fail(db: Connection, request_id: str, why: str, at: dt.datetime, states: Collection[str] = _UNFINISHED) -> None:
    now = requests.get(db, request_id)
    if now is not None and now.state in states:
        requests.settle(db, request_id, state=requests.FAILED, outcome="failed", at=at, why_not=why)
