"""Drift: which features have moved away from what the champion learned from, and what that asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.state import Slot
from marketloop.state.drift_scans import DriftScan
from marketloop.web.dashboard import charts
from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.pieces import Text, card, chart, chip, empty, facts, listing, stat
from marketloop.web.dashboard.readings import read_drift
from marketloop.web.dashboard.words import family_name, moment, number, percent

__all__ = ["register"]

SHOWN: Final = 20
FEATURES = (
    ("name", "Feature", "text"),
    ("state", "State", "chip"),
    ("p_adjusted", "p, adjusted", "number"),
    ("psi", "PSI", "number"),
    ("ks", "KS", "number"),
    ("wasserstein", "Wasserstein, sd", "number"),
    ("shift", "Shift, sd", "number"),
    ("importance", "Importance", "number"),
)
TONES: Final = {"drifted": "bad", "missing": "bad", "steady": "good", "cannot be told": ""}
LEVELS: Final = {"High": "bad", "Medium": "warn", "Low": "good"}
ALPHA: Final = 0.05


def register() -> None:
    """Add the page."""

    @ui.page("/drift", response_timeout=20)
    async def drift(request: HttpRequest, family: str = "") -> Response | None:
        return await enter(request, "Drift", lambda visit: _build(visit, family))


async def _build(visit: Visit, family: str) -> None:
    await live(visit, lambda: read_drift(visit.premises), lambda scans: _draw(visit, scans, family), every=5.0)


def _draw(visit: Visit, scans: Mapping[Slot, Sequence[DriftScan]], family: str) -> None:
    Text("h1", "Drift")
    scanned = {slot: found for slot, found in sorted(scans.items()) if found}
    if not scanned:
        why = "Features are compared with what the champion learned from, daily by the loop or by hand."
        steps = [("Look now.", "marketloop drift"), ("Let the loop look every day.", "marketloop up")]
        if not scans:
            steps = [("A champion comes first.", "marketloop retrain")]
        empty("Nothing was scanned yet", why, steps)
        return
    primary = visit.premises.settings.serve.primary
    slots = list(scanned)
    chosen = next((s for s in slots if s.family == family), next((s for s in slots if s.family == primary), slots[0]))
    with ui.element("div").classes("ml-row").props('role="navigation" aria-label="Families"'):
        for slot in slots:
            link = ui.link(family_name(slot.family), f"/drift?family={slot.family}")
            if slot == chosen:
                link.props('aria-current="page"').style("font-weight:700;text-decoration:none;color:var(--ink)")
    _scan(scanned[chosen])


def _scan(scans: Sequence[DriftScan]) -> None:
    newest = scans[0]
    told = newest.document
    with card():
        with ui.element("div").classes("ml-row"):
            chip(newest.action)
            level = str(told.get("feature_drift") or "")
            chip(f"feature drift: {level or 'not known'}", LEVELS.get(level, ""))
            Text("span", f"{family_name(newest.slot.family)} version {newest.version}", "ml-dim")
        Text("p", _sentence(told, newest.action), "ml-lead")
        with ui.element("div").classes("ml-stats"):
            stat("as of", newest.as_of.isoformat(), f"scanned {moment(newest.scanned_at)}")
            stat("lost since its examination", _lost(told), _beside(told))
            if told.get("calibration") is not None:
                before = number(told.get("calibration_reference"))
                stat("calibration", number(told["calibration"]), f"reference {before}")
            if told.get("regime_lag") is not None:
                stat("regime lag", number(told["regime_lag"], 0), "sessions")
        reasons = [f"{one.get('about')}: {one.get('reason')}" for one in told.get("findings") or ()]
        for text in (*reasons, *map(str, told.get("notes") or ())):
            Text("p", text, "ml-note ml-wrap")
        spans = {name.split("_")[0]: told.get(name) or {} for name in ("reference_sessions", "recent_sessions")}
        facts({name: f"{one['first']} to {one['last']}, {one['count']} sessions" for name, one in spans.items() if one})
    features = list(told.get("features") or ())
    order = sorted(features, key=lambda one: (_p(one), one.get("p_adjusted") is None, -float(one.get("psi") or 0)))
    names = [str(one["name"]) for one in order[:SHOWN]]
    chart(
        charts.drift_chart([scan.as_of.isoformat() for scan in reversed(scans)], names, _cells(scans, names)),
        title="Features by scan, the most drifted first",
        note="Dark is drift that chance does not explain: the p value is adjusted for all features looked at, "
        "against blocks of the sessions that the champion learned from.",
        tall=True,
    )
    with card("Every feature"):
        rows = [_row(place, one) for place, one in enumerate(order)]
        listing(FEATURES, rows, label="features", search=True, per_page=25, none="No feature was compared.")


def _sentence(told: Mapping[str, Any], action: str) -> str:
    drifted = [str(one["name"]) for one in told.get("features") or () if _p(one) <= ALPHA]
    meaning = {
        "monitor": "Nothing has to be done.",
        "plan": f"A retraining should be planned by {told.get('retrain_by') or 'two weeks from then'}.",
        "retrain": "A retraining is asked for now.",
    }.get(action, "")
    if not drifted:
        return f"No feature has drifted beyond chance. {meaning}"
    names = ", ".join(drifted[:5]) + (f" and {len(drifted) - 5} more" if len(drifted) > 5 else "")
    return f"Drifted: {names}. {meaning}"


def _cells(scans: Sequence[DriftScan], names: Sequence[str]) -> list[list[float | None]]:
    cells: list[list[float | None]] = []
    for column, scan in enumerate(reversed(scans)):
        known = {str(one["name"]): one for one in scan.document.get("features") or ()}
        cells += [[column, row, _strength(known[name])] for row, name in enumerate(names) if name in known]
    return cells


def _strength(one: Mapping[str, Any]) -> float:
    """Return how dark a cell is: 0 for p = 1, 1 for p of at most 0.01, even steps of its logarithm between."""
    return round(min(1.0, -math.log10(max(_p(one), 1e-6)) / 2), 3)


def _row(place: int, one: Mapping[str, Any]) -> dict[str, Any]:
    state = str(one.get("state") or ("drifted" if _p(one) <= ALPHA else "steady"))
    figures = {name: number(one.get(name)) for name in ("psi", "ks", "wasserstein", "shift", "p_adjusted")}
    importance = percent(one.get("importance"))
    return {"key": place, "name": one["name"], "state": state, "state_tone": TONES.get(state, ""), **figures} | {
        "importance": importance
    }


def _p(one: Mapping[str, Any]) -> float:
    value = one.get("p_adjusted")
    return float(value) if isinstance(value, int | float) else 1.0


def _lost(told: Mapping[str, Any]) -> str:
    lost = (told.get("performance") or {}).get("lost", told.get("points_lost"))
    if lost is None:
        return "not known"
    match told.get("metric"):
        case "accuracy":
            return f"{number(lost, 1)} points"
        case "rmse":
            return percent(lost)
    return number(lost, 4)


def _beside(told: Mapping[str, Any]) -> str:
    if told.get("current") is None:
        return "too few matured predictions"
    return f"reference {number(told.get('reference'))}, now {number(told.get('current'))}"
