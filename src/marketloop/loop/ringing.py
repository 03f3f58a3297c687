"""What of the ledger becomes an alarm: every decision and failed cycle since the last look, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from marketloop.loop.alarms import Alarm, Place, enter
from marketloop.loop.history import bring_up_to_date
from marketloop.loop.messenger import hand_over
from marketloop.runtime.logging import get_logger
from marketloop.state import Connection, alarms, champions, cycles, decisions, heartbeats, this_process, versions
from marketloop.state.cycles import Cycle
from marketloop.state.decisions import Decision

__all__ = ["ring"]

CURSOR: Final = "alarms"
"""Name under which the ledger keeps the number of the last decision that was looked at."""
MOST_DECISIONS: Final = 500
FIRST_LOOK: Final = timedelta(days=1)
"""Decisions older than this are no news to a project whose alarms are looked at for the first time."""
OLD_NEWS: Final = timedelta(days=7)
ORDINARY: Final = frozenset({"no_skill", "not_better"})
"""Refusals that a healthy project sees every night: told once a week."""
WEEK: Final = timedelta(days=7)
HEADLINE: Final = ("accuracy", "f1_score", "precision", "recall", "roc_auc", "rank_ic", "icir", "z", "rmse", "log_loss")


def ring(place: Place, *, tell: Callable[[Place], object] = hand_over) -> int:
    """Raise an alarm for whatever the ledger holds that nobody was told of, and have what waits delivered; never fail.

    Nobody is kept waiting by a channel: the loop or a process of its own tells them. Call it after a cycle, however it
    ended, after a promotion or rollback by hand, and now and then. What a killed process did not tell is told by the
    next one. Returns how many alarms were raised.

    Parameters
    ----------
    tell : function of the place
        `deliver` for the thread of a loop that has the time.
    """
    raised = 0
    try:
        with place.state.read() as db:
            news = _undecided(db, limit=1) or _silent_failures(db, place)
        if news:  # the ledger is locked for everybody else only then
            with place.state.write() as db:
                raised = _decided(db, place) + _failed(db, place)
    except Exception as error:  # noqa: BLE001 -- the edge of a cycle that is over: its outcome must not change
        get_logger("alarms").error("the ledger was not looked at for alarms", reason=f"{type(error).__name__}: {error}")
    bring_up_to_date(place)
    tell(place)
    return raised


def _undecided(db: Connection, *, limit: int) -> list[Decision]:
    """Return the decisions that nobody has looked at, oldest first, up to the first of a cycle that still runs.

    Duration and samples of a cycle are known at its end; whoever looks meanwhile leaves its decisions for then.
    """
    last = heartbeats.last(db, CURSOR)
    cursor = 0 if last is None else int(last.document["decision"])
    fresh = [d for d in decisions.history(db, limit=limit) if d.id > cursor][::-1]
    running = {name for name in {d.cycle_id for d in fresh if d.cycle_id} if _runs(cycles.get(db, name))}
    return list(takewhile(lambda d: d.cycle_id not in running, fresh))


def _runs(cycle: Cycle | None) -> bool:
    return cycle is not None and cycle.outcome == cycles.RUNNING


def _decided(db: Connection, place: Place) -> int:
    at, first = place.clock.now(), heartbeats.last(db, CURSOR) is None
    fresh = _undecided(db, limit=MOST_DECISIONS)
    if not fresh:
        return 0
    news = [d for d in fresh if d.decided_at > at - FIRST_LOOK] if first else fresh
    found = (_alarm_of(db, place, decision) for decision in news)
    raised = [enter(db, place, alarm) for alarm in found if alarm is not None]
    heartbeats.beat(db, CURSOR, document={"decision": fresh[-1].id}, process=this_process(), at=at)
    return sum(alarm is not None for alarm in raised)


def _failed(db: Connection, place: Place) -> int:
    """Tell of cycles that ended with an error of their own, or by the death of their process (C6)."""
    raised = 0
    for cycle in _silent_failures(db, place):
        about = {
            **_about_cycle(cycle),
            "error": cycle.document["error"],
            "reason": "a failed cycle changes nothing: the champions stay",
        }
        alarm = Alarm("error", f"cycle:{cycle.id}", f"cycle {cycle.id} failed", about)
        raised += enter(db, place, alarm) is not None
    return raised


def _silent_failures(db: Connection, place: Place) -> list[Cycle]:
    """Return the cycles of late that failed as a whole and that nobody was told of, oldest first."""
    since = place.clock.now() - OLD_NEWS
    late = (c for c in cycles.recent(db, limit=20)[::-1] if c.outcome == "failed" and c.document.get("error"))
    ended = (c for c in late if c.ended_at is not None and c.ended_at > since)
    return [cycle for cycle in ended if alarms.latest(db, f"cycle:{cycle.id}") is None]


def _alarm_of(db: Connection, place: Place, decision: Decision) -> Alarm | None:
    """Return the alarm that a decision is, None for one that is no news."""
    name = f"{decision.slot.family}: "
    version = f"version {decision.version}" if decision.version is not None else "no candidate"
    once = f"decision:{decision.id}"
    where = f"{decision.slot.family}:{decision.slot.config_key}"
    about = _about(db, place, decision)
    match decision.verdict:
        case "promoted":
            return Alarm("success", once, f"{name}{version} promoted ({decision.reason_code})", about)
        case "provisional":
            return Alarm("success", once, f"{name}{version} published as provisional, every signal HOLD", about)
        case "refused" if decision.reason_code in ORDINARY:
            return Alarm("validation", f"refused:{where}", f"{name}{version} not promoted", about, WEEK)
        case "refused":
            return Alarm("validation", once, f"{name}{version} failed validation ({decision.reason_code})", about)
        case "failed":
            return Alarm("error", f"failed:{where}", f"{name}retraining failed, the champion stays", about)
        case "harm":
            return Alarm("degradation", once, f"{name}{version} does harm, every signal HOLD", about)
        case "rollback":
            by = "by the guard" if decision.reason_code == "guard" else "by hand"
            return Alarm("rollback", once, f"{name}rolled back to {version} {by}", about)
    return None


def _about(db: Connection, place: Place, decision: Decision) -> dict[str, Any]:
    cycle = cycles.get(db, decision.cycle_id) if decision.cycle_id else None
    row = None if decision.version is None else versions.get(db, decision.slot, decision.version)
    before = _before(db, decision)
    other = None if before is None else versions.get(db, decision.slot, before)
    told = {} if cycle is None else _family_of(cycle, decision.slot.family)
    root = place.registry.root
    return {
        "reason": decision.reason,
        **({} if cycle is None else _about_cycle(cycle)),
        "samples": told.get("rows"),
        "tickers": told.get("tickers"),
        "version": decision.version,
        "metrics": {} if row is None else _headline(row.metrics),
        "baseline": {} if row is None else _headline(row.baseline),
        "previous_version": before,
        "previous_metrics": {} if other is None else _headline(other.metrics),
        "model_path": None if row is None or not row.path else str(root / row.path),
        "backup_path": None if other is None or not other.path else str(root / other.path),
        "report": told.get("report"),
        "decision": decision.id,
    }


def _before(db: Connection, decision: Decision) -> int | None:
    """Return the version that served before a decision took effect, or that serves while it has none."""
    history = champions.history(db, decision.slot, limit=50)
    made = next((entry for entry in history if entry.decision_id == decision.id), None)
    if made is None:
        now = next((entry for entry in history if entry.recorded_at <= decision.decided_at), None)
        return None if now is None else now.version
    return next((e.version for e in history if e.entry < made.entry and e.version != made.version), None)


def _about_cycle(cycle: Cycle) -> dict[str, Any]:
    ended: datetime | None = cycle.ended_at
    seconds = None if ended is None else round((ended - cycle.started_at).total_seconds(), 1)
    why = f"{cycle.trigger}: {cycle.reason}" if cycle.reason else cycle.trigger
    return {"cycle": cycle.id, "trigger": why, "duration": None if seconds is None else f"{seconds:g} s"}


def _family_of(cycle: Cycle, family: str) -> Mapping[str, Any]:
    found = cycle.document.get("families", [])
    return next((one for one in found if one.get("family") == family), {})


def _headline(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: figures[name] for name in HEADLINE if isinstance(figures.get(name), int | float)}
