"""Taking a champion out of service without replacing it: it stays, provisional, and its recipe begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from marketloop.core.errors import FailedError
from marketloop.state import Connection, Slot, champions, decisions, skill, streams
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.skill import Finding

__all__ = ["Demotion", "demote"]


@dataclass(frozen=True, slots=True)
class Demotion:
    """Why a champion is no longer trusted.

    Parameters
    ----------
    session : int
        Session at whose close it was found.
    reason : str
        One plain sentence.
    z, n : float, int
        Statistic of its live evidence, and terms that it was made of.
    record : mapping
        The numbers.
    cycle_id : str
    """

    session: int
    reason: str
    z: float
    n: int
    record: Mapping[str, Any] = field(default_factory=dict)
    cycle_id: str = ""


def demote(db: Connection, slot: Slot, why: Demotion, *, expected: int, at: datetime) -> tuple[Champion, Decision]:
    """Write decision, champion entry, lost skill and the end of the stream; all of it or, by the transaction, nothing.

    The stream that made the champion loses its skill. Where it is still the slot's open one it is closed, and an empty
    one of the same recipe is opened at this session: its scores begin afterwards (GATE.md, 4). The stream of another
    recipe, declared since, has done no harm and goes on.
    """
    now = champions.current(db, slot)
    if now is None:
        raise FailedError(f"{slot} has no champion that could be taken out of service")
    word = Decision(slot, now.version, "harm", "harm", why.reason, at, why.cycle_id, why.record)
    decision = decisions.record(db, word)
    fallen = replace(
        now,
        action="harm",
        status="provisional",
        skill_proven=False,
        recorded_at=at,
        decision_id=decision.id,
        session=why.session,
    )
    fallen = champions.append(db, fallen, expected=expected)
    if now.stream_id is not None:
        skill.record(db, Finding(now.stream_id, slot, why.session, "lost", why.z, why.n, at))
        _restart(db, slot, now.stream_id, session=why.session, at=at)
    return fallen, decision


def _restart(db: Connection, slot: Slot, stream_id: str, *, session: int, at: datetime) -> None:
    held = streams.find(db, slot)
    if held is None or held.id != stream_id:
        return
    streams.close(db, held.id, session=session, because=streams.HARM)
    streams.open_stream(db, slot, fingerprint=held.fingerprint, session=session, at=at)
