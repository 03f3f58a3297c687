"""What the champion says of the market's regime, beside what nobody needs a model for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from marketloop.dataset import newest_rows
from marketloop.evaluation.persistence import persistence_baseline
from marketloop.evaluation.splits import known_before
from marketloop.features import regime_lookback
from marketloop.loop.context import MissingContextError
from marketloop.loop.house import House
from marketloop.loop.predicting import Answers, predict
from marketloop.loop.preparing import Prepared, choose, prepare
from marketloop.state import versions

__all__ = ["REGIME_FAMILY", "RegimeView", "regime_view"]

REGIME_FAMILY = "regime_classifier"
FIGURES = ("accuracy", "log_loss", "z")
"""Out-of-sample figures of the version that are shown beside those of the last known regime."""


@dataclass(frozen=True, slots=True)
class RegimeView:
    """What is said of the `horizon` sessions after `answers.as_of`.

    Parameters
    ----------
    answers : Answers
        The champion's own words.
    regimes : names of the regimes in order of their codes
    lookback, horizon : int
        Sessions that the model looks back on, and ahead.
    trained_through : date or None
        Last session whose close the model knew when it was fitted.
    no_skill : mapping of regime to share
        How often each regime followed the last known one at a volatility like that of today; empty where there is no
        S&P 500 series to tell it from.
    last_known : mapping ``regime, session, known_on``, optional
        The newest regime that is over: `session` began it, and it was known at the close of `known_on`.
    now : mapping of fact to value
        Drawdown from the peak of 60 and of 252 sessions, return and annualised volatility over the look-back, that
        volatility over its usual one of a year, and the VIX in points; null where nothing feeds it.
    figures, baseline : mappings
        Of the version, walking forward, and of no skill on the same sessions.
    """

    answers: Answers
    regimes: tuple[str, ...]
    lookback: int
    horizon: int
    trained_through: dt.date | None
    no_skill: Mapping[str, float] = field(default_factory=dict)
    last_known: Mapping[str, Any] | None = None
    now: Mapping[str, float | None] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    baseline: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the `regime` document."""
        said = self.answers.document()["predictions"][0]
        return {
            "as_of": self.answers.as_of.isoformat(),
            "horizon": self.horizon,
            "lookback": self.lookback,
            **{name: said[name] for name in ("family", "model_version", "config_key", "fallback")},
            "regime": said["class"],
            "probability": said["probability"],
            "probabilities": {name: said["classes"][name] for name in self.regimes},
            "no_skill": dict(self.no_skill),
            "last_known": None if self.last_known is None else dict(self.last_known),
            "now": dict(self.now),
            "figures": dict(self.figures),
            "baseline": dict(self.baseline),
            **{name: said[name] for name in ("signal", "provisional", "abstained", "stale")},
            "trained_through": None if self.trained_through is None else self.trained_through.isoformat(),
            "warnings": list(self.warnings),
        }


def regime_view(house: House, *, lookback: int | None = None) -> RegimeView:
    """Return the champion's view of the market.

    Parameters
    ----------
    lookback : int, optional
        The look-back that is asked for; where the champion has another one it answers all the same, as a fallback.

    Raises
    ------
    UsageError
        No champion serves yet, or there is nothing to score.
    """
    view, feature_set = _said(house, lookback)
    spec = choose(house, REGIME_FAMILY)
    spec = replace(spec, feature_set=feature_set, label=replace(spec.label, horizon=view.horizon))
    try:
        prepared = prepare(house, spec)
    except MissingContextError as error:
        return replace(view, warnings=(*view.warnings, str(error)))
    return replace(
        view,
        no_skill=_no_skill(prepared, view.horizon),
        last_known=_last_known(prepared),
        now=_facts(prepared, view.answers.as_of, view.lookback),
        warnings=(*view.warnings, *prepared.notes),
    )


def _said(house: House, lookback: int | None) -> tuple[RegimeView, str]:
    """Return what the champion says and what is known of it, and the name of the features that it reads."""
    answers = predict(house, family=REGIME_FAMILY, champion_alone=True)
    champion = answers.champion
    manifest = house.registry.load(champion.slot, champion.version).manifest
    feature_set = str(manifest["feature_set"])
    own = regime_lookback(feature_set)
    warnings: tuple[str, ...] = ()
    if lookback not in {None, own}:
        answers = replace(answers, fallback=True)
        remedy = f"`marketloop retrain {REGIME_FAMILY} --lookback {lookback}`"
        warnings = (f"the champion looks back on {own} sessions: for another look-back run {remedy}",)
    with house.state.read() as db:
        version = versions.require(db, champion.slot, champion.version)
    trained = manifest.get("trained_through_date")
    view = RegimeView(
        answers=answers,
        regimes=tuple(manifest["classes"]),
        lookback=own,
        horizon=int(manifest["horizon"]),
        trained_through=None if trained is None else dt.date.fromisoformat(str(trained)),
        figures={name: version.metrics.get(name) for name in FIGURES},
        baseline={name: version.baseline.get(name) for name in FIGURES if name != "z"},
        warnings=warnings,
    )
    return view, feature_set


def _no_skill(prepared: Prepared, horizon: int) -> dict[str, float]:
    matrix = prepared.matrix
    rows = newest_rows(matrix)
    train = matrix.take(known_before(matrix, prepared.panel.last + 1))
    if len(train) == 0:
        return {}
    shares = persistence_baseline(train, rows, matrix, prepared.panel, horizon)[0]
    return dict(zip(matrix.classes, shares.tolist(), strict=True))


def _last_known(prepared: Prepared) -> dict[str, Any] | None:
    matrix = prepared.matrix
    known = np.flatnonzero(np.isfinite(matrix.label))
    if len(known) == 0:
        return None
    row = int(known[-1])
    return {
        "regime": matrix.classes[int(matrix.label[row])],
        "session": prepared.sessions.date(int(matrix.session[row])).isoformat(),
        "known_on": prepared.sessions.date(int(matrix.known_on[row])).isoformat(),
    }


def _facts(prepared: Prepared, as_of: dt.date, lookback: int) -> dict[str, float | None]:
    row = prepared.raw.filter(pl.col("date") == as_of)
    values: dict[str, float | None] = row.row(0, named=True) if len(row) else {}
    vix = values.get("vix_level")
    return {
        "drawdown_60": values.get("spx_drawdown_60"),
        "drawdown_252": values.get("spx_drawdown_252"),
        "return": values.get(f"spx_return_{lookback}"),
        "volatility": values.get(f"spx_vol_{lookback}"),
        "volatility_ratio": values.get(f"spx_vol_ratio_{lookback}"),
        "vix": None if vix is None else 100 * vix,
    }
