"""What feature plants are made of: honest bases, and a share of something else mixed into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl
from polars import col

from marketloop.bench.zoo.specimen import BarsPlant, FeaturePlant, PipelinePlant, Plant, RecipePlant, SeriesPlant
from marketloop.core.catalog import Feature, Recipe

__all__ = ["BASES", "CLOSE", "RETURN", "Base", "Draft", "Panel", "both", "draft", "everywhere", "plain", "within"]

Panel = Callable[[pl.DataFrame], pl.Series]
"""A function of the whole panel, sorted by (ticker, date)."""

CLOSE: Final = col("close")
RETURN: Final = CLOSE / CLOSE.shift(1) - 1
VOLUME: Final = col("volume")


@dataclass(frozen=True, slots=True)
class Base:
    """An honest quantity of a ticker's own bars: its expression, look-back and typical standard deviation."""

    expr: pl.Expr
    lookback: int
    sd: float


_LOW, _HIGH = col("low").rolling_min(20), col("high").rolling_max(20)

BASES: Final[dict[str, Base]] = {
    "momentum": Base(CLOSE / CLOSE.shift(10) - 1, 10, 0.053),
    "volatility": Base(RETURN.rolling_std(20), 20, 0.0064),
    "volume": Base(VOLUME / VOLUME.rolling_mean(20) - 1, 19, 0.41),
    "position": Base((CLOSE - _LOW) / (_HIGH - _LOW), 19, 0.30),
    "distance": Base(CLOSE / CLOSE.rolling_mean(20) - 1, 19, 0.041),
    "body": Base((CLOSE - col("low")) / (col("high") - col("low")), 0, 0.30),
    "gap": Base(col("open") / CLOSE.shift(1) - 1, 1, 0.0087),
    "trend": Base(CLOSE / CLOSE.shift(60) - 1, 60, 0.121),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A specimen without its name: `make` takes the name and returns the plant."""

    kind: str
    strength: float
    make: Callable[[str], Plant]
    note: str = ""


def draft(kind: str, strength: float, what: Feature | Recipe | Plant, note: str = "") -> Draft:
    """Return the draft of a plant; a feature or recipe gets the specimen's name."""

    def make(name: str) -> Plant:
        match what:
            case Feature():
                return FeaturePlant(Feature(name, "plugin", what.lookback, what.expr))
            case Recipe():
                return RecipePlant(
                    Recipe(name, what.build, what.defaults, what.from_parts, description="A recipe of a plugin")
                )
            case FeaturePlant() | SeriesPlant() | BarsPlant() | RecipePlant() | PipelinePlant():
                return what

    return Draft(kind, strength, make, note)


def plain(expr: pl.Expr | Panel, lookback: int) -> Feature:
    """Return a feature without a name."""
    return Feature("", "plugin", lookback, expr)


def within(expr: pl.Expr) -> Panel:
    """Return the function of the panel that computes `expr` per ticker."""

    def values(panel: pl.DataFrame) -> pl.Series:
        return panel.select(expr.over("ticker").alias("value")).to_series()

    return values


def both(base: str, other: pl.Expr, *, share: float, size: float, when: pl.Expr | None = None) -> Feature:
    """Mix a `share` of `other` into a base, in the base's standard deviations; `size` is the typical size of `other`.

    Where `other` is null, or `when` is false, the base stands alone, so that no pattern of nulls betrays the rest.
    """
    honest = BASES[base]
    part = other if when is None else pl.when(when).then(other)
    number = pl.when(part.is_finite()).then(part).fill_null(0.0)
    return plain(honest.expr + share * honest.sd / size * number, honest.lookback)


def everywhere(base: str, other: Panel, *, share: float, size: float, when: pl.Expr | None = None) -> Feature:
    """Do as `both` for a function of the panel; `when` is an expression of one row."""
    honest = BASES[base]
    own = within(honest.expr)

    def values(panel: pl.DataFrame) -> pl.Series:
        part = other(panel).cast(pl.Float64).alias("part")
        chosen = col("part").is_finite() if when is None else col("part").is_finite() & when
        extra = panel.with_columns(part).select(pl.when(chosen).then(col("part")).fill_null(0.0)).to_series()
        return own(panel) + share * honest.sd / size * extra

    return plain(values, honest.lookback)
