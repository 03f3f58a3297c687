"""The hard checks: what no candidate may fail and nobody can skip (G1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Check, Feature, Learner, Recipe
from marketloop.core.values import Context, Matrix
from marketloop.dataset import newest_rows, with_ranks
from marketloop.evaluation.plausibility import plausibility
from marketloop.evaluation.scorecard import Scorecard
from marketloop.features import LeakReport, check_leaks
from marketloop.loop.preparing import Prepared
from marketloop.registry import Artefact

__all__ = ["hard_checks", "leak_check", "leak_report", "round_trip_check", "smoke_check"]

TICKERS = 24
SESSIONS = 700


def hard_checks(
    prepared: Prepared,
    artefact: Artefact,
    learner: Learner,
    recipe: Recipe,
    scorecard: Scorecard,
    *,
    threshold_ic: float | None = None,
) -> tuple[Check, ...]:
    """Return the checks of schema, round trip, smoke prediction and plausibility, all hard.

    The leak check is made before anything is fitted (`leak_check`): a leaking feature opens no stream.
    """
    names = tuple(artefact.manifest["features"])
    rows = newest_rows(prepared.matrix)
    return (
        schema_check(prepared.matrix, names),
        round_trip_check(artefact, learner, recipe, rows, names),
        smoke_check(learner, rows, names),
        *plausibility(scorecard, threshold_ic=threshold_ic),
    )


def schema_check(matrix: Matrix, names: Sequence[str]) -> Check:
    """Say whether the rows hold the model's features, and X is free of infinities."""
    absent = [name for name in names if name not in matrix.names]
    infinite = int(np.isinf(matrix.X).sum())
    good = not absent and infinite == 0
    detail = f"{len(names)} features" if good else f"features absent: {absent}; infinite values: {infinite}"
    return Check("schema", float(len(absent) + infinite), 0.0, good, hard=True, detail=detail)


def leak_report(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> LeakReport:
    """Check `features` on the newest sessions of a fixed sample of tickers."""
    tickers = bars["ticker"].unique().sort()
    step = max(1, len(tickers) // TICKERS)
    chosen = tickers.gather_every(step).head(TICKERS)
    sample = bars.filter(bars["ticker"].is_in(chosen.implode()))
    first = sample["date"].unique().sort().tail(SESSIONS)[0]
    return check_leaks(sample.filter(sample["date"] >= first), features, context)


def leak_check(report: LeakReport) -> Check:
    """Turn a leak report into a hard check that names each leaking feature."""
    detail = "; ".join(f"{leak.feature} ({leak.kind}, from {leak.first_session})" for leak in report.leaks)
    return Check(
        "leak",
        float(len(report.leaks)),
        0.0,
        not report.leaks,
        hard=True,
        detail=detail or f"{report.checked} features see no future",
    )


def round_trip_check(artefact: Artefact, learner: Learner, recipe: Recipe, rows: Matrix, names: Sequence[str]) -> Check:
    """Say whether the model read back from disk predicts what the fitted one predicts, bit for bit."""
    rows = with_ranks(rows).select(names)
    kept: NDArray[np.float64] = recipe.from_parts(artefact.parts).predict(rows)
    gap = float(np.abs(kept - learner.predict(rows)).max(initial=0.0))
    return Check("round_trip", gap, 0.0, gap == 0.0, hard=True, detail=f"largest difference {gap:.1e}")


def smoke_check(learner: Learner, rows: Matrix, names: Sequence[str]) -> Check:
    """Say whether the newest session gets a finite prediction for each ticker, and probabilities that sum to one."""
    output = learner.predict(with_ranks(rows).select(names))
    finite = len(output) > 0 and bool(np.isfinite(output).all())
    sums = output.ndim == 1 or (finite and bool(np.allclose(output.sum(axis=1), 1.0, atol=1e-5)))
    detail = f"{len(output)} predictions" if finite and sums else "predictions are missing, not finite or no shares"
    return Check("smoke", float(len(output)), 1.0, finite and sums, hard=True, detail=detail)
