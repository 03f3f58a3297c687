"""Fit a candidate with the complete recipe and look at it: the table of train, validation and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import with_ranks
from marketloop.evaluation.metrics import classifier_metrics, regression_metrics
from marketloop.evaluation.nomination import FoldRecord, comparison, nominate
from marketloop.evaluation.persistence import persistence_baseline
from marketloop.evaluation.rank_ic import mean_rank_ic
from marketloop.evaluation.splits import Holdout
from marketloop.evaluation.stream import Fitted, StreamSpec, advance_folds, fit_nominee
from marketloop.labels import RANK, Panel
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.loop.shares import class_shares, never_seen, one_sided, regime_sessions
from marketloop.loop.tuned import with_tuned
from marketloop.registry import Candidate

__all__ = [
    "HoldoutTable",
    "Trained",
    "check_enough",
    "holdout_table",
    "manifest_of",
    "origin_of",
    "recipe_of",
    "train_family",
]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class HoldoutTable:
    """Figures on the oldest 80 %, the next 10 % and the newest 10 %, each beside no skill.

    `nominee` is who speaks: the contender that was nominated before the validation part began, which need not be the
    one that the candidate is.
    """

    nominee: str
    figures: dict[str, dict[str, float]]
    baseline: dict[str, dict[str, float]]
    rows: dict[str, int]
    gap_points: float

    def document(self) -> dict[str, Any]:
        """Return what the scorecard of a candidate keeps of it."""
        return {"nominee": self.nominee, "figures": self.figures, "baseline": self.baseline, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` made: a candidate on disk that nobody has promoted."""

    candidate: Candidate
    fitted: Fitted
    prepared: Prepared
    table: HoldoutTable
    inner: dict[str, float]
    warnings: tuple[str, ...]
    shares: dict[str, float] = field(default_factory=dict)
    regimes: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the `train` document."""
        block, matrix = self.fitted.block, self.prepared.matrix
        return {
            "family": self.candidate.slot.family,
            "config_key": self.candidate.slot.config_key,
            "version": self.candidate.version,
            "path": str(self.candidate.path),
            "recipe": self.fitted.contender.recipe.name,
            "nominee": self.fitted.contender.key,
            "params": dict(self.fitted.contender.params),
            "inner_rank_ic": dict(self.inner),
            "data_version": self.prepared.data_version,
            "rows": block.rows,
            "tickers": len(self.prepared.panel.tickers),
            "sessions": len(np.unique(matrix.session)),
            "features": list(block.features),
            "features_dropped": [*self.prepared.unfed, *block.dropped],
            "figures": self.table.figures,
            "baseline": self.table.baseline,
            "part_rows": self.table.rows,
            "figures_of": self.table.nominee,
            "class_shares": self.shares,
            "regime_sessions": self.regimes,
            "warnings": list(self.warnings),
        }


def train_family(
    house: House,
    family: str,
    choices: Choices | None = None,
    *,
    prepared: Prepared | None = None,
    on_progress: Progress | None = None,
) -> Trained:
    """Make a candidate of `family` from the stored bars; nothing is examined by the gate and nothing is promoted.

    Raises
    ------
    UsageError
        There is too little data, or a choice is unknown.
    """
    choices = choices or Choices()
    spec = choose(house, family, choices)
    house.project.check_writable()
    spec = with_tuned(house, spec, choices)
    if prepared is None:
        prepared = prepare(house, spec, sample_size=choices.sample_size)
    check_enough(prepared.matrix, spec)
    matrix = with_ranks(prepared.matrix) if any(c.recipe.needs_ranks for c in spec.contenders) else prepared.matrix
    start = int(matrix.session[-1]) + 1
    folds = advance_folds((), matrix, prepared.panel, spec, before=start, on_progress=on_progress)
    fitted = fit_nominee(matrix, spec, folds, start)
    table = holdout_table(matrix, spec, folds, prepared.panel)
    slot = house.slot(family)
    candidate = house.registry.write_candidate(
        slot,
        parts=fitted.learner.parts(),
        manifest=manifest_of(fitted, spec, prepared, origin_of(house, prepared, sample_size=choices.sample_size)),
        at=house.clock.now(),
    )
    house.registry.examined(
        slot,
        candidate.version,
        metrics=table.figures["test"],
        baseline=table.baseline["test"],
        scorecard={"holdout": {**table.document(), "candidate": fitted.contender.key}},
        at=house.clock.now(),
    )
    shares, regimes = class_shares(matrix, spec.family.classes), regime_sessions(prepared)
    warnings = (
        *training_warnings(prepared, spec, table),
        *one_sided("class", shares),
        *one_sided("market regime", regimes),
        *never_seen(shares),
    )
    return Trained(candidate, fitted, prepared, table, comparison(folds), warnings, shares, regimes)


def check_enough(matrix: Matrix, spec: StreamSpec) -> None:
    """Raise `UsageError` when the labelled rows are fewer than the family needs or hold one class only."""
    labelled = np.isfinite(matrix.label)
    rows = int(labelled.sum())
    if rows < spec.family.minimum_rows:
        longer = "collect more tickers or a longer history"
        if spec.family.unit == "session":
            longer = "give a longer S&P 500 series ([context] spx)"
        raise UsageError(
            f"{spec.family.name} needs at least {spec.family.minimum_rows} labelled rows and the data give {rows} "
            f"({len(np.unique(matrix.session))} sessions after the warm-up): {longer}"
        )
    if spec.label.label is RANK and len(matrix.tickers) < 2:
        raise UsageError(
            f"{spec.family.name} orders the tickers of a session and there is only {matrix.tickers[0]}: "
            "collect at least two"
        )
    if spec.family.classes:
        present = np.unique(matrix.label[labelled]).astype(int)
        if len(present) < 2:
            name = spec.family.classes[int(present[0])]
            raise UsageError(
                f"all {rows} labels of {spec.family.name} are {name}: a classifier needs two classes; "
                f"{'collect a longer history' if spec.family.threshold is None else 'choose a smaller threshold'}"
            )


def holdout_table(matrix: Matrix, spec: StreamSpec, folds: Sequence[FoldRecord], panel: Panel) -> HoldoutTable:
    """Fit on the oldest 80 % of sessions and examine all three parts, purged at both edges.

    The recipe is the one that would have been nominated when the validation part began: later folds have no say.
    """
    parts = Holdout.of(matrix)
    train = matrix.take(parts.train)
    contender = nominate(folds, spec.contenders, before=int(matrix.session[parts.validation].min()))
    if len(train) == 0:
        raise UsageError("no labelled rows are left in the oldest 80 % of the sessions: collect a longer history")
    learner = contender.build(spec.seed, spec.threads).fit(train)
    figures: dict[str, dict[str, float]] = {}
    baseline: dict[str, dict[str, float]] = {}
    rows: dict[str, int] = {}
    for name, mask in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        part = matrix.take(mask)
        if len(part) == 0:
            raise UsageError(f"the {name} part holds no labelled rows: collect a longer history")
        usual = _no_skill(part, train, spec, matrix=matrix, panel=panel)
        figures[name], baseline[name] = _figures(learner.predict(part), usual, part, spec)
        rows[name] = len(part)
    return HoldoutTable(contender.key, figures, baseline, rows, _gap(figures))


def _no_skill(part: Matrix, train: Matrix, spec: StreamSpec, *, matrix: Matrix, panel: Panel) -> NDArray[np.float64]:
    """Return what no skill says of `part`: the mean or the class shares of `train`, or that a regime goes on."""
    if not spec.family.classes:
        return np.full(len(part), float(train.label.mean()))
    if spec.family.statistic == "log_loss":
        return persistence_baseline(train, part, matrix, panel, spec.label.horizon)
    prior = np.bincount(train.label.astype(int), minlength=len(spec.family.classes)) / len(train)
    return np.tile(prior, (len(part), 1))


def _figures(
    output: NDArray[np.float64], usual: NDArray[np.float64], part: Matrix, spec: StreamSpec
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of `output`, and those of what no skill says (`usual`), on the rows of `part`."""
    order = {} if spec.family.unit == "session" else {"rank_ic": mean_rank_ic(part, spec.family.score(output))}
    truth = part.label.astype(np.float64)
    if not spec.family.classes:
        own, none = regression_metrics(truth, output), regression_metrics(truth, usual)
        return {**own.figures(), **order}, {**none.figures(), **dict.fromkeys(order, 0.0)}
    codes, classes = truth.astype(np.intp), spec.family.classes
    return (
        {**classifier_metrics(codes, output, classes).figures(), **order},
        {**classifier_metrics(codes, usual, classes).figures(), **dict.fromkeys(order, 0.0)},
    )


def _gap(figures: Mapping[str, Mapping[str, float]]) -> float:
    """Return what is lost from train to test, in points: of accuracy, or of the error of a value in percent."""
    if "accuracy" in figures["train"]:
        return 100 * (figures["train"]["accuracy"] - figures["test"]["accuracy"])
    return 100 * (figures["test"]["rmse"] / figures["train"]["rmse"] - 1) if figures["train"]["rmse"] > 0 else 0.0


def manifest_of(
    fitted: Fitted, spec: StreamSpec, prepared: Prepared, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what has to be known of a fitted model to use, check and rebuild it."""
    block = fitted.block
    return {
        "data_version": prepared.data_version,
        "features": list(block.features),
        "features_dropped": [*prepared.unfed, *block.dropped],
        "feature_set": spec.feature_set,
        "recipe": fitted.contender.recipe.name,
        "params": dict(fitted.contender.params),
        "nominee": fitted.contender.key,
        "seed": spec.seed,
        "threads": spec.threads,
        "horizon": spec.label.horizon,
        "threshold": spec.label.threshold,
        "classes": list(spec.family.classes),
        "rows": block.rows,
        "tickers": len(prepared.panel.tickers),
        "trained_through": block.train_through,
        "trained_through_date": prepared.sessions.date(block.train_through).isoformat(),
        "matrix": prepared.matrix.fingerprint,
        "importance": top_importance(fitted),
        **(extra or {}),
    }


def origin_of(house: House, prepared: Prepared, *, sample_size: float = 1.0) -> dict[str, Any]:
    """Return where the rows came from, so that `rebuild` finds them again: for the manifest, beside `manifest_of`."""
    return {
        "tables": house.store.versions(),
        "context": prepared.market.fingerprint,
        "plugins": house.catalog.fingerprint,
        "fill": house.settings.features.fill,
        "sample_size": sample_size,
    }


def recipe_of(house: House, spec: StreamSpec, prepared: Prepared) -> dict[str, Any]:
    """Return of what a stream's new scores are made, so that a lost file of theirs can be made again."""
    return {
        **origin_of(house, prepared),
        "data_version": prepared.data_version,
        "created_at": house.clock.now().isoformat(),
        "matrix": prepared.matrix.fingerprint,
        "horizon": spec.label.horizon,
        "threshold": spec.label.threshold,
        "feature_set": spec.feature_set,
        "seed": spec.seed,
        "threads": spec.threads,
        "contenders": [{"recipe": c.recipe.name, "params": dict(c.params), "since": c.since} for c in spec.contenders],
    }


def top_importance(fitted: Fitted, count: int = 20) -> dict[str, float]:
    """Return the largest shares of importance, in falling order."""
    shares = sorted(fitted.learner.importance().items(), key=lambda item: -item[1])
    return {name: round(share, 6) for name, share in shares[:count]}


def training_warnings(prepared: Prepared, spec: StreamSpec, table: HoldoutTable) -> tuple[str, ...]:
    """Return what a careful reader of the figures would say."""
    warnings = list(prepared.warnings)
    if table.gap_points > 15:
        warnings.append(
            f"overfit: {'accuracy falls' if spec.family.classes else 'the error rises by'} {table.gap_points:.0f} "
            f"{'points' if spec.family.classes else '%'} from train to test; "
            "use a shrunk recipe (--algorithm rank_ridge) or smaller trees (--algorithm xgboost_regularised)"
        )
    if spec.feature_set.startswith("legacy"):
        warnings.append("price levels identify ticker and date: the set legacy is for compatibility only")
    return tuple(warnings)
