"""``models/alerts.log``: every alarm of the ledger as text, appended in order, each once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from marketloop.runtime.files import append, disk_errors, ensure_folder
from marketloop.runtime.journal import alone
from marketloop.runtime.redact import redact, redact_text
from marketloop.state import State, alarms
from marketloop.state.alarms import Raised

__all__ = ["append_new", "body", "stamp"]

MOST_BYTES: Final = 5_000_000
"""A log that has grown beyond this becomes ``alerts.log.1`` and a new one begins."""
FIRST: Final = (
    *("reason", "error", "trigger", "cycle", "duration", "samples", "tickers"),
    *("version", "metrics", "baseline", "previous_version", "previous_metrics", "model_path", "backup_path"),
)
"""What a reader looks for first, in this order; the rest follows as it was kept."""
_TAIL: Final = 256_000
_ID: Final = re.compile(rb"(?m)^  alarm: (\d+)")


def append_new(path: Path, state: State, zone: ZoneInfo) -> int:
    """Append the alarms that the log does not hold yet; return how many.

    What it holds is read from the log itself, so nothing is missing after a crash and nothing comes twice; a log that
    was deleted by hand is written again from the ledger.

    Raises
    ------
    MarketLoopError
        The disk refused, or another process is writing the log now: it will append these too.
    """
    ensure_folder(path.parent)
    with alone(path.with_name(f".{path.name}.lock"), "the alarms are being written"):
        with state.read() as db:
            fresh = alarms.written_after(db, _last_id(path))
        if not fresh:
            return 0
        text = "".join(_entry(alarm, zone) for alarm in fresh).encode()
        append(path, text, most=MOST_BYTES)
    return len(fresh)


def stamp(moment: datetime, zone: ZoneInfo) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS`` in the project's time zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def body(alarm: Raised) -> str:
    """Return what an alarm says below its title, one ``  name: value`` a line; what is not known is left out.

    Secrets are hidden here too: an alarm of the ledger may be older than their hiding there.
    """
    document = redact("document", alarm.document)
    first = [name for name in FIRST if name in document]
    rest = [name for name in document if name not in FIRST]
    about = {"alarm": f"{alarm.id} ({alarm.kind})", **{name: document[name] for name in (*first, *rest)}}
    return "\n".join(f"  {name.replace('_', ' ')}: {_said(value)}" for name, value in about.items() if _known(value))


def _entry(alarm: Raised, zone: ZoneInfo) -> str:
    return f"[{stamp(alarm.raised_at, zone)}] {_line(redact_text(alarm.title))}\n{body(alarm)}\n\n"


def _last_id(path: Path) -> int:
    """Return the greatest number of an alarm near the end of the log, or of the one before it; 0 without any."""
    for place in (path, path.with_name(f"{path.name}.1")):
        with disk_errors(place):
            if not place.exists():
                continue
            with place.open("rb") as file:
                file.seek(max(0, place.stat().st_size - _TAIL))
                found = _ID.findall(file.read())
        if found:
            return max(map(int, found))
    return 0


def _known(value: Any) -> bool:
    return value is not None and value not in ("", {}, [])


def _said(value: Any) -> str:
    match value:
        case Mapping():
            return ", ".join(f"{name} {_said(inner)}" for name, inner in value.items() if _known(inner))
        case str():
            return _line(value)
        case float():
            return f"{value:.4g}"
        case Sequence():
            return ", ".join(map(_said, value))
    return str(value)


def _line(text: str) -> str:
    """Return `text` on one line: nothing that comes from outside may look like an entry of its own."""
    return " ".join(text.split())
