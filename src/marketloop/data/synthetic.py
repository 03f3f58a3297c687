"""The `synthetic` source: seeded markets whose truth is known, behind the same protocol as the real ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import polars as pl

from marketloop.core.errors import UsageError, unknown_name
from marketloop.data.calendar import load_closes
from marketloop.data.simulation.facts import Facts, measure
from marketloop.data.simulation.market import Market, generate
from marketloop.data.simulation.spec import MarketSpec
from marketloop.data.sources.protocol import Fetched

__all__ = ["OPTIONS", "Facts", "Market", "MarketSpec", "SyntheticSource", "measure", "simulate", "spec_from_options"]

Option = str | int | float | bool

_CALENDAR_DAYS: Final = 365.25 / 250
_MARGIN: Final = dt.timedelta(days=30)


def simulate(spec: MarketSpec) -> Market:
    """Simulate the market of `spec` on the sessions of its calendar.

    Raises
    ------
    UsageError
        When the calendar is unknown or has too few sessions from ``spec.start`` on.

    Examples
    --------
    >>> market = simulate(MarketSpec(tickers=10, sessions=70, planted_ic=0.05))
    >>> market.bars.shape, market.expected.shape
    ((700, 7), (70, 10))
    """
    end = spec.start + dt.timedelta(days=int(spec.sessions * _CALENDAR_DAYS)) + _MARGIN
    return generate(spec, load_closes(spec.calendar, spec.start, end))


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """A simulated market as a source.

    Parameters
    ----------
    options : mapping
        Any of `OPTIONS`; text is read as on a command line, so ``"50"`` is 50 and ``"true"`` is true.

    Raises
    ------
    UsageError
        When an option is unknown or its value out of range.
    """

    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec_from_options(self.options)

    @property
    def name(self) -> str:
        """``synthetic``."""
        return "synthetic"

    @property
    def adjustment(self) -> str:
        """Simulated prices have no splits and no dividends."""
        return "simulated, nothing to adjust"

    @property
    def spec(self) -> MarketSpec:
        """The market that the options describe."""
        return spec_from_options(self.options)

    @property
    def market(self) -> Market:
        """The market with its truth; simulated at first use, the last two are kept."""
        return _market(self.spec)

    def tickers(self) -> tuple[str, ...]:
        """Return the names of the market."""
        return self.spec.names

    def fetch(self, tickers: Sequence[str], start: dt.date, end: dt.date) -> Fetched:
        """Return the bars of `tickers` dated from `start` to `end`, both included."""
        names = self.tickers()
        known = set(names)
        bars = self.market.bars.filter(pl.col("ticker").is_in(list(tickers)), pl.col("date").is_between(start, end))
        reason = f"the simulated market has {names[0]} to {names[-1]}; raise its option tickers for more"
        return Fetched(bars=bars, failures={ticker: reason for ticker in tickers if ticker not in known})

    def series(self) -> Mapping[str, pl.DataFrame]:
        """Return ``vix``, ``spx``, ``us10y``, ``usd`` and ``sector:<name>``."""
        return self.market.series

    def sectors(self) -> pl.DataFrame:
        """Return ``ticker, sector``."""
        return self.market.sectors


def spec_from_options(options: Mapping[str, Option]) -> MarketSpec:
    """Return the market that the `options` describe; what they leave out has its default.

    >>> spec_from_options({"tickers": "20", "planted_ic": 0.05, "regimes": "true"}).tickers
    20
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown_name("synthetic option", name, OPTIONS)
    read: dict[str, Any] = {name: OPTIONS[name](name, value) for name, value in options.items()}
    return MarketSpec(**read)


def _whole(name: str, value: Option) -> int:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if isinstance(value, bool) or not number.is_integer():
        raise UsageError(f"synthetic: {name} = {value!r}: expected a whole number")
    return int(value) if isinstance(value, int) else int(number)


def _number(name: str, value: Option) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"synthetic: {name} = {value!r}: expected a number") from None


def _flag(name: str, value: Option) -> bool:
    text = str(value).lower()
    if text not in {"true", "false"}:
        raise UsageError(f"synthetic: {name} = {value!r}: expected true or false")
    return text == "true"


def _text(name: str, value: Option) -> str:
    if not isinstance(value, str):
        raise UsageError(f"synthetic: {name} = {value!r}: expected a name")
    return value


def _day(name: str, value: Option | dt.date) -> dt.date:
    if isinstance(value, dt.date):  # as a settings file gives it
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        raise UsageError(f"synthetic: {name} = {value!r}: expected a date as YYYY-MM-DD") from None


OPTIONS: Final[Mapping[str, Callable[[str, Option], Any]]] = {
    "calendar": _text,
    "drift": _text,
    "drift_at": _whole,
    "interaction": _flag,
    "planted_ic": _number,
    "regimes": _flag,
    "seed": _whole,
    "sessions": _whole,
    "shocks": _text,
    "start": _day,
    "tickers": _whole,
    "volatility": _text,
}
"""Fields of `MarketSpec` that settings may give, each with the function that reads it."""


@lru_cache(maxsize=2)
def _market(spec: MarketSpec) -> Market:
    return simulate(spec)
