"""Which slots of the schedules are due now, which were missed, and why one does not run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.loop.agenda import MOST, Slot, key_parts, next_slot, slot_key, slots_between
from marketloop.loop.conditions import running_cycle, why_not_now
from marketloop.loop.freshness import completed_session
from marketloop.loop.house import House
from marketloop.loop.readiness import Probe, readiness_of
from marketloop.loop.schedules import Schedule, plan
from marketloop.state import heartbeats, requests, this_process, versions
from marketloop.state.requests import Request

__all__ = ["BOOK", "Due", "NextRun", "due_slots", "next_runs", "waiting_slots"]

BOOK: Final = "schedules"
"""Name of the heartbeat that remembers up to which slot each schedule is done with, and what is waited for."""
_LATEST: Final = 150


@dataclass(frozen=True, slots=True)
class Due:
    """A slot of a schedule that is to be recorded now, as a request or as one that is skipped.

    Parameters
    ----------
    name : str
        Of the schedule, or of those that fall due together, joined by ``+``.
    families : tuple of str
        That are to be retrained.
    slot_at : datetime
        When it fell due, in UTC.
    tune : bool
        Whether hyperparameters are searched first.
    why_not : str, optional
        Why it does not run, in one sentence; None when it does.
    """

    name: str
    families: tuple[str, ...]
    slot_at: dt.datetime
    tune: bool = False
    why_not: str | None = None

    @property
    def key(self) -> str:
        """Key of its request: a slot exists once, whoever computes it."""
        return slot_key(self.name, self.slot_at)


@dataclass(frozen=True, slots=True)
class NextRun:
    """The next run that a schedule will make, in UTC, if its bars come."""

    name: str
    families: tuple[str, ...]
    at: dt.datetime
    tune: bool = False


@dataclass(slots=True)
class _Book:
    """What is remembered from look to look: it saves work and never decides whether a slot ran; keys do that."""

    until: dict[str, dt.datetime]
    lines: dict[str, str]
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    probe: Probe | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any], schedules: Sequence[Schedule], at: dt.datetime) -> _Book:
        """Read the book; a schedule that is new, or has another line, begins now."""
        known = document.get("schedules", {})
        until = {}
        for schedule in schedules:
            mine = known.get(schedule.name)
            same = mine is not None and mine["line"] == _line(schedule)
            until[schedule.name] = min(dt.datetime.fromisoformat(mine["until"]), at) if same else at
        lines = {schedule.name: _line(schedule) for schedule in schedules}
        return cls(until, lines, dict(document.get("waiting", {})), Probe.of(document.get("probe")))

    def document(self) -> dict[str, Any]:
        """Return the book as JSON."""
        names = {name: {"line": self.lines[name], "until": self.until[name].isoformat()} for name in self.lines}
        return {
            "schedules": names,
            "waiting": self.waiting,
            "probe": None if self.probe is None else self.probe.document(),
        }


@dataclass(slots=True)
class _Look:
    """One look at the clock: what the ledger says, and what this look has handed out already."""

    house: House
    at: dt.datetime
    book: _Book
    past: tuple[Request, ...]
    schedules: tuple[Schedule, ...]
    recorded: set[tuple[str, dt.datetime]] = field(default_factory=set)
    handed: list[Due] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = (key_parts(request.key) for request in self.past)
        self.recorded |= {(name, at) for found in parts if found is not None for name in found[0] for at in [found[1]]}


def due_slots(house: House, *, at: dt.datetime) -> tuple[Due, ...]:
    """Return what is to be recorded now, oldest first: slots to run, and slots that do not run, with the reason.

    A slot whose bars have not come, or at which another cycle runs, is not returned until they have, it has ended, or
    ``[retraining] data_deadline_hours`` have passed. Of slots that nobody looked at in time the newest of each schedule
    runs and the others are skipped. Whoever asks before the answer is recorded gets the same answer again; what has a
    request is never returned again, also when the clock goes back. A schedule begins with the first look at it.

    Raises
    ------
    MarketLoopError
        The ledger or the bars cannot be read.
    """
    schedules = plan(house.settings, house.catalog)
    with house.state.read() as db:
        beat = heartbeats.last(db, BOOK)
        before = {} if beat is None else beat.document
        book = _Book.of(before, schedules, at)
        slots = slots_between(schedules, book.until, at)
        past = requests.recent(db, limit=_LATEST, trigger="schedule") if slots else ()
        look = _Look(house, at, book, past, schedules)
        unseen = [slot for slot in slots if not _is_recorded(look, slot)]
        unseen = [slot for slot in unseen if requests.find(db, slot.key) is None]
    _advance(look, slots, unseen)
    found = tuple(due for slot in unseen if (due := _judge(look, slot, unseen)) is not None)
    if book.document() != before:
        with house.state.write() as db:
            heartbeats.beat(db, BOOK, document=book.document(), process=this_process(), at=at)
    return found


def next_runs(house: House, *, at: dt.datetime) -> tuple[NextRun, ...]:
    """Return the next run of each schedule, soonest first; slots to which no new session leads are passed over."""
    schedules = plan(house.settings, house.catalog)
    with house.state.read() as db:
        beat = heartbeats.last(db, BOOK)
        past = requests.recent(db, limit=_LATEST, trigger="schedule")
    look = _Look(house, at, _Book.of({} if beat is None else beat.document, schedules, at), past, schedules)
    found = []
    for schedule in schedules:
        slot = next_slot(schedule, schedules, at)
        while all(_no_session(look, family, slot, tune=schedule.tune) for family in schedule.families):
            slot = next_slot(schedule, schedules, slot)
        found.append(NextRun(schedule.name, schedule.families, slot, schedule.tune))
    return tuple(sorted(found, key=lambda run: run.at))


def waiting_slots(house: House) -> dict[str, str]:
    """Return, by key, what each slot that fell due and has not begun is waiting for."""
    with house.state.read() as db:
        beat = heartbeats.last(db, BOOK)
    return {} if beat is None else {key: str(told["why"]) for key, told in beat.document.get("waiting", {}).items()}


def _is_recorded(look: _Look, slot: Slot) -> bool:
    """Say whether the ledger knows the slot, under this name or that of a smaller or larger merger."""
    return any((schedule.name, slot.at) in look.recorded for schedule in slot.schedules)


def _advance(look: _Look, slots: Sequence[Slot], unseen: Sequence[Slot]) -> None:
    """Move each schedule's mark up to its newest slot before the first that is not in the ledger."""
    book, open_keys = look.book, {slot.key for slot in unseen}
    for schedule in look.schedules:
        for slot in (slot for slot in slots if schedule in slot.schedules):
            if slot.key in open_keys:
                break
            book.until[schedule.name] = max(book.until[schedule.name], slot.at)
    book.waiting = {key: told for key, told in book.waiting.items() if key in open_keys}


def _judge(look: _Look, slot: Slot, unseen: Sequence[Slot]) -> Due | None:
    """Say what becomes of a slot; None while it waits."""
    families = tuple(family for schedule in slot.schedules for family in schedule.families)
    due = Due(slot.name, families, slot.at, slot.tune)
    if slot.replaced_by is not None:
        other = slot.replaced_by
        return _skip(due, f"the schedule {other.name} ({other.line}) replaces it on this day")
    live = [schedule for schedule in slot.schedules if _is_newest(look, schedule, slot, unseen)]
    if not live:
        return _skip(due, _why_missed(look, slot, unseen))
    families = tuple(family for schedule in live for family in schedule.families)
    reasons = {family: _why_not(look, family, slot) for family in families}
    free = tuple(family for family in families if reasons[family] is None)
    if not free:
        return _skip(due, "; ".join(dict.fromkeys(str(reason) for reason in reasons.values())))
    return _when_ready(look, slot, Due(slot.name, free, slot.at, slot.tune))


def _when_ready(look: _Look, slot: Slot, due: Due) -> Due | None:
    """Hand a slot out when its bars are there and nobody else runs; let it wait, or skip it after the deadline."""
    house, at = look.house, look.at
    hours = house.settings.retraining.data_deadline_hours
    why, families = running_cycle(house) or "", due.families
    session = completed_session(house.settings.project.calendar, slot.at)
    if session is not None and house.store.version is not None:
        ready = readiness_of(house, session, at=at, last=look.book.probe)
        look.book.probe = ready.probe
        if ready.state == "ended":
            families = tuple(family for family in families if _is_untrained(look, family))
            if not families:
                return _skip(due, ready.why)
        elif ready.state == "late":
            why = ready.why
    if why and at < slot.at + dt.timedelta(hours=hours):
        look.book.waiting.setdefault(slot.key, {"why": why})["why"] = why
        return None
    if why:
        return _skip(due, f"{why}; waited until {hours:g} h after {slot.local()} ([retraining] data_deadline_hours)")
    reasons = {f: why_not_now(house, f, trigger="schedule", at=at) for f in families}
    free = tuple(family for family in families if reasons[family] is None)
    if not free:
        return _skip(due, "; ".join(dict.fromkeys(str(reason) for reason in reasons.values())))
    look.handed.append(Due(due.name, free, due.slot_at, due.tune))
    return look.handed[-1]


def _is_newest(look: _Look, schedule: Schedule, slot: Slot, unseen: Sequence[Slot]) -> bool:
    """Say whether no later slot of `schedule` is open, and this one is not from before the schedule began."""
    later = any(other.at > slot.at and schedule in other.schedules for other in unseen)
    return slot.at > look.book.until[schedule.name] and not later


def _why_missed(look: _Look, slot: Slot, unseen: Sequence[Slot]) -> str:
    mine = [other for other in unseen if set(other.schedules) & set(slot.schedules)]
    later = mine[-1].local()
    if slot.key in look.book.waiting:
        return f"{look.book.waiting[slot.key]['why']}; the slot of {later} came first"
    more = ", and so were all before it" if len(mine) >= MOST and slot is mine[0] else ""
    return f"missed while no loop ran{more}: the slot of {later} takes its place"


def _why_not(look: _Look, family: str, slot: Slot) -> str | None:
    """Return why a scheduled run of `family` excludes this one, or has seen all that it would see."""
    for request in look.past:
        open_ = request.state in {requests.WAITING, requests.RUNNING}
        if open_ and (family in request.families or not request.families):
            return f"the scheduled run {request.id} is still {request.state}"
    return _no_session(look, family, slot.at, tune=slot.tune)


def _no_session(look: _Look, family: str, slot_at: dt.datetime, *, tune: bool) -> str | None:
    calendar = look.house.settings.project.calendar
    session = completed_session(calendar, slot_at)
    last = max((at for at in _runs(look, family, tune=tune) if at <= slot_at), default=None)
    if session is None or last is None:
        return None
    seen = completed_session(calendar, last)
    if seen is None or seen < session:
        return None
    return f"no session since the last run: the newest, {session}, was there for the slot of {last:%Y-%m-%d %H:%M} UTC"


def _runs(look: _Look, family: str, *, tune: bool) -> list[dt.datetime]:
    """Return the slots at which `family` ran, or is about to, by schedule; with `tune` only those that tuned."""
    tuning = {schedule.name for schedule in look.schedules if schedule.tune}
    found = [due.slot_at for due in look.handed if family in due.families and (due.tune or not tune)]
    for request in look.past:
        parts = key_parts(request.key)
        ran = request.cycle_id is not None or request.state in {requests.DONE, requests.RUNNING, requests.WAITING}
        if parts is None or not ran or request.state == requests.FAILED:
            continue
        names, slot_at = parts
        mine = family in request.families or not request.families
        if mine and slot_at <= look.at and (not tune or tuning & set(names)):
            found.append(slot_at)
    return found


def _is_untrained(look: _Look, family: str) -> bool:
    """Say whether `family` has never learned from the bars that are there, by schedule or otherwise."""
    if _runs(look, family, tune=False) or any(family in r.families and r.cycle_id for r in look.past):
        return False
    with look.house.state.read() as db:
        return not any(version.verdict for version in versions.listing(db, look.house.slot(family)))


def _skip(due: Due, why: str) -> Due:
    return Due(due.name, due.families, due.slot_at, due.tune, why)


def _line(schedule: Schedule) -> str:
    return f"{schedule.line} {schedule.zone}"
