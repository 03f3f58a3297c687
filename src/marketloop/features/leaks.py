"""Finds features that see the future, by computing them again from less: no name is ever looked at.

Five questions. Does a value at or before t change when everything after t is taken away, bars, tickers and context
alike? Do the last ``lookback + 1`` bars give the value at t? Does a value move when sessions outside its look-back are
others (`sweeps`)? Decades before anything was known, does the value still depend on what the ticker is called? And does
what a feature adds to what the bars say go with what came later (`elsewhere`)?
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import BoolArray, Context, FloatArray
from marketloop.features.context import known_by
from marketloop.features.elsewhere import facts_of_names, kept_answers, looked_up
from marketloop.features.engine import check_features, roots
from marketloop.features.evidence import Case, Leak, LeakReport, RowArray, make_case, whole_case
from marketloop.features.panel import BAR, TICKER, numbered
from marketloop.features.sweeps import Group, sweep

__all__ = ["check_leaks", "check_whole"]

SAME = 1e-9
"""Truncation repeats the very same arithmetic."""

FORGOTTEN = 1e-5
"""Share of ``max(|value|, sd)`` up to which a recursion may remember its start (declared lengths hold 1e-6)."""

EFFORT = 600
"""Computations with some sessions changed."""

WHOLE_CUTS = 5
"""Sessions at which a whole history is cut, one of each weekday."""

AGO = dt.timedelta(weeks=2600)
"""Long before any source of data."""


def check_leaks(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    context: Context | None = None,
    *,
    cuts: int = 24,
    thorough: bool = True,
    seed: int = 0,
) -> LeakReport:
    """Check that no feature sees the future and that each look-back is honest.

    Parameters
    ----------
    bars : frame of `BAR_SCHEMA`
        Some tickers of it are examined, 24 to 50 by the length of the history, drawn by `seed`.
    features : sequence of Feature
    context : Context, optional
    cuts : int
        Sessions at which history is cut: the last five and others drawn from all weekdays.
    thorough : bool
        One feature with a look-back below 300 is questioned in every session; many look-backs share the same effort
        and are questioned in a part of the sessions, drawn by `seed`. False is quicker: a tenth of the effort, and no
        search for memories and tables, which expressions do not have.
    seed : int

    Returns
    -------
    LeakReport
        At most one leak per feature and kind.

    Raises
    ------
    UsageError
        A feature cannot be computed at all; the feature and the cause are named.

    Notes
    -----
    What a function looks up under its right date cannot be taken away from it. It is found where it goes with later
    returns more closely than any honest knowledge does, not where it is merely corrected or says nothing of them.
    """
    check_features(features)
    case = make_case(bars, features, context or Context.empty(), seed)
    bare = [_unmasked(f) for f in features]
    unmasked = replace(case, values=case.compute(case.bars, bare, case.context))
    return _reported(
        features,
        (
            *_undated(case, features),
            *_future(unmasked, bare, _cut_sessions(case, cuts, seed)),
            *_warm_up(unmasked, features, bare),
            *_lookback(case, features, cuts, seed),
            *_swept(case, features, EFFORT if thorough else EFFORT // 10, seed),
            *(_looked_up(case, features, _cut_sessions(case, cuts, seed), seed) if thorough else ()),
        ),
    )


def check_whole(
    bars: pl.DataFrame, features: Sequence[Feature], context: Context | None = None, *, seed: int = 0
) -> LeakReport:
    """Check on every row that no value changes when what comes after is taken away, or when nobody knows its ticker.

    `check_leaks` questions a sample closely. What concerns tickers or years outside it, or depends on how long the
    history is, shows only here.

    Parameters
    ----------
    bars : frame of `BAR_SCHEMA`
    features : sequence of Feature
    context : Context, optional
    seed : int
        Draws the sessions, one of each weekday, spread over the history; its first session and the last of each
        warm-up come on top.

    Returns
    -------
    LeakReport
        At most one leak per feature and kind.

    Raises
    ------
    UsageError
        A feature cannot be computed at all; the feature and the cause are named.
    """
    check_features(features)
    if not features:
        return LeakReport(0, ())
    bare = [_unmasked(f) for f in features]
    case = whole_case(bars, bare, context or Context.empty())
    return _reported(
        features,
        (*_undated(case, bare), *_future(case, bare, _spread_sessions(case, seed)), *_warm_up(case, features, bare)),
    )


def _reported(features: Sequence[Feature], leaks: Iterable[Leak]) -> LeakReport:
    """Keep the earliest leak of each feature and kind, in the order of the features."""
    found: dict[tuple[str, str], Leak] = {}
    for leak in leaks:
        known = found.get((leak.feature, leak.kind))
        if known is None or leak.first_session < known.first_session:
            found[leak.feature, leak.kind] = leak
    order = {f.name: at for at, f in enumerate(features)}
    return LeakReport(len(features), tuple(sorted(found.values(), key=lambda k: (order[k.feature], k.kind))))


def _unmasked(feature: Feature) -> Feature:
    """Return an expression without the mask of its warm-up: a back-filled gap would hide behind it."""
    return replace(feature, lookback=0) if isinstance(feature.expr, pl.Expr) else feature


def _spread_sessions(case: Case, seed: int) -> list[dt.date]:
    """Choose one session of each weekday: the last but one, and one in each further part of the history."""
    sessions = case.bars["date"].unique().sort()
    if len(sessions) <= 10 * WHOLE_CUTS:
        return sessions.gather_every(10).to_list()
    rng = np.random.default_rng([seed, 3])
    chosen = [sessions[-2]]
    for part in range(WHOLE_CUTS - 1):
        free = {day.weekday() for day in chosen}
        start, end = ((at * len(sessions)) // (WHOLE_CUTS - 1) for at in (part, part + 1))
        within = [day for day in sessions[start : end - 2].to_list() if day.weekday() not in free]
        if within:
            chosen.append(within[int(rng.integers(len(within)))])
    return chosen


def _cut_sessions(case: Case, cuts: int, seed: int) -> list[dt.date]:
    """Choose sessions to cut at: the five before the last, some before a listing, the rest at random, mostly late."""
    sessions = case.bars["date"].unique().sort()
    if len(sessions) <= max(cuts, 20):
        return sessions.to_list()
    rng = np.random.default_rng(seed)
    last = np.arange(len(sessions) - 6, len(sessions) - 1)
    warm = np.arange(min(272, len(sessions) // 2), len(sessions) - 6)
    early = np.arange(1, warm[0])
    listed = np.flatnonzero(sessions.is_in(case.bars.filter(col(BAR) == 0)["date"].implode()).to_numpy())[1:]
    before = rng.choice(listed, min(3, len(listed)), replace=False) - 1
    few, many = max(cuts // 6, 1), max(cuts - len(last) - cuts // 6, 1)
    drawn = np.concatenate([before, rng.choice(early, few), rng.choice(warm, many), last])
    return [sessions[int(at)] for at in np.unique(drawn)]


def _warm_up(case: Case, features: Sequence[Feature], bare: Sequence[Feature]) -> Iterator[Leak]:
    """Cut each feature on its first session and on the last of its warm-up: what fills that from behind shows there."""
    sessions = case.bars["date"].unique().sort()
    for lookback in sorted({f.lookback for f in features if f.lookback > 0}):
        chosen = [b for f, b in zip(features, bare, strict=True) if f.lookback == lookback]
        last = sessions[min(lookback, len(sessions)) - 1]
        yield from _future(case, chosen, [sessions[0], last])


def _future(case: Case, features: Sequence[Feature], ends: Sequence[dt.date]) -> Iterator[Leak]:
    """Take away everything after t; nothing at or before t may change."""
    suspects = list(features)
    for end in ends:
        past = (case.bars["date"] <= end).to_numpy()
        rows = np.flatnonzero(past)
        part = _computed(case, numbered(case.bars.filter(past)), suspects, known_by(case.context, end))
        for feature in list(suspects):
            if feature.name not in part:
                if len(rows) > len(case.bars) / 4:
                    why = f"and cannot be computed when everything after {end} is taken away"
                    yield case.leak(feature, "future", int(rows[-1]), float("nan"), why)
                    suspects.remove(feature)
                continue
            wrong = case.differs(feature.name, case.values[feature.name][rows], part[feature.name], SAME)
            if wrong.any():
                at = case.earliest(rows, wrong)
                why = f"when everything after {end} is taken away"
                yield case.leak(feature, "future", int(rows[at]), float(part[feature.name][at]), why)
                suspects.remove(feature)


def _computed(case: Case, bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> dict[str, FloatArray]:
    """Compute what can be computed on `bars`; a feature that fails on them has no entry."""
    if not features:
        return {}
    try:
        return case.compute(bars, features, context)
    except UsageError:
        if len(features) == 1:
            return {}
        return {name: values for f in features for name, values in _computed(case, bars, [f], context).items()}


def _lookback(case: Case, features: Sequence[Feature], cuts: int, seed: int) -> Iterator[Leak]:
    """Leave only the last look-back + 1 bars of each ticker; the value at t must be the same."""
    ends = _cut_sessions(case, cuts, seed + 1)
    for lookback in sorted({f.lookback for f in features}):
        chosen = [f for f in features if f.lookback == lookback]
        own = [f for f in chosen if _is_own(f)]
        together = [f for f in chosen if not _is_own(f)]
        if own:
            yield from _compare_windows(case, own, ends, Context.empty())
        for end in ends[:: max(len(ends) // 8, 1)]:
            for group, sessions in ((_by_session(together), lookback + 1), (_by_bar(together), None)):
                if group:
                    yield from _compare_windows(case, group, [end], known_by(case.context, end, sessions))


def _by_session(features: list[Feature]) -> list[Feature]:
    """Select the features whose look-back counts sessions of the context."""
    return [f for f in features if f.over in {"market", "universe"} or f.source == "sector"]


def _by_bar(features: list[Feature]) -> list[Feature]:
    """Select the features whose look-back counts bars: they read the context at these bars, over a gap or not."""
    counted = {f.name for f in _by_session(features)}
    return [f for f in features if f.name not in counted]


def _is_own(feature: Feature) -> bool:
    """Whether a feature is an expression over the bars of one ticker, whatever its name and the other tickers."""
    if not isinstance(feature.expr, pl.Expr) or feature.over != "ticker":
        return False
    return roots(feature) - set(feature.shared) <= set(BAR_SCHEMA) - {"date", "ticker"}


def _compare_windows(case: Case, features: list[Feature], ends: list[dt.date], context: Context) -> Iterator[Leak]:
    lookback = features[0].lookback
    parts = [_last_bars(case, lookback, end) for end in ends]
    first, last, hit = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not hit.any():
        return
    window, end = _window(case, first, last)
    rows, targets = last[hit], end[hit]
    for feature in features:
        try:
            part = case.compute(window, [feature], context)[feature.name][targets]
        except UsageError as error:
            yield case.leak(feature, "lookback", int(rows[0]), np.nan, f"from its last {lookback + 1} bars ({error})")
            continue
        wrong = case.differs(feature.name, case.values[feature.name][rows], part, _tolerance(feature, int(hit.sum())))
        if wrong.any() and not _is_own(feature) and len(ends) == 1:
            wrong &= _differs_in_full_sessions(case, feature, (first, last, hit), wrong, context)
        if wrong.any():
            at = case.earliest(rows, wrong)
            why = f"from the last {lookback + 1} bars, which its look-back declares enough"
            yield case.leak(feature, "lookback", int(rows[at]), float(part[at]), why)


def _window(case: Case, first: RowArray, last: RowArray) -> tuple[pl.DataFrame, RowArray]:
    """Return the rows from each of `first` to each of `last`, each stretch as a ticker, and where the stretches end."""
    length = last - first + 1
    starts = np.cumsum(length) - length
    bar = np.arange(length.sum()) - np.repeat(starts, length)
    number = np.repeat(np.arange(len(length), dtype=np.uint32), length)
    window = case.bars[np.repeat(first, length) + bar].with_columns(
        pl.Series(TICKER, number).set_sorted(), pl.Series(BAR, bar.astype(np.int32))
    )
    return window, starts + length - 1


def _differs_in_full_sessions(
    case: Case, feature: Feature, bars: tuple[RowArray, RowArray, BoolArray], wrong: BoolArray, context: Context
) -> BoolArray:
    """Ask those that are `wrong` again, with the bars that others have in the sessions of its own last bars.

    The bars of a ticker that missed sessions reach back further than those of the others: what they say together in
    these sessions is part of its look-back.
    """
    first, last, hit = bars
    days = case.bars["date"].to_physical().to_numpy()
    own = np.flatnonzero(hit)[wrong]
    differs = wrong.copy()
    for ticker, at in zip(own, np.flatnonzero(wrong), strict=True):
        since = [
            max(np.searchsorted(days[low : high + 1], days[first[ticker]], side="right") - 1, 0) + low
            for low, high in zip(last - case.bars[BAR].to_numpy()[last], last, strict=True)
        ]
        wider = np.minimum(first, np.asarray(since))
        if (wider == first).all():
            return differs
        window, end = _window(case, np.where(np.arange(len(first)) == ticker, first, wider), last)
        part = case.compute(window, [feature], context)[feature.name][end[ticker] : end[ticker] + 1]
        whole = case.values[feature.name][last[ticker] : last[ticker] + 1]
        differs[at] = case.differs(feature.name, whole, part, _tolerance(feature, int(hit.sum())))[0]
        if differs[at]:
            return differs
    return differs


def _last_bars(case: Case, lookback: int, end: dt.date) -> tuple[RowArray, RowArray, BoolArray]:
    """Return per ticker the first and last row of its last ``lookback + 1`` bars up to `end`, and if it ends there."""
    starts = np.flatnonzero(case.bars[BAR].to_numpy() == 0)
    past = np.add.reduceat((case.bars["date"] <= end).to_numpy(), starts, dtype=np.int64)
    starts, past = starts[past > 0], past[past > 0]
    last = starts + past - 1
    return np.maximum(starts, last - lookback), last, (case.bars["date"][last] == end).to_numpy()


def _tolerance(feature: Feature, tickers: int) -> float:
    # two values that a recursion leaves a hair apart may change places in a rank
    return FORGOTTEN if feature.over != "session" else 3.0 / max(tickers, 1)


def _swept(case: Case, features: Sequence[Feature], effort: int, seed: int) -> Iterator[Leak]:
    """Change sessions outside the look-backs; features of one look-back are questioned together."""
    groups = []
    for lookback in sorted({f.lookback for f in features}):
        chosen = [f for f in features if f.lookback == lookback]
        groups.append(Group(lookback, tuple(f for f in chosen if _is_own(f)), alone=True))
        groups.append(Group(lookback, tuple(f for f in chosen if not _is_own(f)), alone=False))

    def confirm(feature: Feature, session: dt.date) -> bool:
        sessions = feature.lookback + 1 if _by_session([feature]) else None
        context = Context.empty() if _is_own(feature) else known_by(case.context, session, sessions)
        return any(_compare_windows(case, [feature], [session], context))

    yield from sweep(case, groups, confirm, effort=effort, seed=seed)


def _looked_up(case: Case, features: Sequence[Feature], ends: Sequence[dt.date], seed: int) -> Iterator[Leak]:
    """Ask the features that could hold a table or a memory, at another time and under other names."""
    suspects = [f for f in features if not isinstance(f.expr, pl.Expr) or roots(f) & {"ticker", "date"}]
    functions = [f for f in suspects if not isinstance(f.expr, pl.Expr)]
    yield from kept_answers(case, functions, ends[:: max(len(ends) // 8, 1)])
    yield from looked_up(case, suspects, seed)


def _undated(case: Case, features: Sequence[Feature]) -> Iterator[Leak]:
    """Move everything far into the past and call the tickers otherwise; no value may change."""
    suspects = [f for f in features if not isinstance(f.expr, pl.Expr) or "ticker" in roots(f)]
    if not suspects:
        return
    names = case.bars["ticker"].unique().sort()
    renamed = pl.Series(f"{at:06d}" for at in range(len(names)))
    bars = case.bars.with_columns(col("date") - AGO)
    context = _moved(case.context)
    for feature in suspects:
        try:
            before = case.compute(bars, [feature], context)[feature.name]
            other = bars.with_columns(col("ticker").replace_strict(names, renamed))
            sectors = context.sectors.with_columns(col("ticker").replace(names, renamed))
            after = case.compute(other, [feature], replace(context, sectors=sectors))[feature.name]
        except UsageError:
            continue  # nothing can be said of a feature that finds nothing so long ago
        wrong = case.differs(feature.name, before, after, SAME)
        if wrong.any() and not facts_of_names(case, feature, before, after):
            row = case.earliest(np.arange(len(before)), wrong)
            yield case.leak(feature, "undated", row, float(after[row]), "decades ago, under another name")


def _moved(context: Context) -> Context:
    market = context.market.with_columns(col("date") - AGO)
    return replace(context, market=market, sector_prices=context.sector_prices.with_columns(col("date") - AGO))
