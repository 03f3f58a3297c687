"""Returns in which nothing can be known in advance, and scores that are made without knowing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketloop.bench.shuffled import read_moves
from marketloop.core.errors import UsageError
from marketloop.data.simulation.shocks import BURN_IN, draw_shocks
from marketloop.data.synthetic import MarketSpec
from marketloop.evaluation.rank_ic import neutral_one_session
from marketloop.labels.panel import Panel, rolling_moments

__all__ = ["BLOCK", "SCORES", "WARMUP", "Arena", "plant", "real_arena", "simulated_arena"]

Array = NDArray[np.float64]

WARMUP: Final = 100
"""Sessions before the first score: the look-backs of the controls and of the scores."""
BLOCK: Final = 21
"""Sessions of real returns that stay together."""


@dataclass(frozen=True, slots=True)
class Arena:
    """A market of T sessions and N tickers: its panel, and the neutralised one-session returns (T, N)."""

    panel: Panel
    neutral: Array


def simulated_arena(*, sessions: int, tickers: int, seed: int, drift: float = 0.0) -> Arena:
    """Return a market of factor, sectors and names with GARCH volatility and t5 shocks.

    Given the past, the vector of a session's shocks is as likely as its mirror image, and the drift is the same for
    all tickers: a neutralised return has no expectation, a rank correlation with it neither.

    Parameters
    ----------
    drift : float
        Standard deviation of the drifts of tickers, per session, around 3 basis points; 0 leaves one drift for all.
    """
    shocks = draw_shocks(MarketSpec(tickers=tickers, sessions=sessions, seed=seed))
    rows = slice(BURN_IN, BURN_IN + sessions)
    if drift == 0:
        return arena_of(shocks.total[rows] + shocks.common[rows, None], shocks.factor[rows])
    own = np.random.default_rng([seed, tickers, 55]).normal(0.0003, drift, tickers)
    returns = shocks.total[rows] + own
    return arena_of(returns, returns.mean(axis=1))


def real_arena(path: Path, *, sessions: int, tickers: int, seed: int, mirrored: bool = True) -> Arena:
    """Return real sessions in blocks of `BLOCK`, drawn with replacement, of tickers drawn without.

    Whole sessions are moved, so tickers stay as correlated as they were, and volatility clusters within a block. Each
    ticker's mean over the file is taken out, or it would stay a true and lasting signal wherever its sessions go.

    Parameters
    ----------
    mirrored : bool
        Whether a coin decides for each session if all its returns change their sign. Then the null hypothesis holds
        exactly, for every score made of the past: a session is as likely as its mirror image. Without it there may be
        real momentum or reversal inside a block.
    """
    moves = read_moves(path).close
    if moves.shape[1] < tickers:
        raise UsageError(f"{path} has {moves.shape[1]} tickers without a gap; expected at least {tickers}")
    rng = np.random.default_rng([seed, 77])
    chosen = rng.choice(moves.shape[1], tickers, replace=False)
    starts = rng.integers(0, len(moves) - BLOCK + 1, sessions // BLOCK + 1)
    order = (starts[:, None] + np.arange(BLOCK)).ravel()[:sessions]
    returns = moves[:, chosen] - moves[:, chosen].mean(axis=0)
    sign = rng.choice([-1.0, 1.0], (sessions, 1)) if mirrored else 1.0
    drawn = sign * returns[order]
    return arena_of(drawn, drawn.mean(axis=1))


def arena_of(returns: Array, market: Array) -> Arena:
    """Return the arena of simple `returns` (T, N) and their market (T,), without prices."""
    beta, vol = rolling_moments(returns, market, 60)
    _, short = rolling_moments(returns, market, 20)
    names = tuple(f"S{i:03d}" for i in range(returns.shape[1]))
    panel = Panel(0, names, np.ones_like(returns), returns, beta, vol, short)
    return Arena(panel, neutral_one_session(panel))


def plant(arena: Arena, signal: Array, strength: float) -> Arena:
    """Let the rank of `signal` (T, N) move the next session's return by up to `strength` of the ticker's volatility."""
    ranks = signal.argsort(axis=1).argsort(axis=1) / (signal.shape[1] - 1) - 0.5
    moves = arena.panel.returns.copy()
    moves[1:] += strength * np.sqrt(12) * ranks[:-1] * np.nan_to_num(arena.panel.vol[:-1], nan=0.0)
    return arena_of(moves, moves.mean(axis=1))


def _persistent(arena: Arena, rng: np.random.Generator) -> Array:
    return autoregressive(arena.panel.returns.shape, 0.98, rng)


def autoregressive(shape: tuple[int, ...], memory: float, rng: np.random.Generator) -> Array:
    """Return AR(1) columns of unit variance, in equilibrium from the first row on."""
    noise = rng.standard_normal((shape[0] + 400, *shape[1:])) * np.sqrt(1 - memory**2)
    values: Array = lfilter([1.0], [1.0, -memory], noise, axis=0)[400:]
    return values


def _trailing(returns: Array, window: int) -> Array:
    total = np.cumsum(returns, axis=0)
    out: Array = np.vstack([total[:window], total[window:] - total[:-window]])
    return out


def _long_mean(returns: Array) -> Array:
    total = _trailing(returns, 250)
    return total / np.minimum(np.arange(1, len(returns) + 1), 250)[:, None]


SCORES: Final[Mapping[str, Callable[[Arena, np.random.Generator], Array]]] = {
    "persistent": _persistent,
    "momentum": lambda arena, _: _trailing(arena.panel.returns, 20),
    "reversal": lambda arena, _: -_trailing(arena.panel.returns, 5),
    "volatility": lambda arena, _: np.nan_to_num(arena.panel.short_vol),
    "constant bet": lambda arena, rng: (
        np.nanmean(arena.panel.returns, axis=0) + 1e-9 * rng.normal(size=arena.panel.returns.shape)
    ),
    "long mean": lambda arena, _: _long_mean(arena.panel.returns),
    "against the long mean": lambda arena, _: -_long_mean(arena.panel.returns),
}
"""Scores that know nothing of the next session's surprise: an AR(1) of memory 0.98 without any relation to returns, and
functions of past returns; a constant bet for what has risen over all sessions, which only hindsight could choose."""
