"""``marketloop status``: where the project stands."""

from __future__ import annotations

from typing import Any

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen

__all__ = ["command"]

_SHOWN_REQUESTS = 5
_FAMILIES = {
    "family": "family",
    "champion": "champion",
    "champion_status": "status",
    "champion_age_h": "age (h)",
    "candidate_age_h": "newest candidate (h)",
    "next_run": "next run",
    "can_retrain_now": "can retrain now",
}
_JOBS = {
    "name": "schedule",
    "schedule": "line",
    "timezone": "time zone",
    "tune": "tunes",
    "next_run": "next run",
    "waiting_for": "waits for",
}
_REQUESTS = {
    "requested_at": "asked at",
    "trigger": "trigger",
    "requested_by": "by",
    "state": "state",
    "outcome": "outcome",
    "why_not": "why not",
}


def command(call: Call) -> Answer:
    """Show champions and their figures, what runs next, and whether a retraining can run now, or why not."""
    with call.open_house() as house:
        document = call.room("loop.status").status_document(house)
    return Answer(document, lambda screen: show_status(screen, document))


def show_status(screen: Screen, document: dict[str, Any]) -> None:
    """Print the document: the project first, then figures, families, schedules and the latest requests."""
    cycle = document["last_cycle"] or {}
    screen.pairs(
        {
            "a loop is running": document["running"],
            "a cycle is running": document["cycle_running"],
            "next retraining": document["next_retraining"],
            "data version": document["data_version"],
            "last cycle": f"{cycle['outcome'] or 'running'} ({cycle['started_at'][:16]})" if cycle else None,
            "model": document["model_path"],
            "the one before": document["backup_path"],
        }
    )
    rows = [(name, value, document["baseline"].get(name)) for name, value in document["current_metrics"].items()]
    if rows:
        screen.table(("figure", "champion", "no skill"), rows)
    screen.table(
        [*_FAMILIES.values(), "why not"],
        [
            (*(family[k] for k in _FAMILIES), family["why_not"] or family["why_no_run"])
            for family in document["families"]
        ],
    )
    if document["scheduled_jobs"]:
        screen.table([*_JOBS.values()], [[job[key] for key in _JOBS] for job in document["scheduled_jobs"]])
    if document["requests"]:
        asked = [[request[key] for key in _REQUESTS] for request in document["requests"][:_SHOWN_REQUESTS]]
        screen.table([*_REQUESTS.values()], asked, title="latest requests")
