"""Compares what a series says that was known with what its source really said at the time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from polars import col

from marketloop.data.context import SECTOR_PREFIX, with_known_at

__all__ = ["Anachronism", "check_series", "series_warnings"]

SAME: Final = 1e-9
"""Relative difference up to which two numbers are the same number, written twice."""


@dataclass(frozen=True, slots=True)
class Anachronism:
    """A value that `known_at` says was known at `as_of`, when the source did not have it, or had another one."""

    date: dt.date
    known_at: dt.datetime
    as_of: dt.datetime
    value: float
    said: float | None

    @property
    def detail(self) -> str:
        """The finding in one sentence."""
        had = "nothing" if self.said is None else f"{self.said:.6g}"
        return (
            f"the value {self.value:.6g} of {self.date} is said to be known since {self.known_at:%Y-%m-%d %H:%M}, "
            f"but the source said {had} for that date when it was asked at {self.as_of:%Y-%m-%d %H:%M}"
        )


def check_series(
    frame: pl.DataFrame, deliveries: Iterable[tuple[dt.datetime, pl.DataFrame]]
) -> tuple[Anachronism, ...]:
    """Hold a series against older answers of the same source.

    Parameters
    ----------
    frame : frame ``date, value, known_at``
        What is used. A date may stand twice, with a correction and its later `known_at`.
    deliveries : (time of the question in UTC, frame ``date, value, known_at``) each
        Answers hold everything from their first date on that was public then; before it nothing can be said.

    Returns
    -------
    tuple of Anachronism
        At most one per answer, its earliest date.
    """
    found = []
    for as_of, answer in deliveries:
        if answer.is_empty():
            continue
        claimed = _newest(frame.filter((col("known_at") <= as_of) & (col("date") >= answer["date"].min())))
        said = _newest(answer.filter(col("known_at") <= as_of) if "known_at" in answer.columns else answer)
        joined = claimed.join(said.select("date", said="value"), on="date", how="left", maintain_order="left")
        size = pl.max_horizontal(col("value").abs(), col("said").abs(), pl.lit(1e-12))
        wrong = joined.filter(col("said").is_null() | ((col("value") - col("said")).abs() > SAME * size)).sort("date")
        if len(wrong):
            row = wrong.row(0, named=True)
            found.append(Anachronism(row["date"], row["known_at"], as_of, row["value"], row["said"]))
    return tuple(found)


def series_warnings(new: Mapping[str, pl.DataFrame], stored: Mapping[str, pl.DataFrame]) -> tuple[str, ...]:
    """Return a sentence per market series whose new answer rewrites what the stored one said.

    The stored answer was given when its newest value was known or later; prices of sector funds are left out, because
    each dividend adjusts their whole history.
    """
    found = []
    for name in sorted(new.keys() & stored.keys()):
        if name.startswith(SECTOR_PREFIX):
            continue
        before, after = with_known_at(name, stored[name]), with_known_at(name, new[name])
        newest = before["known_at"].max()
        late = check_series(after, [(newest, before)]) if isinstance(newest, dt.datetime) else ()
        found += [f'the market series "{name}" rewrites its past: {one.detail}' for one in late]
    return tuple(found)


def _newest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the last word on each date."""
    known = frame.drop_nulls(["date", "value"])
    ordered = known.sort("known_at", maintain_order=True) if "known_at" in known.columns else known
    return ordered.unique("date", keep="last", maintain_order=True).sort("date")
