"""``marketloop status``: where the project stands."""

from __future__ import annotations

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen

__all__ = ["command"]


def command(call: Call) -> Answer:
    """Show champions, their age and figures, and whether a retraining can run now, or why not."""
    with call.open_house() as house:
        document = call.room("loop.status").status_document(house)

    def show(screen: Screen) -> None:
        cycle = document["last_cycle"] or {}
        screen.pairs(
            {
                "a cycle is running": document["running"],
                "data version": document["data_version"],
                "last cycle": f"{cycle['outcome'] or 'running'} ({cycle['started_at'][:16]})" if cycle else None,
                "model": document["model_path"],
            }
        )
        rows = [(name, value, document["baseline"].get(name)) for name, value in document["current_metrics"].items()]
        if rows:
            screen.table(("figure", "champion", "no skill"), rows)
        keys = (
            "family",
            "champion",
            "champion_status",
            "champion_age_h",
            "candidate_age_h",
            "can_retrain_now",
            "why_not",
        )
        columns = ("family", "champion", "status", "age (h)", "newest candidate (h)", "can retrain now", "why not")
        screen.table(columns, [[family[key] for key in keys] for family in document["families"]])

    return Answer(document, show)
