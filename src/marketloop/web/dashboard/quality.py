"""The quality of the stored bars: what was accepted, what was set aside and why, what is suspicious and stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.web.dashboard.frame import Visit, enter, live
from marketloop.web.dashboard.pieces import Text, card, empty, facts, listing, plain_table, stat
from marketloop.web.dashboard.readings import document_of
from marketloop.web.dashboard.words import moment, number, percent

__all__ = ["register"]

WARNINGS = (
    ("rule", "Warning", "text"),
    ("ticker", "Ticker", "text"),
    ("date", "Date", "text"),
    ("count", "Count", "number"),
    ("detail", "Detail", "long"),
)
SET_ASIDE = (
    ("rule", "Rule", "text"),
    ("ticker", "Ticker", "text"),
    ("date", "Date", "text"),
    ("open", "Open", "number"),
    ("high", "High", "number"),
    ("low", "Low", "number"),
    ("close", "Close", "number"),
    ("volume", "Volume", "number"),
    ("reason", "Why", "long"),
)
PRICES = ("open", "high", "low", "close", "volume")


def register() -> None:
    """Add the page."""

    @ui.page("/quality", response_timeout=20)
    async def quality(request: HttpRequest) -> Response | None:
        return await enter(request, "Data quality", _build)


async def _build(visit: Visit) -> None:
    reports, data = visit.premises.project.reports, visit.premises.project.data

    def read() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return document_of(reports / "quality.json"), document_of(data / "metadata.json")

    await live(visit, read, lambda both: _draw(*both), every=5.0)


def _draw(report: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    Text("h1", "Data quality and quarantine")
    if not report:
        empty(
            "Nothing was examined yet",
            "Bars are examined when they are collected; what breaks a rule is set aside with the reason, never mended.",
            [("Collect bars.", "marketloop collect")],
        )
        return
    rows, aside = int(report["rows"]), int(report["quarantined"])
    with card():
        with ui.element("div").classes("ml-stats"):
            stat("rows", number(rows, 0), f"{number(report.get('tickers'), 0)} tickers")
            stat("accepted", number(report["accepted"], 0), percent(report["accepted"] / rows if rows else None, 2))
            stat("in quarantine", number(aside, 0), percent(aside / rows if rows else None, 3))
            stat("warnings", number(report.get("warnings_total"), 0), "these rows stay")
        facts(
            {
                "examined": moment(report.get("at")),
                "range": f"{report.get('first')} to {report.get('last')}",
                "data version": str(report.get("data_version")),
                "source": str(about.get("source") or ""),
                "adjustment": str(about.get("adjustment") or ""),
                "collected": moment(about.get("collected_at")) if about.get("collected_at") else "",
            }
        )
    with ui.element("div").classes("ml-grid"):
        with card("Broken rules", note="Rows that break several count once, under the first."):
            if report["rules"]:
                plain_table(["rule", "rows"], [[name, number(count, 0)] for name, count in report["rules"].items()])
            else:
                Text("p", "No row broke a rule.")
        with card("Warnings by kind"):
            counts = report.get("warning_counts") or {}
            if counts:
                plain_table(["warning", "rows"], [[name, number(count, 0)] for name, count in sorted(counts.items())])
            else:
                Text("p", "Nothing is suspicious.")
    if report.get("rows_quarantined"):
        shown = len(report["rows_quarantined"])
        note = "" if shown >= aside else f"The first {shown} of {aside:,}; all: marketloop quality --quarantine --json"
        with card("Rows in quarantine", note=note):
            listing(SET_ASIDE, _rows(report["rows_quarantined"]), label="quarantine", search=True, per_page=10)
    if report["warnings"]:
        shown, total = len(report["warnings"]), int(report.get("warnings_total") or 0)
        note = "" if shown >= total else f"The first {shown} of {total:,}; all: marketloop quality --json"
        with card("Suspicious, and left as they are", note=note):
            rows_of = [{"key": place, **row} for place, row in enumerate(report["warnings"])]
            listing(WARNINGS, rows_of, label="warnings", search=True, per_page=10)


def _rows(found: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for place, row in enumerate(found):
        prices = {name: number(row.get(name), 0 if name == "volume" else 4) for name in PRICES}
        words = {name: str(row.get(name) or "-") for name in ("rule", "ticker", "date", "reason")}
        rows.append({"key": place, **words, **prices})
    return rows
