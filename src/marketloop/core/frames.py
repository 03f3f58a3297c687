"""The columns of the frames that rooms hand to each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError

__all__ = ["BAR_KEYS", "BAR_PRICES", "BAR_SCHEMA", "CONTEXT_COLUMNS", "require_columns"]

BAR_KEYS: Final = ("date", "ticker")
BAR_PRICES: Final = ("open", "high", "low", "close")

BAR_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "date": pl.Date(),
    "ticker": pl.String(),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
}
"""Adjusted daily bars, one row per (ticker, date), sorted by (ticker, date).

Prices in the currency of the ticker, volume in shares.
"""

CONTEXT_COLUMNS: Final = ("vix", "spx", "us10y", "usd")
"""Market series of a context frame, one row per session: index points, index points, percent, index points."""


def require_columns(frame: pl.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise `UsageError` naming every column of `columns` that `frame` lacks."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise UsageError(f"{what} lacks the column(s) {', '.join(missing)}: it has {', '.join(frame.columns)}")
