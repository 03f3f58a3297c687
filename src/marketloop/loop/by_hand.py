"""Promotion by hand: past the gate's opinion, never past a hard check, on the same road as a cycle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop.flight import BusyError, take_cycle
from marketloop.loop.house import House
from marketloop.loop.predicting import Voice, score_version
from marketloop.registry import Ruling
from marketloop.registry.standing import examined_decision, is_proven
from marketloop.state import Slot, lease, versions
from marketloop.state.decisions import Decision
from marketloop.state.lease import Lease
from marketloop.state.versions import Version

__all__ = ["holding_cycle", "promote_by_hand"]


def promote_by_hand(house: House, family: str, version: int, *, reason: str) -> dict[str, Any]:
    """Make a version the champion because somebody says so, and return the `promote` document.

    Artefact and hard checks are looked at first, then it is asked about the newest session: what it says is journalled
    before it serves. It is provisional while the skill of its recipe is unproven.

    Raises
    ------
    UsageError
        The family or the version is unknown, the version belongs to another configuration, or there is no reason.
    RefusedError
        It serves already, was never examined, failed a hard check, the slot is pinned, or a cycle is running.
    FailedError
        Its artefact is damaged; nothing is changed.
    """
    if not reason.strip():
        raise UsageError('a promotion by hand needs a reason: it is audited; add --reason "why"')
    slot = house.slot(family)
    row, word, proven = _looked_at(house, slot, version)
    board = score_version(house, Voice(slot, version, not proven))
    with holding_cycle(house) as held:
        before = house.registry.champion(slot)
        if before is not None and before.version == version:
            raise RefusedError(f"version {version} of {slot} is the champion already")
        house.registry.write_scoreboard(slot, version, board, at=house.clock.now())
        ruling = Ruling(
            verdict="promoted",
            reason_code="forced",
            reason=f"promoted by hand: {reason}; the gate said: {word.reason}",
            record={
                "by_hand": True,
                "forced_reason": reason,
                "gate_decision": word.id,
                "checks": word.record["checks"],
                "data_version": row.data_version,
            },
            skill_proven=proven,
            session=word.record.get("session"),
        )
        expected = before.entry if before is not None else 0
        now = house.registry.promote(slot, version, ruling, expected=expected, held=held, at=house.clock.now())
    return {
        "family": slot.family,
        "config_key": slot.config_key,
        "version": version,
        "previous": None if before is None else before.version,
        "verdict": ruling.verdict,
        "reason_code": ruling.reason_code,
        "reason": ruling.reason,
        "status": now.status,
        "skill_proven": now.skill_proven,
        "metrics": row.metrics,
        "baseline": row.baseline,
        "decision": now.decision_id,
        "as_of": max(prediction.as_of for prediction in board).isoformat(),
    }


def _looked_at(house: House, slot: Slot, version: int) -> tuple[Version, Decision, bool]:
    """Return the version, the gate's word on it, and whether its recipe's skill is proven; or say why it cannot be."""
    with house.state.read() as db:
        row = versions.get(db, slot, version)
        if row is None:
            keys = {r.slot.config_key for r in versions.listing(db) if r.slot.family == slot.family}
            elsewhere = sorted(key for key in keys if versions.get(db, Slot(slot.family, key), version) is not None)
            if elsewhere:
                raise UsageError(
                    f"version {version} of {slot.family} belongs to the configuration {', '.join(elsewhere)} and this "
                    f"project uses {slot.config_key}: set [strategy], or give --rsi-period, --vol-lookback and "
                    "--support-lookback"
                )
        row = versions.require(db, slot, version)
    manifest = house.registry.load(slot, version).manifest
    with house.state.read() as db:
        return row, examined_decision(db, row), is_proven(db, manifest.get("stream_id"))


@contextmanager
def holding_cycle(house: House) -> Iterator[Lease]:
    """Hold the lease of a cycle; raise `BusyError` while one is running."""
    with house.state.write() as db:
        mine, holder = take_cycle(db, at=house.clock.now())
    if mine is None:
        raise BusyError(
            f"a cycle is running{f' ({holder.process})' if holder else ''}: wait for it, or look at `marketloop status`"
        )
    try:
        yield mine
    finally:
        with house.state.write() as db:
            lease.release(db, mine, at=house.clock.now())
