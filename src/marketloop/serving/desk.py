"""The desk that answers: holds all boards in memory, looks for newer ones, and goes on when the database is away."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from marketloop.core.errors import MarketLoopError
from marketloop.registry import Registry
from marketloop.registry.standing import is_proven
from marketloop.runtime.settings import Settings
from marketloop.serving.board import Board, Rules, build_board, called_stale
from marketloop.serving.keeping import read_ring
from marketloop.serving.keys import KeyRing
from marketloop.state import Connection, Slot, State, champions, rollouts, scoreboards, skill, versions
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout

__all__ = ["Desk", "View", "sessions_since"]

Marker = tuple[Any, ...]
"""What changes whenever an answer of a slot may."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look found: the pulse of the databases, its day, and the marker of each slot's board."""

    pulse: tuple[str, ...]
    day: dt.date
    markers: Mapping[Slot, Marker]


@dataclass(frozen=True, slots=True)
class View:
    """All that is answered from, at one moment: one reference, swapped as a whole.

    Parameters
    ----------
    boards : mapping of slot to board
    default_key : str
        Configuration that answers where the one asked for has no champion.
    read_at : datetime, optional
        When the database was last read; None before the first time.
    trouble : str
        Why it cannot be read now; empty while it can.
    """

    boards: Mapping[Slot, Board] = field(default_factory=dict)
    default_key: str = ""
    read_at: dt.datetime | None = None
    trouble: str = ""

    def find(self, family: str, config_key: str | None = None) -> tuple[Board, bool] | None:
        """Return the board of a family, and whether another configuration answers than the one asked for (R6)."""
        wanted = Slot(family, config_key or self.default_key)
        for slot in (wanted, Slot(family, self.default_key)):
            if slot in self.boards:
                return self.boards[slot], slot != wanted
        others = [board for slot, board in self.boards.items() if slot.family == family]
        newest = max(others, key=lambda board: board.champion.promoted_at, default=None)
        return None if newest is None else (newest, True)


class Desk:
    """Answers from memory.

    `ring` holds the API keys as they were last read, None before that: nobody can say then whether one is needed.

    Parameters
    ----------
    settings : Settings
    default_key : str
        The project's configuration key.
    open_state : function
        Opens the project's databases; tried again while it fails.
    artefacts : Path
        Root of the registry: the manifest of a roll-out's version says which stream its skill hangs on.
    """

    def __init__(self, settings: Settings, default_key: str, open_state: Callable[[], State], artefacts: Path) -> None:
        self.view = View(default_key=default_key)
        self.ring: KeyRing | None = None
        self._settings = settings
        self._open = open_state
        self._artefacts = artefacts
        self._state: State | None = None
        self._seen: Seen | None = None
        self._opening, self._looking = threading.Lock(), threading.Lock()

    @property
    def state(self) -> State:
        """The open databases; raises `FailedError` while they are away."""
        with self._opening:
            if self._state is None:
                self._state = self._open()
            return self._state

    def refresh(self, at: dt.datetime) -> bool:
        """Read what is new and swap it in; return whether answers changed. Trouble is kept in the view, not raised."""
        with self._looking:  # one look at a time: an older one may not overwrite a newer
            return self._refresh(at)

    def _refresh(self, at: dt.datetime) -> bool:
        try:
            state = self.state
            pulse = state.pulse()
            if self._seen is not None and (pulse, at.date()) == (self._seen.pulse, self._seen.day):
                self.ring = None if self.ring is None else self.ring.without_expired(at)
                self.view = replace(self.view, read_at=at, trouble="")
                return False
            self.ring = read_ring(state, at=at)
            with state.read() as ledger, state.scores.read() as scores:
                changes = skill.changes(ledger)
                held = {champion.slot: (champion, rollout) for champion, rollout in _held(ledger)}
                markers = {slot: (*_marker(scores, *pair), changes, at.date()) for slot, pair in held.items()}
                before = {} if self._seen is None else self._seen.markers
                if self._seen is not None and markers == before:
                    self.view = replace(self.view, read_at=at, trouble="")
                    self._seen = Seen(pulse, at.date(), markers)
                    return False
                boards = {
                    slot: self.view.boards.get(slot)
                    if markers[slot] == before.get(slot)
                    else self._board(ledger, scores, *pair, at)
                    for slot, pair in held.items()
                }
        except MarketLoopError as error:
            self.lose(str(error), at)
            return False
        known = {slot: board for slot, board in boards.items() if board is not None}
        self.view = View(known, self.view.default_key, at, "")
        self._seen = Seen(pulse, at.date(), markers)
        return True

    def lose(self, trouble: str, at: dt.datetime) -> None:
        """Answer on from what is in memory, and say that it is stale and why."""
        boards = self.view.boards
        if not self.view.trouble:
            boards = {slot: called_stale(board) for slot, board in boards.items()}
        self.view = replace(self.view, boards=boards, trouble=trouble or "unknown trouble")
        self.ring = None if self.ring is None else self.ring.without_expired(at)
        self._seen = None

    def close(self) -> None:
        """Give the connections back."""
        if self._state is not None:
            self._state.close()

    def _board(
        self, ledger: Connection, scores: Connection, champion: Champion, rollout: Rollout | None, at: dt.datetime
    ) -> Board | None:
        slot = champion.slot
        own = scoreboards.load(scores, slot, champion.version)
        if not own:
            return None
        answers = rollout is not None and rollout.answers and rollout.version is not None
        other = scoreboards.load(scores, slot, rollout.version) if answers and rollout and rollout.version else ()
        row = versions.get(ledger, slot, champion.version)
        horizon = None if row is None else row.scorecard.get("horizon")
        as_of = max(prediction.as_of for prediction in own)
        rules = Rules(
            horizon=None if horizon is None else int(horizon),
            confidence=self._settings.family_section(slot.family).confidence,
            stale=sessions_since(as_of, at.date(), self._settings.project.calendar) > self._settings.serve.stale_after,
        )
        fresh = tuple(p for p in other if p.as_of == as_of)  # a version that fell behind does not speak of another day
        return build_board(
            champion,
            own,
            rules,
            rollout=rollout,
            other=fresh,
            other_provisional=not fresh or not self._proven(ledger, slot, rollout),
        )

    def _proven(self, ledger: Connection, slot: Slot, rollout: Rollout | None) -> bool:
        """Say whether the skill of the roll-out's version is proven; not where its files cannot be read."""
        if rollout is None or rollout.version is None:
            return False
        try:
            manifest = Registry(self._artefacts, self.state).load(slot, rollout.version).manifest
        except MarketLoopError:
            return False
        return is_proven(ledger, manifest.get("stream_id"))


def sessions_since(as_of: dt.date, today: dt.date, calendar: str) -> int:
    """Return how many sessions lie strictly between two days, at most: weekdays, or all days of a 7-day calendar.

    Holidays are not known here, so that a board may be called stale a day early, never late.
    """
    mask = "1111111" if calendar in {"24/7", "EVERYDAY"} else "1111100"
    return max(0, int(np.busday_count(as_of + dt.timedelta(days=1), today, weekmask=mask)))


def _held(ledger: Connection) -> list[tuple[Champion, Rollout | None]]:
    now = [champions.current(ledger, slot) for slot in champions.slots(ledger)]
    return [(champion, rollouts.current(ledger, champion.slot)) for champion in now if champion is not None]


def _marker(scores: Connection, champion: Champion, rollout: Rollout | None) -> Marker:
    """Return what changes whenever an answer may: ledger entries, and the newest session of each version."""
    second = None if rollout is None else rollout.version
    return (
        champion.entry,
        0 if rollout is None else rollout.entry,
        scoreboards.latest_session(scores, champion.slot, champion.version),
        None if second is None else scoreboards.latest_session(scores, champion.slot, second),
    )
