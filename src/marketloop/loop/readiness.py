"""Whether the bars that a slot needs are there, will come, or never will."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from marketloop.loop.freshness import sessions_after, source_newest, stored_newest
from marketloop.loop.house import House
from marketloop.loop.standing_order import standing_order

__all__ = ["ENDED", "Probe", "Readiness", "readiness_of"]

ENDED: Final = 5
"""A source that lags by more sessions than this has ended: nobody waits for it."""
PATIENCE: Final = dt.timedelta(minutes=10)
"""Time between two questions to the source."""
ANSWER_S: Final = 20.0
"""Seconds within which the source answers; without an answer the slot waits and the worker goes on."""
_ASKING: Final[dict[Path, threading.Thread]] = {}


@dataclass(frozen=True, slots=True)
class Probe:
    """What the source said when it was asked last, and of which version of the bars the store was then.

    `newest` is the newest session that store or source can show, `trouble` why the source could not be asked.
    """

    at: dt.datetime
    version: int | None
    newest: dt.date | None
    trouble: str = ""

    def document(self) -> dict[str, Any]:
        """Return the probe as JSON."""
        newest = None if self.newest is None else self.newest.isoformat()
        return {"at": self.at.isoformat(), "version": self.version, "newest": newest, "trouble": self.trouble}

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Probe | None:
        """Read what `document` wrote; None where nothing was."""
        if not document:
            return None
        newest = None if document["newest"] is None else dt.date.fromisoformat(document["newest"])
        at = dt.datetime.fromisoformat(document["at"])
        return cls(at, document["version"], newest, document["trouble"])


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is known of the bars of one session.

    Parameters
    ----------
    state : str
        ``ready``, ``late`` (they may still come) or ``ended`` (they will not).
    why : str
        One sentence; empty when they are ready.
    probe : Probe
        To be handed in again the next time.
    """

    state: str
    why: str
    probe: Probe


def readiness_of(house: House, session: dt.date, *, at: dt.datetime, last: Probe | None) -> Readiness:
    """Look in the store, then ask the source (at most every ten minutes), for the bars of `session`."""
    probe = _probe(house, session, at=at, last=last)
    newest = probe.newest
    if newest is not None and newest >= session:
        return Readiness("ready", "", probe)
    told = f" ({probe.trouble})" if probe.trouble else ""
    if newest is None:
        return Readiness("late", f"no bars are there{told}", probe)
    end = house.settings.data.end
    if end is not None and end < session:
        why = f"[data] end = {end} ends the bars before the session of {session}: take it out to go on"
        return Readiness("ended", why, probe)
    missing = sessions_after(house.settings.project.calendar, newest, session)
    if missing > ENDED and not probe.trouble:
        order = standing_order(house)
        name = "source" if order is None else f"source {order.collection.source}"
        why = f"the {name} ends on {newest}, {missing} sessions or more before {session}: nothing newer is to come"
        return Readiness("ended", why, probe)
    return Readiness("late", f"the bars of {session} are not there, the newest are of {newest}{told}", probe)


def _probe(house: House, session: dt.date, *, at: dt.datetime, last: Probe | None) -> Probe:
    version = house.store.version
    if last is not None and last.version == version:
        if last.newest is not None and last.newest >= session:
            return last
        if dt.timedelta(0) <= at - last.at < PATIENCE:
            return last
    stored = stored_newest(house)
    if stored is not None and stored >= session:
        return Probe(at, version, stored)
    given, trouble = _ask(house, at)
    newest = max((day for day in (stored, given) if day is not None), default=None)
    return Probe(at, version, newest, trouble)


def _ask(house: House, at: dt.datetime) -> tuple[dt.date | None, str]:
    """Ask the source on a thread of its own: one that hangs must not hold up whoever waits for the answer.

    While a question is open no second one is asked.
    """
    root, answers = house.project.root, list[tuple[dt.date | None, str]]()
    open_ = _ASKING.get(root)
    if open_ is None or not open_.is_alive():

        def ask() -> None:
            try:
                answers.append(source_newest(house, at=at))
            except Exception as error:  # noqa: BLE001 -- the edge of a thread: told to whoever asked
                answers.append((None, f"the source could not be asked: {type(error).__name__}: {error}"))

        _ASKING[root] = open_ = threading.Thread(target=ask, name="source", daemon=True)
        open_.start()
        open_.join(timeout=ANSWER_S)
    return answers[0] if answers else (None, f"the source has not answered within {ANSWER_S:g} s")
