"""How the loop reacts to events: a request, or none with the reason; each event once, whoever crashes when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.alarms import raise_alarm, went_wrong
from marketloop.loop.conditions import why_not_now
from marketloop.loop.events import LOOP
from marketloop.loop.house import House, enabled_families
from marketloop.runtime.logging import get_logger
from marketloop.runtime.payloads import EventType, event_type, payload_of
from marketloop.runtime.redact import redact_text
from marketloop.state import Connection, events, requests, this_process
from marketloop.state.events import Stored
from marketloop.state.requests import Wish

__all__ = ["ATTEMPTS", "BATCH", "VIX_SHOCK", "Reaction", "react"]

BATCH: Final = 50
"""Tickers in one analysis from which it is worth a retraining."""
VIX_SHOCK: Final = 40.0
"""Level of the VIX above which the market is in shock."""
DELAYS: Final = tuple(dt.timedelta(seconds=s) for s in (0, 5, 30, 300, 3600))
"""An event that could not be acted on is tried again this long after its publication."""
ATTEMPTS: Final = len(DELAYS)
_TRIGGERS: Final = {EventType.DRIFT_DETECTED: "drift"}


@dataclass(frozen=True, slots=True)
class Reaction:
    """What came of one event.

    Parameters
    ----------
    event_id : int
    type : str
    action : str
        ``request``, ``skipped`` (a request that is recorded as skipped), ``none``, ``later`` (acting on it failed, it
        will be tried again) or ``parked`` (it failed too often).
    why : str
        Why nothing runs; empty for a request.
    request_id : str, optional
    """

    event_id: int
    type: str
    action: str
    why: str = ""
    request_id: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as the ledger keeps it beside the event."""
        kept = {"action": self.action, "why": self.why, "request_id": self.request_id}
        return {name: value for name, value in kept.items() if value}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an event would cause: a wish, `why` against it or empty; no wish where nothing is called for."""

    why: str = ""
    wish: Wish | None = None


def react(house: House, *, at: dt.datetime) -> tuple[Reaction, ...]:
    """Act on every event that waits, oldest first, and return what was done.

    Request and mark are one transaction, and the request carries the event's number as its key: a crash in between
    leaves neither, and a second worker finds both. An event that cannot be acted on is tried `ATTEMPTS` times, later
    and later, and then parked; it never keeps others waiting.
    """
    with house.state.read() as db:
        waiting = events.pending(db, at=at, delays=DELAYS)
    return tuple(_act(house, event, at) for event in waiting)


def _act(house: House, event: Stored, at: dt.datetime) -> Reaction:
    try:
        plan = _plan(house, event, at)
        with house.state.write() as db:
            return _record(db, event, plan, at)
    except Exception as error:  # noqa: BLE001 -- the edge of a reaction: recorded, bounded, never in others' way
        return _failed(house, event, error, at)


def _plan(house: House, event: Stored, at: dt.datetime) -> _Plan:
    if event.source == LOOP:
        return _Plan("the loop said so itself: its own events cause no retraining")
    kind = event_type(event.type)
    payload: Any = payload_of(kind, event.payload)
    wanted, sentence = _CALLS.get(kind, _tells)(payload)
    if not wanted:
        return _Plan(sentence)
    for family in payload.families:
        house.catalog.family(family)
    families, trigger = payload.families or enabled_families(house), _TRIGGERS.get(kind, "event")
    if not house.settings.retraining.on_events:
        return _Plan("[retraining] on_events is off: switch it on to let events retrain")
    wish = Wish(trigger, sentence, families, requested_by=f"event {event.id}", key=f"event:{event.id}")
    reasons = {family: why_not_now(house, family, trigger=trigger, at=at) for family in families}
    free = tuple(family for family, reason in reasons.items() if reason is None)
    if not free:
        said = dict.fromkeys(str(reason) for reason in reasons.values())
        return _Plan("; ".join(said) or "no family is enabled", wish)
    return _Plan(wish=replace(wish, families=free))


def _record(db: Connection, event: Stored, plan: _Plan, at: dt.datetime) -> Reaction:
    """Write request and mark; whoever was first wins."""
    if plan.wish is None:
        reaction = Reaction(event.id, event.type, "none", plan.why)
    else:
        why = plan.why or _covered(db, plan.wish)
        request, _ = requests.ask(db, plan.wish, process=this_process(), at=at, why_not=why or None)
        action = "skipped" if request.state == requests.SKIPPED else "request"
        reaction = Reaction(event.id, event.type, action, request.why_not, request.id)
    if not events.handled(db, event.id, result=reaction.document(), at=at):
        return Reaction(event.id, event.type, "none", "somebody else has acted on it")
    return reaction


def _covered(db: Connection, wish: Wish) -> str:
    """Say which request of an earlier event serves this one too: a flood of events is one retraining."""
    for earlier in requests.unfinished(db, triggers=("event", "drift")):
        if earlier.key != wish.key and (not earlier.families or set(wish.families) <= set(earlier.families)):
            return f'request "{earlier.id}" ({earlier.requested_by}) is {earlier.state} for the same families'
    return ""


def _failed(house: House, event: Stored, error: Exception, at: dt.datetime) -> Reaction:
    trouble = redact_text(str(error) if isinstance(error, MarketLoopError) else f"{type(error).__name__}: {error}")
    last = event.attempts + 1 >= ATTEMPTS
    parked = Reaction(event.id, event.type, "parked", trouble[:500])
    with house.state.write() as db:
        events.failed(db, event.id, trouble=trouble)
        if last:
            events.handled(db, event.id, result=parked.document(), at=at)
    log = get_logger("loop")
    if last:
        title = f"Event {event.id} ({event.type}) cannot be acted on"
        raise_alarm(house, went_wrong(title, key=f"event:{event.id}", error=trouble, attempts=ATTEMPTS))
        log.error("event parked", event_id=event.id, type=event.type, attempts=ATTEMPTS, trouble=trouble)
        return parked
    log.warning("event will be tried again", event_id=event.id, type=event.type, trouble=trouble)
    return Reaction(event.id, event.type, "later", trouble[:500])


# What an event calls for: whether a retraining, and the reason for it or against it.


def _analysis(payload: Any) -> tuple[bool, str]:
    size = payload.batch_size
    return size >= BATCH, f"{size} tickers were analysed" + ("" if size >= BATCH else f", {BATCH} are a batch")


def _shock(payload: Any) -> tuple[bool, str]:
    shock = payload.vix > VIX_SHOCK
    return shock, f"the VIX stands at {payload.vix:g}" + ("" if shock else f", a shock is above {VIX_SHOCK:g}")


def _drift(payload: Any) -> tuple[bool, str]:
    if payload.action != "retrain":
        return False, f"the finding asks to {payload.action}, not to retrain"
    return True, _noted("drift was detected", payload)


def _market(payload: Any) -> tuple[bool, str]:
    return True, _noted(f"market event ({payload.kind})", payload)


def _data(payload: Any) -> tuple[bool, str]:
    return payload.new_rows != 0, "no rows are new" if payload.new_rows == 0 else "new data have arrived"


def _backtest(_payload: Any) -> tuple[bool, str]:
    return True, "a backtest was completed"


def _tells(_payload: Any) -> tuple[bool, str]:
    return False, "it tells what has happened and calls for nothing"


def _noted(sentence: str, payload: Any) -> str:
    return f"{sentence}: {payload.note}" if payload.note else sentence


_CALLS: Final[dict[EventType, Callable[[Any], tuple[bool, str]]]] = {
    EventType.ANALYSIS_COMPLETED: _analysis,
    EventType.BACKTEST_COMPLETED: _backtest,
    EventType.DATA_ARRIVED: _data,
    EventType.DRIFT_DETECTED: _drift,
    EventType.MARKET_EVENT: _market,
    EventType.MARKET_SHOCK: _shock,
}
