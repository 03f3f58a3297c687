"""The last cycles: do they fail, come too often, or take too long."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, Final

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.runtime.threads import cores
from marketloop.state import cycles, versions
from marketloop.state.cycles import Cycle

__all__ = ["EXAMINATIONS"]

_DAY: Final = dt.timedelta(hours=24)
_MOST_A_DAY: Final = 6
_LONG_S: Final = 30 * 60.0
"""A cycle that searched no hyperparameters and took longer is worth a look."""
_TIMES: Final = 4.0
"""So many times the usual duration is slow."""
_CAUSES: Final = (
    ("disk", "free some space, then marketloop retrain"),
    ("leak", "marketloop features --check"),
    ("no bars", "marketloop collect"),
    ("collect", "marketloop collect"),
    ("source", "marketloop collect"),
    ("database", "see the finding about state, then marketloop retrain"),
    (
        "died before",
        "look for its end in logs/app.log and in the system's log (out of memory?), then marketloop retrain",
    ),
)


def failing(patient: Patient) -> Iterable[Finding]:
    """Say whether cycles, or families in them, fail."""
    with patient.ledger.read() as db:
        recent = [cycle for cycle in cycles.recent(db, limit=20) if cycle.outcome != cycles.RUNNING]
    if not recent:
        return [ok("cycles", "none has ended yet")]
    lost = list(takewhile(lambda cycle: cycle.outcome == "failed", recent))
    last = recent[0]
    if lost:
        why = _why(last)
        value = (
            f"retraining failing: {len(lost)} cycles in a row, the last on {last.started_at:%Y-%m-%d %H:%M} UTC: {why}"
        )
        finding = failed if len(lost) >= 3 else warning
        return [finding("cycles", value, _remedy(why), expected="a cycle that ends with a verdict")]
    broken = [entry for entry in last.document.get("families", []) if entry.get("verdict") == "failed"]
    if broken:
        why = "; ".join(f"{entry.get('family')}: {entry.get('error') or entry.get('reason')}" for entry in broken)
        return [warning("cycles", f"retraining failing for {why}", _remedy(why), expected="no failed family")]
    return [ok("cycles", f"the last one ended on {last.started_at:%Y-%m-%d %H:%M} UTC: {last.outcome}")]


def frequency(patient: Patient) -> Iterator[Finding]:
    """Say whether retraining comes too often."""
    with patient.ledger.read() as db:
        recent = [c for c in cycles.recent(db, limit=30) if dt.timedelta(0) <= patient.now - c.started_at <= _DAY]
    worked = [cycle for cycle in recent if cycle.outcome != "skipped"]
    if len(worked) > _MOST_A_DAY:
        by = Counter(cycle.trigger for cycle in worked).most_common(1)[0]
        value = f"retraining too frequent: {len(worked)} cycles in 24 hours, {by[1]} of them by {by[0]}"
        yield warning("frequency", value, _calmer(by[0]), expected=f"at most {_MOST_A_DAY}, usually one a night")
        return
    section = patient.settings.retraining
    if section.on_events and section.min_interval_hours < 1:
        setting = f"[retraining] min_interval_hours = {section.min_interval_hours:g}"
        value = f"retraining may become too frequent: every event retrains ({setting})"
        yield warning(
            "frequency",
            value,
            "set [retraining] min_interval_hours = 24 in marketloop.toml",
            expected="hours, 24 by default",
        )
        return
    yield ok("frequency", f"{len(worked)} cycles in 24 hours")


def speed(patient: Patient) -> Iterator[Finding]:
    """Say how long cycles take, and what makes them slow."""
    with patient.ledger.read() as db:
        rows = versions.listing(db)
        ended = [c for c in cycles.recent(db, limit=20) if c.ended_at is not None and c.outcome in _WORKED]
    tuned = {row.recipe for row in rows[-3:] if row.params.get("max_depth", 0) and row.params["max_depth"] > 6}
    took = [(c.ended_at - c.started_at).total_seconds() for c in ended if c.ended_at is not None]
    if not took:
        yield ok("speed", "no cycle has trained yet")
        return
    usual = statistics.median(took)
    value = f"the last cycle took {took[0]:,.0f} s, usually {usual:,.0f} s, on {cores()} cores"
    if took[0] > _LONG_S or (took[0] > _TIMES * usual and took[0] > 60):
        causes = [f"deep trees ({', '.join(sorted(tuned))})"] if tuned else []
        causes += ["OMP_NUM_THREADS=1"] if patient.environ.get("OMP_NUM_THREADS") == "1" and cores() > 1 else []
        why = f"; look at {', '.join(causes)}" if causes else ""
        remedy = "marketloop retrain price_predictor --algorithm ridge --feature-set basic; look at the finding threads"
        yield warning(
            "speed",
            f"training slow: {value}{why}",
            remedy,
            expected=f"at most {_LONG_S / 60:.0f} minutes, and {_TIMES:g} times the usual",
        )
        return
    yield ok("speed", value)


_WORKED: Final = frozenset({"promoted", "provisional", "refused"})


def _why(cycle: Cycle) -> str:
    document: dict[str, Any] = cycle.document
    if document.get("error"):
        return str(document["error"])
    errors = [f"{e.get('family')}: {e.get('error') or e.get('reason')}" for e in document.get("families", [])]
    return "; ".join(errors) or "it says no reason"


def _remedy(why: str) -> str:
    found = next((remedy for words, remedy in _CAUSES if words in why.lower()), None)
    return found or "do as the sentence says, then marketloop retrain; logs/app.log has more"


def _calmer(trigger: str) -> str:
    if trigger in {"event", "drift"}:
        return "set [retraining] min_interval_hours = 24 in marketloop.toml, or on_events = false"
    if trigger == "schedule":
        return 'set [retraining] schedule = "default" and rarer [family.NAME] schedule in marketloop.toml'
    return "marketloop status shows who asks; the keys of the API: marketloop keys list"


EXAMINATIONS: Final = (("cycles", failing), ("frequency", frequency), ("speed", speed))
