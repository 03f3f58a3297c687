"""``logs/ml_retraining_history.txt``: a line per cycle, derived from the ledger and put right when edited by hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from marketloop.core.errors import MarketLoopError
from marketloop.loop.alarms import Place, raise_alarm, repaired
from marketloop.loop.alertlog import stamp
from marketloop.runtime.files import disk_errors, ensure_folder, write_atomic
from marketloop.runtime.logging import get_logger
from marketloop.state import cycles, heartbeats, this_process
from marketloop.state.cycles import RUNNING, Cycle

__all__ = ["FILE", "bring_up_to_date", "history_line"]

FILE: Final = "ml_retraining_history.txt"
HEADER: Final = (
    "# time | reason | models trained | errors | outcome | duration | cycle (made from the ledger: do not edit)"
)
_ID: Final = re.compile(r" \| (\w+_\d{8}T\d{6}_\w+)$")
SEAL: Final = "history"
"""Name under which the ledger keeps the hash of the file as it was last written."""
MOST_CYCLES: Final = 2000
NEWEST: Final = 50
"""Ended cycles looked at for new lines while the file is as it was left."""


def bring_up_to_date(place: Place) -> bool:
    """Write the lines that are missing; say whether something was written. Nothing is raised: a view is no truth.

    A file that is not as it was left is made again from the ledger. A line of it that the ledger does not know was
    written by hand: that raises an alarm of the kind ``repair``.
    """
    path = place.project.logs / FILE
    try:
        return _bring(place, path)
    except MarketLoopError as error:
        get_logger("loop").warning("the history file is behind", reason=str(error))
        return False


def history_line(cycle: Cycle, zone: ZoneInfo) -> str:
    """Return the line of an ended cycle: time, reason, models trained, errors, outcome, duration, id."""
    families = [one for one in cycle.document.get("families", []) if isinstance(one, dict)]
    trained = ", ".join(_trained(one) for one in families if one.get("version") is not None)
    errors = [f"{one.get('family')}: {one['error']}" for one in families if one.get("error")]
    if cycle.document.get("error"):
        errors.append(str(cycle.document["error"]))
    skipped = [str(one.get("reason", "")) for one in families if one.get("verdict") == "skipped"]
    outcome = f"{cycle.outcome} ({skipped[0]})" if cycle.outcome == "skipped" and skipped else cycle.outcome
    ended = cycle.ended_at or cycle.started_at
    fields = (
        stamp(cycle.started_at, zone),
        f"{cycle.trigger}: {cycle.reason}" if cycle.reason else cycle.trigger,
        trained or "none",
        "; ".join(errors) or "none",
        outcome,
        f"{(ended - cycle.started_at).total_seconds():.1f} s",
        cycle.id,
    )
    return " | ".join(" ".join(text.split()).replace("|", "/") for text in fields)


def _bring(place: Place, path: Path) -> bool:
    zone = ZoneInfo(place.settings.project.timezone)
    text = _read(path)
    with place.state.read() as db:
        seal, newest = heartbeats.last(db, SEAL), _ended(cycles.recent(db, limit=NEWEST))
    as_left = text is not None and seal is not None and seal.document.get("sha256") == _hash(text)
    if text is not None and as_left:
        known = _ids(text.splitlines())
        missing = [cycle for cycle in newest if cycle.id not in known]
        if not missing:
            return False
        if len(missing) < len(newest) or not known:
            _write(place, path, [*text.splitlines(), *(history_line(cycle, zone) for cycle in missing)])
            return True
    with place.state.read() as db:
        lines = [history_line(cycle, zone) for cycle in _ended(cycles.recent(db, limit=MOST_CYCLES))]
    foreign = _foreign(text, lines) if text is not None and seal is not None and not as_left else []
    _write(place, path, [HEADER, *lines])
    if foreign:
        found = f"{len(foreign)} lines that the ledger does not know, the first: {foreign[0][:200]}"
        raise_alarm(place, repaired(f"logs/{FILE}", found=found, done="made again from the ledger"))
    return True


def _write(place: Place, path: Path, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    ensure_folder(path.parent)
    # The seal first: a crash in between leaves a file that is not as it was left, and so is made again.
    with place.state.write() as db:
        at = place.clock.now()
        heartbeats.beat(db, SEAL, document={"sha256": _hash(text)}, process=this_process(), at=at)
    write_atomic(path, text.encode())


def _read(path: Path) -> str | None:
    with disk_errors(path):
        return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _ended(found: Iterable[Cycle]) -> list[Cycle]:
    """Return the cycles that have ended, in the order of their ends."""
    ended = [cycle for cycle in found if cycle.outcome != RUNNING and cycle.ended_at is not None]
    return sorted(ended, key=lambda cycle: (cycle.ended_at or cycle.started_at, cycle.id))


def _ids(lines: Iterable[str]) -> set[str]:
    found = (_ID.search(line) for line in lines)
    return {match[1] for match in found if match}


def _foreign(text: str, lines: Sequence[str]) -> list[str]:
    """Return the lines of `text` that are none of `lines`; those of cycles older than all of these are let be."""
    known = {HEADER, "", *lines}
    oldest = min(_ids(lines), default="")
    strange = (line for line in text.splitlines() if line not in known)
    return [line for line in strange if not any(cycle < oldest for cycle in _ids([line]))]


def _trained(one: dict[str, Any]) -> str:
    return f"{one.get('family')} v{one['version']} {one.get('verdict')} ({one.get('reason_code')})"
