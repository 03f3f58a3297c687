"""Finds learners and procedures that know what they should not, by asking them again about an altered future.

Nothing is read of their code or names. A learner is fitted and asked several times; what it says of a row may depend on
the rows that it was fitted on and on features up to the row's session, so the answers must not move when labels of the
rows asked about, later rows, or what other learners have seen, are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import FailedError, UsageError
from marketloop.core.past import Past
from marketloop.core.values import Matrix
from marketloop.evaluation.nomination import named, shaped_output

__all__ = ["Duplicate", "Suspicion", "check_duplicates", "check_learner", "check_pipeline"]

Array = NDArray[np.float64]
UNKNOWN: Final = np.iinfo(np.int32).max
SAME: Final = 1e-4
"""Share of the standard deviation of all scores by which an honest answer may move: rounding in float32 and BLAS."""
TRAIN_SHARE: Final = 0.6
POISON_TIMES: Final = 3
LEAST_ROWS: Final = 50
ELSEWHERE: Final = 20_000
"""Sessions from here to where nobody has been: further than any table reaches."""
LEAST_RELATION, LEAST_CERTAINTY, ALIKE = 0.25, 5.0, 3.0
"""A correlation that no honest knowledge has with what comes later, in standard errors; tickers move by threes."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What moved an answer that must not move it, and by how much.

    `what` is ``batch`` (other rows asked about), ``labels`` (of the rows asked about), ``memory`` (what was fitted or
    asked before), ``views`` (memory around the rows given), ``seed`` (nothing at all), ``table`` (where the rows stand:
    their outcomes are looked up) or ``future`` (a procedure: what was known later); `share` the largest move in
    standard deviations of the scores.
    """

    what: str
    session: int | None
    share: float
    detail: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row whose features are those of another row in another session."""

    session: int
    ticker: str
    other_session: int
    other_ticker: str


def check_learner(
    recipe: Recipe, matrix: Matrix, *, params: Mapping[str, Any] | None = None, seed: int = 0, cuts: int = 6
) -> tuple[Suspicion, ...]:
    """Check that what a learner says of a row depends on its training rows and on nothing later than the row.

    Parameters
    ----------
    matrix : Matrix
        Labelled rows of at least 20 sessions; the first 60 % of the sessions are learned from, the rest is asked about.
    params : mapping, optional
        The recipe's defaults when left out.
    cuts : int
        Sessions after which rows asked about are taken away or altered.

    Returns
    -------
    tuple of Suspicion
        At most one for each thing that moves an answer; empty for an honest learner.

    Raises
    ------
    UsageError
        There are too few labelled rows.
    """
    case = _Case.of(recipe, matrix, dict(recipe.defaults if params is None else params), seed)
    learner = case.fitted(_detached(case.train))
    base = case.ask(learner, case.batch)
    found: dict[str, Suspicion] = {}
    for suspicion in (
        *_by_labels(case, learner, base),
        *_by_batch(case, learner, base, cuts),
        *_by_views(case, learner, base),
        *_by_place(case, learner, base),
        *_by_memory(case, learner, base),
    ):
        found.setdefault(suspicion.what, suspicion)
    return tuple(found.values())


def check_pipeline(
    run: Callable[[Matrix], Array], matrix: Matrix, *, cuts: int = 60, seed: int = 0
) -> tuple[Suspicion, ...]:
    """Check that a procedure scores no row with what was known after the row's session.

    Parameters
    ----------
    run : function (matrix) -> (n,) scores, NaN for none
    cuts : int
        Sessions c after which features, and labels known later than c, are others; no score up to c may move. Cuts lie
        evenly over the sessions that are scored, so a leak that shows in a few sessions of each block is met.

    Raises
    ------
    UsageError
        `run` gives no score at all, or not one per row.
    """
    base = _scores(run, matrix)
    scored = np.unique(matrix.session[np.isfinite(base)])
    if len(scored) < 3:
        raise UsageError(f"the procedure scores {len(scored)} sessions: expected at least 3 to check it for leaks")
    spread = float(np.nanstd(base)) or 1.0
    for cut in _in_turn(scored[:-1], cuts, seed):
        for kind, other in (("others", _altered(matrix, cut, seed)), ("taken away", _truncated(matrix, cut))):
            early = matrix.session <= cut
            moved = _gap(_scores(run, other)[: int(early.sum())], base[early]) / spread
            if moved.max(initial=0.0) > SAME:
                at = int(np.argmax(moved))
                session = int(matrix.session[early][at])
                detail = f"scores up to session {cut} move when what is known later is {kind}"
                return (Suspicion("future", session, float(moved[at]), detail),)
    return ()


def check_duplicates(matrix: Matrix) -> tuple[Duplicate, ...]:
    """Find rows whose features repeat those of a row of another session, bit for bit.

    Rows that follow each other within a ticker are no finding (a ticker that does not trade stays as it is), nor are
    rows with fewer than 3 different values.
    """
    values = np.where(np.isnan(matrix.X), np.float32(-1e30), matrix.X) + np.float32(0)  # -0 is 0
    if values.shape[1] < 3:
        return ()
    ordered = np.sort(values, axis=1)
    rich = (np.diff(ordered, axis=1) != 0).sum(axis=1) >= 2
    rows = np.flatnonzero(rich)
    _, group = np.unique(np.ascontiguousarray(values[rows]), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    same = np.flatnonzero(np.diff(group.ravel()[order]) == 0)
    pairs = ((int(rows[order[k]]), int(rows[order[k + 1]])) for k in same)
    return tuple(_duplicate(matrix, a, b) for a, b in pairs if _apart(matrix, a, b))


def _apart(matrix: Matrix, a: int, b: int) -> bool:
    if matrix.session[a] == matrix.session[b]:
        return False
    if matrix.ticker[a] != matrix.ticker[b]:
        return True
    own = matrix.session[matrix.ticker == matrix.ticker[a]]
    first, last = sorted((int(matrix.session[a]), int(matrix.session[b])))
    return bool(((own > first) & (own < last)).any())


def _duplicate(matrix: Matrix, a: int, b: int) -> Duplicate:
    a, b = sorted((a, b), key=lambda row: int(matrix.session[row]), reverse=True)
    tickers = matrix.tickers
    return Duplicate(
        int(matrix.session[a]), tickers[matrix.ticker[a]], int(matrix.session[b]), tickers[matrix.ticker[b]]
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """Rows to learn from and rows to ask about, both views of `whole`, which holds nothing unlabelled."""

    recipe: Recipe
    params: Mapping[str, Any]
    seed: int
    whole: Matrix
    train: Matrix
    batch: Matrix

    @classmethod
    def of(cls, recipe: Recipe, matrix: Matrix, params: Mapping[str, Any], seed: int) -> _Case:
        whole = _detached(matrix.take(np.isfinite(matrix.label) & np.isfinite(matrix.target)))
        sessions = np.unique(whole.session)
        if len(sessions) < 20 or len(whole) < LEAST_ROWS:
            raise UsageError(
                f"{len(whole)} labelled rows in {len(sessions)} sessions: expected at least {LEAST_ROWS} in 20 to "
                f"check the recipe {recipe.name} for leaks"
            )
        start = sessions[int(TRAIN_SHARE * len(sessions))]
        known = int(np.searchsorted(whole.session, start))
        # what is learned from was known before, as in a stream; standing together, so that it is a view
        reach = int((whole.known_on - whole.session).max(initial=0))
        end = int(np.searchsorted(whole.session, start - min(reach, len(sessions) // 4)))
        return cls(recipe, params, seed, whole, whole.take(slice(0, max(end, 1))), whole.take(slice(known, None)))

    def fitted(self, rows: Matrix) -> Learner:
        with named(self.recipe.name):
            return self.recipe.build(self.params, self.seed, 1).fit(rows)

    def ask(self, learner: Learner, rows: Matrix) -> Array:
        with named(self.recipe.name):
            said = np.asarray(learner.predict(_detached(rows)), dtype=np.float64)
        return shaped_output(self.recipe.name, said, rows)

    def compared(self, what: str, base: Array, other: Array, detail: str) -> Iterator[Suspicion]:
        """Yield a suspicion if `other` differs from the first answers of `base`."""
        known = base[np.isfinite(base)]
        spread = (float(known.std()) if len(known) else 0.0) or 1.0
        moved = _gap(other, base[: len(other)]).reshape(len(other), -1).max(axis=1, initial=0.0) / spread
        if moved.max(initial=0.0) > SAME:
            at = int(np.argmax(moved))
            yield Suspicion(what, int(self.batch.session[at]), float(moved[at]), detail)


def _by_labels(case: _Case, learner: Learner, base: Array) -> Iterator[Suspicion]:
    batch, none = case.batch, np.full(len(case.batch), np.nan, dtype=np.float32)
    known = np.full(len(batch), UNKNOWN, dtype=np.int32)
    late = np.asarray(batch.known_on + 3 + batch.ticker % 5, dtype=np.int32)
    others = (
        (_relabelled(batch), "when labels of the rows asked about are others"),
        (replace(batch, label=none, target=none, known_on=known), "when nothing is known of the rows asked about"),
        (replace(batch, known_on=late, weight=batch.weight * 0 + 1), "when labels are known at another time"),
    )
    for rows, detail in others:
        yield from case.compared("labels", base, case.ask(learner, rows), detail)


def _by_batch(case: _Case, learner: Learner, base: Array, cuts: int) -> Iterator[Suspicion]:
    batch = case.batch
    sessions = np.unique(batch.session)
    for cut in sessions[np.unique(np.linspace(0, len(sessions) - 2, cuts).astype(int))]:
        rows = int(np.searchsorted(batch.session, cut, side="right"))
        alone = case.ask(learner, batch.take(slice(0, rows)))
        yield from case.compared("batch", base, alone, f"when rows after session {cut} are not asked about")
        other = case.ask(learner, _altered(batch, int(cut), case.seed))[:rows]
        yield from case.compared("batch", base, other, f"when features after session {cut} are others")


def _by_views(case: _Case, learner: Learner, base: Array) -> Iterator[Suspicion]:
    told = np.asarray(learner.predict(case.batch), dtype=np.float64)
    yield from case.compared("views", base, told, "when the rows asked about are a view of all rows")
    told = case.ask(case.fitted(case.train), case.batch)
    yield from case.compared("views", base, told, "when the training rows are a view of all rows")


def _by_place(case: _Case, learner: Learner, base: Array) -> Iterator[Suspicion]:
    """Ask about the same rows in sessions and under names that no table holds: what is missing must not be outcomes."""
    batch = case.batch
    past = batch.past
    known = np.where(batch.known_on < UNKNOWN, batch.known_on + ELSEWHERE, UNKNOWN)
    away = replace(
        batch,
        session=batch.session + np.int32(ELSEWHERE),
        known_on=known.astype(np.int32),
        tickers=tuple(f"?{at:06d}" for at in range(len(batch.tickers))),
        past=None if past is None else replace(past, session=past.session + np.int32(ELSEWHERE)),
    )
    try:
        told = case.ask(learner, away)
    except FailedError:  # an honest table of tickers may refuse a name that it does not know
        return
    relation = _relation(batch, (base - told).reshape(len(batch), -1))
    if relation:
        detail = (
            "when the rows asked about stand where nobody has been, and the difference goes with what came later "
            f"(correlation {relation:.2f})"
        )
        yield from case.compared("table", base, told, detail)


def _relation(batch: Matrix, extra: Array) -> float:
    """Return the largest certain correlation of a column of `extra` with the outcomes, 0 if there is none."""
    reach = max(int((batch.known_on - batch.session).max(initial=1)), 1)
    stretches = len(np.unique(batch.session // reach))
    _, code = np.unique(batch.session, return_inverse=True)
    company = max(len(batch) / (code.max() + 1) / ALIKE, 1.0)
    best = 0.0
    for column in np.nan_to_num(extra).T:
        within = _less_mean(code, column), _less_mean(code, batch.target.astype(np.float64))
        together = column, batch.label.astype(np.float64)
        for (x, y), terms in ((within, stretches * company), (together, float(stretches))):
            spread = float(np.std(x) * np.std(y))
            found = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread > 0 else 0.0
            certain = np.arctanh(min(abs(found), 1 - 1e-9)) * np.sqrt(max(terms - 3, 0.0)) >= LEAST_CERTAINTY
            if certain and abs(found) >= max(LEAST_RELATION, abs(best)):
                best = found
    return best


def _less_mean(code: NDArray[np.intp], values: Array) -> Array:
    mean = np.bincount(code, values) / np.bincount(code)
    left: Array = values - mean[code]
    return left


def _by_memory(case: _Case, learner: Learner, base: Array) -> Iterator[Suspicion]:
    again = case.ask(learner, case.batch)
    yield from case.compared("memory", base, again, "when it is asked once more")
    again = case.ask(case.fitted(_detached(case.train)), case.batch)
    yield from case.compared("seed", base, again, "when it is fitted once more on the same rows with the same seed")
    poison = _poison(case.whole)
    other = case.fitted(poison)
    case.ask(other, _altered(poison, int(poison.session[0]) - 1, case.seed))
    again = case.ask(learner, case.batch)
    yield from case.compared("memory", base, again, "after another learner was fitted on other rows")
    again = case.ask(case.fitted(_detached(case.train)), case.batch)
    yield from case.compared("memory", base, again, "when it is fitted again after another learner was")


def _poison(whole: Matrix) -> Matrix:
    """Return more rows than there are, with the same features and other outcomes, in the same sessions and later."""
    turned = _relabelled(whole)
    span = int(whole.session[-1] - whole.session[0]) + 50
    parts = [
        replace(
            turned,
            session=turned.session + span * k,
            known_on=np.where(turned.known_on < UNKNOWN, turned.known_on + span * k, UNKNOWN),
        )
        for k in range(POISON_TIMES)
    ]
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]).astype(getattr(whole, name).dtype, copy=False)
        for name in _row_fields(whole)
    }
    sessions, counts = np.unique(rows["session"], return_counts=True)
    return replace(
        whole,
        **rows,
        missing=np.zeros((len(sessions), len(whole.names)), dtype=np.float32),
        missing_sessions=sessions.astype(np.int32),
        missing_rows=counts.astype(np.int32),
        past=None if whole.past is None else Past(rows["X"], rows["session"], rows["ticker"]),
    )


def _relabelled(matrix: Matrix) -> Matrix:
    """Turn every label round: classes from the other end, values by sign and size."""
    turned = np.float32(len(matrix.classes) - 1) - matrix.label
    label = turned if matrix.classes else np.float32(-1.5) * matrix.label + np.float32(0.01)
    return replace(matrix, label=label, target=-matrix.target)


def _altered(matrix: Matrix, cut: int, seed: int) -> Matrix:
    """Give every row after session `cut` other features, and every label known after it another value."""
    rng = np.random.default_rng([seed, cut + 1])
    later = np.flatnonzero(matrix.session > cut)
    open_ = np.flatnonzero(matrix.known_on > cut)
    other = _relabelled(matrix)
    label, target = matrix.label.copy(), matrix.target.copy()
    label[open_], target[open_] = other.label[open_], other.target[open_]
    X = _mixed(matrix.X, later, rng)
    ranks = matrix.ranks
    if ranks is not None and len(later):
        ranks = ranks.copy()
        ranks[later] = ranks[rng.permutation(later)]
    past = matrix.past
    if past is not None:
        past = replace(past, X=_mixed(past.X, np.flatnonzero(past.session > cut), rng))
    return replace(matrix, X=X, label=label, target=target, ranks=ranks, past=past)


def _mixed(X: NDArray[np.float32], later: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
    """Let the rows `later` trade places and stretch each of their features."""
    X = X.copy()
    if len(later):
        X[later] = X[rng.permutation(later)] * np.asarray(rng.uniform(1.2, 2.5, X.shape[1]), dtype=np.float32)
    return X


def _truncated(matrix: Matrix, cut: int) -> Matrix:
    """Leave what there was at the close of session `cut`."""
    rows = _detached(matrix.take(matrix.session <= cut))
    unknown = rows.known_on > cut
    none = np.float32(np.nan)
    return replace(
        rows,
        label=np.where(unknown, none, rows.label),
        target=np.where(unknown, none, rows.target),
        known_on=np.where(unknown, UNKNOWN, rows.known_on).astype(np.int32),
    )


def _detached(matrix: Matrix) -> Matrix:
    """Return the same rows in memory of their own, with nothing around them."""
    past = None if matrix.past is None else matrix.past.around(matrix.session, matrix.ticker)
    return replace(matrix, past=past, **{name: getattr(matrix, name).copy() for name in _row_fields(matrix)})


def _row_fields(matrix: Matrix) -> list[str]:
    """Return the names of the arrays that have one entry per row."""
    names = ("X", "session", "ticker", "label", "target", "known_on", "weight", "ranks")
    return [f.name for f in fields(matrix) if f.name in names and getattr(matrix, f.name) is not None]


def _scores(run: Callable[[Matrix], Array], matrix: Matrix) -> Array:
    scores = np.asarray(run(matrix), dtype=np.float64)
    if scores.shape != (len(matrix),):
        raise UsageError(f"the procedure gave scores of shape {scores.shape}: expected one per row ({len(matrix)})")
    return scores


def _gap(other: Array, base: Array) -> Array:
    """Return by how much answers differ; infinitely where only one of them is there."""
    absent = np.isnan(other) != np.isnan(base)
    gap: Array = np.where(absent, np.inf, np.nan_to_num(np.abs(other - base), nan=0.0, posinf=np.inf))
    return gap


def _in_turn(sessions: NDArray[np.int32], cuts: int, seed: int) -> list[int]:
    """Return `cuts` sessions, evenly spread and in random order, so that a leak everywhere is met at once."""
    chosen = sessions[np.unique(np.linspace(0, len(sessions) - 1, cuts).astype(int))]
    return [int(session) for session in np.random.default_rng(seed).permutation(chosen)]
