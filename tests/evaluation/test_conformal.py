"""Intervals from a stream's own errors: what they cover, and what they may look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.builders import panel_of

from marketloop.evaluation.conformal import conformal
from marketloop.evaluation.matured import Matured

SESSIONS, TICKERS, HORIZON, BLOCK = 700, 20, 5, 21


def rows(seed: int = 0) -> tuple[Matured, object]:
    """A value that is predicted as 0 while volatility doubles half-way."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(SESSIONS) < SESSIONS // 2, 0.01, 0.02)[:, None]
    moves = rng.normal(size=(SESSIONS, TICKERS)) * spread
    close = 50 * np.exp(np.cumsum(moves, axis=0))
    panel = panel_of(close)
    t = np.arange(60, SESSIONS - HORIZON)
    label = (close[t + HORIZON] / close[t] - 1).ravel()
    session = np.repeat(t, TICKERS).astype(np.int32)
    made = Matured(
        session=session,
        ticker=np.tile(np.arange(TICKERS), len(t)).astype(np.intp),
        block=(session // BLOCK).astype(np.int32),
        score=np.zeros(len(session)),
        label=label,
        known_on=(session + HORIZON).astype(np.int32),
        probabilities=None,
        baseline=None,
        expected=np.zeros(len(session)),
    )
    return made, panel


def test_intervals_cover_what_they_promise_although_volatility_doubles() -> None:
    made, panel = rows()
    found = conformal(made, panel, horizon=HORIZON, block=BLOCK, level=0.9)  # type: ignore[arg-type]
    assert found is not None
    assert found.coverage.mean == pytest.approx(0.9, abs=0.02)
    assert found.coverage.low < 0.9 < found.coverage.high


def test_quantile_of_a_block_is_read_from_labels_known_before_it() -> None:
    made, panel = rows()
    late = made.session >= 500
    wild = replace(made, label=np.where(late, made.label * 50, made.label))
    calm, stormy = (
        conformal(m, panel, horizon=HORIZON, block=BLOCK)  # type: ignore[arg-type]
        for m in (made, replace(wild))
    )
    assert calm is not None
    assert stormy is not None
    early = replace(made, **{name: getattr(made, name)[~late] for name in ARRAYS})
    alone = conformal(early, panel, horizon=HORIZON, block=BLOCK)  # type: ignore[arg-type]
    assert alone is not None
    assert stormy.quantile > 5 * calm.quantile
    assert stormy.coverage.mean < calm.coverage.mean  # the storm was not foreseen


ARRAYS = ("session", "ticker", "block", "score", "label", "known_on", "expected")


def test_too_few_errors_give_no_interval() -> None:
    made, panel = rows()
    few = replace(made, **{name: getattr(made, name)[:400] for name in ARRAYS})
    assert conformal(few, panel, horizon=HORIZON, block=BLOCK) is None  # type: ignore[arg-type]
