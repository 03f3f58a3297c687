"""``marketloop train``: make a candidate and look at it; nothing is promoted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import CollectFlags, FeatureFlags, RecipeFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines
from marketloop.cli.tune import show_tuned
from marketloop.core.errors import UsageError

__all__ = ["command", "show_trained"]

_PARTS = ("train", "validation", "test")


def command(
    call: Call,
    family: Annotated[str, typer.Argument(help="Family of models, e.g. price_predictor.")],
    wanted: CollectFlags,
    features: FeatureFlags,
    recipe: RecipeFlags,
    sample_size: Annotated[float, typer.Option("--sample-size", help="Learn from this share of the sessions.")] = 1.0,
    tune: Annotated[bool, typer.Option("--tune", help="Search hyperparameters first, as tune does.")] = False,
    n_trials: Annotated[
        int | None, typer.Option("--n-trials", help="Trials of --tune; 50 by default.", show_default=False)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds for --tune; 3600 by default.", show_default=False)
    ] = None,
) -> Answer:
    """Make a candidate of FAMILY from the stored bars, and show its figures beside those of no skill.

    Flags of collect fetch what is missing first. Nothing is examined by the gate and nothing is promoted: that is
    what retrain does.
    """
    ingesting, training, preparing = map(call.room, ("loop.ingesting", "loop.training", "loop.preparing"))
    choices = preparing.Choices(**recipe.choices(), sample_size=sample_size, tuned=tune)
    search = _search(call, choices, {"n_trials": n_trials, "timeout": timeout}, wanted=tune)
    request = ingesting.CollectRequest(**wanted.request())
    with call.open_house(features.settings()) as house, call.telling("training") as tell:
        preparing.choose(house, family, choices)
        if wanted.given or house.store.version is None:
            ingesting.ingest(house, request, tell=tell)
        tuned = search(house, family, tell)
        trained = training.train_family(
            house, family, choices, on_progress=lambda done, total: tell("inner validation", done, total)
        )
        call.room("loop.mirroring").drain_mirrors(house)
    document: dict[str, Any] = {**trained.document(), **({} if tuned is None else {"tuning": tuned.document()})}
    return Answer(document, lambda screen: show_trained(screen, document))


def _search(call: Call, choices: Any, given: Mapping[str, Any], *, wanted: bool) -> Callable[..., Any]:
    """Return the function of (house, family, tell) that tunes before the training, or does nothing."""
    flags = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        for name in flags:
            raise UsageError(f"--{name.replace('_', '-')} says how long to tune: add --tune, or leave it out")
        return lambda *_: None
    if choices.params:
        raise UsageError(f"--tune searches what --set fixes ({', '.join(choices.params)}): leave one of them out")
    tuning = call.room("loop.tuning")
    request = tuning.TuneRequest(algorithm=next(iter(choices.recipes), None), choices=choices, **flags)
    return lambda house, family, tell: tuning.tune_family(house, family, request, tell=tell)


def show_trained(screen: Screen, document: dict[str, Any]) -> None:
    """Print the candidate: rows, figures of each part beside no skill, who was nominated, and what comes next."""
    if "tuning" in document:
        show_tuned(screen, document["tuning"])
    name = f"{document['family']} v{document['version']}"
    screen.line(
        f"{name}: {document['tickers']} tickers x {document['sessions']} sessions, "
        f"{document['rows']:,} rows, {len(document['features'])} features, data version {document['data_version']}"
    )
    columns = ["figure", *(f"{part}{end}" for part in _PARTS for end in ("", " no skill"))]
    names = document["figures"]["train"]
    values = [
        [name, *(document[side][part][name] for part in _PARTS for side in ("figures", "baseline"))] for name in names
    ]
    screen.table(columns, [["rows", *(x for p in _PARTS for x in (document["part_rows"][p], None))], *values])
    if document["figures_of"] != document["nominee"]:
        screen.line(
            f"these figures are of {document['figures_of']}, which was nominated before the validation part began; the "
            f"candidate is {document['nominee']}, nominated by all that is known",
            style="yellow",
        )
    _nomination(screen, document)
    if document["class_shares"]:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in document["class_shares"].items())
        screen.line(f"classes: {shares}")
    if document["regime_sessions"]:
        regimes = ", ".join(f"{name} {count}" for name, count in document["regime_sessions"].items())
        screen.line(f"sessions by market regime: {regimes}")
    warning_lines(screen, document["warnings"])
    screen.line(f"kept in {document['path']}")
    screen.line(f"promoted nothing; next: marketloop retrain {document['family']}", style="dim")


def _nomination(screen: Screen, document: dict[str, Any]) -> None:
    """Print who was nominated, and how every contender did in the inner validation."""
    inner: dict[str, float] = document["inner_rank_ic"]
    if not inner:
        why = "one was asked for, or the history is too short to compare several"
        screen.line(f"recipe: {document['nominee']} ({why})")
        return
    figure = "inner rank IC" if "rank_ic" in document["figures"]["test"] else "inner log probability"
    ranked = sorted(inner.items(), key=lambda item: -item[1])
    screen.table(("recipe", figure), ranked, title=f"nominated: {document['nominee']}")
    if ranked[0][0] != document["nominee"]:
        screen.line(
            f"{ranked[0][0]} has the best mean, but its lead over the family's first recipe is within one standard "
            "error",
            style="dim",
        )
