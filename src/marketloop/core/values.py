"""The values that travel between rooms: sessions, context, the training matrix."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import RefusedError, UsageError
from marketloop.core.past import Past
from marketloop.core.strategy import StrategyConfig

__all__ = ["BoolArray", "Context", "FloatArray", "IntArray", "Matrix", "Sessions", "StrategyConfig"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Trading days of one calendar, numbered from a fixed origin.

    A session's number never depends on where somebody's data begin or end, so blocks anchored to it
    (``number // 21``) stay where they are when history grows.

    Parameters
    ----------
    calendar : str
        Name of the calendar, e.g. ``XNYS``.
    dates : array of datetime64[D], ascending, unique
        Consecutive sessions.
    first : int
        Number of ``dates[0]``.
    """

    calendar: str
    dates: NDArray[np.datetime64]
    first: int = 0

    def numbers(self, dates: Sequence[dt.date] | NDArray[np.datetime64] | pl.Series) -> IntArray:
        """Return the session number (int32) of each date; raise `UsageError` naming the first date that is none."""
        days = np.asarray(dates, dtype="datetime64[D]")
        at = np.searchsorted(self.dates, days)
        inside = at < len(self.dates)
        good = inside & (self.dates[np.where(inside, at, 0)] == days)
        if not good.all():
            raise UsageError(f"{days[~good][0]} is not a session of the calendar {self.calendar}")
        return (at + self.first).astype(np.int32)

    def date(self, number: int) -> dt.date:
        """Return the date of session `number`."""
        at = number - self.first
        if not 0 <= at < len(self.dates):
            raise UsageError(f"session {number} lies outside the calendar {self.calendar} as loaded")
        day: dt.date = self.dates[at].astype(object)
        return day


@dataclass(frozen=True, slots=True)
class Context:
    """Market series as they were *known* at the close of each session of the universe's exchange.

    Parameters
    ----------
    market : frame ``date, vix, spx, us10y, usd``
        One row per session, null where nothing was known. Units: index points, points, percent, points.
    sectors : frame ``ticker, sector``
        Sector of each ticker; may be empty.
    sector_prices : frame ``date, sector, close``
        Price of each sector's ETF, as known; may be empty.
    """

    market: pl.DataFrame
    sectors: pl.DataFrame
    sector_prices: pl.DataFrame

    @classmethod
    def empty(cls) -> Context:
        """Return the context of a project that has no market series."""
        number = pl.Float64()
        return cls(
            market=pl.DataFrame(
                schema={"date": pl.Date(), "vix": number, "spx": number, "us10y": number, "usd": number}
            ),
            sectors=pl.DataFrame(schema={"ticker": pl.String(), "sector": pl.String()}),
            sector_prices=pl.DataFrame(schema={"date": pl.Date(), "sector": pl.String(), "close": number}),
        )


@dataclass(frozen=True, slots=True)
class Matrix:
    """Features and labels, point in time, sorted by (session, ticker).

    Parameters
    ----------
    X : float32 (n, k)
        Features after fill; NaN where nothing was known.
    names : k feature names
        In the order of the columns of `X`.
    session, ticker : int32 (n,), int32 (n,)
        Session number of the row, and the position of its ticker in `tickers`.
    tickers : names of the tickers
    label : float32 (n,)
        Class code (e.g. SELL 0, HOLD 1, BUY 2) or value; NaN while the outcome is not known.
    target : float32 (n,)
        What a rank learner aims at: the neutralised forward return as a rank in its session, -0.5..0.5.
    known_on : int32 (n,)
        Session at whose close the label is known; the largest int32 while it is not.
    weight : float32 (n,)
        Sample weight, about 1 on average.
    missing : float32 (s, k) with `missing_sessions` int32 (s,) and `missing_rows` int32 (s,)
        Per session, how many rows lacked the feature before any fill, and how many rows there were.
    fingerprint : str
        Hash of data version, catalog, strategy and label that made it.
    ranks : float32 (n, k), optional
        Each feature as a rank within its session, -0.5..0.5, 0 where it is missing or the same for all.
    empty : names
        Features of the set that nothing feeds; they have no column, and `select` gives NaN for them.
    classes : names of the label's classes in order of their codes, or empty where the label is a value
    past : Past, optional
        Where each row finds the rows before it; shared, not copied, by what `take` and `select` return.
    """

    X: NDArray[np.float32]
    names: tuple[str, ...]
    session: NDArray[np.int32]
    ticker: NDArray[np.int32]
    tickers: tuple[str, ...]
    label: NDArray[np.float32]
    target: NDArray[np.float32]
    known_on: NDArray[np.int32]
    weight: NDArray[np.float32]
    missing: NDArray[np.float32]
    missing_sessions: NDArray[np.int32]
    missing_rows: NDArray[np.int32]
    fingerprint: str = ""
    ranks: NDArray[np.float32] | None = None
    empty: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    past: Past | None = None

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: BoolArray | IntArray | slice) -> Matrix:
        """Return the matrix of the selected `rows` (order kept; rows that stand together are a view, not a copy).

        What is read-only stays read-only, copied or not.
        """
        rows = _as_slice(rows)
        return Matrix(
            X=_rows(self.X, rows),
            names=self.names,
            session=_rows(self.session, rows),
            ticker=_rows(self.ticker, rows),
            tickers=self.tickers,
            label=_rows(self.label, rows),
            target=_rows(self.target, rows),
            known_on=_rows(self.known_on, rows),
            weight=_rows(self.weight, rows),
            missing=self.missing,
            missing_sessions=self.missing_sessions,
            missing_rows=self.missing_rows,
            fingerprint=self.fingerprint,
            ranks=None if self.ranks is None else _rows(self.ranks, rows),
            empty=self.empty,
            classes=self.classes,
            past=self.past,
        )

    def select(self, names: Sequence[str]) -> Matrix:
        """Return the matrix with the features `names`, in that order; unknown names raise `RefusedError`."""
        if tuple(names) == self.names:
            return self
        absent = [name for name in names if name not in self.names and name not in self.empty]
        if absent:
            lacking = ", ".join(absent)
            raise RefusedError(f"feature mismatch: the rows lack {lacking}; compute the set the model was trained on")
        place = {name: at for at, name in enumerate(self.names)}
        at = np.array([place.get(name, -1) for name in names], dtype=np.intp)
        rows = np.repeat(self.missing_rows[:, None].astype(np.float32), len(at), axis=1)
        return replace(
            self,
            X=_columns(self.X, at, np.nan),
            names=tuple(names),
            missing=np.where(at >= 0, _columns(self.missing, at, 0.0), rows),
            ranks=None if self.ranks is None else _columns(self.ranks, at, 0.0),
            empty=tuple(name for name in self.empty if name not in names),
            past=None if self.past is None else self.past.select(at),
        )


def _rows(values: NDArray[Scalar], rows: BoolArray | IntArray | slice) -> NDArray[Scalar]:
    taken = values[rows]
    taken.flags.writeable = taken.flags.writeable and values.flags.writeable
    return taken


def _columns(values: NDArray[np.float32], at: NDArray[np.intp], absent: float) -> NDArray[np.float32]:
    """Return the columns `at` (a copy), filled with `absent` where the position is -1."""
    if (at >= 0).all():
        return values[:, at]
    out = np.full((len(values), len(at)), absent, dtype=np.float32)
    out[:, at >= 0] = values[:, at[at >= 0]]
    return out


def _as_slice(rows: BoolArray | IntArray | slice) -> BoolArray | IntArray | slice:
    if isinstance(rows, slice) or rows.dtype != np.bool_:
        return rows
    at = np.flatnonzero(rows)
    together = len(at) > 0 and int(at[-1] - at[0]) + 1 == len(at)
    return slice(int(at[0]), int(at[-1]) + 1) if together else rows
