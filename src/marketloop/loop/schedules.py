"""When each family is due: the schedules of a project, and the instants at which they fall due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from marketloop.core.catalog import Catalog
from marketloop.core.errors import UsageError
from marketloop.data.calendar import load_timezone
from marketloop.runtime.settings import Settings

__all__ = ["PROFILES", "Schedule", "check_schedules", "drift_schedule", "plan", "project_zone"]

HORIZON: Final = (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2072, 1, 1, tzinfo=dt.UTC))
"""A line without a single moment in between never fires: the rarest one, a 29 February on a given weekday, does."""
MARGIN: Final = dt.timedelta(hours=3)
"""More than clocks are put back by: a wall clock that is read so much earlier shows a time not seen yet."""
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""As cron numbers them, from 0; 7 is Sunday again."""
NIGHTLY, WEEKLY, MONTHLY, QUARTERLY = "nightly", "weekly", "monthly", "quarterly"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Some families that fall due together.

    Parameters
    ----------
    name : str
        E.g. ``nightly``, or the family whose own line it is; part of the key of its slots.
    families : tuple of str
    line : str
        Minute, hour, day of month, month, day of week, on the wall clock of `zone`. Where both days are given, both
        must hold: ``0 2 1-7 * sat`` is the first Saturday of a month.
    zone : str
        Time zone, e.g. ``America/New_York``.
    tune : bool
        Whether hyperparameters are searched first.
    gives_way_to : str
        Name of the schedule that replaces this one on days on which both have a slot; empty for none.
    """

    name: str
    families: tuple[str, ...]
    line: str
    zone: str
    tune: bool = False
    gives_way_to: str = ""

    def slots(self, after: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
        """Yield the instants, in UTC, at which it falls due: later than `after`, and not later than `until`.

        A time that the clocks skip in spring is due once, at the first instant after the gap; one that they show
        twice in autumn is due once, the first time.
        """
        return takewhile(lambda slot: slot <= until, self._from(after))

    def next_slot(self, after: dt.datetime) -> dt.datetime:
        """Return the first instant after `after` at which it falls due, in UTC."""
        return next(self._from(after))

    def day(self, slot: dt.datetime) -> dt.date:
        """Return the day of a slot on the schedule's own wall clock."""
        return slot.astimezone(ZoneInfo(self.zone)).date()

    def _from(self, after: dt.datetime) -> Iterator[dt.datetime]:
        trigger, zone = _trigger(self.line), ZoneInfo(self.zone)
        wall = (after - MARGIN).astimezone(zone).replace(tzinfo=dt.UTC, fold=0)
        last = after.astimezone(dt.UTC)
        while (shown := trigger.get_next_fire_time(None, wall)) is not None:
            slot = _instant(shown.replace(tzinfo=None), zone)
            if slot > last:  # several skipped times fall on one instant
                yield slot
                last = slot
            wall = shown + dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Line:
    """A schedule of a profile: the families are the enabled ones whose cadence is among `cadences`."""

    name: str
    line: str
    cadences: tuple[str, ...]
    tune: bool = False
    gives_way_to: str = ""


PROFILES: Final[Mapping[str, tuple[_Line, ...]]] = {
    "default": (
        _Line("nightly", "0 2 * * *", (NIGHTLY,), gives_way_to="full"),
        _Line("full", "0 3 * * sun", (NIGHTLY, WEEKLY, MONTHLY), tune=True),
        _Line("monthly", "0 2 1 * *", (MONTHLY,), gives_way_to="full"),
        _Line("quarterly", "0 2 1 1,4,7,10 *", (QUARTERLY,)),
    ),
    "calm": (
        _Line("monthly", "0 2 1 * *", (NIGHTLY, WEEKLY, MONTHLY)),
        _Line("quarterly", "0 2 1 1,4,7,10 *", (QUARTERLY,)),
    ),
    "off": (),
}
"""What ``[retraining] schedule`` may name."""


def plan(settings: Settings, catalog: Catalog) -> tuple[Schedule, ...]:
    """Return the schedules of a project: those of its profile, then one for each family with a line of its own.

    A family with a line follows it alone. ``[retraining] schedule = "off"`` leaves nothing, own lines included.
    """
    profile = settings.retraining.schedule
    if profile == "off":
        return ()
    zone = project_zone(settings)
    own = {name: section.schedule for name, section in settings.family.items() if section.schedule is not None}
    asked = {name: section.enabled for name, section in settings.family.items() if section.enabled is not None}
    enabled = [name for name, kind in catalog.families.items() if asked.get(name, kind.by_default)]
    found = []
    for entry in PROFILES[profile]:
        families = tuple(n for n in enabled if n not in own and catalog.families[n].cadence in entry.cadences)
        if families:
            way = entry.gives_way_to
            found.append(Schedule(entry.name, families, entry.line, zone, tune=entry.tune, gives_way_to=way))
    found += [Schedule(name, (name,), own[name], zone) for name in enabled if name in own]
    return tuple(found)


def project_zone(settings: Settings) -> str:
    """Return the time zone of the schedules: ``[project] timezone`` where it was given, else the exchange's own."""
    if settings.origin("project.timezone").kind == "default":
        return load_timezone(settings.project.calendar)
    return settings.project.timezone


def check_schedules(settings: Settings) -> None:
    """Raise `UsageError`, naming where it was given, for a cron line that is wrong or never fires."""
    lines = {f"family.{family}.schedule": section.schedule for family, section in settings.family.items()}
    for key, line in {**lines, "monitoring.schedule": settings.monitoring.schedule}.items():
        if line is None:
            continue
        try:
            _trigger(line)
        except UsageError as error:
            raise UsageError(f'{settings.origin(key)}: {key} = "{line}": {error}') from error


def drift_schedule(settings: Settings) -> Schedule | None:
    """Return when champions are scanned for drift; None when ``[monitoring] enabled`` is off."""
    section = settings.monitoring
    return Schedule("drift", (), section.schedule, project_zone(settings)) if section.enabled else None


@lru_cache(maxsize=64)
def _trigger(line: str) -> CronTrigger:
    """Read a cron line; its moments are wall-clock times that call themselves UTC, so that no clock change is seen."""
    fields = line.split()
    if len(fields) != 5:
        raise UsageError(
            "expected five fields: minute, hour, day of month, month, day of week; "
            '"0 2 * * *" is every night at 02:00, "0 3 * * sun" every Sunday at 03:00'
        )
    *others, weekday = fields
    try:
        trigger = CronTrigger.from_crontab(" ".join([*others, _weekdays(weekday)]), timezone=dt.UTC)
        trigger.start_date, trigger.end_date = HORIZON
        fires = trigger.get_next_fire_time(None, HORIZON[0]) is not None
        trigger.start_date = trigger.end_date = None
    except (ValueError, TypeError) as error:
        raise UsageError(f'{error}; "0 2 * * *" is every night at 02:00') from error
    if not fires:
        raise UsageError("no such day ever comes, so it would never fire; correct the day or the month")
    return trigger


def _weekdays(field: str) -> str:
    """Spell days of the week out as names: cron counts from Sunday, the calculator from Monday."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        low, high = (0, 6) if span == "*" else (_weekday(first), _weekday(last) if dash else _weekday(first))
        if step and not dash and span != "*":
            high = 6
        if low > high:
            high += 7
        if step and (not step.isdigit() or int(step) == 0):
            raise UsageError(f'"{part}" of the day of the week: expected a step above 0, e.g. */2')
        days |= {day % 7 for day in range(low, high + 1, int(step or 1))}
    return ",".join(WEEKDAYS[day] for day in sorted(days))


def _weekday(text: str) -> int:
    if text in WEEKDAYS:
        return WEEKDAYS.index(text)
    if text.isdigit() and int(text) <= 7:
        return int(text)
    raise UsageError(f'"{text}" is no day of the week: expected {", ".join(WEEKDAYS)} or 0 (Sunday) to 7')


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the instant, in UTC, at which the clocks of `zone` show `wall` (for the first time), or next pass it."""
    slot = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    if slot.astimezone(zone).replace(tzinfo=None) == wall:
        return slot
    # The clocks never show it: the gap ends between its readings with the offset after and the offset before.
    slot = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    before = slot.astimezone(zone).utcoffset()
    while slot.astimezone(zone).utcoffset() == before:
        slot += dt.timedelta(minutes=1)
    return slot
