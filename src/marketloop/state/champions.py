"""The champion ledger: who served when; append-only, with compare-and-swap on the previous entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from marketloop.core.errors import FailedError, UsageError
from marketloop.state.columns import Slot
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import champions, decisions

__all__ = ["ACTIONS", "Champion", "append", "at", "current", "history", "previous", "reign", "returned", "slots"]

ACTIONS = ("promote", "refresh", "provisional", "rollback", "forced", "harm", "pin")
_NO_PROMOTION = frozenset({"rollback", "harm", "pin"})
_STATUSES = ("champion", "provisional")


@dataclass(frozen=True, slots=True)
class Champion:
    """One entry of the ledger: from `recorded_at` on, `version` fills the slot.

    Parameters
    ----------
    slot : Slot
    version : int
    action : str
        ``promote`` (first or superior), ``refresh``, ``provisional``, ``rollback``, ``forced``, ``harm`` or ``pin``.
    status : str
        ``champion``, or ``provisional``: served, but its signals are HOLD.
    skill_proven, pinned : bool
    recorded_at, promoted_at, trained_at : datetime
        When the entry was made, when this version came to serve, when it was fitted.
    data_version, sha256 : str
        Of the version; the hash is that of its manifest.
    decision_id : int
    session : int, optional
        Session at whose close it was decided; its number, as all sessions here.
    trained_through : int, optional
        Last session whose labels the version has seen.
    stream_id : str, optional
        Stream of the recipe that made it.
    entry : int
        Position in the slot's ledger, from 1; 0 until it is appended.
    """

    slot: Slot
    version: int
    action: str
    status: str
    skill_proven: bool
    recorded_at: datetime
    promoted_at: datetime
    trained_at: datetime
    data_version: str
    sha256: str
    decision_id: int
    pinned: bool = False
    session: int | None = None
    trained_through: int | None = None
    stream_id: str | None = None
    entry: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise UsageError(f'champion action "{self.action}": expected one of {", ".join(ACTIONS)}')
        if self.status not in _STATUSES:
            raise UsageError(f'champion status "{self.status}": expected one of {", ".join(_STATUSES)}')
        if self.status == "champion" and not self.skill_proven:
            raise UsageError(f"version {self.version} of {self.slot} has no proven skill; it can only be provisional")


def append(db: Connection, champion: Champion, *, expected: int) -> Champion:
    """Append an entry if the slot's last one is still number `expected` (0: none), and return it numbered.

    Raises
    ------
    FailedError
        Somebody else changed the champion since `expected` was read; nothing is written.
    """
    slot = champion.slot
    last = db.scalar(select(func.max(champions.c.entry)).where(in_slot(champions, slot))) or 0
    if last != expected:
        raise FailedError(
            f"the champion of {slot} changed meanwhile: expected ledger entry {expected}, found {last}; "
            "nothing was promoted, run the cycle again"
        )
    numbered = replace(champion, entry=last + 1)
    db.execute(champions.insert().values(to_row(numbered)))
    return numbered


def current(db: Connection, slot: Slot) -> Champion | None:
    """Return the entry that holds now."""
    return next(iter(history(db, slot, limit=1)), None)


def at(db: Connection, slot: Slot, moment: datetime) -> Champion | None:
    """Return the entry that held at `moment`, None before the first."""
    query = (
        select(champions)
        .where(in_slot(champions, slot), champions.c.recorded_at <= moment)
        .order_by(champions.c.entry.desc())
        .limit(1)
    )
    row = db.execute(query).mappings().first()
    return None if row is None else from_row(Champion, row)


def previous(db: Connection, slot: Slot) -> Champion | None:
    """Return the entry that served before the current version was promoted: where a rollback leads.

    Entries made by a rollback do not count as the promotion of their version, so rolling back twice goes back two
    versions instead of returning to the one just left.
    """
    now = current(db, slot)
    if now is None:
        return None
    entries = history(db, slot)
    promotions = (e.entry for e in entries if e.version == now.version and e.action not in _NO_PROMOTION)
    origin = next(promotions, now.entry)
    return next((e for e in entries if e.entry < origin and e.version != now.version), None)


def returned(entries: Iterable[Champion]) -> int | None:
    """Return the newest session that was known when the present champion came back by a rollback.

    None where it did not come back: it was promoted since, or no session was known. Pins and alarms in between belong
    to the same return.

    Parameters
    ----------
    entries : champions
        The ledger of a slot, newest first, as `history` gives it.
    """
    version = None
    for entry in entries:
        if version not in {None, entry.version}:
            return None
        version = entry.version
        if entry.action not in _NO_PROMOTION:
            return None
        if entry.action == "rollback":
            return entry.session
    return None


def history(db: Connection, slot: Slot, *, limit: int | None = None) -> tuple[Champion, ...]:
    """Return the entries of a slot, newest first."""
    query = select(champions).where(in_slot(champions, slot)).order_by(champions.c.entry.desc()).limit(limit)
    return tuple(from_row(Champion, row) for row in db.execute(query).mappings())


def slots(db: Connection) -> tuple[Slot, ...]:
    """Return every slot that ever had a champion, sorted."""
    rows = db.execute(select(champions.c.family, champions.c.config_key).distinct())
    return tuple(sorted(Slot(family, key) for family, key in rows))


def reign(db: Connection, slot: Slot, *, since_session: int) -> int:
    """Return how many superiority promotions over a proven champion the slot saw from `since_session` on.

    The gate halves its level for each of them (GATE.md, section 4). A version that takes over from a provisional one
    was compared with nobody, so nothing was spent on it.
    """
    before = champions.alias("before")
    query = (
        select(func.count())
        .select_from(champions)
        .join(decisions, decisions.c.id == champions.c.decision_id)
        .join(
            before,
            (before.c.family == champions.c.family)
            & (before.c.config_key == champions.c.config_key)
            & (before.c.entry == champions.c.entry - 1),
        )
        .where(
            in_slot(champions, slot),
            champions.c.action == "promote",
            champions.c.session >= since_session,
            decisions.c.reason_code == "superior",
            before.c.status == "champion",
        )
    )
    return db.scalar(query) or 0
