"""Applies an adjusted close to the whole bar."""

from __future__ import annotations

from typing import Final

import polars as pl

from marketloop.core.frames import BAR_PRICES

__all__ = ["ADJUSTED", "AS_GIVEN", "adjust"]

AS_GIVEN: Final = "as_given"
"""Prices are taken as the source has them."""

ADJUSTED: Final = "adj_close"
"""Open, high, low and close are multiplied by adjusted close / close; volume follows splits."""

_SPLIT: Final = 0.2


def adjust(bars: pl.DataFrame) -> pl.DataFrame:
    """Multiply prices by ``adj_close / close`` where a row has one, and drop that column.

    A dividend moves the factor between two bars by a few percent; where it moves by more than a fifth the ticker split,
    and the volume of the bars before is multiplied by that move, so that traded shares stay comparable.

    Parameters
    ----------
    bars : frame
        Columns ``date, ticker, open, high, low, close, volume, adj_close`` and any others; the whole history of each
        ticker, since splits are seen between bars.
    """
    given = pl.col("adj_close")
    factor = pl.when((pl.col("close") > 0) & (given > 0) & given.is_finite()).then(given / pl.col("close"))
    missing = given.is_null() & pl.col("_adjusted")
    ordered = bars.sort("ticker", "date", maintain_order=True).with_columns(given.fill_nan(None))
    ordered = ordered.with_columns(_factor=factor, _adjusted=pl.col("adj_close").is_not_null().any().over("ticker"))
    move = (pl.col("_factor").forward_fill() / pl.col("_factor").forward_fill().shift(1)).over("ticker").fill_null(1.0)
    split = pl.when(move.log().abs() > _SPLIT).then(move.log()).otherwise(0.0)
    ordered = ordered.with_columns(_split=split)
    later = (pl.col("_split").sum() - pl.col("_split").cum_sum()).over("ticker")
    # A row without its adjusted close cannot be put on the scale of the others: its prices are unknown. One that is
    # not positive is shown as it is, for the quality rules to find.
    price = [
        pl.when(missing).then(None).when(given <= 0).then(given).otherwise(pl.col(c) * pl.col("_factor").fill_null(1.0))
        for c in BAR_PRICES
    ]
    volume = pl.col("volume") * later.exp()
    return ordered.with_columns(*(p.alias(c) for p, c in zip(price, BAR_PRICES, strict=True)), volume=volume).drop(
        "_factor", "_adjusted", "_split", "adj_close"
    )
