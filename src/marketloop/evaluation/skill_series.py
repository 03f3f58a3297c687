"""The series that decides about a family: one value per session, zero on average without skill."""

from __future__ import annotations

import numpy as np
import polars as pl

from marketloop.core.values import Matrix
from marketloop.evaluation.matured import matured, per_session
from marketloop.evaluation.rank_ic import SessionSeries, neutral_one_session, sequential_ic
from marketloop.evaluation.stream import Block, Stream, StreamSpec, grid_of
from marketloop.labels import Panel

__all__ = ["frozen_stream", "log_loss_gain", "log_probability", "skill_series"]

LEAST = 1e-6


def skill_series(stream: Stream, matrix: Matrix, panel: Panel, spec: StreamSpec) -> SessionSeries:
    """Return x of GATE.md, section 2: ic1, or the gain in log loss over the last known label.

    ic1 is a martingale difference without skill; a gain in log loss reaches over the label's horizon
    (`StreamSpec.overlap`).
    """
    if spec.family.statistic == "log_loss":
        return log_loss_gain(stream, matrix)
    grid, tilt = grid_of(stream.scores, panel), grid_of(stream.scores, panel, "tilt")
    return sequential_ic(grid, panel, neutral_one_session(panel), spec.label.horizon, tilt=tilt)


def log_loss_gain(stream: Stream, matrix: Matrix) -> SessionSeries:
    """Return, per session with known labels, log loss of the baseline less log loss of the model, in nats."""
    rows = matured(stream, matrix)
    if len(rows) == 0 or rows.probabilities is None or rows.baseline is None:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    at, truth = np.arange(len(rows)), rows.label.astype(np.intp)
    own = np.log(np.maximum(rows.probabilities[at, truth], LEAST))
    other = np.log(np.maximum(rows.baseline[at, truth], LEAST))
    session, value = per_session(rows.session, own - other)
    return SessionSeries(session.astype(np.int32), value)


def log_probability(scores: pl.DataFrame, matrix: Matrix) -> SessionSeries:
    """Return, per session with known labels, the log probability that `scores` gave to what happened.

    The difference of two of these is the difference of two gains over one and the same baseline.
    """
    known = np.isfinite(matrix.label)
    names = pl.Series(matrix.tickers).gather(matrix.ticker[known])
    labels = pl.DataFrame(
        {"session": matrix.session[known], "ticker": names, "label": matrix.label[known].astype(np.int32)}
    )
    rows = scores.join(labels, on=["session", "ticker"], how="inner", maintain_order="left")
    said = rows.select(pl.col("probabilities").list.get(pl.col("label")).cast(pl.Float64)).to_series().to_numpy()
    session, value = per_session(rows["session"].to_numpy(), np.log(np.maximum(said, LEAST)))
    return SessionSeries(session.astype(np.int32), value)


def frozen_stream(scores: pl.DataFrame, blocks: tuple[Block, ...] = ()) -> Stream:
    """Return `scores` of one model as a stream, to be measured like one."""
    return Stream("", scores=scores, blocks=blocks)
