"""A small recipe refitted as the product refits: its stream, a champion frozen on the way, and tonight's candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.bench.study.panels import SCORES, WARMUP, Arena, autoregressive
from marketloop.bench.study.series import average_ranks, one_session_ic, rank_correlation

__all__ = ["Refits", "refit"]

Array = NDArray[np.float64]

BLOCK = 21
RECENT = 20
HORIZON = 5
LEAST = 250
FEATURES = 8
PENALTY = 1.5


@dataclass(frozen=True, slots=True)
class Refits:
    """A rank ridge on eight features that know nothing and three made of past returns; expanding, all rows.

    Parameters
    ----------
    features : float64 (T, N, k)
        As ranks within the session, -0.5..0.5.
    weights : float64 (T, k)
        Of the model that knows every label known at the close of each session; zero before there are enough.
    arena : Arena
    """

    features: Array
    weights: Array
    arena: Arena

    @property
    def first(self) -> int:
        """The first session of the stream: the first block with enough training sessions before it."""
        return -(-(WARMUP + LEAST + HORIZON) // BLOCK) * BLOCK

    def stream(self) -> Array:
        """Return the scores (T, N) of the walk-forward: each block by the model of the close before it."""
        start = np.maximum(np.arange(len(self.weights)) // BLOCK * BLOCK - 1, 0)
        scores: Array = np.einsum("tnk,tk->tn", self.features, self.weights[start])
        return scores

    def frozen(self, session: int) -> Array:
        """Return the scores (T, N) of the model fitted at the close of `session`."""
        scores: Array = self.features @ self.weights[session]
        return scores

    def series(self, scores: Array, first: int) -> Array:
        """Return ic1 of `scores` said from session `first` on."""
        return one_session_ic(self.arena, scores, HORIZON, first=first)

    def continuity(self, session: int) -> float:
        """Return the gate's continuity of tonight's candidate: its median rank correlation with the block's model."""
        newest = slice(session - RECENT + 1, session + 1)
        own, theirs = self.frozen(session)[newest], self.stream()[newest]
        return float(np.median(rank_correlation(average_ranks(own), average_ranks(theirs))))


def refit(arena: Arena, rng: np.random.Generator) -> Refits:
    """Fit the recipe at every close of `arena`; nothing in it predicts."""
    shape = arena.panel.returns.shape
    columns = [autoregressive(shape, 0.97, rng) for _ in range(FEATURES)]
    columns += [SCORES[name](arena, rng) for name in ("momentum", "reversal", "volatility")]
    ranks = [(average_ranks(column) - 1) / (shape[1] - 1) - 0.5 for column in columns]
    features = np.stack(ranks, axis=2)
    total = np.cumsum(np.nan_to_num(arena.neutral), axis=0)
    ahead = total[HORIZON:] - total[:-HORIZON]
    target = (average_ranks(ahead) - 1) / (shape[1] - 1) - 0.5
    gram = np.einsum("tnk,tnl->tkl", features[WARMUP:-HORIZON], features[WARMUP:-HORIZON]).cumsum(axis=0)
    moment = np.einsum("tnk,tn->tk", features[WARMUP:-HORIZON], target[WARMUP:]).cumsum(axis=0)
    diagonal = np.einsum("tkk->tk", gram)
    solved = np.linalg.solve(gram + PENALTY * np.eye(gram.shape[1]) * diagonal[:, None, :], moment[:, :, None])[:, :, 0]
    weights = np.zeros((shape[0], gram.shape[1]))
    weights[WARMUP + HORIZON :] = solved
    return Refits(features, weights, arena)
