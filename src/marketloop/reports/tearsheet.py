"""The tear sheet of a backtest: what the account did, beside what needed no model, and how sure one can be of it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.evaluation.backtest import Backtest
from marketloop.reports.account_figures import NAMES, costs, distribution, drawdown, equity, exposure, rolling
from marketloop.reports.numbers import interval, money, number, percent
from marketloop.reports.page import Card, Cards, Cell, Page, Section, Table, Text, render

__all__ = ["TearSheet", "monthly_returns", "tear_sheet"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TearSheet:
    """What a tear sheet shows.

    Parameters
    ----------
    title : str
        Which model.
    dates : sequence of date
        Session of each row of the account.
    tickers : int
    backtest : Backtest
    sources : sequence of mappings ``source, detail, first, last, sessions``
        Whose scores were traded when.
    warnings : sequence of str
    """

    title: str
    dates: Sequence[dt.date]
    tickers: int
    backtest: Backtest
    sources: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()


def tear_sheet(sheet: TearSheet) -> str:
    """Return the page as one HTML document that needs no network."""
    test, dates = sheet.backtest, sheet.dates
    figures = test.figures()
    page = Page(
        kind="Backtest",
        title=sheet.title,
        subtitle=f"{sheet.dates[0]} to {sheet.dates[-1]}, {len(sheet.dates)} sessions, {sheet.tickers} tickers",
        sections=(
            Section("", (*_sentences(sheet), _cards(test, figures))),
            Section("Account", (equity(dates, test), drawdown(dates, test), rolling(dates, test))),
            Section("Figures", (_comparison(test, figures),)),
            Section("Months", (_months(sheet),)),
            Section("Sessions and positions", (distribution(test), exposure(dates, test))),
            Section("Costs", (_costs_table(test, figures), costs(dates, test))),
            Section("How it was done", (_sources(sheet), _assumptions(test))),
        ),
        footer="A backtest shows what would have happened to an account too small to move a price. "
        "A year has 252 sessions; cash earns nothing; taxes are not counted.",
    )
    return render(page)


def monthly_returns(dates: Sequence[dt.date], returns: Array) -> dict[int, dict[int, float]]:
    """Return the compounded return of each month, by year and month; `dates` are those of the returns."""
    frame = pl.DataFrame({"date": pl.Series(dates, dtype=pl.Date), "growth": np.log1p(np.maximum(returns, -1 + 1e-15))})
    grown = frame.group_by(year=pl.col("date").dt.year(), month=pl.col("date").dt.month()).agg(pl.col("growth").sum())
    years: dict[int, dict[int, float]] = {}
    for year, month, growth in grown.sort("year", "month").iter_rows():
        years.setdefault(year, {})[month] = math.expm1(growth)
    return years


def _sentences(sheet: TearSheet) -> tuple[Text, ...]:
    """Say first what the figures can and cannot show."""
    sharpe = sheet.backtest.sharpe
    if not math.isfinite(sharpe.low):
        word = "There are too few sessions to say how sure the Sharpe ratio is."
    elif sharpe.low > 0:
        word = "The interval lies above 0: chance alone would rarely earn this. Prices of the past are no promise."
    elif sharpe.high < 0:
        word = "The interval lies below 0: after costs this lost money, and not by chance alone."
    else:
        word = "The interval includes 0: this record does not show that following the model earns anything."
    lead = f"Sharpe ratio {number(sharpe.value)} (95 % interval {interval(sharpe)}). {word}"
    return (Text(lead, "lead"), *(Text(text, "warning") for text in sheet.warnings))


def _cards(test: Backtest, figures: Mapping[str, float]) -> Cards:
    reached = test.goals()

    def flag(name: str, goal: str) -> dict[str, str]:
        return {"note": f"goal {goal}: {'reached' if reached[name] else 'missed'}", "tone": _tone(reached[name])}

    beside = {b.name: b.performance for b in test.benchmarks}["buy_and_hold"]
    paid = sum(test.paid().values())
    return Cards(
        (
            Card("Total return", percent(figures["total_return"]), f"buy and hold {percent(beside.total_return)}"),
            Card("Annual return", percent(figures["annual_return"]), f"buy and hold {percent(beside.annual_return)}"),
            Card("Sharpe ratio", number(figures["sharpe_ratio"]), **flag("sharpe_ratio", "above 1")),
            Card("Worst drawdown", percent(figures["max_drawdown"]), **flag("max_drawdown", "at most 15 %")),
            Card("Volatility", percent(figures["annual_volatility"]), "per year"),
            Card("Win rate", percent(figures["win_rate"]), f"of {figures['positions']:,.0f} positions"),
            Card("Turnover", number(figures["turnover"], 1), "times a year"),
            Card("Exposure", percent(figures["exposure"], 0), f"net {percent(figures['net_exposure'], 0)}"),
            Card("Costs", percent(figures["costs_per_year"]), f"a year; {money(paid)} in all"),
        )
    )


def _tone(good: bool) -> str:
    return "good" if good else "bad"


def _comparison(test: Backtest, figures: Mapping[str, float]) -> Table:
    """Put the account beside the benchmarks, figure by figure."""
    rows: list[tuple[str, str, Any]] = [
        ("total return", "total_return", percent),
        ("annual return", "annual_return", percent),
        ("volatility", "annual_volatility", percent),
        ("Sharpe ratio", "sharpe_ratio", number),
        ("Sortino ratio", "sortino_ratio", number),
        ("Calmar ratio", "calmar_ratio", number),
        ("worst drawdown", "max_drawdown", percent),
        ("value at risk, 5 %", "value_at_risk", lambda v: percent(v, 2)),
        ("expected shortfall, 5 %", "expected_shortfall", lambda v: percent(v, 2)),
        ("tail ratio", "tail_ratio", number),
        ("skewness", "skewness", number),
        ("kurtosis", "kurtosis", number),
        ("best session", "best_session", lambda v: percent(v, 2)),
        ("worst session", "worst_session", lambda v: percent(v, 2)),
        ("sessions with a gain", "winning_sessions", percent),
    ]
    others = [b.performance.figures() for b in test.benchmarks]
    body = [[label, write(figures[name]), *(write(o[name]) for o in others)] for label, name, write in rows]
    sharpes = [test.sharpe, *(b.sharpe for b in test.benchmarks)]
    body.insert(4, ["… 95 % interval", *(interval(bounds) for bounds in sharpes)])
    body.append(["account better by, per year", "-", *(percent(b.excess.value) for b in test.benchmarks)])
    body.append(["… 95 % interval", "-", *(interval(b.excess, percent) for b in test.benchmarks)])
    return Table.of(("", "account", *(NAMES.get(b.name, b.name) for b in test.benchmarks)), body)


def _months(sheet: TearSheet) -> Table:
    years = monthly_returns(sheet.dates[1:], sheet.backtest.account.returns)
    strongest = max((abs(v) for months in years.values() for v in months.values()), default=0.0) or 1.0
    rows = []
    for year, months in years.items():
        cells = [
            Cell(percent(months[m]).removesuffix(" %"), months[m] / strongest) if m in months else Cell("")
            for m in range(1, 13)
        ]
        whole = math.prod(1 + v for v in months.values()) - 1
        rows.append((Cell(str(year)), *cells, Cell(percent(whole).removesuffix(" %"))))
    return Table(("", *MONTHS, "year"), tuple(rows), "Returns by month, in percent", compact=True)


def _costs_table(test: Backtest, figures: Mapping[str, float]) -> Table:
    plan, paid = test.plan, test.paid()
    rates = {
        "commission": f"{plan.costs.commission_bps:g} bps of the value traded",
        "slippage": f"{plan.costs.slippage_bps:g} bps of the value traded",
        "borrow": f"{percent(plan.costs.borrow)} a year on short positions",
    }
    gained = float(test.account.equity[-1]) - plan.capital
    before = gained + sum(paid.values())
    rows = [[name, rates[name], money(paid[name])] for name in rates]
    rows.append(["together", f"{percent(figures['costs_per_year'])} of the account a year", money(sum(paid.values()))])
    rows.append(["gain before costs", "positions alone, with the sizes that they had", money(before)])
    rows.append(["gain after costs", "", money(gained)])
    return Table.of(("", "rate", "money"), rows, texts=2)


def _sources(sheet: TearSheet) -> Table:
    rows = [
        [str(s["source"]), str(s["detail"]), f"{s['first']} to {s['last']}", f"{s['sessions']:,}"]
        for s in sheet.sources
    ]
    return Table.of(("whose scores", "", "from, to", "sessions"), rows, texts=3)


def _assumptions(test: Backtest) -> Table:
    plan = test.plan
    fill = "opening price" if plan.fill == "open" else "close"
    every = "each session" if plan.rebalance == 1 else f"every {plan.rebalance} sessions"
    sell = "SELL is a short position" if plan.sizing.short else "SELL is no position (long only)"
    sizes = f"at most {percent(plan.sizing.max_weight, 0)} each and {percent(plan.sizing.max_gross, 0)} together"
    rows = {
        "decision": f"at the close, {every}; BUY and SELL are the outer tenths of the session's scores",
        "fill": f"at the {fill} of the next session, never at the close that decided",
        "positions": f"{plan.sizing.method} sizes, {sizes}; {sell}",
        "missing bars": "the position is kept at its last price; a ticker without any further bar is closed at it",
        "end": "positions are marked at the last close, not sold",
        "benchmarks": "the universe bought once in equal parts, and kept at equal weights each session, both with the "
        "same costs; a universe of names chosen today has survivors only",
        "Sharpe interval": "allows for autocorrelation and fat tails (influence function, equal-weighted cosines)",
    }
    return Table.of(("", ""), list(rows.items()), prose=True)
