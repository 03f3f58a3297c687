"""Which column of somebody's file is which: common spellings, tidy and wide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["FIELDS", "WideColumn", "field_of", "match_columns", "match_wide"]

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "date": (
        "date", "datetime", "timestamp", "time", "day", "dt", "tradedate", "tradingdate", "tradingday", "pricedate",
        "quotedate", "t", "unnamed0", "indexlevel0", "index", "",
    ),
    "ticker": (
        "ticker", "symbol", "sym", "tic", "tickersymbol", "stocksymbol", "instrument", "security", "stock", "code",
        "asset", "name", "s",
    ),
    "open": ("open", "o", "openprice", "openingprice", "priceopen", "first"),
    "high": ("high", "h", "highprice", "pricehigh", "max", "highest"),
    "low": ("low", "l", "lowprice", "pricelow", "min", "lowest"),
    "close": ("close", "c", "closeprice", "closingprice", "priceclose", "closelast", "last", "lastprice", "price"),
    "volume": ("volume", "v", "vol", "totalvolume", "tradedvolume", "sharevolume", "tottrdqty"),
    "adj_close": (
        "adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjclosingprice",
        "adjustedcloseprice", "adjustedclosingprice", "adjprice",
    ),
}  # fmt: skip
"""Spellings of each column, best first, in small letters without spaces and signs."""

_WIDE_FIELD: Final = r"(?P<field>adj(?:usted)?[\s_.]*close|open|high|low|close|volume|vol)"
_BETWEEN: Final = r"[\s_.:,|/-]+"
_TICKER: Final = r"(?P<ticker>.+?)"
_LAST: Final = re.compile(rf"^{_TICKER}{_BETWEEN}{_WIDE_FIELD}$", re.IGNORECASE)
_FIRST: Final = re.compile(rf"^{_WIDE_FIELD}{_BETWEEN}{_TICKER}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WideColumn:
    """A column that holds one field of one ticker."""

    column: str
    ticker: str
    field: str


def match_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return ``{field: column}`` for each field of `FIELDS` that one of `columns` spells; the best spelling wins.

    >>> match_columns(["Date", "Symbol", "Name", "Adj Close", "Vol."])
    {'date': 'Date', 'ticker': 'Symbol', 'volume': 'Vol.', 'adj_close': 'Adj Close'}
    """
    bare = [_bare(column) for column in columns]
    found: dict[str, str] = {}
    for field, spellings in FIELDS.items():
        hits = (columns[bare.index(spelling)] for spelling in spellings if spelling in bare)
        column = next(hits, None)
        if column is not None:
            found[field] = column
    return found


def field_of(text: str) -> str | None:
    """Return the price or volume field that `text` spells (a column or a file called ``Close``), or None."""
    found = [name for name in match_columns([text]) if name not in {"date", "ticker"}]
    return found[0] if found and len(text) > 1 else None


def match_wide(columns: Sequence[str]) -> tuple[WideColumn, ...]:
    """Return the columns of one field and one ticker: ``AAPL_close``, ``Close.AAPL``, ``('Close', 'AAPL')``.

    Whether the ticker stands first or last is decided for all columns together, so that ``LOW_open`` is the ticker LOW.

    >>> [(c.ticker, c.field) for c in match_wide(["Date", "BRK.B_open", "BRK.B_adj close"])]
    [('BRK.B', 'open'), ('BRK.B', 'adj_close')]
    """
    readings = [_read_all(columns, pattern) for pattern in (_LAST, _FIRST)]
    return max(readings, key=_plausible)


def _read_all(columns: Sequence[str], pattern: re.Pattern[str]) -> tuple[WideColumn, ...]:
    matches = ((column, pattern.match(re.sub(r"[()'\"]", "", column).strip())) for column in columns)
    return tuple(
        WideColumn(column, match["ticker"].strip(), match_columns([match["field"]]).popitem()[0])
        for column, match in matches
        if match
    )


def _plausible(reading: tuple[WideColumn, ...]) -> tuple[int, int]:
    sensible = [c for c in reading if field_of(c.ticker) is None]
    return len(sensible), len({c.field for c in reading})


def _bare(column: str) -> str:
    return re.sub(r"[\W_]+", "", column).lower()
