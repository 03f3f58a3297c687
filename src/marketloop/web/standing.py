"""Where the project stands, read from the ledger: nothing is computed here that the loop could have told."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from marketloop.state import Connection, Slot, champions, cycles, heartbeats, lease, this_process, versions
from marketloop.state.champions import Champion
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.lease import Lease
from marketloop.state.requests import Request
from marketloop.web.premises import Premises
from marketloop.web.problems import ProblemError

__all__ = ["FRESH", "champion_of", "is_held", "job_document", "loop_is_alive", "status_document"]

FRESH: Final = dt.timedelta(seconds=90)
HEADLINE: Final = ("f1_score", "accuracy", "precision", "recall")
NO_LOOP: Final = "no loop is running: start one with `marketloop up`"
WITHOUT_LOOP: Final = {"next_run": None, "can_retrain_now": False, "why_not": NO_LOOP}


def status_document(premises: Premises) -> dict[str, Any]:
    """Return the document of A2: what the loop told last, with what the ledger says now on top."""
    at = premises.clock.now()
    slot = Slot(premises.settings.serve.primary, premises.desk.view.default_key)
    with premises.state.read() as db:
        beat = heartbeats.last(db, "loop")
        alive = loop_is_alive(beat, at)
        held = lease.holder(db, "cycle")
        champion = champions.current(db, slot)
        row = None if champion is None else versions.get(db, slot, champion.version)
        before = None if champion is None else champions.previous(db, slot)
        backup = None if before is None else versions.get(db, slot, before.version)
        recent = cycles.recent(db, limit=1)
        known = [champions.current(db, held_slot) for held_slot in champions.slots(db)]
    told: dict[str, Any] = {} if beat is None else dict(beat.document.get("status", {}))
    root = premises.project.models / "registry"
    families = told.get("families") or [_family(entry, at) for entry in known if entry is not None]
    return {
        **told,
        "running": alive,
        "cycle_running": held is not None and is_held(held, at),
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
            "outcome": recent[0].outcome,
            "started_at": recent[0].started_at.isoformat(),
            "reason": recent[0].reason,
        },
        "families": families if alive else [{**family, **WITHOUT_LOOP} for family in families],
        "stale": bool(premises.desk.view.trouble),
    }


def is_held(held: Lease, at: dt.datetime) -> bool:
    """Say whether the holder of a lease seems to live.

    Of a process on this host that is known. Of another host there is only its heartbeat, by its own clock: good
    enough to tell people, not to take the lease away.
    """
    here = this_process()
    if held.process.host == here.host:
        return not held.process.is_dead(here)
    return abs(at - held.heartbeat_at) <= 2 * lease.PATIENCE


def loop_is_alive(beat: Heartbeat | None, at: dt.datetime) -> bool:
    """Say whether a loop worker gave a sign of life lately and has not died since."""
    if beat is None or beat.document.get("stopped") or beat.process.is_dead(this_process()):
        return False
    return abs(at - beat.at) <= FRESH


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
