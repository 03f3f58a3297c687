"""What the stored bars and the quarantine say about the quality of the data."""

from __future__ import annotations

from typing import Any

import polars as pl

from marketloop.data.quality import QualityReport, report_of
from marketloop.loop.context import sessions_around
from marketloop.loop.house import House
from marketloop.loop.preparing import stored_bars

__all__ = ["quality_report", "quarantined_rows"]


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
