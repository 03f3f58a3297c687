"""A zoo of planted leaks and honest look-alikes that a leak detector is judged by."""

from __future__ import annotations

from marketloop.bench.zoo.collection import specimens
from marketloop.bench.zoo.habitat import Habitat, market
from marketloop.bench.zoo.specimen import (
    KINDS,
    BarsPlant,
    Delivery,
    FeaturePlant,
    PipelinePlant,
    Plant,
    RecipePlant,
    SeriesPlant,
    Specimen,
)

__all__ = [
    "KINDS",
    "BarsPlant",
    "Delivery",
    "FeaturePlant",
    "Habitat",
    "PipelinePlant",
    "Plant",
    "RecipePlant",
    "SeriesPlant",
    "Specimen",
    "market",
    "specimens",
]
