"""What stands in the zoo: a plant as its author would hand it in, with the truth that only the judge reads.

What counts as a leak, for every plant alike: something that is used at the close of session t and was not known then.
Not a leak: what depends on the date alone and is in every diary (weekdays, month ends, announced meetings), what other
tickers did up to t, and what a source says with the time at which it really said it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Feature, Recipe
from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix

__all__ = [
    "KINDS",
    "BarsPlant",
    "Delivery",
    "FeaturePlant",
    "PipelinePlant",
    "Plant",
    "RecipePlant",
    "SeriesPlant",
    "Specimen",
]

KINDS: Final = (
    "future_bars",
    "centred_window",
    "backfill",
    "full_sample",
    "moving_start",
    "foreign_value",
    "macro_value",
    "restated",
    "outcome",
    "resampled",
    "later_members",
    "splitter",
    "scaler",
    "selector",
    "calibrator",
    "duplicates",
)
"""Kinds of leaks; an honest specimen carries the kind that it could be mistaken for."""


@dataclass(frozen=True, slots=True)
class FeaturePlant:
    """A feature as a plugin would register it: an expression, or a function of the whole panel.

    A leak: its value at (ticker, t) depends on what was not known at the close of t, or on more bars before t than
    its look-back declares (SPEC F13).
    """

    feature: Feature


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source answered when it was asked at `as_of`: a frame ``date, value, known_at`` (`SERIES_SCHEMA`)."""

    as_of: dt.datetime
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class SeriesPlant:
    """A market series as a source delivers it.

    A leak: a row of `frame` says that it was known at a time at which it was not, or not with that value.

    Parameters
    ----------
    name : str
        The part that it plays in the context (``vix, spx, us10y, usd``).
    frame : frame ``date, value, known_at``
        The newest answer, `known_at` always filled. A date may stand twice, with a correction and its later `known_at`.
    deliveries : tuple of Delivery, ascending
        Older answers of the same source that the store kept, some of them asked minutes after the close of the
        exchange of the bars. An answer holds everything that was public then, back to its first date; it may begin
        later than `frame`.
    """

    name: str
    frame: pl.DataFrame
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class BarsPlant:
    """Bars as a source delivers them: `alter` turns the bars of the market into them.

    A leak: rows that repeat other rows, exactly or but for scale and rounding, under another date or ticker, so that
    what is examined was seen before in training, or what comes later is seen under another name.
    """

    alter: Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class RecipePlant:
    """A learner as a plugin would write it.

    It is fitted on rows whose labels are known and asked about later sessions, several of them in one batch, as the
    stream does. A leak: the prediction for a row depends on anything but the rows it was fitted on and the features of
    rows up to that row's session; so on labels of predicted rows, on later sessions of the batch, on rows outside the
    training set, or on earlier calls of other learners of the same recipe. Learners give (n,) values for a matrix
    without classes and (n, K) probabilities with them, and read `Matrix.X`, not its ranks.
    """

    recipe: Recipe


@dataclass(frozen=True, slots=True)
class PipelinePlant:
    """A user's own procedure on a matrix: it splits, fits and scores, and gives one score per row, NaN for none.

    A leak: the score of a row depends on features of a later session, or on labels (`label`, `target`) that were
    known later than the session of the row: ``known_on > session``. The honest ones here use only labels with
    ``known_on < session``.
    """

    run: Callable[[Matrix], NDArray[np.float64]]


Plant = FeaturePlant | SeriesPlant | BarsPlant | RecipePlant | PipelinePlant


@dataclass(frozen=True, slots=True)
class Specimen:
    """One inhabitant.

    Parameters
    ----------
    name : str
        Neutral: it says nothing about the truth.
    kind : one of `KINDS`
    leaking : bool
        The truth.
    strength : float, 0..1
        Share of the leak, in standard deviations of the feature or score that it is mixed into; 1 where the leak is
        all there is, 0 for honest ones.
    plant : Plant
    note : str
        How the leak is disguised, and why it can be found; or why an honest one looks like a leak.
    """

    name: str
    kind: str
    leaking: bool
    strength: float
    plant: Plant
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f'specimen {self.name}: kind "{self.kind}" is none of {", ".join(KINDS)}')
        if not (0 < self.strength <= 1 if self.leaking else self.strength == 0):
            raise UsageError(f"specimen {self.name}: strength {self.strength} does not suit leaking = {self.leaking}")
