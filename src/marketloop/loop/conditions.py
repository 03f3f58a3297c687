"""Why a cycle would be pointless now: one sentence, or None."""

from __future__ import annotations

import shutil

import numpy as np

from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared
from marketloop.loop.results import FamilyResult
from marketloop.state import streams, versions

__all__ = ["skipped", "why_not"]

LEAST_FREE_GB = 0.2
NEW_SESSIONS = 20
"""New labels that a family with one row per session waits for, unless ``min_new_samples`` is lower."""


def why_not(house: House, family: str, spec: StreamSpec, prepared: Prepared, *, force: bool = False) -> str | None:
    """Return why `family` should not be trained now; `force` skips the count of new labels, never disk or vetoes.

    New matured rows since the last training are counted by the session on which their label became known. A recipe
    that was never trained in this slot is always due.
    """
    free = shutil.disk_usage(house.project.root).free / 1e9
    if free < LEAST_FREE_GB:
        return f"{free:.2f} GB of disk are free, at least {LEAST_FREE_GB} are needed: free some space"
    vetoes = [veto(house=house, family=family) for veto in house.catalog.conditions.values()]
    for reason in vetoes:
        if reason is not None:
            return str(reason)
    return None if force else _too_little_new(house, family, spec, prepared)


def _too_little_new(house: House, family: str, spec: StreamSpec, prepared: Prepared) -> str | None:
    slot = house.slot(family)
    with house.state.read() as db:
        row = streams.find(db, slot)
        # A version without a verdict was interrupted before the gate spoke: it is no training that counts.
        done = [v for v in versions.listing(db, slot) if v.verdict and v.scorecard.get("trained_through") is not None]
    if row is None or row.fingerprint != spec.fingerprint or not done:
        return None
    last = max(int(v.scorecard["trained_through"]) for v in done)
    known = prepared.matrix.known_on
    fresh = int(((known > last) & (known <= prepared.panel.last)).sum())
    most = NEW_SESSIONS if spec.family.unit == "session" else len(prepared.panel.tickers)
    least = min(house.settings.retraining.min_new_samples, most)
    sessions = len(np.unique(known[(known > last) & (known <= prepared.panel.last)]))
    if sessions >= 1 and fresh >= least:
        return None
    day = prepared.sessions.date(last)
    return (
        f"{fresh} labels have become known since the last training (through {day}), at least {least} of one new "
        'session are needed: collect newer bars, or use --force --reason "..."'
    )


def skipped(family: str, reason: str, *, code: str = "not_due") -> FamilyResult:
    """Return the result of a family that was not due, or (``busy``) whose turn could not begin."""
    return FamilyResult(family, "skipped", code, reason)
