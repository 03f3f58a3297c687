"""Holds the zoo's specimens against the detectors of the product: what is found, and what is accused falsely."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

from marketloop.bench.counts import Count
from marketloop.bench.zoo import (
    KINDS,
    BarsPlant,
    FeaturePlant,
    PipelinePlant,
    RecipePlant,
    SeriesPlant,
    Specimen,
    market,
    specimens,
)
from marketloop.core.catalog import Feature, Recipe
from marketloop.core.values import StrategyConfig
from marketloop.data.repeats import repeated_bars
from marketloop.data.vintages import check_series
from marketloop.dataset import with_past
from marketloop.evaluation.leaks import check_learner, check_pipeline
from marketloop.features import builtin_features, check_leaks
from marketloop.models import builtin_recipes
from marketloop.models.builtin import EXTRA
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.threads import set_thread_budget

__all__ = ["Judgement", "catalog_alarms", "counted", "judge", "judge_all", "run"]

CATALOG_PART: Final = 30
"""Features of the catalog that are checked together."""
EPOCHS: Final = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a detector said of a specimen: `said` is empty where it found nothing."""

    specimen: Specimen
    said: str

    @property
    def right(self) -> bool:
        """Whether a leak was found, or an honest one left alone."""
        return self.specimen.leaking == bool(self.said)


def judge(specimen: Specimen) -> str:
    """Return what the detector of the specimen's plant says, empty where it finds nothing.

    It is given the plant alone: neither name nor kind, nor the truth.
    """
    habitat = market()
    match specimen.plant:
        case FeaturePlant(feature):
            bare = Feature("value", "plugin", feature.lookback, feature.expr)
            report = check_leaks(habitat.bars, [bare], habitat.context)
            return "; ".join(f"{leak.kind}: {leak.detail}" for leak in report.leaks)
        case SeriesPlant(frame=frame, deliveries=deliveries):
            late = check_series(frame, [(delivery.as_of, delivery.frame) for delivery in deliveries])
            return late[0].detail if late else ""
        case BarsPlant(alter):
            again = repeated_bars(alter(habitat.bars))
            return "; ".join(f"{r.ticker} from {r.date} is {r.other} from {r.other_date}" for r in again)
        case RecipePlant(recipe):
            return "; ".join(f"{s.what}: {s.detail}" for s in check_learner(recipe, habitat.matrix))
        case PipelinePlant(run):
            return "; ".join(f"{s.what}: {s.detail}" for s in check_pipeline(run, habitat.matrix))


def judge_all(
    numbers: Iterable[int] | None = None,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> list[Judgement]:
    """Judge the specimens with these `numbers` (positions in the zoo), all of them when left out."""
    inhabitants = _inhabitants()
    chosen = list(range(len(inhabitants)) if numbers is None else numbers)

    def tell(position: int, said: str) -> None:
        if on_progress is not None:
            name = inhabitants[chosen[position]].name
            on_progress(position + 1, len(chosen), f"{name}: {said[:60] or 'nothing found'}")

    said = parallel_map(_judge_one, chosen, workers=workers, threads=workers, on_result=tell)
    return [Judgement(inhabitants[number], text) for number, text in zip(chosen, said, strict=True)]


def run(*, workers: int = 2, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Judge the whole zoo and the product's own catalog.

    Returns
    -------
    dict
        The document of ``marketloop bench``; `figures` hold recall and false alarms with counts per kind, the specimens
        judged wrongly, and the alarms on the product's own features and recipes, of which there should be none.
    """
    set_thread_budget(1)  # before workers start: they read it at their imports
    started = time.perf_counter()
    judgements = judge_all(workers=workers, on_progress=on_progress)
    figures = {**counted(judgements), "catalog": catalog_alarms()}
    return {
        "name": "zoo",
        "rows": len(judgements),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": figures,
        "peer": {},
    }


def counted(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Count recall on the leaking specimens and false alarms on the honest ones, by kind, and name what went wrong."""
    leaking = [j for j in judgements if j.specimen.leaking]
    honest = [j for j in judgements if not j.specimen.leaking]
    return {
        "recall": _count(leaking, found=True),
        "false_alarms": _count(honest, found=True),
        "recall_by_kind": {kind: _count(of, found=True) for kind, of in _by_kind(leaking)},
        "recall_by_strength": {
            f"{s:g}": _count([j for j in leaking if j.specimen.strength == s], found=True)
            for s in sorted({j.specimen.strength for j in leaking})
        },
        "false_alarms_by_kind": {kind: _count(of, found=True) for kind, of in _by_kind(honest)},
        "missed": [f"{j.specimen.name} {j.specimen.kind}: {j.specimen.note}" for j in leaking if not j.right],
        "accused": [
            f"{j.specimen.name} {j.specimen.kind}: {j.specimen.note} ({j.said})" for j in honest if not j.right
        ],
    }


def catalog_alarms() -> dict[str, Any]:
    """Check every feature and recipe of the product, all of them honest, and return what was said of them."""
    habitat = market()
    features = builtin_features(StrategyConfig())
    leaks = [
        leak
        for first in range(0, len(features), CATALOG_PART)
        for leak in check_leaks(habitat.bars, features[first : first + CATALOG_PART], habitat.context).leaks
    ]
    recipes = [recipe for recipe in builtin_recipes() if _is_installed(recipe)]
    matrix = with_past(habitat.matrix)
    said = {recipe.name: check_learner(recipe, matrix, params=_briefly(recipe)) for recipe in recipes}
    return {
        "features": len(features),
        "feature_alarms": [f"{leak.feature} ({leak.kind}): {leak.detail}" for leak in leaks],
        "recipes": len(recipes),
        "recipe_alarms": [f"{name}: {s.what}: {s.detail}" for name, found in said.items() for s in found],
    }


def _is_installed(recipe: Recipe) -> bool:
    """Whether the libraries of a recipe are there: those of the extra may be absent."""
    return not recipe.needs_past or all(find_spec(name) is not None for name in EXTRA)


def _briefly(recipe: Recipe) -> dict[str, Any]:
    """Return the defaults with few passes over the rows: what a learner may know does not depend on how many."""
    return {**recipe.defaults, **({"epochs": EPOCHS} if "epochs" in recipe.defaults else {})}


def _judge_one(number: int) -> str:
    return judge(_inhabitants()[number])


@lru_cache(maxsize=1)
def _inhabitants() -> tuple[Specimen, ...]:
    """Return the zoo; each process has its own, and each inhabitant is judged once."""
    return specimens()


def _by_kind(judgements: Sequence[Judgement]) -> list[tuple[str, list[Judgement]]]:
    sorted_out = [(kind, [j for j in judgements if j.specimen.kind == kind]) for kind in KINDS]
    return [(kind, of) for kind, of in sorted_out if of]


def _count(judgements: Sequence[Judgement], *, found: bool) -> dict[str, Any]:
    return Count(sum(bool(j.said) == found for j in judgements), len(judgements)).document()
