"""``marketloop backtest``: what the signals of a version would have earned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags, day
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["TradingFlags", "command"]

_NAMES = {"buy_and_hold": "buy and hold", "equal_weight": "equal weight", "sp500": "S&P 500"}
_SHOWN = ("total_return", "annual_return", "annual_volatility", "sharpe_ratio", "sortino_ratio", "max_drawdown")


@dataclass(frozen=True, slots=True)
class TradingFlags:
    """How signals are traded."""

    capital: Annotated[float, typer.Option("--capital", help="Money at the beginning.")] = 100_000.0
    sizing: Annotated[str, typer.Option("--sizing", help="equal, volatility or kelly.")] = "equal"
    short: Annotated[bool, typer.Option("--short", help="SELL is a short position instead of none.")] = False
    max_weight: Annotated[float, typer.Option("--max-weight", help="Most of one position, 0.2 for 20 %.")] = 0.2
    commission_bps: Annotated[
        float, typer.Option("--commission-bps", help="Commission, in basis points of the value traded.")
    ] = 1.0
    slippage_bps: Annotated[
        float, typer.Option("--slippage-bps", help="Slippage, in basis points of the value traded.")
    ] = 5.0
    borrow: Annotated[float, typer.Option("--borrow", help="Rate per year on short positions.")] = 0.01
    fill: Annotated[str, typer.Option("--fill", help="open or close of the session after the decision.")] = "open"
    rebalance: Annotated[int, typer.Option("--rebalance", help="Sessions from one decision to the next.")] = 1

    def plan(self, call: Call) -> Any:
        """Return the `Plan` of the flags.

        Raises
        ------
        UsageError
            A number makes no sense.
        """
        backtest, positions, prices = map(
            call.room, ("evaluation.backtest", "evaluation.positions", "evaluation.prices")
        )
        return backtest.Plan(
            sizing=positions.Sizing(self.sizing, short=self.short, max_weight=self.max_weight),
            costs=prices.Costs(self.commission_bps, self.slippage_bps, self.borrow),
            fill=self.fill,
            rebalance=self.rebalance,
            capital=self.capital,
        )


def command(
    call: Call,
    features: FeatureFlags,
    trading: TradingFlags,
    family: Annotated[str | None, typer.Argument(help="Family; the primary one by default.")] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="The champion by default, else the newest.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", "--start-date", metavar="YYYY-MM-DD", help="First decision.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", "--end-date", metavar="YYYY-MM-DD", help="Last session.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Tear sheet; under reports/ by default.")] = None,
    export_orders: Annotated[Path | None, typer.Option("--export-orders", help="Also write every fill as CSV.")] = None,
) -> Answer:
    """Trade the signals of a version on sessions that it was not trained on, costs paid, and write a tear sheet.

    Orders of a close are filled in the next session. Until the version was trained it is the stream of its recipe
    that is traded, block by block out of sample; afterwards the version itself.
    """
    period = (day("--start", start), day("--end", end))
    plan = trading.plan(call)
    backtesting = call.room("loop.backtesting")
    with call.open_house(features.settings()) as house, call.telling("backtest") as tell:
        model = backtesting.find_model(house, family, version)
        result = backtesting.backtest_model(house, model, plan, period=period, tell=tell)
        written = backtesting.write_tear_sheet(house, result, report)
        orders = None if export_orders is None else backtesting.write_orders(result, export_orders)
        document: dict[str, Any] = result.document(written, orders)
        call.room("loop.announcing").announce_backtest(house, document, result.tickers)
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    name = f"{document['family']} v{document['version']} ({document['config_key']})"
    screen.heading(f"{name}: {document['first']} to {document['last']}, {document['sessions']} sessions")
    for source in document["predictions"]:
        screen.line(f"{source['first']} to {source['last']}: {source['source']}, {source['detail']}", style="dim")
    benchmarks = document["benchmarks"]
    names = [_NAMES.get(name, name) for name in benchmarks]
    rows: list[list[Any]] = [[figure, document[figure], *(b[figure] for b in benchmarks.values())] for figure in _SHOWN]
    rows.insert(
        4,
        [
            "  95 % interval",
            _between(document["sharpe_interval"]),
            *(_between(b["sharpe_interval"]) for b in benchmarks.values()),
        ],
    )
    rows.append(["account better by, per year", None, *(b["excess_return"] for b in benchmarks.values())])
    rows.append(["  95 % interval", None, *(_between(b["excess_interval"]) for b in benchmarks.values())])
    screen.table(("figure", "account", *names), rows)
    screen.pairs(
        {name: document[name] for name in ("win_rate", "turnover", "exposure", "costs_per_year", "final_equity")}
    )
    for goal in document["goals"]:
        word = "reached" if goal["reached"] else "missed"
        screen.line(f"goal {goal['name']} {goal['goal']:g}: {word}", style="green" if goal["reached"] else "yellow")
    warning_lines(screen, document["warnings"])
    screen.line(f"report: {document['report']}")
    if document["orders"]:
        screen.line(f"orders: {document['orders']}")


def _between(bounds: list[float] | None) -> str | None:
    return None if bounds is None else f"{bounds[0]:.3g} to {bounds[1]:.3g}"
