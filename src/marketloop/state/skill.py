"""Skill: the years in which a stream is examined, fixed when opened, and what the examinations found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from marketloop.core.errors import RefusedError, UsageError
from marketloop.state.columns import Slot
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import skill_events, skill_years

__all__ = ["Finding", "Year", "changes", "current", "find_year", "open_year", "record", "years"]


@dataclass(frozen=True, slots=True)
class Year:
    """250 sessions of nightly looks at one stream, and the boundary that pays for them (GATE.md, section 4).

    Parameters
    ----------
    stream_id : str
    slot : Slot
    start_session : int
    n0 : int
        Length of the series at the first look.
    k : int
        0 for the slot's first stream of the year, then 1, 2, ...
    alpha : float in (0, 1)
        Probability of a false claim that this year spends.
    z_star : float
        Boundary that z has to reach.
    opened_at : datetime
    """

    stream_id: str
    slot: Slot
    start_session: int
    n0: int
    k: int
    alpha: float
    z_star: float
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """Skill of a stream from a session on: ``proven`` or ``lost``.

    Parameters
    ----------
    stream_id : str
    slot : Slot
    session : int
        Session at whose close it was found.
    state : {"proven", "lost"}
    z, n : float, int
        Statistic and length of the series then.
    recorded_at : datetime
    """

    stream_id: str
    slot: Slot
    session: int
    state: str
    z: float
    n: int
    recorded_at: datetime

    def __post_init__(self) -> None:
        if self.state not in {"proven", "lost"}:
            raise UsageError(f'skill state "{self.state}": expected proven or lost')


def open_year(db: Connection, year: Year) -> Year:
    """Fix a year when it opens; opening the same one again returns the stored one.

    Raises
    ------
    RefusedError
        The stream's year of that session is open with other numbers: they are fixed when it opens.
    """
    found = next((y for y in years(db, year.slot) if _key(y) == _key(year)), None)
    if found is None:
        db.execute(skill_years.insert().values(to_row(year)))
        return year
    if replace(found, opened_at=year.opened_at) != year:
        raise RefusedError(
            f"the year of stream {year.stream_id} from session {year.start_session} is open with n0 {found.n0}, "
            f"alpha {found.alpha:g}, z* {found.z_star:g}; it cannot become n0 {year.n0}, alpha {year.alpha:g}, "
            f"z* {year.z_star:g}"
        )
    return found


def find_year(db: Connection, stream_id: str, *, session: int) -> Year | None:
    """Return the stream's latest year that started at or before `session`."""
    query = (
        select(skill_years)
        .where(skill_years.c.stream_id == stream_id, skill_years.c.start_session <= session)
        .order_by(skill_years.c.start_session.desc())
        .limit(1)
    )
    row = db.execute(query).mappings().first()
    return None if row is None else from_row(Year, row)


def years(db: Connection, slot: Slot) -> tuple[Year, ...]:
    """Return all years of a slot in order of their start; the further streams of a year pay by their number k."""
    query = select(skill_years).where(in_slot(skill_years, slot)).order_by(skill_years.c.start_session)
    return tuple(from_row(Year, row) for row in db.execute(query).mappings())


def record(db: Connection, finding: Finding) -> bool:
    """Record what a look found; return False when that look is recorded already.

    A night that runs twice is one look. Nothing is recorded when the state does not change.
    """
    last = current(db, finding.stream_id)
    if last is not None and (last.state == finding.state or last.session >= finding.session):
        return False
    db.execute(skill_events.insert().values(to_row(finding)))
    return True


def current(db: Connection, stream_id: str) -> Finding | None:
    """Return the latest finding on a stream, None while its skill was never proven."""
    query = (
        select(skill_events)
        .where(skill_events.c.stream_id == stream_id)
        .order_by(skill_events.c.session.desc())
        .limit(1)
    )
    row = db.execute(query).mappings().first()
    return None if row is None else from_row(Finding, row)


def changes(db: Connection) -> int:
    """Return how many findings there are: another number says that somebody's skill was proven or lost."""
    return db.scalar(select(func.count()).select_from(skill_events)) or 0


def _key(year: Year) -> tuple[str, int]:
    return year.stream_id, year.start_session
