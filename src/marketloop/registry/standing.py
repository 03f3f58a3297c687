"""Who serves, changed by hand or by the guard: rollback, pin, and what keeps a version from being promoted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from marketloop.core.errors import RefusedError, UsageError
from marketloop.state import Connection, Slot, champions, decisions, skill, streams, versions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = [
    "Back",
    "check_pin",
    "examined_decision",
    "is_proven",
    "pin",
    "pinned_reason",
    "roll_back",
    "rollback_target",
]

_GATE_WORDS = frozenset({"promoted", "provisional", "refused"})


@dataclass(frozen=True, slots=True)
class Back:
    """Why a slot goes back to an earlier version.

    Parameters
    ----------
    reason : str
        One plain sentence; never empty.
    record : mapping
        The numbers, where there are some.
    cycle_id : str
        Cycle that decided; empty for a rollback by hand.
    by : str
        ``rollback`` by hand, ``guard`` by the guard: the reason code of the decision.
    """

    reason: str
    record: Mapping[str, Any] = field(default_factory=dict)
    cycle_id: str = ""
    by: str = "rollback"

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise UsageError('a rollback needs a reason: it is audited; add --reason "why"')


def rollback_target(db: Connection, slot: Slot, to: int | None) -> tuple[Champion, Champion]:
    """Return the champion, and the entry to which the slot goes back, with the status in which it may serve now.

    Raises
    ------
    UsageError
        Version `to` does not exist, or belongs to another configuration only.
    RefusedError
        There is nothing to go back to, `to` serves already or never served, or the slot is pinned.
    """
    now = champions.current(db, slot)
    if now is None:
        raise RefusedError(f"{slot} has no champion, so there is nothing to roll back; run `marketloop retrain`")
    check_pin(db, slot)
    if to is None:
        target = champions.previous(db, slot)
        if target is None:
            raise RefusedError(f"{slot} has no version before version {now.version}; name one that served once")
        return now, _as_trusted_now(db, target)
    if to == now.version:
        raise RefusedError(f"version {to} of {slot} is the champion already")
    versions.require(db, slot, to)
    found = next((entry for entry in champions.history(db, slot) if entry.version == to), None)
    if found is None:
        raise RefusedError(f"version {to} of {slot} never served; promote it with `marketloop promote` instead")
    return now, _as_trusted_now(db, found)


def roll_back(db: Connection, now: Champion, target: Champion, why: Back, *, at: datetime) -> tuple[Champion, Decision]:
    """Write the decision and the entry by which `target` serves again; refused when `now` is no longer the last one.

    The entry remembers the newest session that any stream of the slot had scored: what was known through it has had
    its say, and the next comparison begins behind it.
    """
    slot = now.slot
    if (row := versions.require(db, slot, target.version)).state != "complete":
        raise UsageError(f"version {row.version} of {slot} has no artefact: it is {row.state}")
    reason = f"rolled back from version {now.version} to version {target.version}: {why.reason}"
    word = Decision(slot, target.version, "rollback", why.by, reason, at, why.cycle_id, why.record)
    decision = decisions.record(db, word)
    entry = replace(
        target,
        action="rollback",
        recorded_at=at,
        promoted_at=at,
        decision_id=decision.id,
        pinned=False,
        session=_newest_session(db, now, why),
    )
    return champions.append(db, entry, expected=now.entry), decision


def pin(db: Connection, now: Champion, *, on: bool, reason: str, at: datetime) -> tuple[Champion, Decision]:
    """Write the entry by which the champion is pinned, or free again, with its decision.

    Raises
    ------
    RefusedError
        It is so already.
    """
    if now.pinned == on:
        raise RefusedError(f"{now.slot} is {'pinned' if on else 'not pinned'} already: version {now.version} serves")
    said = f"{'pinned to' if on else 'unpinned from'} version {now.version}: {reason.strip() or 'no reason given'}"
    decision = decisions.record(db, Decision(now.slot, now.version, "pin", "pin" if on else "unpin", said, at))
    entry = replace(now, action="pin", pinned=on, recorded_at=at, decision_id=decision.id)
    return champions.append(db, entry, expected=now.entry), decision


def check_pin(db: Connection, slot: Slot) -> None:
    """Raise `RefusedError` when the slot is pinned."""
    reason = pinned_reason(champions.current(db, slot))
    if reason is not None:
        raise RefusedError(f"{slot} {reason}")


def pinned_reason(now: Champion | None) -> str | None:
    """Return why nothing else may serve and nothing is trained in a pinned slot; None where it is not pinned."""
    if now is None or not now.pinned:
        return None
    family = now.slot.family
    return f"is pinned to version {now.version}; unpin it first: `marketloop pin {family} --off`"


def is_proven(db: Connection, stream_id: str | None) -> bool:
    """Say whether the recipe behind a stream has shown skill and not lost it since."""
    found = None if stream_id is None else skill.current(db, stream_id)
    return found is not None and found.state == "proven"


def examined_decision(db: Connection, row: Version) -> Decision:
    """Return the gate's newest word on a version that may be served by hand: no hard check of it failed.

    Raises
    ------
    RefusedError
        The gate never examined it, or a hard check failed: that is never overruled.
    """
    history = decisions.history(db, row.slot, version=row.version)
    word = next((d for d in history if d.verdict in _GATE_WORDS and d.record.get("checks")), None)
    name = f"version {row.version} of {row.slot}"
    if word is None:
        raise RefusedError(
            f"{name} was never examined by the gate (`train` only makes candidates), so its hard checks are unknown: "
            f'run `marketloop retrain {row.slot.family} --force --reason "..."`'
        )
    failed = next((c for c in word.record["checks"] if c["hard"] and not c["passed"]), None)
    if failed is not None:
        raise RefusedError(
            f"{name} failed the hard check {failed['name']} ({failed.get('detail', '')}): that is never overruled; "
            "mend the cause and retrain"
        )
    return word


def _as_trusted_now(db: Connection, target: Champion) -> Champion:
    found = None if target.stream_id is None else skill.current(db, target.stream_id)
    lost = found is not None and found.state == "lost"
    return replace(target, status="provisional", skill_proven=False) if lost else target


def _newest_session(db: Connection, now: Champion, why: Back) -> int | None:
    """Return the newest session that anybody had looked at: a stream, the gate that promoted, or who decided this."""
    scored = (streams.blocks_of(db, stream.id) for stream in streams.history(db, now.slot))
    known = [blocks[-1].last_session for blocks in scored if blocks]
    known += [int(session) for session in (now.session, why.record.get("session")) if session is not None]
    return max(known, default=None)
