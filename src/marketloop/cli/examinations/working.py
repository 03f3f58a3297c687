"""The loop: does it run, is something scheduled, and what keeps a retraining from coming."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, Final

from marketloop.cli.examinations.champions import reigning
from marketloop.cli.examinations.finding import Finding, Patient, ok, warning
from marketloop.loop.pulse import LEASE, is_fresh
from marketloop.state import cycles, events, heartbeats, lease, requests, this_process
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.requests import Request

__all__ = ["EXAMINATIONS"]

_UP: Final = "marketloop up"
_OLD: Final = dt.timedelta(days=4)
"""Longer than a weekend with a holiday: after it, a project that nothing retrains is worth a word."""
_LATELY: Final = dt.timedelta(days=14)
_MANY: Final = 3


def pulse(patient: Patient) -> Iterable[Finding]:
    """Say whether a loop runs, and why a scheduler that should be running is not."""
    with patient.ledger.read() as db:
        beat, held = heartbeats.last(db, LEASE), lease.holder(db, LEASE)
        last = next(iter(cycles.recent(db, limit=1)), None)
        waiting = [request for request in requests.unfinished(db) if request.state == requests.WAITING]
    if is_fresh(beat, patient.now) and beat is not None:
        return [_running(beat)]
    seen = "never" if beat is None else f"{beat.at:%Y-%m-%d %H:%M} UTC"
    if beat is not None and not beat.document.get("stopped"):
        value = f"scheduler not running: its last sign of life is of {seen} ({beat.process}), without a farewell"
        remedy = f"look into logs/app.log, then {_UP} (deploy/ has a unit that starts it again)"
        if held is not None and held.process.host != this_process().host:
            remedy = f"look on {held.process.host}; {_UP} here takes over two minutes after its last sign of life"
        return [warning("loop", value, remedy, expected="a heartbeat within 60 s")]
    if waiting:
        oldest = f"the oldest of {waiting[0].requested_at:%Y-%m-%d %H:%M} UTC"
        value = f"scheduler not started (seen: {seen}) while {len(waiting)} requests wait, {oldest}"
        return [warning("loop", value, f"{_UP}, or marketloop loop --once", expected="a running loop")]
    if last is not None and patient.now - last.started_at > _OLD:
        began = f"the last cycle began on {last.started_at:%Y-%m-%d}"
        value = f"nothing retrains this project: no loop runs (seen: {seen}), {began}"
        remedy = f"{_UP}, or a line in cron: marketloop retrain"
        return [warning("loop", value, remedy, expected="a loop, or a scheduler of the machine")]
    return [ok("loop", f"no loop runs (seen: {seen})", remedy=f"{_UP} retrains by schedule and event")]


def _running(beat: Heartbeat) -> Finding:
    trouble, failures = beat.document.get("trouble"), int(beat.document.get("failures") or 0)
    value = f"runs ({beat.process}), next run {beat.document.get('next_retraining') or 'none'}"
    if trouble:
        return warning("loop", f"{value}; it cannot plan: {trouble}", "marketloop status, then correct what it names")
    if failures:
        return warning(
            "loop", f"{value}; {failures} rounds in a row have failed", "look into logs/app.log", expected="0"
        )
    return ok("loop", value)


def triggers(patient: Patient) -> Iterator[Finding]:
    """Say what keeps a retraining from being triggered."""
    with patient.ledger.read() as db:
        there = reigning(db, patient)
        asked = requests.recent(db, limit=20)
        heard = [event for event in events.recent(db, limit=20) if patient.now - event.published_at <= _LATELY]
    pinned = sorted(family for family, now in there.items() if now.pinned)
    skipped = _skipped_in_a_row(asked)
    if len(skipped) >= _MANY:
        many = f"the last {len(skipped)} requests were skipped"
        value = f"retraining not triggered: {many}, the last because {skipped[0].why_not}"
        yield warning("triggers", value, _against(skipped[0]), expected="a request that runs")
        return
    section = patient.settings.retraining
    if not section.on_events and (lost := [event.type for event in heard if event.type not in _OWN]):
        kinds = ", ".join(sorted(set(lost))[:3])
        value = f"retraining not triggered by {len(lost)} events of two weeks ({kinds}): [retraining] on_events = false"
        remedy = "set [retraining] on_events = true in marketloop.toml"
        yield warning("triggers", value, remedy, expected="true, if events are to retrain")
        return
    notes = [f"{', '.join(pinned)} pinned: not retrained"] if pinned else []
    notes += ['[retraining] schedule = "off": nothing is scheduled'] if section.schedule == "off" else []
    remedy = f"marketloop pin {pinned[0]} --off" if pinned else 'set [retraining] schedule = "default"' if notes else ""
    yield ok(
        "triggers",
        "; ".join(notes) or f'schedule "{section.schedule}", events {"on" if section.on_events else "off"}',
        remedy=remedy,
    )


_OWN: Final = frozenset({"BACKTEST_COMPLETED", "RETRAINING_COMPLETED", "MODEL_PROMOTED", "MODEL_ROLLED_BACK"})
"""Events that MarketLoop publishes itself: nobody waits for a retraining because of them."""
_USUAL: Final = ("no session since", "replaces", "replaced")
"""Words of the reasons for which slots are skipped on every weekend."""


def _skipped_in_a_row(asked: tuple[Request, ...]) -> list[Request]:
    found = []
    for request in asked:
        if request.state != requests.SKIPPED:
            break
        if not any(words in request.why_not for words in _USUAL):
            found.append(request)
    return found


_REMEDIES: Final = (
    ("pinned", "marketloop pin FAMILY --off"),
    ("disk", "free some space, then marketloop retrain"),
    ("no bars", "marketloop collect"),
    ("are not there", "marketloop collect, and look whether the source has the newest session"),
    ("ends on", "bring newer bars to the source, then marketloop collect"),
    ("no session since", "wait for the next session, or marketloop retrain"),
    ("another cycle", "marketloop status names it; end it if it hangs"),
    ("min_interval_hours", "wait, set a smaller [retraining] min_interval_hours, or marketloop retrain"),
    ("labels have become known", "marketloop collect, and wait for a new session"),
)


def _against(request: Request) -> str:
    """Return what to do about a reason, by its words."""
    family = request.families[0] if request.families else "price_predictor"
    found = next((remedy for words, remedy in _REMEDIES if words in request.why_not), "marketloop status")
    return found.replace("FAMILY", family)


def waiting(patient: Patient) -> Iterable[Finding]:
    """Say which cycle runs, and whether its process still lives."""
    here: Any = this_process()
    with patient.ledger.read() as db:
        held = lease.holder(db, "cycle")
        running = [request for request in requests.unfinished(db) if request.state == requests.RUNNING]
    if held is None or held.process.is_dead(here):
        dead = "" if held is None else f"; {held.process} died in one, the next cycle records it"
        left = f"; {len(running)} requests still say running" if running else ""
        return [ok("running", f"no cycle runs{dead}{left}")]
    since = patient.now - held.acquired_at
    value = f"a cycle runs since {held.acquired_at:%Y-%m-%d %H:%M} UTC ({held.process})"
    if since > dt.timedelta(hours=12):
        remedy = f"look whether it hangs; end it: kill {held.process.pid} on {held.process.host}"
        return [warning("running", value, remedy, expected="less than 12 hours")]
    return [ok("running", value)]


EXAMINATIONS: Final = (("loop", pulse), ("triggers", triggers), ("running", waiting))
