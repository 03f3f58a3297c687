"""``logs/predictions.log``: a line per scoreboard in the journal, appended in order, each once."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from marketloop.core.errors import MarketLoopError
from marketloop.loop.alarms import Place
from marketloop.loop.alertlog import stamp
from marketloop.runtime.files import append, disk_errors, ensure_folder
from marketloop.runtime.journal import alone
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, State, champions, scoreboards
from marketloop.state.scoreboards import Saying

__all__ = ["FILE", "bring_up_to_date"]

FILE: Final = "predictions.log"
MOST_BYTES: Final = 5_000_000
"""A log that has grown beyond this becomes ``predictions.log.1`` and a new one begins."""
_TAIL: Final = 256_000
_LOOK_BACK: Final = dt.timedelta(days=30)
_LINE: Final = re.compile(r"(?m)\| (\w+) v(\d+) \| as of (\d{4}-\d\d-\d\d) \|.*\| (\w+)$")
_SIGNALS: Final = ("BUY", "HOLD", "SELL")

_Known = set[tuple[str, str, int, dt.date]]


def bring_up_to_date(place: Place) -> int:
    """Append the scoreboards that the log does not hold yet; return how many. Nothing is raised: a view is no truth.

    What it holds is read from its own end, so nothing is missing after a crash and nothing comes twice; a log that was
    deleted is written again from the journal.
    """
    path, zone = place.project.logs / FILE, ZoneInfo(place.settings.project.timezone)
    try:
        ensure_folder(path.parent)
        with alone(path.with_name(f".{FILE}.lock"), "the log of predictions is being written"):
            return _append(path, place.state, zone)
    except MarketLoopError as error:
        get_logger("loop").warning("the log of predictions is behind", reason=str(error))
        return 0


def _append(path: Path, state: State, zone: ZoneInfo) -> int:
    known = _known(path)
    since = max((day for *_, day in known), default=None)
    fresh = _fresh(state, known, dt.date.min if since is None else since - _LOOK_BACK)
    if not fresh:
        return 0
    lines = [_line(state, slot, saying, zone) for slot, saying in fresh]
    append(path, "".join(f"{line}\n" for line in lines).encode(), most=MOST_BYTES)
    return len(lines)


def _fresh(state: State, known: _Known, since: dt.date) -> list[tuple[Slot, Saying]]:
    """Return what the journal holds from session `since` on and the log does not, in the order of its writing."""
    with state.read() as db:
        slots = champions.slots(db)
    with state.scores.read() as db:
        said = [(slot, saying) for slot in slots for saying in scoreboards.said(db, slot, since=since)]
    fresh = [(slot, s) for slot, s in said if (slot.family, slot.config_key, s.version, s.as_of) not in known]
    return sorted(fresh, key=lambda pair: (pair[1].written_at, pair[0], pair[1].version))


def _line(state: State, slot: Slot, saying: Saying, zone: ZoneInfo) -> str:
    with state.scores.read() as db:
        count = scoreboards.signals(db, slot, saying.version, saying.as_of)
    return " | ".join(
        (
            stamp(saying.written_at, zone),
            f"{slot.family} v{saying.version}",
            f"as of {saying.as_of}",
            f"{saying.tickers} tickers",
            " ".join(f"{signal} {count.get(signal, 0)}" for signal in _SIGNALS),
            saying.label or "-",
            slot.config_key,
        )
    )


def _known(path: Path) -> _Known:
    """Return the scoreboards that the ends of the log and of the one before it tell of."""
    found: _Known = set()
    for log in (path, path.with_name(f"{path.name}.1")):
        with disk_errors(log):
            if not log.exists():
                continue
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL))
                text = file.read().decode(errors="replace")
        found |= {(m[1], m[4], int(m[2]), dt.date.fromisoformat(m[3])) for m in _LINE.finditer(text)}
    return found
