"""What a model leans on, seen three ways: its own splits or weights, its contributions, and what a shuffle costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Explaining, Learner
from marketloop.core.past import Past
from marketloop.core.values import Matrix
from marketloop.evaluation.rank_ic import mean_rank_ic

__all__ = ["Importance", "importance_of"]

LEAST = 1e-6
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of each feature, in falling order of `gain`.

    Parameters
    ----------
    gain : mapping
        The learner's own share: total gain of the splits, or size of the weights; sums to 1.
    contribution : mapping
        Share of the mean absolute contribution to the directional score (SHAP values for trees), out of sample; empty
        for a learner that cannot say.
    permutation : mapping
        Mean rank IC lost when the feature is shuffled among the tickers of each session, its past values too where a
        learner reads them, out of sample; may be negative, and near 0 where the signal is weak. Empty where sessions
        have fewer than 10 tickers. Where a session is one row: the mean log probability of what happened, in nats, lost
        when it is shuffled among the sessions.
    sessions : int
        Sessions that `contribution` and `permutation` were measured on.
    """

    gain: Mapping[str, float]
    contribution: Mapping[str, float]
    permutation: Mapping[str, float]
    sessions: int

    def document(self) -> dict[str, dict[str, float] | int]:
        """Return the importance as JSON values."""
        return {
            "gain": dict(self.gain),
            "contribution": dict(self.contribution),
            "permutation": dict(self.permutation),
            "sessions": self.sessions,
        }


def importance_of(
    learner: Learner, rows: Matrix, *, score: Callable[[Array], Array], statistic: str = "rank_ic", seed: int = 0
) -> Importance:
    """Measure the importance of every feature of `rows`, none of which the learner has seen.

    Parameters
    ----------
    rows : Matrix
        Labelled rows of whole sessions, with ranks or past where the learner reads them, and the learner's features in
        order.
    statistic : ``rank_ic`` or ``log_loss``
        What a shuffle is measured by: that of the family.
    """
    gain = dict(sorted(learner.importance().items(), key=lambda item: -item[1]))
    share = _contribution(learner, rows)
    rng = np.random.default_rng(seed)
    order = _order(rows.session, statistic, rng)
    past = None if rows.past is None else rows.past.around(rows.session, rows.ticker)
    rows = replace(rows, past=past)
    before = None if past is None else _order(past.session, statistic, rng)

    def worth(seen: Matrix) -> float:
        output = learner.predict(seen)
        return _mean_log_probability(output, seen) if statistic == "log_loss" else mean_rank_ic(seen, score(output))

    base = worth(rows)
    lost: dict[str, float] = {}
    if np.isfinite(base):
        for column, name in enumerate(rows.names):
            lost[name] = base - worth(_permuted(rows, column, order, before))
    return Importance(
        gain=gain,
        contribution={name: share[name] for name in gain if name in share},
        permutation={name: lost[name] for name in gain if name in lost},
        sessions=len(np.unique(rows.session)),
    )


def _contribution(learner: Learner, rows: Matrix) -> dict[str, float]:
    if not isinstance(learner, Explaining):
        return {}
    size = np.abs(learner.contributions(rows)).mean(axis=0)
    total = float(size.sum())
    return dict(zip(rows.names, (size / total if total > 0 else size).tolist(), strict=True))


def _order(session: NDArray[np.int32], statistic: str, rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.permutation(len(session)) if statistic == "log_loss" else _shuffle(session, rng)


def _shuffle(session: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return positions that trade places within each session."""
    return np.lexsort((rng.random(len(session)), session))


def _permuted(rows: Matrix, column: int, order: NDArray[np.intp], before: NDArray[np.intp] | None) -> Matrix:
    X = rows.X.copy()
    X[:, column] = X[order, column]
    ranks = rows.ranks
    if ranks is not None:
        ranks = ranks.copy()
        ranks[:, column] = ranks[order, column]
    past = rows.past if rows.past is None or before is None else _permuted_past(rows.past, column, before)
    return replace(rows, X=X, ranks=ranks, past=past)


def _permuted_past(past: Past, column: int, order: NDArray[np.intp]) -> Past:
    own = column if past.columns is None else int(past.columns[column])
    if own < 0:
        return past
    X = past.X.copy()
    X[:, own] = X[order, own]
    return replace(past, X=X)


def _mean_log_probability(output: Array, rows: Matrix) -> float:
    chosen = output[np.arange(len(rows)), rows.label.astype(np.intp)]
    return float(np.log(np.maximum(chosen, LEAST)).mean()) if len(rows) else float("nan")
