"""Requests: who wanted which retraining and why, what became of it, or why nothing did."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from marketloop.core.errors import FailedError, UsageError
from marketloop.state import cycles, lease
from marketloop.state.columns import Json
from marketloop.state.cycles import Cycle
from marketloop.state.dialects import insert_new
from marketloop.state.process import Process, process_columns
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import requests

__all__ = [
    "DONE",
    "FAILED",
    "RUNNING",
    "SKIPPED",
    "WAITING",
    "Request",
    "Wish",
    "ask",
    "begin",
    "find",
    "get",
    "last_started",
    "lease_of",
    "next_waiting",
    "put_back",
    "recent",
    "release_dead",
    "release_of",
    "settle",
    "tell",
    "unfinished",
]

WAITING, RUNNING, DONE, SKIPPED, FAILED = "waiting", "running", "done", "skipped", "failed"
_STATE_OF = {"skipped": SKIPPED}


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for a retraining.

    Parameters
    ----------
    id : str
        E.g. ``retrain_20260102T030405_ab12cd34``; the API calls it the job.
    key : str
        Unique: asking twice with one key is asking once. A schedule's slot, an event's id, or the id itself.
    trigger : str
        ``schedule, event, drift`` or ``manual``.
    reason : str
    families : tuple of str
        Empty for all enabled ones.
    force : bool
    choices : mapping
        Recipes and hyperparameters, as `Choices` takes them.
    requested_by : str
        Name of the key, schedule or event.
    requested_at : datetime
    process : Process
        Who asked, then who runs it.
    state : str
        ``waiting``, ``running``, then ``done``, ``skipped`` or ``failed``.
    claimed_at, ended_at : datetime, optional
    cycle_id : str, optional
    progress : mapping
        ``what, done, total, at``.
    outcome : str
        Of the cycle; empty before.
    why_not : str
        Why it was skipped or failed, in one sentence.
    """

    id: str
    key: str
    trigger: str
    reason: str
    families: tuple[str, ...]
    force: bool
    choices: Json
    requested_by: str
    requested_at: datetime
    process: Process
    state: str = WAITING
    claimed_at: datetime | None = None
    cycle_id: str | None = None
    progress: Json = field(default_factory=dict)
    ended_at: datetime | None = None
    outcome: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of the loop; the fields are those of `Request`."""

    trigger: str
    reason: str
    families: tuple[str, ...] = ()
    force: bool = False
    choices: Json = field(default_factory=dict)
    requested_by: str = ""
    key: str | None = None


def ask(
    db: Connection, wish: Wish, *, process: Process, at: datetime, why_not: str | None = None
) -> tuple[Request, bool]:
    """Record a wish and return it with True; with a `key` that is there already return the earlier one and False.

    With `why_not` it is recorded as skipped at once: it was due, and this is why it does not run.
    """
    number = f"retrain_{at.astimezone(UTC):%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"
    request = Request(
        id=number,
        key=wish.key or number,
        trigger=wish.trigger,
        reason=wish.reason,
        families=tuple(wish.families),
        force=wish.force,
        choices=dict(wish.choices),
        requested_by=wish.requested_by,
        requested_at=at,
        process=process,
        state=WAITING if why_not is None else SKIPPED,
        ended_at=None if why_not is None else at,
        outcome="" if why_not is None else "skipped",
        why_not=why_not or "",
    )
    # The database itself decides who was first: whatever transactions the others are in, there is one row.
    if db.scalar(insert_new(db, requests).values(_row(request)).returning(requests.c.id)) is not None:
        return request, True
    earlier = find(db, request.key)
    if earlier is None:
        raise FailedError(f'the request "{request.key}" is there and cannot be seen: ask again')
    return earlier, False


def find(db: Connection, key: str) -> Request | None:
    """Return the request with `key`."""
    return next(iter(_read(db, requests.c.key == key)), None)


def get(db: Connection, request_id: str) -> Request | None:
    """Return a request by its id."""
    return next(iter(_read(db, requests.c.id == request_id)), None)


def next_waiting(db: Connection) -> Request | None:
    """Return the request that has waited longest."""
    return next(iter(_read(db, requests.c.state == WAITING, limit=1)), None)


def begin(db: Connection, request_id: str, *, process: Process, at: datetime) -> Request | None:
    """Claim a waiting request for `process`; None when somebody else has it already."""
    changed = db.execute(
        requests.update()
        .where(requests.c.id == request_id, requests.c.state == WAITING)
        .values(state=RUNNING, claimed_at=at, **process_columns(process))
    )
    return get(db, request_id) if changed.rowcount == 1 else None


def tell(db: Connection, request_id: str, *, progress: Json, cycle_id: str | None = None) -> None:
    """Record how far a running request is, and by which cycle it runs."""
    change: dict[str, Any] = {"progress": dict(progress)}
    if cycle_id is not None:
        change["cycle_id"] = cycle_id
    db.execute(requests.update().where(requests.c.id == request_id, requests.c.state == RUNNING).values(change))


def put_back(db: Connection, request_id: str) -> bool:
    """Let a request that was claimed and could not begin wait again; False when it is not running."""
    changed = db.execute(
        requests.update()
        .where(requests.c.id == request_id, requests.c.state == RUNNING)
        .values(state=WAITING, claimed_at=None, cycle_id=None, progress={})
    )
    return changed.rowcount == 1


def settle(
    db: Connection,
    request_id: str,
    *,
    state: str,
    outcome: str,
    at: datetime,
    cycle_id: str | None = None,
    why_not: str = "",
) -> None:
    """Record the end of a waiting or running request.

    One that is said to have failed, and whose cycle had ended in order before its process did, ends as the cycle did.

    Raises
    ------
    UsageError
        It does not exist, or has ended already.
    """
    if state not in {DONE, SKIPPED, FAILED}:
        raise UsageError(f'state "{state}" of a request: expected {DONE}, {SKIPPED} or {FAILED}')
    done = _ended_cycle(db, request_id, cycle_id) if state == FAILED else None
    if done is not None:
        state, outcome, cycle_id, why_not = _STATE_OF.get(done.outcome, DONE), done.outcome, done.id, ""
    change: dict[str, Any] = {"state": state, "outcome": outcome, "ended_at": at, "why_not": why_not}
    if cycle_id is not None:
        change["cycle_id"] = cycle_id
    changed = db.execute(
        requests.update().where(requests.c.id == request_id, requests.c.state.in_([WAITING, RUNNING])).values(change)
    )
    if changed.rowcount != 1:
        found = get(db, request_id)
        raise UsageError(
            f'request "{request_id}" {f"ended already as {found.state}" if found else "does not exist"}; '
            "only a waiting or running one can end"
        )


def _ended_cycle(db: Connection, request_id: str, cycle_id: str | None) -> Cycle | None:
    """Return the cycle of a request when it came to a verdict; it is the one it names, or that its process ran."""
    request = get(db, request_id)
    if request is None or request.claimed_at is None:
        return None
    named = cycle_id or request.cycle_id
    if named is not None:
        found = cycles.get(db, named)
    else:
        own = [c for c in cycles.recent(db, limit=5) if c.process == request.process]
        # A clock that was put back makes an earlier cycle of the process look like one that began after the claim.
        query = select(requests.c.cycle_id).where(
            requests.c.cycle_id.in_([c.id for c in own]), requests.c.id != request_id
        )
        of_others = set(db.scalars(query))
        found = next((c for c in own if c.started_at >= request.claimed_at and c.id not in of_others), None)
    return None if found is None or found.outcome in {cycles.RUNNING, "failed"} else found


def release_dead(db: Connection, here: Process, *, at: datetime) -> tuple[str, ...]:
    """Record as failed every running request whose process is gone; return their ids.

    On this host a process is known to be dead; on another one it is taken for dead when it has let the lease of the
    request stand still for `lease.PATIENCE` (commit what was seen also when nothing is returned).
    """
    dead = [request for request in _read(db, requests.c.state == RUNNING) if _is_left(db, request, here, at)]
    for request in dead:
        why = f"{request.process} died before the cycle ended, or has not been heard of for long; ask again"
        settle(db, request.id, state=FAILED, outcome="failed", at=at, why_not=why)
    return tuple(request.id for request in dead)


def lease_of(request_id: str) -> str:
    """Return the name of the lease that whoever runs a request holds from its claim to its end."""
    return f"request:{request_id}"


def _is_left(db: Connection, request: Request, here: Process, at: datetime) -> bool:
    if request.process.host == here.host:
        return request.process.is_dead(here)
    return lease.is_over(db, lease_of(request.id), process=here, at=at)


def release_of(db: Connection, process: Process, *, at: datetime) -> tuple[str, ...]:
    """Record as failed every request that `process` was running when it died or was overtaken; return their ids."""
    theirs = [request for request in _read(db, requests.c.state == RUNNING) if request.process == process]
    for request in theirs:
        why = f"{process} died or lost the lease before the cycle ended; ask again"
        settle(db, request.id, state=FAILED, outcome="failed", at=at, why_not=why)
    return tuple(request.id for request in theirs)


def unfinished(db: Connection, *, triggers: tuple[str, ...] = ()) -> tuple[Request, ...]:
    """Return the requests that wait or run, of all or of some triggers, oldest first."""
    condition: ColumnElement[bool] = requests.c.state.in_([WAITING, RUNNING])
    if triggers:
        condition = condition & requests.c.trigger.in_(triggers)
    return tuple(_read(db, condition))


def last_started(db: Connection, *, triggers: tuple[str, ...] = ()) -> Request | None:
    """Return the request that was claimed last, of all or of some triggers."""
    query = select(requests).where(requests.c.claimed_at.is_not(None))
    if triggers:
        query = query.where(requests.c.trigger.in_(triggers))
    row = db.execute(query.order_by(requests.c.claimed_at.desc()).limit(1)).mappings().first()
    return None if row is None else _of(row)


def recent(db: Connection, *, limit: int = 20, trigger: str | None = None, offset: int = 0) -> tuple[Request, ...]:
    """Return the latest requests, newest first, after the first `offset` of them."""
    query = select(requests).order_by(requests.c.requested_at.desc(), requests.c.id.desc()).limit(limit).offset(offset)
    if trigger is not None:
        query = query.where(requests.c.trigger == trigger)
    return tuple(_of(row) for row in db.execute(query).mappings())


def _row(request: Request) -> dict[str, Any]:
    return {**to_row(request), "families": {"names": list(request.families)}}


def _of(row: Any) -> Request:
    values = dict(row)
    values["families"] = tuple(row["families"]["names"])
    return from_row(Request, values)  # type: ignore[arg-type]


def _read(db: Connection, condition: Any, *, limit: int | None = None) -> list[Request]:
    query = select(requests).where(condition).order_by(requests.c.requested_at, requests.c.id)
    if limit is not None:
        query = query.limit(limit)
    return [_of(row) for row in db.execute(query).mappings()]
