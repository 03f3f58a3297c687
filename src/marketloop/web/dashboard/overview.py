"""The first page: who serves, whether the wheel turns, what was decided lately, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.state.alarms import Raised
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision, DecisionLine
from marketloop.state.requests import Request
from marketloop.web.dashboard.asking import retrain_button
from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.pieces import Text, banner, card, chip, empty, facts, listing, stat, tone_of
from marketloop.web.dashboard.readings import Overview, Serving, read_overview
from marketloop.web.dashboard.words import FIGURES, ago, family_name, figure, headline, moment, no_skill, span

__all__ = ["decision_rows", "progress_card", "register"]

FIRST_STEPS: Final = (
    ("Collect bars: the bundled sample, or your own files.", "marketloop collect --source folder --path ../my_bars"),
    ("Train, examine, and promote what passes the gate.", "marketloop retrain"),
    ("Leave it running: schedules, events, this page.", "marketloop up"),
)
DECISIONS: Final = (
    ("at", "When", "text"),
    ("family", "Family", "text"),
    ("version", "Version", "link"),
    ("verdict", "Verdict", "chip"),
    ("reason", "Why", "long"),
)


def register() -> None:
    """Add the page."""

    @ui.page("/", response_timeout=20)
    async def overview(request: HttpRequest) -> Response | None:
        return await enter(request, "Overview", _build)


async def _build(visit: Visit) -> None:
    await live(visit, lambda: read_overview(visit.premises), lambda now: _draw(visit, now))


def _draw(visit: Visit, now: Overview) -> None:
    with ui.element("div").classes("ml-top"):
        Text("h1", f"{visit.premises.settings.project.name}: where it stands")
        if now.bars:
            retrain_button(visit, loop_runs=bool(now.status["running"]))
    if now.trouble:
        banner(f"The database is away: predictions are served from memory, and say stale. {now.trouble}", "bad")
    if not now.champions:
        _nothing_serves(now)
    if now.running is not None:
        progress_card(now.running)
    _wheel(visit, now.status)
    if now.champions:
        with ui.element("div").classes("ml-grid"):
            for serving in now.champions:
                _champion_card(visit, serving, _family(now.status, serving.champion))
    if now.decisions:
        with card("Latest decisions", note="Refused candidates stand here as plainly as promoted ones."):
            listing(DECISIONS, decision_rows(now.decisions), label="latest decisions", per_page=10)
    _alarms(now.alarms)


def decision_rows(said: Sequence[Decision | DecisionLine]) -> list[dict[str, Any]]:
    """Return decisions as rows of a table."""
    return [
        {
            "key": word.id,
            "at": moment(word.decided_at),
            "family": family_name(word.slot.family),
            "version": "-" if word.version is None else f"version {word.version}",
            "version_href": _version_page(word),
            "verdict": "forced" if word.reason_code == "forced" else word.verdict,
            "verdict_tone": tone_of("forced" if word.reason_code == "forced" else word.verdict),
            "code": word.reason_code,
            "reason": word.reason,
        }
        for word in said
    ]


def progress_card(request: Request) -> None:
    """Show how far a retraining is."""
    step = request.progress
    families = ", ".join(family_name(name) for name in request.families) or "all families"
    with card(f"Retraining {families}: {request.state}", classes="live"):
        done, total = int(step.get("done") or 0), int(step.get("total") or 0)
        if request.state == "running":
            text = str(step.get("what") or "starting")
            Text("div", f"{text} {f'({done} of {total})' if total else ''}".strip())
            bar = ui.linear_progress(value=done / total if total else 0, show_value=False).props("rounded size=10px")
            bar.props('aria-label="progress"' + ("" if total else " indeterminate"))
        else:
            Text("div", "It waits for the loop, or for a cycle that is running.")
        with ui.element("div").classes("ml-row ml-small"):
            Text("span", f"asked for by {request.requested_by or 'somebody'}: {request.reason}", "ml-dim ml-wrap")
            ui.link("details", f"/activity/{request.id}")


def _nothing_serves(now: Overview) -> None:
    steps = FIRST_STEPS[1:] if now.bars else FIRST_STEPS
    why = (
        "There are bars, and no model was examined yet."
        if now.bars
        else "This project has no bars yet. Three commands, in the project's folder:"
    )
    empty("Nothing is served yet", why, steps)


def _wheel(visit: Visit, status: Mapping[str, Any]) -> None:
    now = visit.premises.clock.now()
    with card("The loop"):
        with ui.element("div").classes("ml-row"):
            if status["running"]:
                chip("running", "good")
                Text("span", f"seen {ago(status['loop_seen_at'], now)}", "ml-dim")
            else:
                chip("not running", "bad")
                seen = status["loop_seen_at"]
                Text("span", f"last seen {ago(seen, now)}" if seen else "never seen", "ml-dim")
                Text("span", "Start it with `marketloop up`; nothing is retrained by itself without it.")
            if status["cycle_running"]:
                chip("a cycle is running", "good")
        jobs = {job["name"]: job for job in status["scheduled_jobs"]}
        last = status["last_cycle"]
        facts(
            {
                "next run": f"{moment(status['next_retraining'])} ({ago(status['next_retraining'], now)})"
                if status["next_retraining"]
                else "",
                **{
                    f"schedule {name}": f"{', '.join(job['families'])}: {moment(job['next_run'])}"
                    + (f", waits for {job['waiting_for']}" if job.get("waiting_for") else "")
                    for name, job in jobs.items()
                },
                "last cycle": ""
                if last is None
                else f"{last['outcome']}, {moment(last['started_at'])} {last['reason']}".strip(),
            }
        )


def _champion_card(visit: Visit, serving: Serving, status: Mapping[str, Any]) -> None:
    now, champion, metrics = visit.premises.clock.now(), serving.champion, serving.metrics
    with card(classes="link"):
        with ui.element("div").classes("ml-top"):
            with ui.element("h2"):
                ui.link(family_name(champion.slot.family), f"/families/{champion.slot.family}")
            with ui.element("div").classes("ml-row"):
                chip("proven" if champion.skill_proven and champion.status == "champion" else "provisional")
                if champion.pinned:
                    chip("pinned")
        name = headline(metrics)
        with ui.element("div").classes("ml-stats"):
            stat("version", f"v{champion.version}", f"promoted {ago(champion.promoted_at, now)}")
            if name is not None:
                beside = figure(name, no_skill(name, serving.baseline))
                stat(FIGURES[name], figure(name, metrics[name]), f"no skill {beside}")
            candidate = span((now - serving.candidate_at).total_seconds())
            stat("age", span((now - champion.trained_at).total_seconds()), f"newest candidate {candidate}")
        if champion.status == "provisional":
            Text("p", "No skill is proven yet, so every signal is HOLD.", "ml-note")
        if status.get("next_run"):
            Text("p", f"next run {moment(status['next_run'])}", "ml-note")
        if status.get("why_not"):
            Text("p", f"would not retrain now: {status['why_not']}", "ml-note ml-wrap")


def _alarms(raised: Sequence[Raised]) -> None:
    if not raised:
        return
    with card("Latest alarms"):
        rows = [
            {
                "key": one.id,
                "at": moment(one.raised_at),
                "kind": one.kind,
                "kind_tone": tone_of(one.kind),
                "title": one.title + (f" ({one.repeats} more)" if one.repeats else ""),
            }
            for one in raised
        ]
        columns = (("at", "When", "text"), ("kind", "Kind", "chip"), ("title", "What", "long"))
        listing(columns, rows, label="latest alarms", per_page=5)


def _family(status: Mapping[str, Any], champion: Champion) -> Mapping[str, Any]:
    return next((one for one in status["families"] if one["family"] == champion.slot.family), {})


def _version_page(word: Decision | DecisionLine) -> str:
    return "" if word.version is None else f"/families/{word.slot.family}/{word.version}?config={word.slot.config_key}"
