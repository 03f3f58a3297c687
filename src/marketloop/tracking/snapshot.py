"""What the ledger says of one version, gathered for a mirror."""

from __future__ import annotations

from dataclasses import dataclass

from marketloop.state import Slot, State, champions, decisions, versions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.outbox import Message
from marketloop.state.versions import Version

__all__ = ["Snapshot", "snapshot"]


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
    """

    version: Version
    decision: Decision | None
    roles: dict[str, int | None]


def snapshot(state: State, message: Message) -> Snapshot:
    """Return what the ledger says now of the version that a message names."""
    slot = Slot(message.payload["family"], message.payload["config_key"])
    number = int(message.payload["version"])
    with state.read() as db:
        champion, previous = champions.current(db, slot), champions.previous(db, slot)
        return Snapshot(
            version=versions.require(db, slot, number),
            decision=decisions.latest(db, slot, number),
            roles={
                "champion": champion.version if champion else None,
                "previous": previous.version if previous else None,
                "challenger": _challenger(versions.listing(db, slot), champion),
            },
        )


def _challenger(rows: tuple[Version, ...], champion: Champion | None) -> int | None:
    examined = [row.version for row in rows if row.state == "complete" and (row.verdict or row.metrics)]
    others = [number for number in examined if champion is None or number != champion.version]
    return max(others, default=None)
