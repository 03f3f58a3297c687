"""Where the project stands, read from the ledger: nothing is computed here that the loop could have told."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from marketloop.state import Connection, Slot, champions, cycles, heartbeats, versions
from marketloop.state.champions import Champion
from marketloop.state.cycles import Cycle
from marketloop.state.requests import Request
from marketloop.state.sight import living_holder
from marketloop.web.premises import Premises
from marketloop.web.problems import ProblemError

__all__ = ["FRESH", "champion_of", "job_document", "status_document"]

FRESH: Final = dt.timedelta(seconds=90)
HEADLINE: Final = ("f1_score", "accuracy", "precision", "recall")
PLANNED: Final = ("next_retraining", "scheduled_jobs", "families", "accuracy")
"""What the loop's heartbeat tells of its plans, by the names of A2."""
NO_LOOP: Final = "no loop is running: start one with `marketloop up`"
WITHOUT_LOOP: Final = {"next_run": None, "can_retrain_now": False, "why_not": NO_LOOP}


def status_document(premises: Premises) -> dict[str, Any]:
    """Return the document of A2: what the loop told last, with what the ledger says now on top.

    Whether loop and cycle run is judged as the loop itself does: a process of this host is looked at, one of another
    by whether its signs of life change. A dead one's cycle is not called running, though nobody recorded its end yet.
    """
    at = premises.clock.now()
    holder = living_holder(premises.state, "cycle", at=at)
    slot = Slot(premises.settings.serve.primary, premises.desk.view.default_key)
    with premises.state.read() as db:
        beat = heartbeats.last(db, "loop")
        alive = premises.pulse.is_alive(beat, at=at, fresh=FRESH)
        champion = champions.current(db, slot)
        row = None if champion is None else versions.get(db, slot, champion.version)
        before = None if champion is None else champions.previous(db, slot)
        backup = None if before is None else versions.get(db, slot, before.version)
        recent = cycles.recent(db, limit=1)
        known = [champions.current(db, held_slot) for held_slot in champions.slots(db)]
    told: dict[str, Any] = (
        {} if beat is None else {name: beat.document[name] for name in PLANNED if name in beat.document}
    )
    root = premises.project.models / "registry"
    families = told.get("families") or [_family(entry, at) for entry in known if entry is not None]
    return {
        **told,
        "running": alive,
        "cycle_running": holder is not None,
        "loop_seen_at": None if beat is None else beat.at.isoformat(),
        "current_metrics": {name: None if row is None else row.metrics.get(name) for name in HEADLINE},
        "baseline": {name: None if row is None else row.baseline.get(name) for name in HEADLINE},
        "next_retraining": told.get("next_retraining") if alive else None,
        "scheduled_jobs": told.get("scheduled_jobs", []) if alive else [],
        "model_path": None if row is None else str(root / row.path),
        "backup_path": None if backup is None or backup.state != "complete" else str(root / backup.path),
        "last_cycle": None
        if not recent
        else {
            "cycle_id": recent[0].id,
            "outcome": _outcome(recent[0], runs=holder is not None),
            "started_at": recent[0].started_at.isoformat(),
            "reason": recent[0].reason,
        },
        "families": families if alive else [{**family, **WITHOUT_LOOP} for family in families],
        "stale": bool(premises.desk.view.trouble),
    }


def champion_of(db: Connection, premises: Premises, family: str) -> Champion:
    """Return who serves `family`.

    Raises
    ------
    ProblemError
        503 while nobody serves anything, 404 where others are served.
    """
    found = champions.current(db, Slot(family, premises.desk.view.default_key))
    if found is None:
        anybody = bool(champions.slots(db))
        raise ProblemError(404 if anybody else 503, f"{family} has no champion yet: run `marketloop retrain {family}`")
    return found


def job_document(request: Request) -> dict[str, Any]:
    """Return a request as the API tells it."""
    return {
        "job_id": request.id,
        "state": request.state,
        "trigger": request.trigger,
        "reason": request.reason,
        "families": list(request.families),
        "force": request.force,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at.isoformat(),
        "claimed_at": None if request.claimed_at is None else request.claimed_at.isoformat(),
        "ended_at": None if request.ended_at is None else request.ended_at.isoformat(),
        "cycle_id": request.cycle_id,
        "progress": dict(request.progress),
        "outcome": request.outcome,
        "why_not": request.why_not,
    }


def _outcome(cycle: Cycle, *, runs: bool) -> str:
    """Return the outcome of a cycle: one without an end whose process is gone is what the next cycle will record."""
    return "failed" if cycle.outcome == cycles.RUNNING and not runs else cycle.outcome


def _family(champion: Champion, at: dt.datetime) -> dict[str, Any]:
    return {
        "family": champion.slot.family,
        "config_key": champion.slot.config_key,
        "champion": champion.version,
        "champion_status": champion.status,
        "candidate_age_h": None,
        "champion_age_h": round((at - champion.trained_at).total_seconds() / 3600, 2),
        **WITHOUT_LOOP,
    }
