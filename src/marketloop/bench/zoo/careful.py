"""Procedures that look like the careless ones and fit everything inside the fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy.spatial import KDTree

from marketloop.bench.zoo.ingredients import Draft, draft
from marketloop.bench.zoo.linear import Floats, State, learned, ridge, scale, standard, told
from marketloop.bench.zoo.specimen import PipelinePlant
from marketloop.bench.zoo.walking import Run, blocks, known, walk
from marketloop.core.values import Matrix

__all__ = ["careful_pipelines"]


def careful_pipelines() -> Iterator[Draft]:
    """Yield honest procedures."""
    groups = (
        ("splitter", _splitters),
        ("scaler", _scalers),
        ("selector", _selectors),
        ("calibrator", _calibrators),
        ("duplicates", _duplicates),
    )
    for kind, group in groups:
        for run, note in group():
            yield draft(kind, 0.0, PipelinePlant(run), note)


Found = Iterator[tuple[Run, str]]


def _tuned(train: Matrix) -> State:
    """Choose the penalty on the newest fifth of the training sessions, by models of what was known before it."""
    start = int(np.quantile(np.unique(train.session), 0.8))
    head, tail = train.take(train.known_on < start), train.take(train.session >= start)
    gains = {p: float(told(learned(head, penalty=p), tail) @ tail.target) for p in (0.02, 1.0, 50.0)}
    return learned(train, penalty=max(gains, key=lambda p: gains[p]))


def _random_inside(train: Matrix) -> State:
    """Choose the penalty on random sessions of the training rows: hopeful, but of the past."""
    fold = train.session * 7919 % 101 % 5
    rest, test = train.take(fold != 0), train.take(fold == 0)
    gains = {p: float(told(learned(rest, penalty=p), test) @ test.target) for p in (0.1, 10.0)}
    return learned(train, penalty=max(gains, key=lambda p: gains[p]))


def _splitters() -> Found:
    yield walk, "a purged walk"
    yield lambda matrix: walk(matrix, length=21), "a purged walk in shorter blocks"
    yield lambda matrix: walk(matrix, rows=lambda m, s: known(m, s - 10)), "with an embargo of ten sessions"
    yield lambda matrix: walk(matrix, rows=lambda m, s: known(m, s) & (m.session > s - 252)), "over a rolling window"
    yield lambda matrix: walk(matrix, _tuned), "with a penalty chosen on a purged tail"
    yield lambda matrix: walk(matrix, _random_inside), "with a penalty chosen on random sessions of the past"
    yield (
        lambda matrix: walk(matrix, rows=lambda m, s: known(m, s) & (m.ticker % 2 == 0)),
        "learned from half the tickers",
    )
    yield _rule, "a rule that learns nothing: yesterday's losers"
    yield _dice, "scores drawn by session and ticker"


def _rule(matrix: Matrix) -> Floats:
    return -matrix.X[:, 0].astype(np.float64)


def _dice(matrix: Matrix) -> Floats:
    mixed = (matrix.session.astype(np.int64) * 1_000_003 + matrix.ticker * 7919) % 10_007
    return mixed / 10_007 - 0.5


def _rotated(train: Matrix) -> State:
    state = learned(train)
    Z = standard(train.X, state["centre"], state["spread"])
    axes = np.linalg.eigh(Z.T @ Z)[1][:, -5:]
    return state | {"weights": axes @ ridge(Z @ axes, train.target.astype(np.float64))}


def _by_session(matrix: Matrix) -> Floats:
    """Standardise the scores within each session."""
    score = walk(matrix)
    _, place = np.unique(matrix.session, return_inverse=True)
    count = np.bincount(place)
    mean = np.bincount(place, score) / count
    spread = np.sqrt(np.bincount(place, (score - mean[place]) ** 2) / count)
    scaled: Floats = (score - mean[place]) / np.where(spread > 0, spread, 1.0)[place]
    return scaled


def _ranked(matrix: Matrix) -> Floats:
    return walk(replace(matrix, X=_session_ranks(matrix)))


def _session_ranks(matrix: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Rank each feature within its session from `X` itself, not from the ranks that came along."""
    out = np.zeros_like(matrix.X)
    edges = [0, *(np.flatnonzero(np.diff(matrix.session)) + 1), len(matrix)]
    for first, last in pairwise(edges):
        order = np.argsort(np.argsort(matrix.X[first:last], axis=0, kind="stable"), axis=0)
        out[first:last] = order / max(last - first - 1, 1) - 0.5
    return out


def _encoded(train: Matrix) -> State:
    size = len(train.tickers)
    means = np.bincount(train.ticker, train.target, size) / (np.bincount(train.ticker, minlength=size) + 100)
    return learned(train) | {"means": means}


def _with_means(state: State, rows: Matrix) -> Floats:
    scores: Floats = told(state, rows) + state["means"][rows.ticker]
    return scores


def _scalers() -> Found:
    yield lambda matrix: walk(matrix, _rotated), "principal components of the training rows"
    yield _by_session, "scores standardised within their session"
    yield _ranked, "features as ranks within their session"
    yield lambda matrix: walk(matrix, _encoded, _with_means), "mean outcome of each ticker in the training rows"
    yield _against_last_block, "scores in units of the block before"


def _against_last_block(matrix: Matrix) -> Floats:
    score = walk(matrix)
    out, before = np.full(len(matrix), np.nan), 1.0
    for _, inside in blocks(matrix):
        out[inside] = score[inside] / before
        before = float(np.std(score[inside])) or 1.0
    return out


def _selected(train: Matrix) -> State:
    state = learned(train)
    strength = np.abs(state["weights"])
    return state | {"weights": np.where(strength >= np.sort(strength)[-4], state["weights"], 0.0)}


def _first_year(matrix: Matrix) -> Floats:
    """Choose four features once, on what was known before the first block, and keep to them."""
    parts = blocks(matrix)
    if not parts:
        return np.full(len(matrix), np.nan)
    old = matrix.take(known(matrix, parts[0][0]))
    strength = np.abs(learned(old)["weights"])
    chosen = np.sort(np.argsort(-strength, kind="stable")[:4])
    return walk(matrix.select([matrix.names[k] for k in chosen]))


def _lively(train: Matrix) -> State:
    state, third = learned(train), len(train) // 3
    change = scale(train.X[-third:])[1] / scale(train.X[:third])[1]
    return state | {"weights": np.where(change >= np.sort(change)[-8], state["weights"], 0.0)}


def _selectors() -> Found:
    yield lambda matrix: walk(matrix, _selected), "the four strongest features of the training rows"
    yield _first_year, "four features chosen once, before the first block"
    yield lambda matrix: walk(matrix, _lively), "the features that vary more at the end of the training rows"
    yield lambda matrix: walk(matrix.select(matrix.names[:5])), "five features chosen by hand"


def _sloped(matrix: Matrix) -> Floats:
    """Scale each block by the slope over the blocks whose outcomes were known before it."""
    return _earlier(matrix, lambda score, value: float(score @ value / (score @ score + 1e-12)))


def _signed(matrix: Matrix) -> Floats:
    """Turn a block round if the blocks known before it did badly together."""
    return _earlier(matrix, lambda score, value: float(np.sign(score @ value) or 1.0))


def _earlier(matrix: Matrix, factor: Callable[[Floats, Floats], float]) -> Floats:
    score = walk(matrix)
    out = np.full(len(matrix), np.nan)
    for start, inside in blocks(matrix):
        past = known(matrix, start) & np.isfinite(score)
        scale_by = factor(score[past], matrix.target[past].astype(np.float64)) if past.any() else 1.0
        out[inside] = score[inside] * scale_by
    return out


def _binned(train: Matrix) -> State:
    state = learned(train)
    score = told(state, train)
    edges = np.quantile(score, np.linspace(0.1, 0.9, 9))
    bins = np.searchsorted(edges, score)
    means = np.bincount(bins, train.target, 10) / np.bincount(bins, minlength=10).clip(1)
    return state | {"edges": edges, "means": means}


def _looked_up(state: State, rows: Matrix) -> Floats:
    values: Floats = state["means"][np.searchsorted(state["edges"], told(state, rows))]
    return values


def _patient(matrix: Matrix) -> Floats:
    """Add to each score what the ticker's score was in its last session."""
    score = walk(matrix)
    before = np.zeros(len(matrix))
    for ticker in np.unique(matrix.ticker):
        at = np.flatnonzero(matrix.ticker == ticker)
        before[at[1:]] = np.nan_to_num(score[at[:-1]])
    return score + 0.3 * before


def _calibrators() -> Found:
    yield _sloped, "a slope of outcomes on scores, of the blocks known before"
    yield _signed, "turned round if the blocks known before did badly"
    yield lambda matrix: walk(matrix, _binned, _looked_up), "mean outcomes of deciles of the training rows"
    yield _patient, "a part of the ticker's last score"


def _repeated(train: Matrix) -> State:
    return learned(train.take(np.arange(len(train)).repeat(2)))


def _kept(train: Matrix) -> State:
    state = learned(train)
    rows = train.take(np.arange(0, len(train), 5))
    points = standard(rows.X[:, :5], state["centre"][:5], state["spread"][:5])
    return state | {"points": points, "values": rows.target.astype(np.float64)}


def _recalled(state: State, rows: Matrix) -> Floats:
    Z = standard(rows.X[:, :5], state["centre"][:5], state["spread"][:5])
    values: Floats = state["values"][KDTree(state["points"]).query(Z, k=15)[1]].mean(axis=1)
    return values


def _duplicates() -> Found:
    yield lambda matrix: walk(matrix, _repeated), "every training row taken twice"
    yield lambda matrix: walk(matrix, _kept, _recalled), "nearest rows of the training rows"
    yield _resampled, "a mean over seeded resamples of the training rows"


def _resampled(matrix: Matrix) -> Floats:
    def teach(train: Matrix) -> State:
        rng = np.random.default_rng(12)
        states = [learned(train.take(rng.integers(0, len(train), len(train)))) for _ in range(3)]
        plain = learned(train)
        slopes = np.mean([state["weights"] / state["spread"] for state in states], axis=0)
        return plain | {"weights": slopes * plain["spread"]}

    return walk(matrix, teach)
