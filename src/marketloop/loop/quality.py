"""What the stored bars and the quarantine say about the quality of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from marketloop.data.quality import QualityReport, report_of
from marketloop.loop.context import sessions_around, stored_bars
from marketloop.loop.house import House
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["FILE", "quality_report", "quarantined_rows", "write_quality"]

FILE: Final = "quality.json"
SHOWN: Final = 500
"""Quarantined rows, and warnings, in the file; the command lists all."""


def quality_report(house: House) -> QualityReport:
    """Report on everything stored: accepted bars, quarantined rows by rule, and warnings over the whole history.

    Raises
    ------
    UsageError
        There are no bars yet.
    """
    bars = stored_bars(house)
    days = bars["date"].sort()
    sessions = sessions_around(house.settings.project.calendar, days[0], days[-1])
    return report_of(bars, house.store.quarantine(), sessions)


def quarantined_rows(house: House, limit: int | None = None) -> list[dict[str, Any]]:
    """Return quarantined rows with the rule that each broke and the reason, at most `limit` of them."""
    rows = house.store.quarantine()
    chosen = rows if limit is None else rows.head(limit)
    texts = chosen.with_columns(pl.col("date").cast(pl.String))
    return texts.to_dicts()


def write_quality(house: House) -> Path:
    """Write the report, with its newest rows, to ``reports/quality.json`` for readers that cannot compute it.

    Keys: those of the `quality` document, ``at``, ``data_version``, ``tickers``, ``first``, ``last``,
    ``warnings_total``, ``warning_counts`` and ``rows_quarantined``. A data version that was reported on already is
    left alone.
    """
    path = house.project.reports / FILE
    if _version_of(path) == house.store.version:
        return path
    report = quality_report(house).document()
    coverage = house.store.coverage()
    counts: dict[str, int] = {}
    for warning in report["warnings"]:
        counts[warning["rule"]] = counts.get(warning["rule"], 0) + int(warning.get("count") or 1)
    document = {
        **report,
        "at": house.clock.now(),
        "data_version": house.store.version,
        "tickers": len(coverage),
        "first": coverage["first"].min(),
        "last": coverage["last"].max(),
        "warnings": report["warnings"][:SHOWN],
        "warnings_total": len(report["warnings"]),
        "warning_counts": counts,
        "rows_quarantined": quarantined_rows(house, SHOWN),
    }
    ensure_folder(path.parent)
    write_atomic(path, json.dumps(document, default=str).encode())
    return path


def _version_of(path: Path) -> int | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    version = found.get("data_version") if isinstance(found, dict) else None
    return version if isinstance(version, int) else None
