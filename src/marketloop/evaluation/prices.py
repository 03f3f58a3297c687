"""What an account trades at and what it pays: fill prices of the next session, closes, commissions, borrowing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import BoolArray

__all__ = ["FILLS", "Costs", "Prices"]

FILLS = ("open", "close")
MOST_BPS = 1000.0
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading and holding cost.

    Parameters
    ----------
    commission_bps, slippage_bps : float, 0..1000
        Hundredths of a percent of the value traded, on each purchase and on each sale. Slippage is charged beside the
        price, which stays the one of the bar.
    borrow : float, 0..1
        Rate per year on the value of short positions, charged at each close for 1/252 of a year.
    """

    commission_bps: float = 1.0
    slippage_bps: float = 5.0
    borrow: float = 0.01

    def __post_init__(self) -> None:
        for name, high, unit in (
            ("commission_bps", MOST_BPS, "basis points of the value traded"),
            ("slippage_bps", MOST_BPS, "basis points of the value traded"),
            ("borrow", 1.0, "a rate per year, 0.01 for 1 %"),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                raise UsageError(f"{name} = {value!r}: expected {unit}, from 0 to {high:g}")

    @property
    def rate(self) -> float:
        """Cost of a trade as a share of its value."""
        return (self.commission_bps + self.slippage_bps) / 10_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of N tickers on T sessions.

    Parameters
    ----------
    bars : bool (T, N)
        Whether the ticker has a bar; without one it keeps its last price and is not traded.
    mark : float64 (T, N)
        Close, the last known one where there is no bar; 1 before the first bar, when nothing can be held.
    price : float64 (T, N)
        What an order of the session before is filled at; the last close where there is no bar.
    ends : intp (N,)
        Row in which a position is closed at its last price because no bar follows; T where trading goes on.
    """

    bars: BoolArray
    mark: Array
    price: Array
    ends: NDArray[np.intp]

    @classmethod
    def of(
        cls, close: Array, opens: Array | None = None, *, fill: str = "open", continues: BoolArray | None = None
    ) -> Prices:
        """Make the prices of a period.

        Parameters
        ----------
        close, opens : float64 (T, N)
        fill : str
            ``open`` (a bar without an opening price fills at its close) or ``close``, both of the session *after* the
            decision.
        continues : bool (N,), optional
            Which tickers have a bar after the period. A ticker that neither continues nor has a bar in the last row
            has stopped trading: its position is closed in the session after its last bar.

        Raises
        ------
        UsageError
            `fill` is unknown, or a price is not positive.
        """
        if fill not in FILLS:
            raise unknown_name("fill", fill, FILLS)
        close = np.asarray(close, dtype=np.float64)
        known = np.isfinite(close)
        price = close
        if fill == "open" and opens is not None:
            price = np.where(known & np.isfinite(opens), opens, close)
        for values in (close, price):
            if np.nanmin(values, initial=math.inf) <= 0:
                row, column = np.argwhere(values <= 0)[0]
                text = f"the price of column {column} in row {row} is {values[row, column]:g}: expected it above 0"
                raise UsageError(f"{text}; look at `marketloop quality`")
        rows = len(close)
        last = rows - 1 - np.argmax(known[::-1], axis=0)
        stopped = known.any(axis=0) & (last < rows - 1)
        if continues is not None:
            stopped &= ~continues
        mark = _carried(close, known)
        return cls(known, mark, _filled(price, mark, known), np.where(stopped, last + 1, rows).astype(np.intp))


def _carried(close: Array, known: BoolArray) -> Array:
    """Return `close` with the last known one carried forward, 1 before the first."""
    mark = np.where(known, close, 1.0)
    for row in np.flatnonzero(~known.all(axis=1)).tolist():
        if row:
            np.copyto(mark[row], mark[row - 1], where=~known[row])
    return mark


def _filled(price: Array, mark: Array, known: BoolArray) -> Array:
    """Return `price`, the last close where there is no bar."""
    out = np.where(known, price, 1.0)
    np.copyto(out[1:], mark[:-1], where=~known[1:])
    return out
