"""Figures of the loop for Prometheus, counted in the ledger now and then, and answered from memory."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, tally
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.tally import Tally
from marketloop.web.meters import counter, gauge
from marketloop.web.premises import Premises
from marketloop.web.standing import FRESH

__all__ = ["ACTIONS", "BETWEEN_COUNTS", "KINDS", "OUTCOMES", "Ledger"]

BETWEEN_COUNTS: Final = dt.timedelta(seconds=5)
"""Time for which a count holds; asking for the figures more often costs no database anything."""
OUTCOMES: Final = ("promoted", "provisional", "refused", "skipped", "failed")
ACTIONS: Final = ("promote", "refresh", "provisional", "rollback", "forced", "harm", "pin")
KINDS: Final = ("success", "validation", "degradation", "rollback", "error", "drift", "repair")
TOPICS: Final = ("alarm", "mlflow", "views")
DRIFT: Final = ("none", "monitor", "plan", "retrain")
WORSE: Final = (("rollback", "guard"), ("harm", "harm"))
"""Decisions that alert rules watch: they are told as 0 before the first one, so that the first one is an increase."""
OTHER: Final = "other"
SLOT: Final = ("family", "config_key")

Rows = Iterable[tuple[list[str], float]]


@dataclass(eq=False)
class Ledger(Collector):
    """Counts and ages of a project; they stay as they were read last while the database is away.

    Labels are closed lists, families and configurations that were trained; a word that is in no list is ``other``.
    """

    premises: Premises
    _tally: Tally = field(default_factory=Tally, init=False)
    _counted_at: dt.datetime | None = field(default=None, init=False)
    _disk: tuple[int, int] | None = field(default=None, init=False)

    def look(self) -> None:
        """Count anew where the last count is old and the database is there; for a thread, since it may wait."""
        at = self.premises.clock.now()
        fresh = self._counted_at is not None and dt.timedelta(0) <= at - self._counted_at < BETWEEN_COUNTS
        if fresh or self.premises.desk.view.trouble:
            return
        try:
            with self.premises.state.read() as db:
                self._tally = tally.count(db)
            usage = shutil.disk_usage(self.premises.project.root)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the last count holds, and its age says so
            get_logger("web").warning(
                "the ledger was not counted for /metrics", error=f"{type(error).__name__}: {error}"
            )
            return
        self._disk, self._counted_at = (usage.free, usage.total), at

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; nothing is read here."""
        at, seen = self.premises.clock.now(), self._tally
        if self._counted_at is None:
            return
        yield _age("ledger_read", "the ledger was last counted", at, self._counted_at)
        if self._disk is not None:
            free, total = self._disk
            yield _one("disk_free_bytes", "Bytes free where the project lies.", free)
            yield _one("disk_size_bytes", "Bytes of the disk where the project lies.", total)
        alive = self.premises.pulse.is_alive(seen.heartbeat, at=at, fresh=FRESH)
        yield from _of_loop(seen.heartbeat, at, alive=alive)
        yield from _of_cycles(seen, at)
        yield from _of_requests(seen, at)
        yield from _of_models(seen, at)


def _of_loop(beat: Heartbeat | None, at: dt.datetime, *, alive: bool) -> Iterator[Metric]:
    yield _one("loop_running", "1 while a loop gives signs of life.", alive)
    yield _age("loop_heartbeat", "the loop's last sign of life", at, None if beat is None else beat.at)
    runs = _next_runs(beat.document) if beat is not None and alive else {}
    rows = [([family], (moment - at).total_seconds()) for family, moment in sorted(runs.items())]
    text = "Seconds until the loop plans to retrain the family; below 0 it is overdue."
    yield gauge("marketloop_next_run_seconds", text, ("family",), rows)


def _of_cycles(seen: Tally, at: dt.datetime) -> Iterator[Metric]:
    last, good = seen.last_cycle, seen.last_good_cycle
    yield counter(
        "marketloop_cycles", "Cycles that have ended.", ("outcome",), _closed(seen.cycles, (*OUTCOMES, OTHER))
    )
    outcome = {} if last is None else {last.outcome: 1}
    rows = [] if last is None else _closed(outcome, (*OUTCOMES, OTHER))
    yield gauge("marketloop_last_cycle_outcome", "1 for the outcome of the last cycle.", ("outcome",), rows)
    took = None if last is None else (last.ended_at - last.started_at).total_seconds()
    yield _one("last_cycle_duration_seconds", "Seconds that the last cycle took.", took)
    yield _age("last_cycle", "the last cycle ended", at, None if last is None else last.ended_at)
    yield _age("last_good_cycle", "a cycle ended without failing", at, None if good is None else good.ended_at)
    since = seen.running_since
    running = 0.0 if since is None else max(0.0, (at - since).total_seconds())
    yield _one("cycle_running", "1 while a cycle runs.", since is not None)
    yield _one("cycle_running_seconds", "Seconds that the cycle has been running; 0 while none does.", running)


def _of_requests(seen: Tally, at: dt.datetime) -> Iterator[Metric]:
    states = _closed(seen.requests, ("waiting", "running"))
    yield gauge("marketloop_requests", "Retrainings asked for that wait or run.", ("state",), states)
    waited = 0.0 if seen.waiting_since is None else max(0.0, (at - seen.waiting_since).total_seconds())
    yield _one("request_wait_seconds", "Seconds that the oldest waiting request has waited.", waited)
    yield _one("events_waiting", "Events that the loop has not handled.", seen.events)
    topics = _closed(seen.outbox, (*TOPICS, OTHER))
    yield gauge("marketloop_outbox_waiting", "Messages to mirrors and channels not sent yet.", ("topic",), topics)
    yield counter(
        "marketloop_alarms", "Alarms raised, repeats not counted.", ("kind",), _closed(seen.alarms, (*KINDS, OTHER))
    )


def _of_models(seen: Tally, at: dt.datetime) -> Iterator[Metric]:
    trained = [(_key(slot), (at - moment).total_seconds()) for slot, moment in sorted(seen.candidates.items())]
    yield gauge("marketloop_candidate_age_seconds", "Seconds since the newest version was trained.", SLOT, trained)
    slots = sorted({slot for slot, _ in seen.changes})
    changes = [
        ([*_key(slot), action], float(seen.changes.get((slot, action), 0))) for slot in slots for action in ACTIONS
    ]
    text = "Entries of the champion ledger: who serves, changed by what."
    yield counter("marketloop_champion_changes", text, (*SLOT, "action"), changes)
    none = {(slot.family, *pair): 0 for slot in slots for pair in WORSE}
    decisions = [(list(key), float(number)) for key, number in sorted({**none, **seen.decisions}.items())]
    text = "Decisions on candidates and champions."
    yield counter("marketloop_decisions", text, ("family", "verdict", "reason_code"), decisions)
    drift = [
        ([*_key(slot), action], float(action == found if found in DRIFT else action == OTHER))
        for slot, found in sorted(seen.drift.items())
        for action in (*DRIFT, OTHER)
    ]
    text = "1 for what the newest scan for drift advises."
    yield gauge("marketloop_drift_action", text, (*SLOT, "action"), drift)


def _next_runs(document: Mapping[str, Any]) -> dict[str, dt.datetime]:
    """Return when each family runs next, as the loop told it."""
    told = document
    return {
        str(row["family"]): dt.datetime.fromisoformat(row["next_run"])
        for row in told.get("families", [])
        if row.get("next_run")
    }


def _closed(found: Mapping[str, int], names: tuple[str, ...]) -> list[tuple[list[str], float]]:
    """Return a row for each name, 0 where nothing was found; what has another name counts as ``other``."""
    rest = sum(number for name, number in found.items() if name not in names)
    return [([name], float(rest if name == OTHER else found.get(name, 0))) for name in names]


def _one(name: str, text: str, value: float | None) -> Metric:
    return gauge(f"marketloop_{name}", text, (), [] if value is None else [([], value)])


def _age(name: str, since: str, at: dt.datetime, then: dt.datetime | None) -> Metric:
    seconds = None if then is None else (at - then).total_seconds()
    return _one(f"{name}_age_seconds", f"Seconds since {since}.", seconds)


def _key(slot: Slot) -> list[str]:
    return [slot.family, slot.config_key]
