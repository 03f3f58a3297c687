"""Where the project stands: champions, ages, and why a retraining would or would not run now."""

from __future__ import annotations

import datetime as dt
from typing import Any

from marketloop.loop.house import House, enabled_families
from marketloop.state import champions, cycles, lease, this_process, versions
from marketloop.state.champions import Champion

__all__ = ["status_document"]


def status_document(house: House) -> dict[str, Any]:
    """Return the `status` document: the primary family's figures on top, then one entry per family."""
    primary = house.slot(house.settings.serve.primary)
    champion = house.registry.champion(primary)
    with house.state.read() as db:
        held = lease.holder(db, "cycle")
        recent = cycles.recent(db, limit=1)
        row = None if champion is None else versions.get(db, primary, champion.version)
    alive = held is not None and not held.process.is_dead(this_process())
    return {
        "running": alive,
        "current_metrics": {} if row is None else {k: row.metrics.get(k) for k in _HEADLINE},
        "baseline": {} if row is None else {k: row.baseline.get(k) for k in _HEADLINE},
        "next_retraining": None,
        "scheduled_jobs": [],
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
        "families": [_family(house, name, busy=alive) for name in enabled_families(house)],
    }


_HEADLINE = ("f1_score", "accuracy", "precision", "recall")


def _family(house: House, name: str, *, busy: bool) -> dict[str, Any]:
    slot = house.slot(name)
    champion = house.registry.champion(slot)
    with house.state.read() as db:
        trained = [v for v in versions.listing(db, slot) if v.state == "complete"]
    now = house.clock.now()
    why = "another cycle is running" if busy else None
    if house.store.version is None:
        why = "no bars yet: run `marketloop collect`"
    elif why is None and any(v.verdict and v.data_version == str(house.store.version) for v in trained):
        why = "no bars have come since the last training: run `marketloop collect`"
    return {
        "family": name,
        "config_key": slot.config_key,
        "champion": None if champion is None else champion.version,
        "champion_status": None if champion is None else champion.status,
        "candidate_age_h": _hours(now, trained[-1].trained_at) if trained else None,
        "champion_age_h": None if champion is None else _hours(now, champion.trained_at),
        "next_run": None,
        "can_retrain_now": why is None,
        "why_not": why,
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
