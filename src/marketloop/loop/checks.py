"""The hard checks: what no candidate may fail and nobody can skip (G1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Catalog, Check, Feature, Learner, Recipe
from marketloop.core.values import Context, Matrix
from marketloop.dataset import LabelSpec, newest_rows, with_past, with_ranks
from marketloop.evaluation.leaks import check_learner
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.plausibility import plausibility
from marketloop.evaluation.scorecard import Scorecard
from marketloop.features import LeakReport, check_leaks, check_whole
from marketloop.labels import Panel, why_untimely
from marketloop.loop.preparing import Prepared
from marketloop.registry import Artefact

__all__ = [
    "LeakReports",
    "hard_checks",
    "label_check",
    "leak_check",
    "leak_report",
    "learner_check",
    "round_trip_check",
    "smoke_check",
]

TICKERS = 24
SESSIONS = 700
CUTS = 18
LEARNER_SESSIONS, LEAST_SESSIONS = 250, 60


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


def leak_report(
    bars: pl.DataFrame, features: Sequence[Feature], context: Context, *, closely: Collection[str] = ()
) -> LeakReport:
    """Check `features` on the newest sessions of a fixed sample of tickers.

    Those named in `closely`, the plugins', are questioned thoroughly, and at a few sessions on all rows; the product's
    own, which tests question so, quickly.
    """
    tickers = bars["ticker"].unique().sort()
    step = max(1, len(tickers) // TICKERS)
    chosen = tickers.gather_every(step).head(TICKERS)
    sample = bars.filter(bars["ticker"].is_in(chosen.implode()))
    first = sample["date"].unique().sort().tail(SESSIONS)[0]
    sample = sample.filter(sample["date"] >= first)
    usual = [feature for feature in features if feature.name not in closely]
    added = [feature for feature in features if feature.name in closely]
    report = check_leaks(sample, usual, context, cuts=CUTS, thorough=False)
    if not added:
        return report
    more = check_leaks(sample, added, context)
    seen = {leak.feature for leak in more.leaks}
    rest = check_whole(bars, [feature for feature in added if feature.name not in seen], context)
    return LeakReport(report.checked + more.checked, (*report.leaks, *more.leaks, *rest.leaks))


@dataclass(frozen=True, slots=True)
class LeakReports:
    """Leak reports of one cycle: families with the same features over the same bars are questioned once."""

    known: dict[tuple[object, ...], LeakReport] = field(default_factory=dict)

    def of(self, prepared: Prepared, *, closely: Collection[str] = ()) -> LeakReport:
        """Return the report on the features of `prepared`, made now or earlier in this cycle."""
        names = tuple(feature.name for feature in prepared.features)
        key = (names, prepared.data_version, prepared.market.fingerprint, len(prepared.bars), frozenset(closely))
        if key not in self.known:
            self.known[key] = leak_report(prepared.bars, prepared.features, prepared.context, closely=closely)
        return self.known[key]


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


def learner_check(catalog: Catalog, contenders: Sequence[Contender], matrix: Matrix) -> Check:
    """Say whether the recipes of plugins answer without knowing what comes after a row.

    A sample of the newest labelled sessions is learned from and asked about several times, with later rows, labels and
    other learners' experience altered. The product's own recipes are questioned so by tests, not every night.
    """
    added = {c.recipe.name: c for c in contenders if f"recipe:{c.recipe.name}" in catalog.origins}
    known = with_past(matrix) if any(c.recipe.needs_past for c in added.values()) else matrix
    sample = with_ranks(_newest_sample(known)) if added else matrix
    if not added or len(np.unique(sample.session)) < LEAST_SESSIONS:
        return Check("leak", 0.0, 0.0, passed=True, hard=True, detail="no recipe of a plugin to question")
    found = [
        f"the recipe {name} answers otherwise {leak.detail}"
        for name, contender in added.items()
        for leak in check_learner(contender.recipe, sample, params=contender.params)
    ]
    detail = "; ".join(found) or f"{', '.join(added)}: nothing later is known"
    return Check("leak", float(len(found)), 0.0, not found, hard=True, detail=detail)


def label_check(catalog: Catalog, label: LabelSpec, panel: Panel) -> Check:
    """Say whether the outcomes of a plugin's label are known when it says so.

    The product's own labels are questioned so by tests.
    """
    name = label.label.name
    if f"label:{name}" not in catalog.origins:
        return Check("leak", 0.0, 0.0, passed=True, hard=True, detail="no label of a plugin to question")
    found = why_untimely(label.label, panel, label.horizon, label.threshold)
    detail = f"the label {name}: {found}" if found else f"{name}: known when it says so"
    return Check("leak", float(bool(found)), 0.0, not found, hard=True, detail=detail)


def _newest_sample(matrix: Matrix) -> Matrix:
    """Return the newest labelled sessions of every so many-th ticker."""
    labelled = matrix.take(np.isfinite(matrix.label) & np.isfinite(matrix.target))
    sessions = np.unique(labelled.session)[-LEARNER_SESSIONS:]
    tickers = np.unique(labelled.ticker)[:: max(1, len(np.unique(labelled.ticker)) // TICKERS)]
    return labelled.take(np.isin(labelled.session, sessions) & np.isin(labelled.ticker, tickers))


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
