"""A family and its versions: who serves and why, the evidence beside no skill and champion, every decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.state import Slot
from marketloop.web.dashboard import charts
from marketloop.web.dashboard.asking import pin_button, promote_button, retrain_button, rollback_button
from marketloop.web.dashboard.evidence import show_charts, show_checks, show_figures, show_verdict
from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.overview import decision_rows, progress_card
from marketloop.web.dashboard.pieces import Text, banner, card, chart, chip, facts, listing, plain_table, stat, tone_of
from marketloop.web.dashboard.readings import Evidence, FamilyReading, read_evidence, read_family
from marketloop.web.dashboard.words import (
    FIGURES,
    ago,
    family_name,
    figure,
    headline,
    interval,
    moment,
    no_skill,
    number,
    span,
)
from marketloop.web.problems import ProblemError

__all__ = ["register"]

DECISIONS = (
    ("at", "When", "text"),
    ("version", "Version", "link"),
    ("verdict", "Verdict", "chip"),
    ("code", "Code", "text"),
    ("reason", "Why", "long"),
)


def register() -> None:
    """Add the pages."""

    @ui.page("/families/{family}", response_timeout=20)
    async def family_page(request: HttpRequest, family: str, config: str = "") -> Response | None:
        return await enter(request, family_name(family[:64]), lambda visit: _family(visit, family, config))

    @ui.page("/families/{family}/{version}", response_timeout=20)
    async def version_page(request: HttpRequest, family: str, version: str, config: str = "") -> Response | None:
        title = f"{family_name(family[:64])}, version {version[:12]}"
        return await enter(request, title, lambda visit: _version(visit, family, version, config))


async def _family(visit: Visit, family: str, config: str) -> None:
    def read() -> tuple[FamilyReading, Evidence | None]:
        reading = read_family(visit.premises, family, config or None)
        champion = reading.champion
        shown = champion.version if champion is not None else _newest(reading)
        return reading, None if shown is None else read_evidence(visit.premises, reading.slot, shown)

    await live(visit, read, lambda both: _draw_family(visit, *both), every=3.0)


async def _version(visit: Visit, family: str, version: str, config: str) -> None:
    if not version.isdecimal() or len(version) > 9:
        raise ProblemError(404, f'"{version[:20]}" is no version number')

    def read() -> tuple[FamilyReading, Evidence]:
        reading = read_family(visit.premises, family, config or None)
        return reading, read_evidence(visit.premises, reading.slot, int(version))

    await live(visit, read, lambda both: _draw_version(visit, *both), every=5.0)


def _draw_family(visit: Visit, reading: FamilyReading, evidence: Evidence | None) -> None:
    _head(visit, reading)
    if reading.running is not None:
        progress_card(reading.running)
    with ui.element("div").classes("ml-grid"):
        _who_serves(visit, reading)
        _what_next(reading.status)
        _as_served(reading)
    if evidence is not None:
        with ui.element("div").classes("ml-top"):
            word = "the champion" if reading.champion is not None else "the newest version"
            Text("h2", f"Evidence about {word}, version {evidence.version}")
            ui.link("every check and number", _address(reading.slot, evidence.version))
        show_verdict(evidence)
        show_figures(evidence)
        show_charts(evidence)
    _decisions(reading)
    _versions(reading)


def _head(visit: Visit, reading: FamilyReading) -> None:
    slot, champion = reading.slot, reading.champion
    with ui.element("div").classes("ml-top"):
        with ui.element("div").classes("ml-row"):
            Text("h1", family_name(slot.family))
            if champion is not None:
                chip("proven" if champion.skill_proven and champion.status == "champion" else "provisional")
                if champion.pinned:
                    chip("pinned")
        with ui.element("div").classes("ml-row"):
            retrain_button(visit, slot.family, loop_runs=reading.loop_runs)
            if champion is not None:
                served = _served(reading)
                if served and not champion.pinned and slot.config_key == visit.premises.desk.view.default_key:
                    rollback_button(visit, slot, champion.version, served)
                pin_button(visit, slot, champion.version, pinned=champion.pinned)
    if len(reading.configurations) > 1:
        with ui.element("div").classes("ml-row"):
            Text("span", "Configuration:", "ml-dim")
            for key in reading.configurations:
                link = ui.link(key, f"/families/{slot.family}?config={key}")
                if key == slot.config_key:
                    link.props('aria-current="page"').style("font-weight:700")


def _who_serves(visit: Visit, reading: FamilyReading) -> None:
    now, champion, before = visit.premises.clock.now(), reading.champion, reading.previous
    with card("Who serves"):
        if champion is None:
            Text("p", "Nobody serves: no version has passed the gate, or none was made yet.")
            return
        with ui.element("div").classes("ml-stats"):
            stat("champion", f"v{champion.version}", f"{champion.action}, {ago(champion.promoted_at, now)}")
            stat("trained", span((now - champion.trained_at).total_seconds()), "ago")
            stat("before it", "-" if before is None else f"v{before.version}", "a rollback leads there")
        facts({"data version": champion.data_version, "configuration": reading.slot.config_key})


def _as_served(reading: FamilyReading) -> None:
    """Show how what was served turned out, as far as its outcomes are known, and an estimate of the rest."""
    with card("As served", note="Predictions whose outcome is known by now, by the day on which it was."):
        rows = []
        for window, told in sorted(reading.accuracy.items(), key=lambda item: (len(item[0]), item[0])):
            name = str(told.get("metric", "accuracy"))
            rows.append(
                [
                    window,
                    figure(name, told.get("value")),
                    figure(name, told.get("baseline")),
                    interval(told.get("interval"), name) or "-",
                    number(told.get("matured"), 0),
                    figure(name, told.get("estimated")),
                ]
            )
        if not rows:
            Text("p", "Nothing is known yet: the loop joins outcomes as they mature.")
            return
        metric = next(iter(reading.accuracy.values())).get("metric", "accuracy")
        head = [
            "window",
            FIGURES.get(str(metric), str(metric)),
            "no skill",
            "95 % interval",
            "matured",
            "estimate of the rest",
        ]
        plain_table(head, rows)
        notes = dict.fromkeys(str(told["note"]) for told in reading.accuracy.values() if told.get("note"))
        for note in notes:
            Text("p", note, "ml-note")


def _what_next(told: Mapping[str, Any]) -> None:
    with card("What comes next"):
        facts(
            {
                "next run": moment(told.get("next_run")) if told.get("next_run") else "none",
                "why none": str(told.get("why_no_run") or ""),
                "would it retrain now": "yes" if told.get("can_retrain_now") else "no",
                "why not": str(told.get("why_not") or ""),
            }
        )


def _draw_version(visit: Visit, reading: FamilyReading, evidence: Evidence) -> None:
    slot, champion = reading.slot, reading.champion
    status = next((model["status"] for model in reading.versions if model["version"] == evidence.version), "")
    serves = champion is not None and champion.version == evidence.version
    with ui.element("div").classes("ml-top"):
        with ui.element("div").classes("ml-row"):
            Text("h1", f"{family_name(slot.family)}, version {evidence.version}")
            chip("serves now" if serves else str(status), "good" if serves else None)
        with ui.element("div").classes("ml-row"):
            ui.link(f"all of {family_name(slot.family)}", f"/families/{slot.family}")
            if evidence.report:
                ui.link("full report", f"/reports/{evidence.report}", new_tab=True)
            usual = slot.config_key == visit.premises.desk.view.default_key
            free = champion is not None and not champion.pinned
            if not serves and usual and evidence.row.state == "complete" and free:
                promote_button(visit, slot, evidence.version, loop_runs=reading.loop_runs)
    if evidence.row.state == "deleted":
        banner("Its files were deleted by retention; figures and decisions stay.")
    show_verdict(evidence)
    show_figures(evidence)
    show_checks(evidence)
    show_charts(evidence)
    row = evidence.row
    with card("Where it came from"):
        facts(
            {
                "trained": moment(row.trained_at),
                "recipe": row.recipe,
                "settings": ", ".join(f"{name}={value}" for name, value in sorted(row.params.items())),
                "data version": row.data_version,
                "configuration": slot.config_key,
                "manifest sha256": row.sha256,
            }
        )


def _decisions(reading: FamilyReading) -> None:
    if not reading.decisions:
        return
    points = [
        {"at": word.decided_at.isoformat(), "verdict": word.verdict, "version": word.version}
        for word in reversed(reading.decisions)
    ]
    with ui.element("div").classes("ml-grid wide"):
        chart(
            charts.decisions_chart(points),
            title="Decisions over time",
            note="One point per decision. Refusals are the normal case: most nights bring nothing better.",
        )
    with card("Every decision"):
        listing(DECISIONS, decision_rows(reading.decisions), label="decisions", search=True, per_page=10)


def _versions(reading: FamilyReading) -> None:
    name = next((n for n in (headline(model["metrics"]) for model in reading.versions) if n), None)
    rows = [_version_row(reading.slot, model, name) for model in reading.versions]
    columns = [
        ("version", "Version", "link"),
        ("status", "Status", "chip"),
        ("verdict", "Verdict", "chip"),
        ("trained", "Trained", "text"),
        ("figure", FIGURES.get(name or "", "Figure"), "number"),
        ("baseline", "No skill", "number"),
    ]
    with card("Versions"):
        listing(columns, rows, label="versions", per_page=10)


def _version_row(slot: Slot, model: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    return {
        "key": model["version"],
        "version": f"v{model['version']}",
        "version_href": _address(slot, model["version"]),
        "status": model["status"],
        "status_tone": tone_of(model["status"]),
        "verdict": model["verdict"],
        "verdict_tone": tone_of(model["verdict"]),
        "trained": moment(model["trained_at"]),
        "figure": "-" if name is None else figure(name, model["metrics"].get(name)),
        "baseline": "-" if name is None else figure(name, no_skill(name, model["baseline"])),
    }


def _served(reading: FamilyReading) -> list[int]:
    """Return the versions that served before and still have their files, the previous one first."""
    champion, before = reading.champion, reading.previous
    status = {model["version"]: model["status"] for model in reading.versions}
    served = [v for v, word in status.items() if word in {"retired", "previous"}]
    if champion is not None and champion.version in served:
        served.remove(champion.version)
    first = [] if before is None else [before.version]
    return [*first, *(v for v in sorted(served, reverse=True) if v not in first)]


def _newest(reading: FamilyReading) -> int | None:
    return next((int(model["version"]) for model in reading.versions), None)


def _address(slot: Slot, version: int) -> str:
    return f"/families/{slot.family}/{version}?config={slot.config_key}"
