"""A scoreboard as it is answered from: one immutable value, every answer written out before anybody asks."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marketloop.serving.assignment import assign
from marketloop.state import Slot
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout
from marketloop.state.scoreboards import Prediction

__all__ = ["Board", "Rules", "build_board", "called_stale"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides how a prediction is told, beside the prediction itself.

    Parameters
    ----------
    horizon : int, optional
        Sessions that the label looks ahead.
    confidence : float, optional
        Below this probability of the likeliest class the signal is HOLD.
    stale : bool
        Whether the newest session lies further back than ``[serve] stale_after``, or the database is away.
    """

    horizon: int | None = None
    confidence: float | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """What the champion of a slot says of every ticker, as of one session.

    Parameters
    ----------
    champion : Champion
    rollout : Rollout, optional
        The entry that holds now.
    as_of : date
    rules : Rules
    answers : mapping of ticker to document
        As ``GET /api/predict/{ticker}`` gives it, `fallback` false.
    bodies, fallback_bodies : mapping of ticker to bytes
        The same as JSON, and with `fallback` true.
    """

    champion: Champion
    rollout: Rollout | None
    as_of: dt.date
    rules: Rules
    answers: Mapping[str, Mapping[str, Any]]
    bodies: Mapping[str, bytes] = field(repr=False)
    fallback_bodies: Mapping[str, bytes] = field(repr=False)

    @property
    def slot(self) -> Slot:
        """Where the champion serves."""
        return self.champion.slot

    def document(self, tickers: Iterable[str] = (), *, fallback: bool = False) -> dict[str, Any]:
        """Return the answers on `tickers`, on all of them when none is named; unknown ones are under ``unknown``."""
        wanted = tuple(tickers) or tuple(self.answers)
        return {
            "as_of": self.as_of.isoformat(),
            "family": self.slot.family,
            "model_version": self.champion.version,
            "predictions": [{**self.answers[name], "fallback": fallback} for name in wanted if name in self.answers],
            "unknown": [name for name in wanted if name not in self.answers],
        }

    def ranking(self, top: int | None = None, *, fallback: bool = False) -> dict[str, Any]:
        """Return the tickers by falling score, equal ones in their own order; `percentile` is 1 for the first."""
        rows = sorted(self.answers.values(), key=lambda row: (-row["score"], row["ticker"]))
        last = max(len(rows) - 1, 1)
        return {
            "as_of": self.as_of.isoformat(),
            "family": self.slot.family,
            "model_version": self.champion.version,
            "config_key": self.slot.config_key,
            "fallback": fallback,
            "provisional": self.champion.status == "provisional",
            "stale": self.rules.stale,
            "tickers": len(rows),
            "ranking": [
                {
                    "rank": place + 1,
                    "ticker": row["ticker"],
                    "score": row["score"],
                    "percentile": 1 - place / last,
                    "signal": row["prediction"]["signal"],
                    "abstained": row["abstained"],
                    "model_version": row["model_version"],
                }
                for place, row in enumerate(rows[:top])
            ],
        }


def build_board(
    champion: Champion,
    own: Iterable[Prediction],
    rules: Rules,
    *,
    rollout: Rollout | None = None,
    other: Iterable[Prediction] = (),
    other_provisional: bool = True,
) -> Board | None:
    """Write out every answer; None where the champion has said nothing yet.

    Parameters
    ----------
    own, other : predictions
        Of the champion and of the version in `rollout`; where that one is silent the champion answers.
    other_provisional : bool
        Whether the skill of that version is unproven: its signals are HOLD then.
    """
    said = {prediction.ticker: prediction for prediction in own}
    if not said:
        return None
    second = {prediction.ticker: prediction for prediction in other}
    answers: dict[str, dict[str, Any]] = {}
    own_provisional = champion.status == "provisional"
    told = None
    if rollout is not None and rollout.mode != "off":
        told = {"mode": rollout.mode, "version": rollout.version, "share": rollout.share}
    for ticker, prediction in said.items():
        assigned = assign(ticker, champion.version, rollout)
        theirs = second.get(ticker) if assigned != champion.version else None
        answers[ticker] = {
            **_answer(champion.slot, theirs or prediction, rules, other_provisional if theirs else own_provisional),
            "model_version": assigned if theirs else champion.version,
            "assigned": assigned,
            "rollout": told,
        }
    return Board(
        champion=champion,
        rollout=rollout,
        as_of=max(prediction.as_of for prediction in said.values()),
        rules=rules,
        answers=answers,
        bodies={ticker: _body(answer) for ticker, answer in answers.items()},
        fallback_bodies={ticker: _body({**answer, "fallback": True}) for ticker, answer in answers.items()},
    )


def called_stale(board: Board) -> Board:
    """Return the same answers, which say that they are stale."""
    answers = {ticker: {**answer, "stale": True} for ticker, answer in board.answers.items()}
    return replace(
        board,
        rules=replace(board.rules, stale=True),
        answers=answers,
        bodies={ticker: _body(answer) for ticker, answer in answers.items()},
        fallback_bodies={ticker: _body({**answer, "fallback": True}) for ticker, answer in answers.items()},
    )


def _answer(slot: Slot, said: Prediction, rules: Rules, provisional: bool) -> dict[str, Any]:
    unsure = rules.confidence is not None and said.probability is not None and said.probability < rules.confidence
    abstained = provisional or unsure
    return {
        "ticker": said.ticker,
        "prediction": {
            "probability": said.probability,
            "signal": "HOLD" if abstained else said.signal,
            "class": said.class_name,
        },
        "classes": dict(said.classes),
        "score": said.score,
        "low": said.low,
        "high": said.high,
        "horizon": rules.horizon,
        "as_of": said.as_of.isoformat(),
        "family": slot.family,
        "config_key": slot.config_key,
        "fallback": False,
        "provisional": provisional,
        "abstained": abstained,
        "stale": rules.stale,
    }


def _body(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
