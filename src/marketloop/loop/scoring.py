"""From a model's output to rows of the scoreboard: class, probability, signal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Learner, Recipe
from marketloop.core.values import Matrix
from marketloop.dataset import with_ranks
from marketloop.evaluation.scorecard import SignalRule
from marketloop.state.scoreboards import Prediction

__all__ = ["board", "output_of"]


def output_of(learner: Learner, recipe: Recipe, names: Sequence[str], rows: Matrix) -> NDArray[np.float64]:
    """Return what `learner` says of `rows`: whole sessions, with ranks where its recipe reads them, features in order.

    Raises
    ------
    RefusedError
        The rows lack one of the features `names`.
    """
    return learner.predict((with_ranks(rows) if recipe.needs_ranks else rows).select(names))


def board(
    output: NDArray[np.float64],
    *,
    tickers: Sequence[str],
    as_of: dt.date,
    family: Family,
    rule: SignalRule,
    provisional: bool,
) -> tuple[Prediction, ...]:
    """Return one prediction per ticker; while the slot's skill is unproven every signal is HOLD."""
    scores = family.score(output)
    predictions = []
    for row, ticker in enumerate(tickers):
        score = float(scores[row])
        shares = dict(zip(family.classes, map(float, output[row]), strict=True)) if family.classes else {}
        likely = max(shares, key=lambda name: shares[name]) if shares else None
        predictions.append(
            Prediction(
                ticker=ticker,
                as_of=as_of,
                signal="HOLD" if provisional else rule.signal(score),
                score=score,
                probability=shares[likely] if likely is not None else None,
                class_name=likely,
                classes=shares,
            )
        )
    return tuple(predictions)
