"""The rows of a stream whose outcome is known by now: what was said beside what happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.stream import Stream

__all__ = ["Matured", "matured", "per_session"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matured:
    """Rows of a stream with known labels, in order of time.

    `probabilities` and `baseline` are (n, classes), None for a family that predicts a value; `expected` (n,) is the
    mean label of each block's training rows, what no skill would have predicted as a value.
    """

    session: NDArray[np.int32]
    ticker: NDArray[np.intp]
    block: NDArray[np.int32]
    score: Array
    label: Array
    known_on: NDArray[np.int32]
    probabilities: Array | None
    baseline: Array | None
    expected: Array

    def __len__(self) -> int:
        return len(self.session)

    def take(self, keep: NDArray[np.bool_]) -> Matured:
        """Return the rows where `keep` (n,) holds."""
        return Matured(
            session=self.session[keep],
            ticker=self.ticker[keep],
            block=self.block[keep],
            score=self.score[keep],
            label=self.label[keep],
            known_on=self.known_on[keep],
            probabilities=None if self.probabilities is None else self.probabilities[keep],
            baseline=None if self.baseline is None else self.baseline[keep],
            expected=self.expected[keep] if len(self.expected) else self.expected,
        )


def matured(stream: Stream, matrix: Matrix) -> Matured:
    """Join the scores of `stream` with the labels that `matrix` knows."""
    known = np.isfinite(matrix.label)
    labels = pl.DataFrame(
        {
            "session": matrix.session[known],
            "ticker": pl.Series(matrix.tickers).gather(matrix.ticker[known]),
            "label": matrix.label[known].astype(np.float64),
            "known_on": matrix.known_on[known],
            "position": matrix.ticker[known],
        }
    )
    rows = stream.scores.join(labels, on=["session", "ticker"], how="inner", maintain_order="left")
    priors = {block.number: block.prior for block in stream.blocks}
    said = [priors[number] for number in rows["block"].to_list()]
    classes = len(matrix.classes)
    return Matured(
        session=rows["session"].to_numpy(),
        ticker=rows["position"].to_numpy().astype(np.intp),
        block=rows["block"].to_numpy(),
        score=rows["score"].to_numpy(),
        label=rows["label"].to_numpy(),
        known_on=rows["known_on"].to_numpy(),
        probabilities=_shares(rows["probabilities"], classes) if classes else None,
        baseline=_baseline(rows["baseline"], said, classes) if classes else None,
        expected=np.zeros(0) if classes else np.array([prior[0] for prior in said]),
    )


def per_session(session: NDArray[np.int32], values: Array) -> tuple[NDArray[np.int32], Array]:
    """Return the sessions, ascending, and the mean of `values` in each."""
    sessions, place = np.unique(session, return_inverse=True)
    count = np.bincount(place, minlength=len(sessions))
    return sessions, np.bincount(place, weights=values, minlength=len(sessions)) / np.maximum(count, 1)


def _shares(column: pl.Series, classes: int) -> Array:
    flat: Array = column.explode().cast(pl.Float64).to_numpy() if len(column) else np.zeros(0)
    return flat.reshape(-1, classes)


def _baseline(column: pl.Series, said: list[tuple[float, ...]], classes: int) -> Array:
    if len(column) and column.null_count() == 0:
        return _shares(column, classes)
    return np.array(said, dtype=np.float64).reshape(-1, classes)
