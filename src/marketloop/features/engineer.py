"""The features of a frame of bars in one call, for pandas and Polars alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.frames import BAR_SCHEMA, require_columns
from marketloop.core.values import Context, StrategyConfig
from marketloop.features.catalog import builtin_features
from marketloop.features.engine import compute
from marketloop.features.fill import FILL_METHODS, fill
from marketloop.features.sets import resolve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FeatureEngineer"]

Frame = TypeVar("Frame", pl.DataFrame, "pd.DataFrame")


class FeatureEngineer:
    """Compute a named feature set over bars.

    Parameters
    ----------
    strategy : StrategyConfig, optional
        Periods of the configurable indicators.
    features : iterable of Feature, optional
        Features besides those of the house, a plugin's for instance; each is added to every set, in this order.
    """

    def __init__(self, strategy: StrategyConfig | None = None, features: Iterable[Feature] | None = None) -> None:
        self.strategy = strategy or StrategyConfig()
        self.features = tuple(features or ())

    def create_features(
        self,
        frame: Frame,
        feature_set: str = "extended",
        fill_method: str = "forward",
        *,
        context: Context | None = None,
    ) -> Frame:
        """Return ``date, ticker`` and the features of `feature_set`, one row per row of `frame`.

        Parameters
        ----------
        frame : pandas or Polars frame ``date, ticker, open, high, low, close, volume``
            Any order of rows; other columns are ignored. The result is of the same kind, sorted by (ticker, date).
        feature_set : ``legacy``, ``basic`` or ``extended``
        fill_method : ``forward`` or ``none``
            See `fill`. Columns that nothing feeds are null either way.
        context : Context, optional
            Market series as known; without it the features that they feed are null.

        Raises
        ------
        UsageError
            The frame has another schema, or the set or method is unknown.
        """
        catalog = {f.name: f for f in builtin_features(self.strategy)}
        for feature in self.features:
            if feature.name in catalog:
                raise UsageError(f'the feature "{feature.name}" exists already; choose another name')
            catalog[feature.name] = feature
        chosen = resolve(catalog, feature_set, [f.name for f in self.features])
        if fill_method not in FILL_METHODS:
            raise unknown_name("fill method", fill_method, FILL_METHODS)
        if isinstance(frame, pl.DataFrame):
            return fill(compute(_daily(frame), chosen, context), chosen, fill_method)
        bars = _from_pandas(frame)
        return fill(compute(_daily(bars), chosen, context), chosen, fill_method).to_pandas()


def _from_pandas(frame: object) -> pl.DataFrame:
    kind = type(frame)
    if kind.__module__.partition(".")[0] != "pandas" or kind.__name__ != "DataFrame":
        raise UsageError(f"bars are {kind.__module__}.{kind.__name__}: expected a pandas or a Polars DataFrame")
    columns = [c for c in BAR_SCHEMA if c in frame.columns]  # type: ignore[attr-defined]
    if len(columns) < len(BAR_SCHEMA):
        return pl.DataFrame(schema=[str(c) for c in frame.columns])  # type: ignore[attr-defined]  # named by the check
    return pl.from_pandas(frame[columns])  # type: ignore[index]


def _daily(bars: pl.DataFrame) -> pl.DataFrame:
    """Read time stamps at midnight as dates."""
    require_columns(bars, BAR_SCHEMA, "the frame of bars")
    dtype = bars.schema["date"]
    if dtype == pl.String:
        days = bars["date"].str.to_date("%Y-%m-%d", strict=False)
        unread = bars["date"].filter(days.is_null() & bars["date"].is_not_null())
        if len(unread):
            raise UsageError(f'the column "date" holds the text "{unread[0]}": expected dates, or text as YYYY-MM-DD')
        return bars.with_columns(days.alias("date"))
    if not isinstance(dtype, pl.Datetime):
        return bars
    if dtype.time_zone is not None:
        raise UsageError(f'the column "date" is in time zone {dtype.time_zone}: expected dates without a zone')
    if bars.select((col("date").dt.time() != dt.time(0)).any()).item():
        raise UsageError('the column "date" has times of day: expected one row per session, with its date')
    return bars.with_columns(col("date").cast(pl.Date))
