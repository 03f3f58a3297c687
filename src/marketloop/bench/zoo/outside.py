"""What the world outside the bars says, and when: a market that closes later, releases of figures, and accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.bench.zoo.habitat import market

__all__ = ["ANNOUNCED", "PUBLISHED", "Outside", "outside"]

PUBLISHED: Final = 15
"""Sessions from the end of a month to the release of its figure."""
QUARTER: Final = 63
ANNOUNCED: Final = 25
"""Sessions from the end of a quarter to the accounts of it."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outside:
    """Tables by date.

    Parameters
    ----------
    foreign : frame ``date, change``
        Change of a market that closes three to four hours after the exchange of the bars: most of what the next
        opening will make of it.
    evening : frame ``date, change``
        A figure published in the evening of each session.
    monthly : frame ``reference, published, surprise``
        Releases: the last session of the month, the session at whose opening the figure comes out, and the figure,
        which has much to do with the market between the two.
    accounts : frame ``ticker, ended, announced, first, corrected``
        Log earnings per share per quarter: as announced (25 sessions after the end), and as corrected 90 days
        later, which knows how the business went on.
    """

    foreign: pl.DataFrame
    evening: pl.DataFrame
    monthly: pl.DataFrame
    accounts: pl.DataFrame


@lru_cache(maxsize=1)
def outside() -> Outside:
    """Return the world around `habitat.market`, with noise of its own; the same each time."""
    bars = market().bars
    rng = np.random.default_rng(815)
    daily = bars.select(
        "date",
        move=(col("close") / col("close").shift(1) - 1).over("ticker"),
        gap=(col("open").shift(-1) / col("close") - 1).over("ticker"),
    )
    sessions = daily.group_by("date").agg(col("move").mean(), col("gap").mean()).sort("date").fill_null(0.0)
    move, gap = sessions["move"].to_numpy(), sessions["gap"].to_numpy()
    foreign = _unit(_unit(move) + 2.0 * _unit(gap) + 0.5 * rng.standard_normal(len(move)))
    evening = _unit(_unit(gap) + 0.3 * rng.standard_normal(len(move)))
    return Outside(
        foreign=sessions.select("date", pl.Series("change", foreign)),
        evening=sessions.select("date", pl.Series("change", evening)),
        monthly=_monthly(sessions["date"], move, rng.standard_normal),
        accounts=_accounts(bars, rng.standard_normal),
    )


def _unit(values: Floats) -> Floats:
    scaled: Floats = (values - values.mean()) / values.std()
    return scaled


def _monthly(dates: pl.Series, move: Floats, noise: Callable[[int], Floats]) -> pl.DataFrame:
    ends = np.flatnonzero(np.diff(dates.dt.month().to_numpy()) != 0)
    ends = ends[ends + PUBLISHED < len(dates)]
    ahead = np.array([move[end + 1 : end + PUBLISHED].sum() for end in ends])
    surprise = _unit(_unit(ahead) + 0.3 * noise(len(ends)))
    return pl.DataFrame({"reference": dates[ends], "published": dates[ends + PUBLISHED], "surprise": surprise})


def _accounts(bars: pl.DataFrame, noise: Callable[[int], Floats]) -> pl.DataFrame:
    dates = bars["date"].unique().sort()
    ends = range(QUARTER - 1, len(dates) - ANNOUNCED, QUARTER)
    price = col("close").log()
    past = bars.select("ticker", ended="date", past=price.rolling_mean(QUARTER, min_samples=20).over("ticker"))
    later = price.shift(-60).fill_null(strategy="forward") - price
    ahead = bars.select("ticker", announced="date", ahead=later.over("ticker"))
    quarters = pl.DataFrame({"ended": dates[list(ends)], "announced": dates[[end + ANNOUNCED for end in ends]]})
    rows = quarters.join(past.drop_nulls(), on="ended").join(ahead.drop_nulls(), on=["ticker", "announced"])
    rows = rows.sort("ticker", "ended")
    first = rows["past"] - np.log(15) + 0.1 * pl.Series(noise(len(rows)))
    corrected = first + 3.0 * rows["ahead"]
    return rows.select("ticker", "ended", "announced", first=first, corrected=corrected)
