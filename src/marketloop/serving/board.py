"""A scoreboard as it is answered from: one immutable value; an answer is written out when it is first asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marketloop.serving.assignment import assign
from marketloop.state import Slot
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout
from marketloop.state.scoreboards import Prediction

__all__ = ["Answers", "Board", "Rules", "build_board", "called_stale"]


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
class Answers(Mapping[str, dict[str, Any]]):
    """The document on each ticker, as ``GET /api/predict/{ticker}`` gives it with `fallback` false.

    A document follows from values that never change, so each is made when it is first asked for, and kept. A board of
    a thousand tickers therefore costs nothing at the moment at which it is swapped in.

    Parameters
    ----------
    champion : Champion
    rollout : Rollout, optional
    rules : Rules
    own, other : mapping of ticker to prediction
        Of the champion, and of the version in `rollout`; where that one is silent the champion answers.
    other_provisional : bool
        Whether the skill of that version is unproven: its signals are HOLD then.
    """

    champion: Champion
    rollout: Rollout | None
    rules: Rules
    own: Mapping[str, Prediction]
    other: Mapping[str, Prediction]
    other_provisional: bool
    made: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, ticker: str) -> dict[str, Any]:
        """Return the document on `ticker`; `KeyError` where the champion says nothing of it."""
        found = self.made.get(ticker)
        if found is None:
            found = self.made[ticker] = self._answer(self.own[ticker])
        return found

    def __contains__(self, ticker: object) -> bool:
        return ticker in self.own

    def __iter__(self) -> Iterator[str]:
        return iter(self.own)

    def __len__(self) -> int:
        return len(self.own)

    def _answer(self, own: Prediction) -> dict[str, Any]:
        champion, rollout = self.champion, self.rollout
        assigned = assign(own.ticker, champion.version, rollout)
        theirs = self.other.get(own.ticker) if assigned != champion.version else None
        said = theirs or own
        provisional = self.other_provisional if theirs else champion.status == "provisional"
        least = self.rules.confidence
        abstained = provisional or (least is not None and said.probability is not None and said.probability < least)
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
            "horizon": self.rules.horizon,
            "as_of": said.as_of.isoformat(),
            "family": champion.slot.family,
            "config_key": champion.slot.config_key,
            "fallback": False,
            "provisional": provisional,
            "abstained": abstained,
            "stale": self.rules.stale,
            "model_version": assigned if theirs else champion.version,
            "assigned": assigned,
            "rollout": None
            if rollout is None or rollout.mode == "off"
            else {"mode": rollout.mode, "version": rollout.version, "share": rollout.share},
        }


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
    answers : Answers
        Document by ticker, `fallback` false.
    """

    champion: Champion
    rollout: Rollout | None
    as_of: dt.date
    rules: Rules
    answers: Answers
    written: dict[tuple[str, bool], bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def slot(self) -> Slot:
        """Where the champion serves."""
        return self.champion.slot

    def body(self, ticker: str, *, fallback: bool = False) -> bytes | None:
        """Return the document on `ticker` as JSON, or None where the champion says nothing of it."""
        found = self.written.get((ticker, fallback))
        if found is None and ticker in self.answers:
            answer = {**self.answers[ticker], "fallback": fallback}
            found = json.dumps(answer, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
            self.written[ticker, fallback] = found
        return found

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
    """Return the board of a champion; None where it has said nothing yet. The parameters are those of `Answers`."""
    said = {prediction.ticker: prediction for prediction in own}
    if not said:
        return None
    second = {prediction.ticker: prediction for prediction in other}
    answers = Answers(champion, rollout, rules, said, second, other_provisional)
    return Board(champion, rollout, max(prediction.as_of for prediction in said.values()), rules, answers)


def called_stale(board: Board) -> Board:
    """Return the same answers, which say that they are stale."""
    rules = replace(board.rules, stale=True)
    return replace(board, rules=rules, answers=replace(board.answers, rules=rules, made={}), written={})
