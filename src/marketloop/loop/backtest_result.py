"""A backtest with what it is about, as values, as a document and as a list of orders."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from marketloop.evaluation.backtest import GOALS, Backtest, orders_of
from marketloop.evaluation.performance import Bounds
from marketloop.loop.record import Source

__all__ = ["BacktestResult"]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A backtest with what it is about.

    Parameters
    ----------
    model : mapping
        The manifest of the model.
    backtest : Backtest
    dates : tuple of date
        Session of each row; the first decides and has no return.
    tickers : names in the order of the columns
    sources : tuple of Source
        Whose scores were traded in which sessions.
    figures : mapping
        Every figure by name, NaN where it cannot be computed.
    """

    model: Mapping[str, Any]
    backtest: Backtest
    dates: tuple[dt.date, ...]
    tickers: tuple[str, ...]
    sources: tuple[Source, ...]
    figures: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def total_return(self) -> float:
        """Growth of the account over the whole period, 0.1 for 10 %."""
        return self.figures["total_return"]

    @property
    def annual_return(self) -> float:
        """Growth per 252 sessions."""
        return self.figures["annual_return"]

    @property
    def sharpe_ratio(self) -> float:
        """Mean over standard deviation of the session returns, per year."""
        return self.figures["sharpe_ratio"]

    @property
    def sortino_ratio(self) -> float:
        """Mean over downside deviation, per year."""
        return self.figures["sortino_ratio"]

    @property
    def max_drawdown(self) -> float:
        """Worst fall from an earlier high, -0.1 for 10 %."""
        return self.figures["max_drawdown"]

    @property
    def win_rate(self) -> float:
        """Share of positions that gained money after costs."""
        return self.figures["win_rate"]

    @property
    def turnover(self) -> float:
        """How often a year the account was bought and sold."""
        return self.figures["turnover"]

    @property
    def exposure(self) -> float:
        """Mean share of the account in positions."""
        return self.figures["exposure"]

    @property
    def title(self) -> str:
        """Family, version and configuration."""
        version = self.model.get("version")
        return f"{self.model['family']}{'' if version is None else f' v{version}'} ({self.model['config_key']})"

    def orders(self) -> pl.DataFrame:
        """Return every fill: ``date, decided_on, ticker, side, quantity, price, value, commission, slippage, ...``."""
        orders = orders_of(self.backtest)
        dates, tickers = pl.Series(self.dates, dtype=pl.Date), pl.Series(self.tickers)
        row, ticker = orders["row"], orders["ticker"]
        named = {"date": dates.gather(row), "decided_on": dates.gather(row - 1), "ticker": tickers.gather(ticker)}
        return pl.DataFrame(named).hstack(orders.drop("row", "ticker"))

    def document(self, report: Path | None = None, orders: Path | None = None) -> dict[str, Any]:
        """Return the `backtest` document; `report` and `orders` are the files that were written."""
        test, plan = self.backtest, self.backtest.plan
        reached = test.goals()
        return {
            "family": self.model["family"],
            "version": self.model.get("version"),
            "config_key": self.model["config_key"],
            "first": self.dates[0].isoformat(),
            "last": self.dates[-1].isoformat(),
            "sessions": len(self.dates),
            "tickers": len(self.tickers),
            **self.figures,
            "sharpe_interval": _pair(test.sharpe),
            "goals": [
                {"name": name, "value": self.figures[name], "goal": goal, "reached": reached[name]}
                for name, goal in GOALS.items()
            ],
            "benchmarks": {
                b.name: {
                    **{name: getattr(b.performance, name) for name in _SHOWN},
                    "sharpe_interval": _pair(b.sharpe),
                    "excess_return": b.excess.value,
                    "excess_interval": _pair(b.excess),
                }
                for b in test.benchmarks
            },
            "costs": test.paid(),
            "predictions": [source.document() for source in self.sources],
            "plan": {
                "capital": plan.capital,
                "sizing": plan.sizing.method,
                "short": plan.sizing.short,
                "max_weight": plan.sizing.max_weight,
                "max_gross": plan.sizing.max_gross,
                "fill": plan.fill,
                "rebalance": plan.rebalance,
                "commission_bps": plan.costs.commission_bps,
                "slippage_bps": plan.costs.slippage_bps,
                "borrow": plan.costs.borrow,
            },
            "warnings": list(self.warnings),
            "report": None if report is None else str(report),
            "orders": None if orders is None else str(orders),
        }


_SHOWN = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
)


def _pair(bounds: Bounds) -> list[float] | None:
    return [bounds.low, bounds.high] if math.isfinite(bounds.low) else None
