"""How good the served predictions turned out to be: over what matured within a window, and what is to be expected."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family
from marketloop.evaluation.accuracy import Estimate, Figure, estimated_hits, hit_rate, rank_correlation, root_error
from marketloop.evaluation.intervals import least_terms
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.loop.house import House
from marketloop.loop.ingesting import parse_timeframe
from marketloop.loop.maturing import default_label, label_of
from marketloop.state import Connection, Slot, champions, outcomes, scoreboards
from marketloop.state.champions import Champion
from marketloop.state.outcomes import Outcome
from marketloop.state.scoreboards import Saying, Word

__all__ = ["WINDOWS", "accuracy_of", "served"]

WINDOWS: Final = ("7d", "30d", "365d")
"""Windows that the loop keeps ready for readers that compute nothing."""
_BEFORE: Final = dt.timedelta(days=400)
"""How far back surprises are looked for from which the interval of the estimate is made."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Served predictions beside their outcomes, in order of time; an outcome that is not known is None."""

    family: Family
    horizon: int
    session: NDArray[np.int32]
    words: tuple[Word, ...]
    outcome: tuple[Outcome | None, ...]

    def take(self, keep: NDArray[np.bool_]) -> _Rows:
        at = np.flatnonzero(keep)
        words, outcome = (tuple(values[i] for i in at) for values in (self.words, self.outcome))
        return _Rows(self.family, self.horizon, self.session[keep], words, outcome)  # type: ignore[arg-type]

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.array([outcome is not None for outcome in self.outcome], dtype=bool)

    @property
    def hit(self) -> NDArray[np.bool_]:
        pairs = zip(self.words, self.outcome, strict=True)
        return np.array([o is not None and w.class_name == o.class_name for w, o in pairs], dtype=bool)

    @property
    def happened(self) -> Array:
        return np.array([math.nan if o is None else o.value for o in self.outcome], dtype=np.float64)

    @property
    def score(self) -> Array:
        return np.array([word.score for word in self.words], dtype=np.float64)

    @property
    def probability(self) -> Array:
        return np.array([math.nan if w.probability is None else w.probability for w in self.words], dtype=np.float64)


def accuracy_of(house: House, slot: Slot, windows: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the `accuracy` document of a slot for each of `windows`, e.g. ``7d``; nothing is written.

    Counted are the predictions of whichever version was champion when the next session came, each ticker and session
    once, in the newest revision of its outcome. A row belongs to the window in which its label ended; windows end with
    the newest session of the journal or the outcomes, not with today: a feed that stands still shows an old `through`.

    Raises
    ------
    UsageError
        A window is no length of time.
    """
    lengths = {window: parse_timeframe(window) for window in windows}
    label = default_label(house, slot)
    with house.state.read() as db:
        entries = champions.history(db, slot)[::-1]
    with house.state.scores.read() as db:
        newest = _newest(db, slot, entries, label)
        if newest is None:
            return {window: _document(house, slot, window, label, None, None) for window in windows}
        since = newest - max(*lengths.values(), _BEFORE) - _overlap(house, label)
        sayings = served(entries, scoreboards.said(db, slot, since=since))
        label = next((s.label for s in reversed(sayings) if s.label), label)
        mine = [saying for saying in sayings if (saying.label or label) == label]
        rows = _rows(house, db, slot, label, mine)
    return {window: _document(house, slot, window, label, rows, newest, lengths[window]) for window in windows}


def served(entries: Sequence[Champion], sayings: Sequence[Saying]) -> tuple[Saying, ...]:
    """Return for each session the saying that was served when the next one came.

    Parameters
    ----------
    entries : champions
        The ledger of the slot, oldest first; its order is that of the entries, whatever the clocks said.
    sayings : sayings of one slot, by session
        Those of versions that never served when the session was the newest (shadows, candidates) are passed over.
    """
    by_day: dict[dt.date, list[Saying]] = {}
    for saying in sayings:
        by_day.setdefault(saying.as_of, []).append(saying)
    days = sorted(by_day)
    ends: list[dt.datetime | None] = [min(s.written_at for s in by_day[day]) for day in days[1:]]
    found = []
    for day, end in zip(days, [*ends, None], strict=False):
        spoke = {saying.version: saying for saying in by_day[day]}
        reigned = [entry.version for entry in entries if end is None or entry.recorded_at < end]
        version = next((version for version in reversed(reigned) if version in spoke), None)
        if version is not None:
            found.append(spoke[version])
    return tuple(found)


def _newest(db: Connection, slot: Slot, entries: Sequence[Champion], label: str) -> dt.date | None:
    versions = {entry.version for entry in entries[-5:]}
    days = [scoreboards.latest_session(db, slot, version) for version in versions]
    heard = [day for day in days if day is not None]
    if not heard:
        return None
    newest = outcomes.newest_session(db, label)
    if newest is not None:
        heard += [outcome.known_on for outcome in outcomes.latest(db, label, since=newest).values()]
    return max(heard)


def _overlap(house: House, label: str) -> dt.timedelta:
    return dt.timedelta(days=2 * label_of(house.catalog, label).horizon + 7)


def _rows(house: House, db: Connection, slot: Slot, label: str, sayings: Sequence[Saying]) -> _Rows:
    family, horizon = house.catalog.family(slot.family), label_of(house.catalog, label).horizon
    known = outcomes.latest(db, label, since=sayings[0].as_of) if sayings else {}
    session: list[int] = []
    words: list[Word] = []
    outcome: list[Outcome | None] = []
    for number, saying in enumerate(sayings):
        said = scoreboards.words(db, slot, saying.version, saying.as_of)
        session += [number] * len(said)
        words += said
        outcome += [known.get((saying.as_of, word.ticker)) for word in said]
    return _Rows(family, horizon, np.array(session, dtype=np.int32), tuple(words), tuple(outcome))


def _document(
    house: House,
    slot: Slot,
    window: str,
    label: str,
    rows: _Rows | None,
    newest: dt.date | None,
    length: dt.timedelta = dt.timedelta(0),
) -> dict[str, Any]:
    family = house.catalog.family(slot.family)
    nothing = Figure(math.nan, math.nan)
    figure, estimate, waiting, lost = nothing, Estimate(math.nan), 0, 0
    if rows is not None and newest is not None:
        inside = np.array([o is not None and newest - length < o.known_on <= newest for o in rows.outcome], dtype=bool)
        figure = _figure(rows.take(inside))
        last = int(rows.session[rows.known].max()) if rows.known.any() else -1
        ahead = rows.take(~rows.known & (rows.session > last))
        waiting, lost = len(ahead.words), int((~rows.known & (rows.session <= last)).sum())
        estimate = _estimate(ahead, rows.take(rows.known))
    return {
        "family": slot.family,
        "config_key": slot.config_key,
        "metric": _metric(family),
        "label": label,
        "window": window,
        "through": None if newest is None else newest.isoformat(),
        "matured": figure.rows,
        "sessions": figure.sessions,
        "value": _number(figure.value),
        "baseline": _number(figure.baseline),
        "interval": _pair(figure.low, figure.high),
        "immature": waiting,
        "estimated": _number(estimate.value),
        "estimated_interval": _pair(estimate.low, estimate.high),
        "unknown": lost,
        "note": _note(figure, label_of(house.catalog, label).horizon),
    }


def _metric(family: Family) -> str:
    if family.classes:
        return "accuracy"
    return "rank_ic" if family.objective == "rank_ic" else "rmse"


def _figure(rows: _Rows) -> Figure:
    match _metric(rows.family):
        case "accuracy":
            return hit_rate(rows.session, rows.hit, rows.happened, horizon=rows.horizon)
        case "rmse":
            return root_error(rows.session, rows.score, rows.happened, horizon=rows.horizon)
    _, ticker = np.unique([word.ticker for word in rows.words], return_inverse=True)
    return rank_correlation(rows.session, ticker, rows.score, rows.happened, horizon=rows.horizon)


def _estimate(ahead: _Rows, past: _Rows) -> Estimate:
    if _metric(ahead.family) != "accuracy" or not np.isfinite(ahead.probability).all():
        return Estimate(math.nan)  # a value says nothing of how far off it will be
    return estimated_hits(
        ahead.session,
        ahead.probability,
        past_session=past.session,
        past_surprise=past.hit - past.probability,
        horizon=ahead.horizon,
    )


def _note(figure: Figure, horizon: int) -> str:
    if figure.rows == 0:
        return "nothing has matured in this window"
    if not math.isfinite(figure.value):
        return f"no session with {SMALL_UNIVERSE} tickers: nothing to order"
    least = least_terms(horizon)
    if not math.isfinite(figure.low):
        return f"too few sessions for an interval: {figure.sessions}, at least {least} are needed"
    return ""


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(low: float, high: float) -> list[float] | None:
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None
