"""The whole zoo: every draft, in an order that says nothing, under a name that says nothing."""

from __future__ import annotations

from itertools import chain

import numpy as np

from marketloop.bench.zoo import ahead, known, trailing, whole
from marketloop.bench.zoo.careful import careful_pipelines
from marketloop.bench.zoo.careless import careless_pipelines
from marketloop.bench.zoo.copies import honest_bars, repeated_bars
from marketloop.bench.zoo.diary import calendars, oddities
from marketloop.bench.zoo.fair import fair_recipes
from marketloop.bench.zoo.ingredients import Draft
from marketloop.bench.zoo.partial import anchored, finished_periods, present_members, rolling_samples
from marketloop.bench.zoo.smuggling import smuggling_recipes
from marketloop.bench.zoo.sources import honest_series, leaking_series
from marketloop.bench.zoo.specimen import Specimen
from marketloop.bench.zoo.timely import announced_accounts, lagged_foreign, past_outcomes, published_figures

__all__ = ["specimens"]

LEAKING = (
    *(ahead.future_bars, ahead.centred_windows, ahead.backfills),
    *(whole.full_samples, whole.moving_starts, whole.resampled_bars, whole.later_members),
    *(known.foreign_values, known.macro_values, known.restated_accounts, known.outcome_columns),
    *(leaking_series, repeated_bars, smuggling_recipes, careless_pipelines),
)
HONEST = (
    *(trailing.past_bars, trailing.trailing_windows, trailing.forward_fills, calendars, oddities),
    *(rolling_samples, anchored, finished_periods, present_members),
    *(lagged_foreign, published_figures, announced_accounts, past_outcomes),
    *(honest_series, honest_bars, fair_recipes, careful_pipelines),
)
SHUFFLE = 20


def specimens() -> tuple[Specimen, ...]:
    """Return all specimens, named ``s001, s002, ...``.

    The order is drawn once for all and mixes kinds and truths. Some plants keep something between calls, as careless
    code does: ask for fresh specimens for each judgement that is to stand by itself.
    """
    drafts = [(False, made) for made in chain.from_iterable(make() for make in HONEST)]
    drafts += [(True, made) for made in chain.from_iterable(make() for make in LEAKING)]
    order = np.random.default_rng(SHUFFLE).permutation(len(drafts)).tolist()
    return tuple(_named(f"s{at:03d}", *drafts[k]) for at, k in enumerate(order, start=1))


def _named(name: str, leaking: bool, made: Draft) -> Specimen:
    return Specimen(name, made.kind, leaking, made.strength, made.make(name), made.note)
