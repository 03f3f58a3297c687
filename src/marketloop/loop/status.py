"""Where the project stands: champions, ages, what runs next, and why a retraining would or would not run now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from marketloop.loop.agenda import names_of
from marketloop.loop.conditions import running_cycle, why_not_now
from marketloop.loop.context import NO_INDEX, newest_index
from marketloop.loop.cycle import CycleRequest
from marketloop.loop.due import NextRun, next_runs, waiting_slots
from marketloop.loop.early import nothing_new
from marketloop.loop.house import House, enabled_families
from marketloop.loop.pulse import LEASE, is_fresh
from marketloop.loop.schedules import plan
from marketloop.state import champions, cycles, heartbeats, requests, versions
from marketloop.state.champions import Champion
from marketloop.state.requests import Request

__all__ = ["plan_document", "status_document"]

HEADLINE: Final = ("f1_score", "accuracy", "precision", "recall")
NO_LOOP: Final = "no loop is running: start one with `marketloop up`"
LATEST: Final = 10


def status_document(house: House) -> dict[str, Any]:
    """Return the `status` document: the primary family's figures on top, then one entry per family.

    `running` says whether a loop runs, `cycle_running` whether a cycle does. Without a loop nothing runs next, whatever
    the schedules say.
    """
    primary, at = house.slot(house.settings.serve.primary), house.clock.now()
    champion = house.registry.champion(primary)
    with house.state.read() as db:
        beat = heartbeats.last(db, LEASE)
        recent = cycles.recent(db, limit=1)
        asked = requests.recent(db, limit=LATEST)
        row = None if champion is None else versions.get(db, primary, champion.version)
    return {
        "running": is_fresh(beat, at),
        "loop_seen_at": None if beat is None else beat.at.isoformat(),
        "cycle_running": running_cycle(house) is not None,
        "current_metrics": {} if row is None else {k: row.metrics.get(k) for k in HEADLINE},
        "baseline": {} if row is None else {k: row.baseline.get(k) for k in HEADLINE},
        **plan_document(house, at=at, running=is_fresh(beat, at)),
        "model_path": None if row is None else str(house.registry.root / row.path),
        "backup_path": _previous_path(house, champion),
        "data_version": house.store.version,
        "last_cycle": None
        if not recent
        else {
            "cycle_id": recent[0].id,
            "outcome": recent[0].outcome,
            "started_at": recent[0].started_at.isoformat(),
            "reason": recent[0].reason,
        },
        "requests": [_request(request) for request in asked],
    }


def plan_document(house: House, *, at: dt.datetime, running: bool = True) -> dict[str, Any]:
    """Return the part of the `status` document that a loop tells in its heartbeat, for readers that cannot compute it.

    Parameters
    ----------
    running : bool
        Whether a loop runs; without one there is no next run.
    """
    runs = next_runs(house, at=at)
    by_name = {run.name: run for run in runs}
    waiting = {name: why for key, why in waiting_slots(house).items() for name in names_of(key)}
    jobs = [
        {
            "name": schedule.name,
            "families": list(schedule.families),
            "schedule": schedule.line,
            "timezone": schedule.zone,
            "tune": schedule.tune,
            "next_run": by_name[schedule.name].at.isoformat() if running else None,
            "waiting_for": waiting.get(schedule.name),
        }
        for schedule in plan(house.settings, house.catalog)
    ]
    families = enabled_families(house)
    idle = nothing_new(house, families, CycleRequest())
    return {
        "next_retraining": runs[0].at.isoformat() if runs and running else None,
        "scheduled_jobs": jobs,
        "families": [_family(house, name, at=at, idle=idle, runs=runs if running else ()) for name in families],
    }


def _family(
    house: House, name: str, *, at: dt.datetime, idle: Mapping[str, str], runs: tuple[NextRun, ...]
) -> dict[str, Any]:
    slot = house.slot(name)
    champion = house.registry.champion(slot)
    with house.state.read() as db:
        trained = [v for v in versions.listing(db, slot) if v.state == "complete"]
    why = why_not_now(house, name, trigger="manual", at=at)
    if why is None and house.store.version is None:
        why = "there are no bars to learn from: run `marketloop collect`"
    if why is None and house.catalog.family(name).unit == "session" and newest_index(house) is None:
        why = NO_INDEX
    next_run = next((run.at.isoformat() for run in runs if name in run.families), None)
    return {
        "family": name,
        "config_key": slot.config_key,
        "champion": None if champion is None else champion.version,
        "champion_status": None if champion is None else champion.status,
        "candidate_age_h": _hours(at, trained[-1].trained_at) if trained else None,
        "champion_age_h": None if champion is None else _hours(at, champion.trained_at),
        "next_run": next_run,
        "why_no_run": None if next_run else _why_no_run(house, name),
        "can_retrain_now": why is None and name not in idle,
        "why_not": why or idle.get(name),
    }


def _why_no_run(house: House, name: str) -> str:
    """Say why no schedule will run a family."""
    if house.settings.retraining.schedule == "off":
        return '[retraining] schedule = "off": nothing is scheduled'
    scheduled = any(name in schedule.families for schedule in plan(house.settings, house.catalog))
    return NO_LOOP if scheduled else f"no schedule names it: give it one with [family.{name}] schedule"


def _request(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "trigger": request.trigger,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at.isoformat(),
        "families": list(request.families),
        "state": request.state,
        "outcome": request.outcome,
        "why_not": request.why_not,
    }


def _previous_path(house: House, champion: Champion | None) -> str | None:
    if champion is None:
        return None
    with house.state.read() as db:
        from_ledger = champions.previous(db, champion.slot)
        row = None if from_ledger is None else versions.get(db, champion.slot, from_ledger.version)
    return None if row is None or row.state != "complete" else str(house.registry.root / row.path)


def _hours(now: dt.datetime, then: dt.datetime) -> float:
    return round((now - then).total_seconds() / 3600, 2)
