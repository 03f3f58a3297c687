"""Fills missing values: forward within a ticker, then the feature's neutral value."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import unknown_name
from marketloop.features.panel import BAR, bar_numbers

__all__ = ["FILL_METHODS", "fill"]

FILL_METHODS = ("forward", "none")


def fill(
    frame: pl.DataFrame, features: Sequence[Feature], method: str = "forward", *, warmed: bool = False
) -> pl.DataFrame:
    """Fill the null values of computed features.

    Parameters
    ----------
    frame : frame ``date, ticker`` and the features
        As `compute` or `latest` returns it, sorted by (ticker, date).
    features : sequence of Feature
        The features of the frame, for their neutral values and look-backs.
    method : ``forward`` or ``none``
        ``forward`` repeats the last value of the ticker, then puts the neutral value where there is none before.
        ``none`` returns the frame as it is.
    warmed : bool
        Whether every row lies after the warm-up, as those of `latest` do after a long enough history. Otherwise the
        first row of each ticker is taken as its first bar, and no neutral value is put within a feature's look-back:
        there the feature is unknown, not neutral.

    Returns
    -------
    frame of the same shape
        A column that is null throughout stays null: nothing feeds it, and a constant would hide that.
    """
    if method not in FILL_METHODS:
        raise unknown_name("fill method", method, FILL_METHODS)
    if method == "none" or frame.is_empty():
        return frame
    numbered = frame.with_columns(bar_numbers(frame["ticker"]))
    return numbered.lazy().with_columns(_filled(f, warmed=warmed) for f in features).drop(BAR).collect()


def _filled(feature: Feature, *, warmed: bool) -> pl.Expr:
    value = col(feature.name)
    forward = value.forward_fill().over("ticker", mapping_strategy="explode")
    if feature.neutral is None:
        return forward
    ready = value.is_not_null().any() if warmed else value.is_not_null().any() & (col(BAR) >= feature.lookback)
    neutral = pl.lit(feature.neutral, dtype=pl.Float32)
    return pl.when(forward.is_null() & ready).then(neutral).otherwise(forward).alias(feature.name)
