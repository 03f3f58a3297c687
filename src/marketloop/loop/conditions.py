"""Why a cycle would be pointless or impossible now: one sentence, or None.

In two layers: `why_not_now` asks the ledger, the disk and the plugins and reads no bars; `why_not` counts, once the
rows are made, what is new among them.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from typing import TYPE_CHECKING, Final

import numpy as np

from marketloop.loop.house import House
from marketloop.loop.results import FamilyResult
from marketloop.registry.standing import pinned_reason
from marketloop.state import cycles, streams, versions
from marketloop.state.sight import living_holder

if TYPE_CHECKING:  # neither layer runs anything of these, and the first must be quick to import
    from marketloop.evaluation.stream import StreamSpec
    from marketloop.loop.preparing import Prepared

__all__ = [
    "LEAST_FREE_GB",
    "NEW_SESSIONS",
    "TOLERANCE",
    "running_cycle",
    "skipped",
    "too_little",
    "trained_through",
    "why_not",
    "why_not_now",
]

LEAST_FREE_GB = 0.2
NEW_SESSIONS = 20
"""New labels that a family with one row per session waits for, unless ``min_new_samples`` is lower."""
TOLERANCE: Final = dt.timedelta(hours=2)
"""By how much an event may come too early after the last start, for what starts at about the same time each day."""
REACTING: Final = ("event", "drift")
"""Triggers that nobody chose the time of: only these wait for ``[retraining] min_interval_hours``."""


def why_not_now(house: House, family: str, *, trigger: str, at: dt.datetime) -> str | None:
    """Return why a cycle of `family` could not or should not begin now, in one sentence with its remedy; or None.

    Parameters
    ----------
    trigger : str
        ``event`` and ``drift`` keep a distance of ``[retraining] min_interval_hours`` to the last start of any cycle
        (start to start, `TOLERANCE`); ``schedule`` keeps none; ``manual`` may also begin without bars, which the cycle
        itself collects.
    at : datetime
        Now. A start that lies further in its future than the interval was recorded by a clock that ran ahead, and does
        not count.

    Raises
    ------
    UsageError
        The family is unknown.
    """
    reason = running_cycle(house) or _standing(house, family)
    if reason is None and trigger != "manual" and house.store.version is None:
        reason = "there are no bars to learn from: run `marketloop collect`"
    if reason is None and trigger in REACTING:
        reason = _too_soon(house, at)
    return reason


def why_not(house: House, family: str, spec: StreamSpec, prepared: Prepared, *, force: bool = False) -> str | None:
    """Return why `family` should not be trained now; `force` skips the count of new labels, never disk or vetoes.

    New matured rows since the last training are counted by the session on which their label became known. A recipe
    that was never trained in this slot is always due.
    """
    return _standing(house, family) or (None if force else _too_little_new(house, family, spec, prepared))


def running_cycle(house: House) -> str | None:
    """Say which cycle is running; None when none is, or when the process that began it is dead.

    A process of another host counts as dead when this host has seen it give no sign of life for `lease.PATIENCE`; the
    look itself is what is written down for the next one.
    """
    held = living_holder(house.state, "cycle", at=house.clock.now())
    if held is None:
        return None
    return (
        f"another cycle is running ({held.process}, since {held.acquired_at:%Y-%m-%d %H:%M} UTC): wait for it, or look "
        "at `marketloop status`"
    )


def _standing(house: House, family: str) -> str | None:
    """Return what stands in the way of any training, forced or not: a pin, disk, registry, a plugin's veto."""
    pinned = pinned_reason(house.registry.champion(house.slot(family)))
    if pinned is not None:
        return f"{family} {pinned}"
    free = shutil.disk_usage(house.project.root).free / 1e9
    if free < LEAST_FREE_GB:
        return f"{free:.2f} GB of disk are free, at least {LEAST_FREE_GB} are needed: free some space"
    vetoes = (veto(house=house, family=family) for veto in house.catalog.conditions.values())
    reason = next((str(reason) for reason in vetoes if reason is not None), None)
    return _registry_away(house) if reason is None else reason


def _registry_away(house: House) -> str | None:
    """Say when artefacts could not be read or written; a folder that is still to be made counts by its parent."""
    folder = house.registry.root
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f'the registry "{house.registry.root}" cannot be made, because "{folder}" is a file: move it away'
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return None
    return f'the registry "{folder}" cannot be read and written: correct its permissions, or mount it again'


def _too_soon(house: House, at: dt.datetime) -> str | None:
    least = dt.timedelta(hours=house.settings.retraining.min_interval_hours)
    with house.state.read() as db:
        started = [cycle.started_at for cycle in cycles.recent(db, limit=5)]
    # The distance counts on both sides: a clock that was put back an hour must not let the next event through.
    near = min(started, key=lambda start: abs(at - start), default=None)
    if near is None or abs(at - near) >= least - TOLERANCE:
        return None
    return (
        f"the last cycle started {abs(at - near).total_seconds() / 3600:.1f} h ago ({near:%Y-%m-%d %H:%M} UTC) and "
        f"[retraining] min_interval_hours asks for {least.total_seconds() / 3600:g} h (2 h less will do): wait, or run "
        "`marketloop retrain`"
    )


def _too_little_new(house: House, family: str, spec: StreamSpec, prepared: Prepared) -> str | None:
    last = trained_through(house, family, spec.fingerprint)
    if last is None:
        return None
    known = prepared.matrix.known_on
    fresh = int(((known > last) & (known <= prepared.panel.last)).sum())
    most = NEW_SESSIONS if spec.family.unit == "session" else len(prepared.panel.tickers)
    least = min(house.settings.retraining.min_new_samples, most)
    sessions = len(np.unique(known[(known > last) & (known <= prepared.panel.last)]))
    if sessions >= 1 and fresh >= least:
        return None
    return too_little(fresh, least, prepared.sessions.date(last))


def trained_through(house: House, family: str, fingerprint: str) -> int | None:
    """Return the last session whose close the recipe of `fingerprint` has learned from; None if it never was trained.

    A version without a verdict was interrupted before the gate spoke: it is no training that counts.
    """
    slot = house.slot(family)
    with house.state.read() as db:
        row = streams.find(db, slot)
        rows = versions.listing(db, slot)
    if row is None or row.fingerprint != fingerprint:
        return None
    # What another recipe has learned from in this slot is nothing that this one knows.
    cards = [v.scorecard for v in rows if v.verdict and v.scorecard.get("fingerprint", fingerprint) == fingerprint]
    known = (card["trained_through"] for card in cards if card.get("trained_through") is not None)
    return max(map(int, known), default=None)


def too_little(fresh: int, least: int, day: dt.date) -> str:
    """Say that `fresh` labels since the training through `day` are too few."""
    return (
        f"{fresh} labels have become known since the last training (through {day}), at least {least} of one new "
        'session are needed: collect newer bars, or use --force --reason "..."'
    )


def skipped(family: str, reason: str, *, code: str = "not_due") -> FamilyResult:
    """Return the result of a family that was not due, or (``busy``) whose turn could not begin."""
    return FamilyResult(family, "skipped", code, reason)
