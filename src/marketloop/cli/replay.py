"""``marketloop replay``: the same history lived through again under several retraining policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.backtest import TradingFlags
from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags, day
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    trading: TradingFlags,
    family: Annotated[str | None, typer.Argument(help="Family; the primary one by default.")] = None,
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="A,B",
            help="never, monthly, weekly, nightly, drift, quarterly, every:21 (sessions), cron:0 2 * * tue.",
        ),
    ] = "never,monthly,weekly,nightly,drift",
    gated: Annotated[
        bool | None,
        typer.Option("--gated/--ungated", help="With the gate only, or without it only; both when left out."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", "--start-date", metavar="YYYY-MM-DD", help="First night.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option("--sessions", help="Newest nights to live through; 250 by default.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Page; under reports/ by default.")] = None,
) -> Answer:
    """Live the stored history again, night by night, under each retraining policy, with the gate and without.

    Prints what each policy would have served (rank IC, Brier score, Sharpe ratio, with intervals), what was promoted
    and refused, and what its fits cost. Nothing is recorded and nothing is promoted.
    """
    first, plan = day("--start", start), trading.plan(call)
    replaying = call.room("loop.replaying")
    chosen = call.room("loop.replay_rules").split_names(policy)
    request = replaying.ReplayRequest(chosen, gated, first, sessions, plan)
    with call.open_house(features.settings()) as house, call.telling("replay") as tell:
        result = replaying.replay_family(house, family or house.settings.serve.primary, request, tell=tell)
        document: dict[str, Any] = result.document(replaying.write_replay_sheet(house, result, report))
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    screen.heading(
        f"{document['family']} ({document['config_key']}): {document['first']} to {document['last']}, "
        f"{document['sessions']} nights, {document['tickers']} tickers"
    )
    policies = document["policies"]
    rows = [
        (
            _label(one),
            one["rank_ic"],
            _between(one["intervals"]["rank_ic"]),
            one["brier"],
            one["brier_no_skill"],
            one["sharpe"],
            _between(one["intervals"]["sharpe"]),
            one["with_signals"],
            one["trainings"],
            one["promotions"],
            one["refusals"],
            one["fit_seconds"],
        )
        for one in policies
    ]
    columns = (
        "policy",
        "rank IC",
        "95 %",
        "Brier",
        "no skill",
        "Sharpe",
        "95 %",
        "signals",
        "fits",
        "promoted",
        "refused",
        "s",
    )
    screen.table(columns, rows)
    for name, one in document["benchmarks"].items():
        bounds = _between(one["interval"])
        screen.line(
            f"beside it, {name.replace('_', ' ')}: Sharpe {_short(one['sharpe'])}" + (f" ({bounds})" if bounds else ""),
            style="dim",
        )
    screen.line(f"better than {document['beside']} by, per session:")
    beside = [
        (
            _label(one),
            one["better_by"]["rank_ic"]["value"],
            _between(one["better_by"]["rank_ic"]["interval"]),
            one["better_by"]["brier"]["value"],
            _between(one["better_by"]["brier"]["interval"]),
        )
        for one in policies
        if one["better_by"] is not None
    ]
    if beside:
        screen.table(("policy", "rank IC", "95 %", "Brier (lower is better)", "95 %"), beside)
    warning_lines(screen, document["warnings"])
    screen.line(f"report: {document['report']}")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _label(one: dict[str, Any]) -> str:
    return str(one["name"]) if one["gated"] else f"{one['name']}, no gate"


def _between(bounds: list[float] | None) -> str | None:
    return None if bounds is None else f"{bounds[0]:.3g} .. {bounds[1]:.3g}"
