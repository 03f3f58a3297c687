"""``marketloop train``: make a candidate and look at it; nothing is promoted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import CollectFlags, FeatureFlags, RecipeFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command"]

_PARTS = ("train", "validation", "test")


def command(
    call: Call,
    family: Annotated[str, typer.Argument(help="Family of models, e.g. price_predictor.")],
    wanted: CollectFlags,
    features: FeatureFlags,
    recipe: RecipeFlags,
    sample_size: Annotated[float, typer.Option("--sample-size", help="Learn from this share of the sessions.")] = 1.0,
) -> Answer:
    """Make a candidate of FAMILY from the stored bars, and show its figures beside those of no skill.

    Flags of collect fetch what is missing first. Nothing is examined by the gate and nothing is promoted: that is
    what retrain does.
    """
    ingesting, training, preparing = map(call.room, ("loop.ingesting", "loop.training", "loop.preparing"))
    choices = preparing.Choices(**recipe.choices(), sample_size=sample_size)
    request = ingesting.CollectRequest(**wanted.request())
    with call.open_house(features.settings()) as house, call.telling("training") as tell:
        preparing.choose(house, family, choices)
        if wanted.given or house.store.version is None:
            ingesting.ingest(house, request, tell=tell)
        trained = training.train_family(
            house, family, choices, on_progress=lambda done, total: tell("inner validation", done, total)
        )
        call.room("loop.mirroring").drain_mirrors(house)
    document: dict[str, Any] = trained.document()
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
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
    inner = document["inner_rank_ic"]
    if inner:
        ranked = sorted(inner.items(), key=lambda item: -item[1])
        screen.table(("recipe", "inner rank IC"), ranked, title=f"nominated: {document['recipe']}")
    else:
        screen.line(f"recipe: {document['recipe']} (the history is too short to compare recipes)")
    if document["class_shares"]:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in document["class_shares"].items())
        screen.line(f"classes: {shares}")
    if document["regime_sessions"]:
        regimes = ", ".join(f"{name} {count}" for name, count in document["regime_sessions"].items())
        screen.line(f"sessions by market regime: {regimes}")
    warning_lines(screen, document["warnings"])
    screen.line(f"kept in {document['path']}")
    screen.line(f"promoted nothing; next: marketloop retrain {document['family']}", style="dim")
