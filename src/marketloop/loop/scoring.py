"""From a model's output to rows of the scoreboard: class, probability, signal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Learner, Recipe
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec, newest_rows, with_ranks
from marketloop.evaluation.positions import session_rule
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.scorecard import SignalRule
from marketloop.labels import Panel
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared
from marketloop.state import Slot
from marketloop.state.scoreboards import Prediction

__all__ = ["about", "abstains", "board", "interval_reach", "kept_rule", "output_of", "served_board"]


def output_of(learner: Learner, recipe: Recipe, names: Sequence[str], rows: Matrix) -> NDArray[np.float64]:
    """Return what `learner` says of `rows`: whole sessions, with ranks where its recipe reads them, features in order.

    Raises
    ------
    RefusedError
        The rows lack one of the features `names`.
    """
    return learner.predict((with_ranks(rows) if recipe.needs_ranks else rows).select(names))


def abstains(probability: float | None, confidence: float | None) -> bool:
    """Say whether the likeliest class is not likely enough to act on."""
    return confidence is not None and probability is not None and probability < confidence


def interval_reach(manifest: Mapping[str, Any], rows: Matrix, panel: Panel) -> NDArray[np.float64] | None:
    """Return half the width of each row's prediction interval; None for a model that has none (`conformal`)."""
    interval = manifest.get("prediction_interval")
    if not interval:
        return None
    volatility = panel.vol[panel.rows_of(rows.session), rows.ticker]
    reach: NDArray[np.float64] = float(interval["quantile"]) * volatility * np.sqrt(float(manifest["horizon"]))
    return reach


def board(
    output: NDArray[np.float64],
    *,
    tickers: Sequence[str],
    as_of: dt.date,
    family: Family,
    rule: SignalRule | None,
    provisional: bool,
    confidence: float | None = None,
    reach: NDArray[np.float64] | None = None,
) -> tuple[Prediction, ...]:
    """Return one prediction per ticker, with its interval where `reach` gives half of its width.

    Without a `rule` the outer tenth on each side of these very scores is called (`session_rule`). The signal is HOLD
    while the slot's skill is unproven, and where the likeliest class has less than `confidence`.
    """
    scores = family.score(output)
    if rule is None:
        tenth = session_rule(scores[None, :])
        rule = SignalRule(float(tenth.buy_from[0]), float(tenth.sell_to[0]))
    predictions = []
    for row, ticker in enumerate(tickers):
        score = float(scores[row])
        shares = dict(zip(family.classes, map(float, output[row]), strict=True)) if family.classes else {}
        likely = max(shares, key=lambda name: shares[name]) if shares else None
        probability = shares[likely] if likely is not None else None
        silent = provisional or abstains(probability, confidence)
        half = float(reach[row]) if reach is not None and np.isfinite(reach[row]) else None
        predictions.append(
            Prediction(
                ticker=ticker,
                as_of=as_of,
                signal="HOLD" if silent else rule.signal(score),
                score=score,
                probability=probability,
                class_name=likely,
                classes=shares,
                low=None if half is None else score - half,
                high=None if half is None else score + half,
            )
        )
    return tuple(predictions)


def kept_rule(manifest: Mapping[str, Any], *, tickers: int) -> SignalRule | None:
    """Return the thresholds that a version was kept with; None in a universe where each session's own scores tell."""
    if tickers >= SMALL_UNIVERSE:
        return None
    signal = manifest.get("signal") or {}
    buy, sell = signal.get("buy_from"), signal.get("sell_to")
    return SignalRule(np.inf if buy is None else float(buy), -np.inf if sell is None else float(sell))


def about(predictions: Iterable[Prediction], label: LabelSpec) -> tuple[Prediction, ...]:
    """Return the predictions with what they are about, by which the journal joins their outcomes later."""
    return tuple(replace(prediction, label=label.key) for prediction in predictions)


def served_board(house: House, slot: Slot, version: int, prepared: Prepared, *, silent: bool) -> tuple[Prediction, ...]:
    """Return what a kept version says of the newest session, by the signal rule that it was kept with.

    Parameters
    ----------
    silent : bool
        Whether every signal is HOLD: the version is, or becomes, provisional.

    Raises
    ------
    MarketLoopError
        The version cannot be read or asked any more.
    """
    artefact = house.registry.load(slot, version)
    manifest, rows = artefact.manifest, newest_rows(prepared.matrix)
    recipe = house.catalog.recipe(str(manifest["recipe"]))
    family = house.catalog.family(slot.family)
    label = LabelSpec(int(manifest["horizon"]), manifest["threshold"], house.catalog.label(family.label))
    said = board(
        output_of(recipe.from_parts(artefact.parts), recipe, tuple(manifest["features"]), rows),
        tickers=[prepared.panel.tickers[i] for i in rows.ticker],
        as_of=prepared.sessions.date(int(rows.session[-1])),
        family=family,
        rule=kept_rule(manifest, tickers=len(prepared.panel.tickers)),
        provisional=silent,
        confidence=house.settings.family_section(slot.family).confidence,
        reach=interval_reach(manifest, rows, prepared.panel),
    )
    return about(said, label)
