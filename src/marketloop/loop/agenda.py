"""The schedules laid over each other: what falls due at one instant is one slot, and has one key for everybody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from marketloop.loop.schedules import Schedule

__all__ = ["Slot", "key_parts", "names_of", "next_slot", "slot_key", "slots_between"]

MOST: Final = 400
"""Missed slots of one schedule that are looked at one by one; what lies before them is told with the oldest."""
LOOKBACKS: Final = tuple(dt.timedelta(days=days) for days in (1, 7, 30, 400))
_DAY: Final = dt.timedelta(days=1, hours=2)


@dataclass(frozen=True, slots=True)
class Slot:
    """One instant at which schedules fall due.

    Parameters
    ----------
    at : datetime
        In UTC.
    schedules : tuple of Schedule
        All either tune or do not.
    replaced_by : Schedule, optional
        The schedule that has a slot on the same day and replaces this one.
    """

    at: dt.datetime
    schedules: tuple[Schedule, ...]
    replaced_by: Schedule | None = None

    @property
    def name(self) -> str:
        """Names of its schedules, joined by ``+``."""
        return "+".join(schedule.name for schedule in self.schedules)

    @property
    def key(self) -> str:
        """Key of its request: it depends on settings and calendar only, never on who asks when."""
        return slot_key(self.name, self.at)

    @property
    def tune(self) -> bool:
        """Whether hyperparameters are searched first."""
        return self.schedules[0].tune

    def local(self) -> str:
        """Return its time on the schedule's wall clock."""
        zone = self.schedules[0].zone
        return f"{self.at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def slot_key(name: str, at: dt.datetime) -> str:
    """Return the key of a slot's request: ``schedule:<name>:<time in UTC>``."""
    return f"schedule:{name}:{at.astimezone(dt.UTC).isoformat()}"


def key_parts(key: str) -> tuple[tuple[str, ...], dt.datetime] | None:
    """Return the names of the schedules and the instant that a key speaks of; None for a key of something else."""
    head, _, rest = key.partition(":")
    name, _, moment = rest.partition(":")
    if head != "schedule":
        return None
    try:
        return tuple(name.split("+")), dt.datetime.fromisoformat(moment)
    except ValueError:
        return None


def names_of(key: str) -> tuple[str, ...]:
    """Return the names of the schedules that a key speaks of."""
    parts = key_parts(key)
    return () if parts is None else parts[0]


def slots_between(schedules: Sequence[Schedule], after: Mapping[str, dt.datetime], until: dt.datetime) -> list[Slot]:
    """Return the slots in order of time at which any schedule falls due, later than that schedule's own `after`.

    Of a schedule that missed very many only the newest `MOST` count.
    """
    instants = {at for schedule in schedules for at in _newest(schedule, after[schedule.name], until)}
    return [slot for at in sorted(instants) for slot in _slots_at(schedules, at)]


def _slots_at(schedules: Sequence[Schedule], at: dt.datetime) -> list[Slot]:
    """Merge what falls due at one instant; what tunes, or is replaced, stays apart from what does not."""
    found: dict[tuple[bool, str], list[Schedule]] = {}
    replaced: dict[str, Schedule | None] = {}
    for schedule in schedules:
        if schedule.next_slot(at - dt.timedelta(microseconds=1)) == at:
            other = replaced[schedule.name] = _replacement(schedule, at, schedules)
            found.setdefault((schedule.tune, schedule.name if other else ""), []).append(schedule)
    return [Slot(at, tuple(members), replaced[members[0].name]) for members in found.values()]


def next_slot(schedule: Schedule, schedules: Sequence[Schedule], after: dt.datetime) -> dt.datetime:
    """Return the next instant at which `schedule` falls due and is not replaced by another."""
    at = schedule.next_slot(after)
    while _replacement(schedule, at, schedules) is not None:
        at = schedule.next_slot(at)
    return at


def _newest(schedule: Schedule, after: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    slots: list[dt.datetime] = []
    for lookback in LOOKBACKS:
        start = max(after, until - lookback)
        slots = list(schedule.slots(start, until))
        if start == after or len(slots) >= MOST:
            break
    return slots[-MOST:]


def _replacement(schedule: Schedule, at: dt.datetime, schedules: Sequence[Schedule]) -> Schedule | None:
    day = schedule.day(at)
    others = (other for other in schedules if other.name == schedule.gives_way_to)
    return next((o for o in others if any(o.day(s) == day for s in o.slots(at - _DAY, at + _DAY))), None)
