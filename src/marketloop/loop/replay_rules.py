"""The retraining policies that a replay knows by name: when each wants a candidate."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import Sessions
from marketloop.data.calendar import load_closes
from marketloop.evaluation.replay import Course, Due
from marketloop.loop.schedules import Schedule

__all__ = ["NAMES", "Rule", "check_name", "rule_named", "split_names"]

NAMES: Final = ("never", "monthly", "weekly", "nightly", "drift")
LINES: Final[Mapping[str, str]] = {"monthly": "0 2 1 * *", "weekly": "0 3 * * sun", "quarterly": "0 2 1 1,4,7,10 *"}
"""Cron lines of the names that are schedules, as the profiles of ``[retraining] schedule`` have them."""
EVERY: Final = "every:"
CRON: Final = "cron:"
LONGEST: Final = dt.timedelta(days=30)
SOME_TIME: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy of the clock: the sessions at whose close it wants a candidate.

    `drift` has none: it looks at what serves.
    """

    name: str
    sessions: frozenset[int] | None

    def due(self) -> Due:
        """Return the rule as a question of (session, course)."""
        wanted = self.sessions or frozenset[int]()

        def asks(session: int, _course: Course) -> bool:
            return session in wanted

        return asks


def split_names(text: str) -> tuple[str, ...]:
    """Return the policies of a list with commas; those inside a cron line belong to it.

    >>> split_names("never,cron:0 2 1 1,7 *,weekly")
    ('never', 'cron:0 2 1 1,7 *', 'weekly')
    """
    found: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        is_name = part in {*NAMES, *LINES} or part.startswith((EVERY, CRON))
        if found and found[-1].startswith(CRON) and not is_name:
            found[-1] += f",{part}"
        elif part:
            found.append(part)
    return tuple(found)


def check_name(name: str) -> None:
    """Raise `UsageError` where `name` is no policy, before anything is computed for it."""
    if name.startswith(EVERY):
        _step(name)
    elif name.startswith(CRON):
        try:
            Schedule(name, (), name.removeprefix(CRON).strip(), "UTC").next_slot(SOME_TIME)
        except UsageError as error:
            raise UsageError(f'--policy "{name}": {error}') from error
    elif name not in {*NAMES, *LINES}:
        raise unknown_name("retraining policy", name, (*NAMES, "quarterly", "every:21", "cron:0 2 * * tue"))


def rule_named(name: str, nights: Sequence[int], sessions: Sessions, *, zone: str) -> Rule:
    """Return the rule called `name` for the closes of `nights`.

    ``never`` trains once, ``nightly`` at every close, ``every:21`` when the session's number divides by 21.
    ``monthly``, ``weekly``, ``quarterly`` and ``cron:0 2 * * tue`` are schedules in the project's time zone: each of
    their times means the newest session that has closed by then.

    Raises
    ------
    UsageError
        The name is unknown, or what follows its colon cannot be read.
    """
    check_name(name)
    if name in {"never", "drift"}:
        return Rule(name, None if name == "drift" else frozenset())
    if name == "nightly":
        return Rule(name, frozenset(nights))
    if name.startswith(EVERY):
        step = _step(name)
        return Rule(name, frozenset(night for night in nights if night % step == 0))
    line = LINES.get(name, name.removeprefix(CRON).strip())
    return Rule(name, _closes_before(Schedule(name, (), line, zone), nights, sessions))


def _step(name: str) -> int:
    text = name.removeprefix(EVERY)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise UsageError(f'--policy "{name}": expected a number of sessions from 1 to 1000, e.g. every:21')
    return int(text)


def _closes_before(schedule: Schedule, nights: Sequence[int], sessions: Sessions) -> frozenset[int]:
    """Return the nights between whose close and the next one the schedule has a time."""
    first, last = sessions.date(nights[0]), sessions.date(nights[-1])
    closes = load_closes(sessions.calendar, first, last + LONGEST)["close_utc"].to_list()
    found, at = set(), 0
    for slot in schedule.slots(closes[0], closes[-1]):
        while at + 1 < len(closes) and closes[at + 1] <= slot:
            at += 1
        newest = nights[0] + at
        if newest > nights[-1]:
            break
        # Where that session has no bars a cycle trains on the newest there are.
        found.add(nights[bisect_right(nights, newest) - 1])
    return frozenset(found)
