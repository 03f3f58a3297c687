"""Real bars in another order: markets without a signal that keep the fat tails and the company of real returns.

Whole sessions are moved, the same for every ticker, so what happens side by side stays side by side. A session takes
its gap, its range and its volume along; the prices are rebuilt from the moves.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.bench.ground import Ground
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.calendar import load_closes

__all__ = ["RealMoves", "read_moves", "shuffled_ground", "shuffled_order"]

Floats = NDArray[np.float64]

START = dt.date(2013, 1, 2)
CALENDAR = "XNYS"
LARGEST_MOVE = 0.75
"""Larger moves, a handful in half a million, are cut: mirrored, they would leave no price."""


@dataclass(frozen=True, slots=True)
class RealMoves:
    """Bars as moves from the close before: arrays (T, N) of the tickers that have every session.

    `open, high, low, close` are fractions of the close before, less 1; `volume` in shares; `start` (N,): first close.
    """

    tickers: tuple[str, ...]
    start: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


@lru_cache(maxsize=1)
def read_moves(path: Path) -> RealMoves:
    """Read a Parquet file of daily bars; raise `UsageError` when it cannot be read or no ticker has every session."""
    try:
        bars = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path} cannot be read as Parquet ({error}): give a file of daily bars") from error
    sessions = bars["date"].n_unique()
    whole = bars.drop_nulls(["close", "high", "low"]).filter((pl.len() == sessions).over("ticker"))
    if whole.is_empty():
        raise UsageError(f"{path}: no ticker has a bar in each of the {sessions} sessions: give a file without gaps")
    whole = whole.sort("ticker", "date")
    tickers = tuple(whole["ticker"].unique().sort())

    def grid(name: str) -> Floats:
        values: Floats = whole[name].cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(len(tickers), sessions).T
        return values

    prices = grid("close")
    before = prices[:-1]
    close = np.clip(prices[1:] / before - 1, -LARGEST_MOVE, LARGEST_MOVE)
    opening = np.clip(np.nan_to_num(grid("open")[1:] / before - 1), -LARGEST_MOVE, LARGEST_MOVE)
    top, bottom = np.maximum(opening, close), np.minimum(opening, close)
    return RealMoves(
        tickers=tickers,
        start=prices[0],
        open=opening,
        high=np.clip(np.maximum(grid("high")[1:] / before - 1, top), None, LARGEST_MOVE),
        low=np.clip(np.minimum(grid("low")[1:] / before - 1, bottom), -LARGEST_MOVE, None),
        close=close,
        volume=np.maximum(grid("volume")[1:], 1.0),
    )


def shuffled_order(sessions: int, block: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the sessions ``0 .. sessions - 1`` in blocks of `block`, the blocks in another order."""
    blocks = np.array_split(np.arange(sessions), range(block, sessions, block))
    return np.concatenate([blocks[at] for at in rng.permutation(len(blocks))]).astype(np.intp)


def shuffled_ground(path: Path, *, seed: int, tickers: int, sessions: int, block: int, mirrored: bool) -> Ground:
    """Make a market of `tickers` names, drawn from the file in `path`, over `sessions` shuffled sessions.

    A session comes again only after all others of the file have come.

    Parameters
    ----------
    block : int, at least 1
        Sessions that stay together.
    mirrored : bool
        Whether a coin decides for each session if all its moves change their sign. Then, given everything before it, a
        session is as likely as its mirror image: no score can order its returns, whatever the file holds. Without it
        the order is that of the file inside a block, and a ticker that did better than others does so wherever its
        sessions go.

    Raises
    ------
    UsageError
        The file has fewer tickers.
    """
    moves = read_moves(path)
    if len(moves.tickers) < tickers:
        raise UsageError(
            f"{path} has {len(moves.tickers)} tickers with all of its {len(moves.close) + 1} sessions; expected at "
            f"least {tickers}"
        )
    rng = np.random.default_rng([seed, block, int(mirrored)])
    chosen = np.sort(rng.choice(len(moves.tickers), tickers, replace=False))
    rounds = -(-sessions // len(moves.close))
    order = np.concatenate([shuffled_order(len(moves.close), block, rng) for _ in range(rounds)])[:sessions]
    sign = rng.choice([-1.0, 1.0], sessions) if mirrored else np.ones(sessions)
    closes = load_closes(CALENDAR, START, START + dt.timedelta(days=int(sessions * 1.47) + 30)).head(sessions)
    market = 2000 * np.cumprod(1 + sign * moves.close[order].mean(axis=1))
    index = closes.select("date", pl.Series("value", market), pl.col("close_utc").alias("known_at"))
    return Ground(
        bars=_bars(moves, chosen, order, sign, closes["date"]),
        series={"spx": index},
        sectors=pl.DataFrame(schema={"ticker": pl.String(), "sector": pl.String()}),
        calendar=CALENDAR,
    )


def _bars(
    moves: RealMoves, chosen: NDArray[np.intp], order: NDArray[np.intp], sign: Floats, dates: pl.Series
) -> pl.DataFrame:
    """Rebuild prices: a mirrored session has its high where its low was."""
    at = np.ix_(order, chosen)
    factor = sign[:, None]
    close = np.cumprod(1 + factor * moves.close[at], axis=0) * moves.start[chosen]
    before = np.vstack([moves.start[chosen], close[:-1]])
    up, down = moves.high[at], moves.low[at]
    high, low = np.where(factor > 0, up, -down), np.where(factor > 0, down, -up)
    opening = before * (1 + factor * moves.open[at])

    def column(values: Floats) -> Floats:
        return values.T.ravel()

    return pl.DataFrame(
        {
            "date": pl.concat([dates] * len(chosen)),
            "ticker": pl.Series([moves.tickers[k] for k in chosen]).gather(
                np.repeat(np.arange(len(chosen)), len(order))
            ),
            "open": column(opening),
            "high": column(np.maximum(before * (1 + high), np.maximum(opening, close))),
            "low": column(np.minimum(before * (1 + low), np.minimum(opening, close))),
            "close": column(close),
            "volume": column(moves.volume[at]),
        },
        schema=dict(BAR_SCHEMA),
    )
