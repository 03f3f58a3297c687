"""Answer with the champion's scoreboard; score anew when the stored bars are newer than it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.dataset import newest_rows
from marketloop.evaluation.scorecard import SignalRule
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.context import MissingContextError, sessions_around
from marketloop.loop.house import House
from marketloop.loop.market_rows import market_rows
from marketloop.loop.preparing import choose, complete_sessions, prepare, stored_bars
from marketloop.loop.scoring import abstains, board, interval_reach, output_of
from marketloop.state import Slot, champions, scoreboards
from marketloop.state.champions import Champion
from marketloop.state.scoreboards import Prediction

__all__ = ["Answers", "predict"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the champion of a slot says, as of one session.

    `fallback` says that another configuration answered than the one asked for, `stale` that the session lies further
    back than ``[serve] stale_after``. Below `confidence` in the likeliest class the signal is HOLD: abstained.
    """

    as_of: dt.date
    champion: Champion
    fallback: bool
    stale: bool
    predictions: tuple[Prediction, ...]
    confidence: float | None = None

    def document(self) -> dict[str, Any]:
        """Return the `predict` document."""
        provisional = self.champion.status == "provisional"
        return {
            "as_of": self.as_of.isoformat(),
            "predictions": [
                {
                    "ticker": p.ticker,
                    "family": self.champion.slot.family,
                    "model_version": self.champion.version,
                    "config_key": self.champion.slot.config_key,
                    "fallback": self.fallback,
                    "probability": p.probability,
                    "class": p.class_name,
                    "signal": p.signal,
                    "classes": dict(p.classes),
                    "score": p.score,
                    "low": p.low,
                    "high": p.high,
                    "provisional": provisional,
                    "abstained": provisional or abstains(p.probability, self.confidence),
                    "stale": self.stale,
                }
                for p in self.predictions
            ],
        }


def predict(house: House, tickers: Sequence[str] = (), *, family: str | None = None) -> Answers:
    """Return the champion's predictions for `tickers`, for all of them when none is named.

    Raises
    ------
    UsageError
        A ticker is not in the champion's universe, or no champion serves yet.
    """
    family = family or house.settings.serve.primary
    champion, fallback = _champion(house, house.slot(family))
    predictions = _board(house, champion, fallback=fallback)
    known = {prediction.ticker: prediction for prediction in predictions}
    unknown = [ticker for ticker in tickers if ticker not in known]
    if unknown:
        near = did_you_mean(unknown[0].upper(), known)
        names = ", ".join(f'"{ticker}"' for ticker in unknown)
        raise UsageError(f"no prediction for {names}: not among the {len(known)} tickers scored.{near}")
    wanted = tuple(known[ticker] for ticker in tickers) if tickers else predictions
    as_of = max(prediction.as_of for prediction in predictions)
    confidence = house.settings.family_section(family).confidence
    return Answers(as_of, champion, fallback, _stale(house, as_of), wanted, confidence)


def _champion(house: House, slot: Slot) -> tuple[Champion, bool]:
    """Return the champion of the slot, else that of the family's only or newest other configuration."""
    champion = house.registry.champion(slot)
    if champion is not None:
        return champion, False
    with house.state.read() as db:
        others = [champions.current(db, other) for other in champions.slots(db) if other.family == slot.family]
    found = sorted((c for c in others if c is not None), key=lambda c: c.promoted_at)
    if not found:
        raise UsageError(f"{slot.family} has no champion yet: run `marketloop retrain {slot.family}`")
    return found[-1], True


def _board(house: House, champion: Champion, *, fallback: bool) -> tuple[Prediction, ...]:
    with house.state.scores.read() as db:
        newest = scoreboards.latest_session(db, champion.slot, champion.version)
        stored = scoreboards.load(db, champion.slot, champion.version, as_of=newest) if newest else ()
    if stored and (fallback or newest is None or newest >= _newest_complete(house, champion.slot.family)):
        return _as_trusted_now(stored, champion)
    fresh = _score_now(house, champion)
    house.registry.write_scoreboard(champion.slot, champion.version, fresh, at=house.clock.now())
    return fresh


def _as_trusted_now(stored: tuple[Prediction, ...], champion: Champion) -> tuple[Prediction, ...]:
    """Return the journalled predictions, every signal HOLD where the version has become provisional since."""
    if champion.status != "provisional":
        return stored
    return tuple(replace(prediction, signal="HOLD") for prediction in stored)


def _newest_complete(house: House, family: str) -> dt.date:
    """Return the newest session in which enough of the universe, or the market itself, can be spoken of."""
    bars = stored_bars(house)
    try:
        session = house.catalog.family(family).unit == "session"
        rows = market_rows(house, bars).bars if session else complete_sessions(bars)[0]
    except MissingContextError:  # what was said last still stands
        return dt.date.min
    day: dt.date = rows["date"].max()  # type: ignore[assignment]
    return day


def _score_now(house: House, champion: Champion) -> tuple[Prediction, ...]:
    artefact = house.registry.load(champion.slot, champion.version)
    manifest = artefact.manifest
    recipe = house.catalog.recipe(str(manifest["recipe"]))
    prepared = prepare(house, _spec_of(house, champion, str(manifest["feature_set"])))
    rows = newest_rows(prepared.matrix)
    signal = manifest.get("signal") or {}
    rule = SignalRule(_or(signal.get("buy_from"), np.inf), _or(signal.get("sell_to"), -np.inf))
    return board(
        output_of(recipe.from_parts(artefact.parts), recipe, tuple(manifest["features"]), rows),
        tickers=[prepared.panel.tickers[i] for i in rows.ticker],
        as_of=prepared.sessions.date(int(rows.session[-1])),
        family=house.catalog.family(champion.slot.family),
        rule=rule,
        provisional=champion.status == "provisional",
        confidence=house.settings.family_section(champion.slot.family).confidence,
        reach=interval_reach(manifest, rows, prepared.panel),
    )


def _spec_of(house: House, champion: Champion, feature_set: str) -> StreamSpec:
    """Return the recipe by which rows are made: a look-back on market series is the model's own, not the settings'."""
    spec = choose(house, champion.slot.family)
    return replace(spec, feature_set=feature_set) if spec.family.unit == "session" else spec


def _or(value: float | None, other: float) -> float:
    return other if value is None else float(value)


def _stale(house: House, as_of: dt.date) -> bool:
    today = house.clock.now().date()
    if as_of >= today:
        return False
    sessions = sessions_around(house.settings.project.calendar, as_of, today)
    passed = int(((sessions.dates > np.datetime64(as_of)) & (sessions.dates < np.datetime64(today))).sum())
    return passed > house.settings.serve.stale_after
