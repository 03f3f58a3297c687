"""Answer with the scoreboards of those who serve; score anew when the stored bars are newer than they are."""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from marketloop.core.errors import MarketLoopError, UsageError, did_you_mean
from marketloop.loop.context import MissingContextError, sessions_around, stored_bars
from marketloop.loop.house import House
from marketloop.loop.market_rows import market_rows
from marketloop.loop.preparing import choose, complete_sessions, prepare
from marketloop.loop.scoring import abstains, served_board
from marketloop.registry.standing import is_proven
from marketloop.runtime.logging import get_logger
from marketloop.serving import assign
from marketloop.state import Slot, champions, rollouts, scoreboards
from marketloop.state.champions import Champion
from marketloop.state.lease import LeaseLostError
from marketloop.state.rollouts import Rollout
from marketloop.state.scoreboards import Prediction

__all__ = ["Answers", "Voice", "keep_journal", "keep_journals", "predict", "score_version"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A version that is asked; `provisional`: no skill of its recipe is proven, so its signals are HOLD."""

    slot: Slot
    version: int
    provisional: bool

    @classmethod
    def of(cls, champion: Champion) -> Voice:
        """Return the voice of a champion."""
        return cls(champion.slot, champion.version, champion.status == "provisional")


@dataclass(frozen=True, slots=True)
class Answers:
    """What those who serve in a slot say, as of one session.

    `fallback` says that another configuration answered than the one asked for, `stale` that the session lies further
    back than ``[serve] stale_after``. Below `confidence` in the likeliest class the signal is HOLD: abstained.

    Parameters
    ----------
    rollout : Rollout, optional
        The second version that takes part, while one does.
    second : mapping of ticker to prediction
        What it says of the tickers that it answers for; they are among `predictions`.
    second_provisional : bool
    order : names of the classes, as the family orders them
    """

    as_of: dt.date
    champion: Champion
    fallback: bool
    stale: bool
    predictions: tuple[Prediction, ...]
    confidence: float | None = None
    rollout: Rollout | None = None
    second: Mapping[str, Prediction] = field(default_factory=dict)
    second_provisional: bool = True
    order: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the `predict` document."""
        return {"as_of": self.as_of.isoformat(), "predictions": [self._row(p) for p in self.predictions]}

    def _row(self, p: Prediction) -> dict[str, Any]:
        other = p.ticker in self.second and self.rollout is not None and self.rollout.version is not None
        own = self.champion.status == "provisional"
        provisional = self.second_provisional if other else own
        abstained = provisional or abstains(p.probability, self.confidence)
        return {
            "ticker": p.ticker,
            "family": self.champion.slot.family,
            "model_version": self.rollout.version if other and self.rollout else self.champion.version,
            "config_key": self.champion.slot.config_key,
            "fallback": self.fallback,
            "probability": p.probability,
            "class": p.class_name,
            "signal": "HOLD" if abstained else p.signal,  # the bar may have been set since the row was written
            "classes": {name: p.classes[name] for name in (self.order or p.classes) if name in p.classes},
            "score": p.score,
            "low": p.low,
            "high": p.high,
            "provisional": provisional,
            "abstained": abstained,
            "stale": self.stale,
            "assigned": assign(p.ticker, self.champion.version, self.rollout),
            "rollout": _rollout_document(self.rollout),
        }


def predict(
    house: House, tickers: Sequence[str] = (), *, family: str | None = None, champion_alone: bool = False
) -> Answers:
    """Return what is said of `tickers`, of all of them when none is named.

    In a canary or A/B test the second version answers for its share of the tickers. Where it cannot be asked, the
    champion answers for them too: then `model_version` differs from `assigned`.

    Parameters
    ----------
    champion_alone : bool
        Ask nobody else: an order of tickers, or a word on the whole market, is one version's.

    Raises
    ------
    UsageError
        A ticker is not in the champion's universe, or no champion serves yet.
    """
    family = family or house.settings.serve.primary
    champion, fallback = _champion(house, house.slot(family))
    own = _board(house, Voice.of(champion), fallback=fallback)
    rollout = None if champion_alone else _rollout(house, champion)
    said, provisional = _second(house, champion, rollout, {p.ticker: p for p in own}, fallback=fallback)
    predictions = tuple(said.get(p.ticker, p) for p in own)
    known = {prediction.ticker: prediction for prediction in predictions}
    unknown = [ticker for ticker in tickers if ticker not in known]
    if unknown:
        near = did_you_mean(unknown[0].upper(), known)
        names = ", ".join(f'"{ticker}"' for ticker in unknown)
        raise UsageError(f"no prediction for {names}: not among the {len(known)} tickers scored.{near}")
    as_of = max(prediction.as_of for prediction in own)
    return Answers(
        as_of=as_of,
        champion=champion,
        fallback=fallback,
        stale=_stale(house, as_of),
        predictions=tuple(known[ticker] for ticker in tickers) if tickers else predictions,
        confidence=house.settings.family_section(family).confidence,
        rollout=rollout,
        second=said,
        second_provisional=provisional,
        order=house.catalog.family(family).classes,
    )


def keep_journal(house: House, family: str) -> dt.date:
    """Bring the journals of the champion and of a rollout's version up to the newest session; return that session.

    A shadow's journal is kept by this alone. Raises as `predict` does.
    """
    return predict(house, family=family).as_of


def keep_journals(house: House, families: Iterable[str]) -> None:
    """Journal what the champions, and versions on trial, say of the newest session; one that cannot speak is logged."""
    for family in families:
        if house.registry.champion(house.slot(family)) is None:
            continue
        try:
            keep_journal(house, family)
        except LeaseLostError:
            raise
        except MarketLoopError as error:
            get_logger("loop").warning("the journal is behind", family=family, reason=str(error))
        except Exception as error:  # noqa: BLE001 -- a plugin's recipe or feature: the verdicts of this cycle stand
            log = get_logger("loop")
            log.error("the journal is behind", family=family, error=repr(error), traceback=traceback.format_exc())


def _rollout(house: House, champion: Champion) -> Rollout | None:
    """Return the slot's rollout while one goes on; one whose version has become champion is over."""
    with house.state.read() as db:
        found = rollouts.current(db, champion.slot)
    return None if found is None or found.version in {None, champion.version} else found


def _rollout_document(rollout: Rollout | None) -> dict[str, Any] | None:
    return None if rollout is None else {"mode": rollout.mode, "version": rollout.version, "share": rollout.share}


def _second(
    house: House, champion: Champion, rollout: Rollout | None, own: Mapping[str, Prediction], *, fallback: bool
) -> tuple[dict[str, Prediction], bool]:
    """Return what the rollout's version says of the tickers that it answers for, and whether it is provisional."""
    if rollout is None or rollout.version is None:
        return {}, True
    try:
        voice = _voice(house, champion.slot, rollout.version)
        board = {prediction.ticker: prediction for prediction in _board(house, voice, fallback=fallback)}
    except MarketLoopError as error:
        log = get_logger("loop")
        log.warning("the rollout's version cannot be asked", version=rollout.version, reason=str(error))
        return {}, True
    mine = (ticker for ticker in own if assign(ticker, champion.version, rollout) == rollout.version)
    # One that lags behind does not speak of another session than the champion.
    said = {t: board[t] for t in mine if t in board and board[t].as_of == own[t].as_of}
    return said, voice.provisional


def _voice(house: House, slot: Slot, version: int) -> Voice:
    manifest = house.registry.load(slot, version).manifest
    with house.state.read() as db:
        return Voice(slot, version, not is_proven(db, manifest.get("stream_id")))


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


def _board(house: House, voice: Voice, *, fallback: bool) -> tuple[Prediction, ...]:
    with house.state.scores.read() as db:
        newest = scoreboards.latest_session(db, voice.slot, voice.version)
        stored = scoreboards.load(db, voice.slot, voice.version, as_of=newest) if newest else ()
    if stored and (fallback or newest is None or newest >= _newest_complete(house, voice.slot.family)):
        return _as_trusted_now(stored, voice)
    fresh = score_version(house, voice)
    house.registry.write_scoreboard(voice.slot, voice.version, fresh, at=house.clock.now())
    return fresh


def _as_trusted_now(stored: tuple[Prediction, ...], voice: Voice) -> tuple[Prediction, ...]:
    """Return the journalled predictions, every signal HOLD where the version has become provisional since."""
    if not voice.provisional:
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


def score_version(house: House, voice: Voice) -> tuple[Prediction, ...]:
    """Return what a version says of every ticker as of the newest complete session; nothing is written.

    Raises
    ------
    MarketLoopError
        Its files are damaged, or its recipe or features are gone.
    """
    manifest = house.registry.load(voice.slot, voice.version).manifest
    # Its own features, look-back on market series included, and not those of the settings of now.
    spec = replace(choose(house, voice.slot.family), feature_set=str(manifest["feature_set"]))
    return served_board(house, voice.slot, voice.version, prepare(house, spec), silent=voice.provisional)


def _stale(house: House, as_of: dt.date) -> bool:
    today = house.clock.now().date()
    if as_of >= today:
        return False
    sessions = sessions_around(house.settings.project.calendar, as_of, today)
    passed = int(((sessions.dates > np.datetime64(as_of)) & (sessions.dates < np.datetime64(today))).sum())
    return passed > house.settings.serve.stale_after
