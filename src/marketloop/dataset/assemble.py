"""Make the training matrix, and the rows to predict, out of features and outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Label
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_KEYS
from marketloop.core.values import Matrix, Sessions
from marketloop.labels import DIRECTION, Panel, average_uniqueness, forward_outcomes

__all__ = ["LabelSpec", "assemble", "feature_names_kept", "newest_rows"]

MOST_MISSING = 0.5


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """What is predicted.

    Parameters
    ----------
    horizon : int
        Sessions from the close of t to the outcome.
    threshold : float, optional
        What the label takes it for, e.g. the move beyond which it is BUY or SELL; None where the label has none.
    label : Label
    """

    horizon: int = 5
    threshold: float | None = 0.02
    label: Label = DIRECTION

    @property
    def key(self) -> str:
        """The label as journal and outcomes name it, e.g. ``direction/5/0.02`` or ``rank/5``."""
        parts = (self.label.name, str(self.horizon), *(() if self.threshold is None else (f"{self.threshold:g}",)))
        return "/".join(parts)


def assemble(
    raw: pl.DataFrame,
    filled: pl.DataFrame,
    panel: Panel,
    sessions: Sessions,
    *,
    label: LabelSpec,
    warmup: int,
    fingerprint: str = "",
) -> Matrix:
    """Join features with their outcomes.

    Parameters
    ----------
    raw, filled : frames ``date, ticker`` + k features
        The same rows before and after fill; what was missing is counted on `raw`.
    warmup : int
        Largest look-back of the features: a ticker gives rows from its bar ``warmup + 1``.

    Returns
    -------
    Matrix
        All rows, those of the newest sessions too: their label is NaN and their `known_on` is `UNKNOWN`.

    Raises
    ------
    UsageError
        When no ticker has more than `warmup` bars.
    """
    keep = _past_warmup(raw, warmup)
    raw, filled = raw.filter(keep), filled.filter(keep)
    if filled.is_empty():
        raise UsageError(
            f"no ticker has more than {warmup} bars, which is the longest look-back of the feature set: "
            f"collect a longer history, of {warmup + 1} bars and those to learn from"
        )
    names = tuple(c for c in filled.columns if c not in BAR_KEYS)
    session = sessions.numbers(filled["date"].to_numpy()).astype(np.int32)
    ticker = pl.Series(panel.tickers).search_sorted(filled["ticker"]).to_numpy().astype(np.int32)
    order = np.lexsort((ticker, session))
    session, ticker = session[order], ticker[order]
    outcomes = forward_outcomes(panel, label.horizon)
    at = (panel.rows_of(session), ticker)
    happened = label.label.build(panel, label.horizon, label.threshold)
    known_on = happened.known_on[at]
    counts = _missing_by_session(raw, names, session, order)
    matrix = Matrix(
        X=filled.select(names).to_numpy(order="c")[order].astype(np.float32, copy=False),
        names=names,
        session=session,
        ticker=ticker,
        tickers=panel.tickers,
        label=happened.value[at].astype(np.float32),
        target=outcomes.rank[at].astype(np.float32),
        known_on=known_on,
        weight=_weights(session, ticker, label.horizon),
        missing=counts[1],
        missing_sessions=counts[0],
        missing_rows=counts[2],
        fingerprint=fingerprint,
        classes=label.label.classes,
    )
    columns = (matrix.session, matrix.ticker, matrix.label, matrix.target, matrix.known_on, matrix.weight)
    for values in (matrix.X, *columns):
        values.flags.writeable = False  # learners get views: what one writes, all would read
    return matrix


def _past_warmup(frame: pl.DataFrame, warmup: int) -> pl.Series:
    return frame.select(pl.int_range(pl.len()).over("ticker").ge(warmup)).to_series()


def _missing_by_session(
    raw: pl.DataFrame, names: tuple[str, ...], session: NDArray[np.int32], order: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    unique, start, count = np.unique(session, return_index=True, return_counts=True)
    columns = [np.add.reduceat(raw[name].is_null().to_numpy()[order].astype(np.float32), start) for name in names]
    missing = np.column_stack(columns) if columns else np.zeros((len(unique), 0), np.float32)
    return unique.astype(np.int32), missing.astype(np.float32), count.astype(np.int32)


def _weights(session: NDArray[np.int32], ticker: NDArray[np.int32], horizon: int) -> NDArray[np.float32]:
    """Weigh each row by its uniqueness, a row amid an unbroken run by 1.

    Labels still unknown count as overlapping, and the scale is the horizon instead of the mean: so a row weighs the
    same whether or not later sessions have arrived, and the stream's models stay what they were.
    """
    return (horizon * average_uniqueness(session, session + horizon, ticker)).astype(np.float32)


def feature_names_kept(train: Matrix) -> tuple[str, ...]:
    """Return the features that are present in at least half of the training rows, before any fill.

    Call it on training rows only: which features are dropped is part of what is fitted.
    """
    inside = np.isin(train.missing_sessions, train.session)
    rows = max(int(train.missing_rows[inside].sum()), 1)
    share = train.missing[inside].sum(axis=0) / rows
    return tuple(name for name, gap in zip(train.names, share, strict=True) if gap <= MOST_MISSING)


def newest_rows(matrix: Matrix, session: int | None = None) -> Matrix:
    """Return the rows of `session`, by default the newest: what a champion is asked to predict."""
    if len(matrix) == 0:
        return matrix
    wanted = int(matrix.session[-1]) if session is None else session
    return matrix.take(matrix.session == wanted)
