"""A small tour of the zoo: a few of each kind of plant, found where they leak and left alone where they are honest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from marketloop.bench.zoo import BarsPlant, FeaturePlant, PipelinePlant, RecipePlant, SeriesPlant, Specimen, specimens
from marketloop.bench.zoo_run import Judgement, counted, judge

PLANTS = (FeaturePlant, SeriesPlant, BarsPlant, RecipePlant, PipelinePlant)
EACH = {FeaturePlant: 7, SeriesPlant: 3, BarsPlant: 3, RecipePlant: 5, PipelinePlant: 2}


@pytest.fixture(scope="module")
def zoo() -> tuple[Specimen, ...]:
    return specimens()


def some(zoo: tuple[Specimen, ...], plant: type, *, leaking: bool) -> Iterator[Specimen]:
    chosen = (s for s in zoo if isinstance(s.plant, plant) and s.leaking == leaking)
    return islice(chosen, EACH[plant])


@pytest.mark.parametrize("plant", PLANTS)
def test_leaks_of_the_tour_are_found(plant: type, zoo: tuple[Specimen, ...]) -> None:
    missed = [f"{s.kind}: {s.note}" for s in some(zoo, plant, leaking=True) if not judge(s)]
    assert missed == []


@pytest.mark.parametrize("plant", PLANTS)
def test_honest_ones_of_the_tour_are_left_alone(plant: type, zoo: tuple[Specimen, ...]) -> None:
    accused = [f"{s.kind}: {s.note}: {said}" for s in some(zoo, plant, leaking=False) if (said := judge(s))]
    assert accused == []


def test_counts_tell_recall_from_false_alarms(zoo: tuple[Specimen, ...]) -> None:
    leaking = [s for s in zoo if s.leaking][:3]
    honest = [s for s in zoo if not s.leaking][:2]
    judged = [*(Judgement(s, "future") for s in leaking[:2]), Judgement(leaking[2], "")]
    judged += [Judgement(honest[0], ""), Judgement(honest[1], "batch")]
    figures = counted(judged)
    assert (figures["recall"]["hits"], figures["recall"]["trials"]) == (2, 3)
    assert (figures["false_alarms"]["hits"], figures["false_alarms"]["trials"]) == (1, 2)
    assert figures["missed"] == [f"{leaking[2].name} {leaking[2].kind}: {leaking[2].note}"]
    assert figures["accused"][0].endswith("(batch)")
    assert sum(kind["trials"] for kind in figures["recall_by_kind"].values()) == 3
