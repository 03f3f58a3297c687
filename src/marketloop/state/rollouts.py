"""Rollouts: which second version speaks beside the champion of a slot, and for whom; append-only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from marketloop.core.errors import FailedError, UsageError, unknown_name
from marketloop.state.columns import Slot
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import rollouts

__all__ = ["MODES", "Rollout", "append", "current", "history", "slots"]

MODES: Final = ("off", "shadow", "canary", "ab")
"""``shadow``: journalled and never served; ``canary`` and ``ab``: answers for a share of the tickers."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One entry: from `recorded_at` on, this is how a second version takes part in a slot.

    Parameters
    ----------
    slot : Slot
    mode : {"off", "shadow", "canary", "ab"}
    version : int, optional
        The second version; None when off.
    share : float in [0, 1]
        Of the tickers that it answers for; 0 in shadow and when off.
    salt : str
        Draws the tickers: the same salt draws the same ones, in every process and for ever.
    reason : str
        Why; never empty.
    recorded_at : datetime
    entry : int
        Position among the slot's entries, from 1; 0 until it is appended.
    """

    slot: Slot
    mode: str
    version: int | None
    share: float
    salt: str
    reason: str
    recorded_at: datetime
    entry: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown_name("rollout mode", self.mode, MODES)
        if not (math.isfinite(self.share) and 0 <= self.share <= 1):
            raise UsageError(f"share {self.share:g}: expected a fraction of the tickers from 0 to 1, e.g. 0.1")
        if not self.reason.strip():
            raise UsageError('a rollout needs a reason: it is audited; add --reason "why"')
        if (self.version is None) != (self.mode == "off"):
            raise UsageError(f"rollout {self.mode}: expected {'no version' if self.mode == 'off' else 'a version'}")
        if self.share and not self.answers:
            raise UsageError(f"rollout {self.mode} answers for nobody, so its share is 0 and not {self.share:g}")

    @property
    def answers(self) -> bool:
        """Whether its version answers for anybody."""
        return self.mode in {"canary", "ab"}


def append(db: Connection, rollout: Rollout, *, expected: int) -> Rollout:
    """Append an entry if the slot's last one is still number `expected` (0: none), and return it numbered.

    Raises
    ------
    FailedError
        Somebody else changed the rollout since `expected` was read; nothing is written.
    """
    slot = rollout.slot
    last = db.scalar(select(func.max(rollouts.c.entry)).where(in_slot(rollouts, slot))) or 0
    if last != expected:
        raise FailedError(
            f"the rollout of {slot} changed meanwhile: expected entry {expected}, found {last}; nothing was changed, "
            "look at `marketloop rollout` and decide again"
        )
    numbered = replace(rollout, entry=last + 1)
    db.execute(rollouts.insert().values(to_row(numbered)))
    return numbered


def current(db: Connection, slot: Slot) -> Rollout | None:
    """Return the entry that holds now, None where there never was one; one that is off is returned as such."""
    return next(iter(history(db, slot, limit=1)), None)


def history(db: Connection, slot: Slot, *, limit: int | None = None) -> tuple[Rollout, ...]:
    """Return the entries of a slot, newest first."""
    query = select(rollouts).where(in_slot(rollouts, slot)).order_by(rollouts.c.entry.desc()).limit(limit)
    return tuple(from_row(Rollout, row) for row in db.execute(query).mappings())


def slots(db: Connection) -> tuple[Slot, ...]:
    """Return every slot that ever had a rollout, sorted."""
    rows = db.execute(select(rollouts.c.family, rollouts.c.config_key).distinct())
    return tuple(sorted(Slot(family, key) for family, key in rows))
