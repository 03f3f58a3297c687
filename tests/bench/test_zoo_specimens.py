"""The zoo holds what it says: every kind, neutral names, features that truly leak and look-alikes that do not."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from tests.bench.witnesses import (
    ALL,
    beside_base,
    cut_changes,
    foresight,
    foresight_at_listing,
    looked_up,
    silenced,
    staggered_changes,
    start_changes,
)

from marketloop.bench.zoo import KINDS, BarsPlant, FeaturePlant, RecipePlant, Specimen, market
from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError

FEATURES = [(s, s.plant.feature) for s in ALL if isinstance(s.plant, FeaturePlant)]
CUTS = list(range(12, 700, 29))
SEEN = 0.34
"""Correlation of what a table adds with a future, above which it knew that future; honest ones reach 0.32 by chance."""
BORN = 0.65
"""The same over thirty tickers, with the gain of a whole life; honest tables reach 0.56."""


def leaking_features() -> list[object]:
    return [pytest.param(s, f, id=s.name) for s, f in FEATURES if s.leaking]


def honest_features() -> list[object]:
    return [pytest.param(s, f, id=s.name) for s, f in FEATURES if not s.leaking]


def test_every_kind_has_four_leaks_and_as_many_look_alikes_overall() -> None:
    leaks = Counter(s.kind for s in ALL if s.leaking)
    honest = Counter(s.kind for s in ALL if not s.leaking)
    assert set(leaks) == set(KINDS)
    assert min(leaks.values()) >= 4
    assert min(honest[kind] for kind in KINDS) >= 4
    assert honest.total() >= leaks.total() >= 150


def test_every_sort_of_plant_has_leaks_and_look_alikes() -> None:
    sorts = Counter((type(s.plant).__name__, s.leaking) for s in ALL)
    for sort in ("FeaturePlant", "SeriesPlant", "BarsPlant", "RecipePlant", "PipelinePlant"):
        assert sorts[sort, True] >= 7
        assert sorts[sort, False] >= 7


def test_strengths_are_whole_a_tenth_and_a_hundredth_in_every_kind_of_feature_leak() -> None:
    assert {s.strength for s in ALL if s.leaking} == {1.0, 0.1, 0.01}
    assert {s.strength for s in ALL if not s.leaking} == {0.0}
    for kind in {s.kind for s, _ in FEATURES if s.leaking}:
        assert {1.0, 0.1, 0.01} == {s.strength for s, _ in FEATURES if s.leaking and s.kind == kind}
    assert sum(s.strength == 0.01 for s in ALL) >= 50


def test_names_are_unique_and_say_nothing() -> None:
    assert [s.name for s in ALL] == [f"s{k:03d}" for k in range(1, len(ALL) + 1)]
    for specimen in ALL:
        match specimen.plant:
            case FeaturePlant(feature):
                assert (feature.name, feature.family, feature.definition) == (specimen.name, "plugin", "")
            case RecipePlant(recipe):
                assert recipe.name == specimen.name
    assert all(s.note for s in ALL)


def test_order_says_nothing() -> None:
    first, second = (Counter(s.leaking for s in half) for half in (ALL[: len(ALL) // 2], ALL[len(ALL) // 2 :]))
    assert abs(first[True] - second[True]) < 30


def test_habitat_has_late_listings_failures_and_a_halt() -> None:
    lives = market().bars.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max(), bars=pl.len())
    dates = market().bars["date"].unique().sort()
    assert len(dates) == 700
    assert len(lives) == 30
    assert (lives["first"] > dates[0]).sum() == 5
    assert (lives["last"] < dates[-1]).sum() == 5
    assert 694 in lives["bars"].to_list()


def test_habitat_says_when_labels_were_known() -> None:
    matrix = market().matrix
    known = matrix.label == matrix.label
    assert (matrix.known_on[known] - matrix.session[known] >= 5).all()
    assert (matrix.known_on[~known] == 2**31 - 1).all()


def test_specimen_refuses_an_unknown_kind_and_a_strength_that_does_not_suit() -> None:
    plant = BarsPlant(lambda bars: bars)
    with pytest.raises(UsageError, match="none of future_bars"):
        Specimen("s", "leak", leaking=True, strength=1.0, plant=plant)
    with pytest.raises(UsageError, match="does not suit"):
        Specimen("s", "duplicates", leaking=False, strength=0.1, plant=plant)


@pytest.mark.parametrize(("specimen", "feature"), leaking_features())
def test_leaking_feature_leaks(specimen: Specimen, feature: Feature) -> None:
    assert (
        cut_changes(feature, CUTS)
        or staggered_changes(feature, 24)
        or start_changes(feature)
        or any(foresight(content) > SEEN for content in (*beside_base(feature), silenced(feature)))
        or any(max(foresight(c) / SEEN, foresight_at_listing(c) / BORN) > 1 for c in looked_up(feature))
    ), specimen.note


@pytest.mark.parametrize(("specimen", "feature"), honest_features())
def test_honest_feature_does_not_leak(specimen: Specimen, feature: Feature) -> None:
    assert not cut_changes(feature, [100, 155, 333, 337, 412, 590, 645]), specimen.note
    assert not start_changes(feature), specimen.note
    for content in looked_up(feature):
        assert foresight(content) < SEEN, specimen.note
        assert foresight_at_listing(content) < BORN, specimen.note
