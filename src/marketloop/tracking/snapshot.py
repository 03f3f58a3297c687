"""What the ledger says of one version, gathered for a mirror."""

from __future__ import annotations

from dataclasses import dataclass

from marketloop.state import Slot, State, champions, decisions, versions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.outbox import Message
from marketloop.state.versions import Version

__all__ = ["Snapshot", "snapshot", "snapshot_of"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version as the ledger knows it now, and the roles in its slot.

    A mirror copies the present, not the message: a message that comes late, or twice, brings it no further back.

    Parameters
    ----------
    version : Version
    decision : Decision, optional
        The latest one on it.
    roles : dict of role to version number or None
        ``champion``; ``previous``, where a rollback leads; ``challenger``, the newest other version.
    best : int, optional
        Version of the slot with the greatest main figure.
    """

    version: Version
    decision: Decision | None
    roles: dict[str, int | None]
    best: int | None = None


def snapshot(state: State, message: Message) -> Snapshot:
    """Return what the ledger says now of the version that a message names."""
    slot = Slot(message.payload["family"], message.payload["config_key"])
    return snapshot_of(state, slot, int(message.payload["version"]))


def snapshot_of(state: State, slot: Slot, number: int) -> Snapshot:
    """Return what the ledger says now of a version."""
    with state.read() as db:
        champion, previous = champions.current(db, slot), champions.previous(db, slot)
        rows = versions.listing(db, slot)
        best = versions.best(row for row in rows if row.state in {"complete", "deleted"})
        return Snapshot(
            version=versions.require(db, slot, number),
            decision=decisions.latest(db, slot, number),
            roles={
                "champion": champion.version if champion else None,
                "previous": previous.version if previous else None,
                "challenger": _challenger(rows, champion),
            },
            best=best.version if best else None,
        )


def _challenger(rows: tuple[Version, ...], champion: Champion | None) -> int | None:
    examined = [row.version for row in rows if row.state == "complete" and (row.verdict or row.metrics)]
    others = [number for number in examined if champion is None or number != champion.version]
    return max(others, default=None)
