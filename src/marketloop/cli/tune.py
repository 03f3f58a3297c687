"""``marketloop tune``: search the hyperparameters of a family; nothing is trained or promoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command", "show_tuned"]


def command(
    call: Call,
    family: Annotated[str, typer.Argument(help="Family of models, e.g. price_predictor.")],
    features: FeatureFlags,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", metavar="NAME", help="Recipe to tune; the family's last by default."),
    ] = None,
    n_trials: Annotated[int, typer.Option("--n-trials", help="Trials in all; those of an earlier run count.")] = 50,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds after which no trial is begun.")] = 3600.0,
    objective: Annotated[
        str | None,
        typer.Option("--objective", metavar="NAME", help="log_loss, rank_ic, rmse, accuracy or f1."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes; 1 gives the same trials each time.")] = 1,
) -> Answer:
    """Search the hyperparameters of FAMILY on purged folds of the stored bars, each trial counted.

    The best become one more contender of the family, for blocks of sessions that the search has not seen. A search
    that was interrupted goes on where it was.
    """
    tuning = call.room("loop.tuning")
    request = tuning.TuneRequest(algorithm, n_trials, timeout, objective, workers)
    with call.open_house(features.settings()) as house, call.telling("tuning") as tell:
        found = tuning.tune_family(house, family, request, tell=tell)
    document: dict[str, Any] = found.document()

    def show(screen: Screen) -> None:
        show_tuned(screen, document)
        screen.line(f"trained nothing; next: marketloop train {document['family']}", style="dim")

    return Answer(document, show)


def show_tuned(screen: Screen, document: Mapping[str, Any]) -> None:
    """Print what a search found, and how much of it is the luck of many trials."""
    states = ", ".join(f"{count} {state}" for state, count in document["trials"].items())
    earlier = f", {document['resumed']} of them by an earlier run" if document["resumed"] else ""
    screen.line(
        f"{document['family']}: {document['recipe']} tuned on {len(document['folds'])} purged folds in "
        f"{document['duration_s']:.1f} s: {states}{earlier}"
    )
    screen.table(("hyperparameter", "best"), document["params"].items())
    screen.pairs({document["objective"]: document["value"], "with its own settings": document["default_value"]})
    evidence = document["evidence"]
    screen.line(
        f"the best of {evidence['trials']} counted trials and recipes: Sharpe {_number(evidence['sharpe_annual'])} a "
        f"year before costs, where luck gives {_number(evidence['luck_annual'])}; deflated Sharpe "
        f"{_number(evidence['deflated_sharpe'])}, probability of overfitting {_number(evidence['pbo'])}"
    )
    warning_lines(screen, document["warnings"])


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
