"""What waits and what was told: alarms of the last day, MLflow, views and channels that have not heard yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from marketloop.cli.examinations.finding import Finding, Patient, ok, warning
from marketloop.state import alarms, outbox

__all__ = ["EXAMINATIONS"]

_STUCK: Final = dt.timedelta(hours=1)
_DAY: Final = dt.timedelta(hours=24)
_GRAVE: Final = ("degradation", "error", "rollback")
_REMEDY: Final = {
    "mlflow": "correct [tracking] uri, or set enabled = false; marketloop loop --once sends it again",
    "views": "marketloop export --views",
    "alarm": "correct [alarms] urls; marketloop loop --once sends it again",
    "event": "marketloop loop --once",
}


def mirrors(patient: Patient) -> Iterable[Finding]:
    """Say which mirror has not heard for more than an hour, or refuses."""
    with patient.ledger.read() as db:
        found = {queue.topic: queue for queue in outbox.queues(db)}
    for topic, queue in found.items():
        if queue.attempts or patient.now - queue.since > _STUCK:
            why = f": {queue.trouble}" if queue.trouble else ""
            since = f"{queue.since:%Y-%m-%d %H:%M} UTC"
            value = f"{queue.waiting} messages wait since {since}, tried {queue.attempts} times{why}"
            yield warning(
                f"outbox {topic}", value, _REMEDY.get(topic, "marketloop loop --once"), expected="none after an hour"
            )
    if not patient.settings.tracking.enabled:
        yield ok("mlflow", "[tracking] enabled = false: nothing is mirrored", remedy="set [tracking] enabled = true")
    elif "mlflow" not in found:
        yield ok("mlflow", "everything is mirrored")


def told(patient: Patient) -> Iterable[Finding]:
    """Say which grave alarms were raised in the last 24 hours."""
    with patient.ledger.read() as db:
        found = [a for a in alarms.recent(db, limit=20, kinds=_GRAVE) if patient.now - a.last_at <= _DAY]
    if not found:
        return [ok("alarms", "none of degradation, error or rollback in 24 hours")]
    value = f"{len(found)} in 24 hours, the last: {found[0].title}"
    return [warning("alarms", value, "tail -n 40 models/alerts.log", expected="none")]


EXAMINATIONS: Final = (("mirrors", mirrors), ("alarms", told))
