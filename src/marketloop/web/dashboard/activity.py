"""Jobs and logs: what was asked for, how far it is, what came of it, what happened, and what the log files say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.state.cycles import Cycle, CycleLine
from marketloop.state.decisions import Decision
from marketloop.state.requests import Request
from marketloop.web.dashboard.asking import retrain_button
from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.overview import decision_rows, progress_card
from marketloop.web.dashboard.pieces import Text, card, chip, facts, listing, tone_of
from marketloop.web.dashboard.readings import Activity, read_activity, read_job, tail
from marketloop.web.dashboard.words import family_name, moment, span

__all__ = ["register"]

LOGS: Final = {
    "History of retrainings": "ml_retraining_history.txt",
    "Loop": "app.log",
    "Server": "server.log",
    "Predictions": "predictions.log",
}
JOBS = (
    ("at", "Asked", "text"),
    ("id", "Job", "link"),
    ("state", "State", "chip"),
    ("outcome", "Outcome", "chip"),
    ("by", "By", "text"),
    ("families", "Families", "text"),
    ("why", "Why, or why not", "long"),
)
CYCLES = (
    ("at", "Began", "text"),
    ("id", "Cycle", "text"),
    ("outcome", "Outcome", "chip"),
    ("took", "Took", "text"),
    ("trigger", "Set off by", "text"),
    ("reason", "Reason", "long"),
)
EVENTS = (
    ("at", "Published", "text"),
    ("type", "Event", "text"),
    ("source", "By", "text"),
    ("result", "What it set off", "long"),
)
ALARMS = (("at", "When", "text"), ("kind", "Kind", "chip"), ("title", "What", "long"), ("repeats", "Again", "number"))
DECISIONS = (("family", "Family", "text"), ("version", "Version", "link"), ("verdict", "Verdict", "chip"),
             ("reason", "Why", "long"))  # fmt: skip


def register() -> None:
    """Add the pages."""

    @ui.page("/activity", response_timeout=20)
    async def activity(request: HttpRequest) -> Response | None:
        return await enter(request, "Jobs and logs", _build)

    @ui.page("/activity/{job}", response_timeout=20)
    async def one(request: HttpRequest, job: str) -> Response | None:
        return await enter(request, "Job", lambda visit: _job(visit, job))


async def _build(visit: Visit) -> None:
    await live(visit, lambda: read_activity(visit.premises), lambda now: _draw(visit, now))
    logs = visit.premises.project.logs

    def read() -> dict[str, Sequence[str]]:
        return {name: tail(logs / file) for name, file in LOGS.items()}

    await live(visit, read, _draw_logs, every=5.0)


async def _job(visit: Visit, job: str) -> None:
    await live(visit, lambda: read_job(visit.premises, job), lambda found: _draw_job(*found), every=1.0)


def _draw(visit: Visit, now: Activity) -> None:
    with ui.element("div").classes("ml-top"):
        Text("h1", "Jobs and logs")
        retrain_button(visit, loop_runs=bool(now.status.get("running")))
    running = next((one for one in now.requests if one.state in {"running", "waiting"}), None)
    if running is not None:
        progress_card(running)
    with card("Jobs", note="Every wish for a retraining, by schedule, event or hand; each that did not run says why."):
        listing(JOBS, [_job_row(one) for one in now.requests], label="jobs", search=True, per_page=10)
    with card("Cycles"):
        listing(CYCLES, [_cycle_row(one) for one in now.cycles], label="cycles", search=True, per_page=10)
    with ui.element("div").classes("ml-grid wide"):
        with card("Alarms"):
            rows = [
                {
                    "key": one.id,
                    "at": moment(one.raised_at),
                    "kind": one.kind,
                    "kind_tone": tone_of(one.kind),
                    "title": one.title,
                    "repeats": one.repeats,
                }
                for one in now.alarms
            ]
            listing(ALARMS, rows, label="alarms", per_page=10, none="No alarm was raised.")
        with card("Events"):
            events = [
                {
                    "key": one.id,
                    "at": moment(one.published_at),
                    "type": one.type,
                    "source": one.source,
                    "result": _said(one.result) or ("waits" if one.handled_at is None else ""),
                }
                for one in now.events
            ]
            listing(EVENTS, events, label="events", per_page=10, none="Nothing was published.")


def _draw_logs(logs: dict[str, Sequence[str]]) -> None:
    with card("Log files", note="The last lines of each; the whole files are in the project's logs folder."):
        for name, lines in logs.items():
            with ui.expansion(f"{name} ({LOGS[name]}, {len(lines)} lines)").style("width:100%"):
                if lines:
                    Text("pre", "\n".join(lines), "ml-code ml-log").props(f'tabindex="0" aria-label="{name}"')
                else:
                    Text("p", "Nothing was written yet.", "ml-note")


def _draw_job(request: Request, cycle: Cycle | None, said: Sequence[Decision]) -> None:
    with ui.element("div").classes("ml-top"):
        with ui.element("div").classes("ml-row"):
            Text("h1", "Retraining")
            chip(request.state)
            if request.outcome:
                chip(request.outcome)
        ui.link("all jobs", "/activity")
    if request.state in {"running", "waiting"}:
        progress_card(request)
    ended = request.ended_at
    with card("What was asked"):
        facts(
            {
                "job": request.id,
                "by": f"{request.requested_by} ({request.trigger})",
                "reason": request.reason,
                "families": ", ".join(map(family_name, request.families)) or "all",
                "asked": moment(request.requested_at),
                "begun": moment(request.claimed_at) if request.claimed_at else "",
                "ended": moment(ended) if ended else "",
                "took": span((ended - request.claimed_at).total_seconds()) if ended and request.claimed_at else "",
                "why not": request.why_not,
                "cycle": request.cycle_id or "",
            }
        )
    if said:
        with card("What was decided"):
            listing(DECISIONS, decision_rows(said), label="decisions of the cycle", per_page=10)
    failed = [] if cycle is None else [f for f in cycle.document.get("families", []) if f.get("error")]
    for one in failed:
        with card(f"{family_name(str(one.get('family')))} failed", classes="urgent"):
            Text("p", str(one["error"]), "ml-wrap")


def _job_row(request: Request) -> dict[str, Any]:
    return {
        "key": request.id,
        "at": moment(request.requested_at),
        "id": request.id,
        "id_href": f"/activity/{request.id}",
        "state": request.state,
        "state_tone": tone_of(request.state),
        "outcome": request.outcome,
        "outcome_tone": tone_of(request.outcome),
        "by": request.requested_by or request.trigger,
        "families": ", ".join(request.families) or "all",
        "why": request.why_not or request.reason,
    }


def _cycle_row(cycle: CycleLine) -> dict[str, Any]:
    ended = cycle.ended_at
    return {
        "key": cycle.id,
        "at": moment(cycle.started_at),
        "id": cycle.id,
        "outcome": cycle.outcome,
        "outcome_tone": tone_of(cycle.outcome),
        "took": span((ended - cycle.started_at).total_seconds()) if ended else "-",
        "trigger": cycle.trigger,
        "reason": cycle.reason,
    }


def _said(result: Any) -> str:
    if not isinstance(result, dict):
        return ""
    return " ".join(str(result[name]) for name in ("action", "why", "request_id") if result.get(name))
