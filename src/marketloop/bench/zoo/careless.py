"""Procedures that fit something outside the fold: splitters, scalers, selectors, calibrators; or learn a row twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from marketloop.bench.zoo.ingredients import Draft, draft
from marketloop.bench.zoo.linear import Floats, State, learned, ridge, scale, standard, told, unit
from marketloop.bench.zoo.specimen import PipelinePlant
from marketloop.bench.zoo.walking import BLOCK, Run, blocks, known, mixed, walk
from marketloop.core.values import Matrix

__all__ = ["careless_pipelines"]

FOLDS = 5


def careless_pipelines() -> Iterator[Draft]:
    """Yield procedures that leak."""
    groups = (
        ("splitter", _splitters),
        ("scaler", _scalers),
        ("selector", _selectors),
        ("calibrator", _calibrators),
        ("duplicates", _duplicates),
    )
    for kind, group in groups:
        for strength, run, note in group():
            yield draft(kind, strength, PipelinePlant(run), note)


Found = Iterator[tuple[float, Run, str]]


def _settled(matrix: Matrix) -> NDArray[np.bool_]:
    return np.isfinite(matrix.target)


def _folded(matrix: Matrix, fold: NDArray[np.integer]) -> Floats:
    """Score each fold by a model of all others."""
    scores = np.full(len(matrix), np.nan)
    for number in np.unique(fold):
        state = learned(matrix.take((fold != number) & _settled(matrix)))
        scores[fold == number] = told(state, matrix.take(fold == number))
    return scores


def _random_rows(matrix: Matrix) -> Floats:
    return _folded(matrix, np.random.default_rng(5).permutation(len(matrix)) % FOLDS)


def _random_sessions(matrix: Matrix) -> Floats:
    return _folded(matrix, matrix.session * 7919 % 101 % FOLDS)


def _unpurged(matrix: Matrix, start: int) -> NDArray[np.bool_]:
    return _settled(matrix) & (matrix.session < start)


def _nearly(matrix: Matrix, start: int) -> NDArray[np.bool_]:
    return _settled(matrix) & (matrix.known_on < start + 3)


def _tuned(matrix: Matrix) -> Floats:
    """Choose each block's penalty by its own outcomes."""
    runs = [walk(matrix, lambda train, p=p: learned(train, penalty=p)) for p in (0.02, 1.0, 50.0)]  # type: ignore[misc]
    scores = np.full(len(matrix), np.nan)
    for _, inside in blocks(matrix):
        value = np.nan_to_num(matrix.target[inside])
        gains = [float(unit(run[inside]) @ value) for run in runs]
        scores[inside] = runs[int(np.argmax(gains))][inside]
    return scores


def _splitters() -> Found:
    yield 1.0, _random_rows, "random folds of rows"
    yield (
        1.0,
        lambda matrix: walk(matrix, rows=_unpurged),
        "blocks in order of time, labels that overlap them not purged",
    )
    yield 1.0, lambda matrix: walk(matrix, rows=_nearly, length=21), "purged three sessions short"
    yield 0.1, mixed(0.1, _random_sessions), "a tenth from random folds of sessions"
    yield 0.01, mixed(0.01, _random_rows), "a hundredth from random folds of rows"
    yield 1.0, _tuned, "the penalty of each block chosen by its own outcomes"
    yield (
        1.0,
        lambda matrix: _folded(matrix, matrix.ticker % FOLDS),
        "folds of tickers: others' futures are learned from",
    )
    yield 0.01, mixed(0.01, lambda matrix: walk(matrix, rows=_unpurged)), "a hundredth without purge"


def _scaled(matrix: Matrix) -> Matrix:
    return replace(matrix, X=standard(matrix.X, *scale(matrix.X)).astype(np.float32))


def _ranked(matrix: Matrix) -> Matrix:
    order = np.argsort(matrix.X, axis=0, kind="stable")
    places = np.empty(matrix.X.shape, dtype=np.float32)
    np.put_along_axis(places, order, np.linspace(-1, 1, len(matrix), dtype=np.float32)[:, None], axis=0)
    return replace(matrix, X=places)


def _rotated(matrix: Matrix) -> Matrix:
    Z = standard(matrix.X, *scale(matrix.X))
    axes = np.linalg.eigh(Z.T @ Z)[1][:, -5:]
    return replace(matrix, X=(Z @ axes @ axes.T).astype(np.float32))


def _ticker_means(matrix: Matrix) -> Floats:
    value = np.nan_to_num(matrix.target).astype(np.float64)
    return (np.bincount(matrix.ticker, value) / np.bincount(matrix.ticker))[matrix.ticker]


def _raw(train: Matrix) -> State:
    """Fit without a scaler of its own: whoever scaled before decides how the penalty bites."""
    k = train.X.shape[1]
    ones = {"centre": np.zeros(k), "spread": np.ones(k), "sd": np.ones(1)}
    weights = ridge(standard(train.X, ones["centre"], ones["spread"]), train.target.astype(np.float64))
    return ones | {"weights": weights}


def _scalers() -> Found:
    yield 1.0, lambda matrix: walk(_scaled(matrix), _raw), "scaled over all rows before the folds"
    yield 1.0, lambda matrix: walk(_ranked(matrix)), "each feature's ranks over all rows"
    yield 0.1, mixed(0.002, lambda matrix: unit(_ticker_means(matrix))), "mean outcome of each ticker over all rows"
    yield 1.0, lambda matrix: unit(walk(matrix)), "scores standardised over all of them: no order changes"
    yield 0.01, mixed(0.01, lambda matrix: walk(_scaled(matrix), _raw)), "a hundredth scaled over all rows"
    yield 1.0, lambda matrix: walk(_rotated(matrix), _raw), "principal components of all rows"


def _strength(matrix: Matrix) -> Floats:
    rows = _settled(matrix)
    Z = standard(matrix.X[rows], *scale(matrix.X[rows]))
    return np.abs(Z.T @ unit(matrix.target[rows].astype(np.float64)))


def _selected(matrix: Matrix, keep: int = 4) -> Floats:
    chosen = np.sort(np.argsort(-_strength(matrix), kind="stable")[:keep])
    return walk(matrix.select([matrix.names[k] for k in chosen]))


def _lively(matrix: Matrix) -> Floats:
    """Keep the features that vary most at the end of the sample against its beginning."""
    third = len(matrix) // 3
    change = scale(matrix.X[-third:])[1] / scale(matrix.X[:third])[1]
    chosen = np.sort(np.argsort(-change, kind="stable")[:8])
    return walk(matrix.select([matrix.names[k] for k in chosen]))


def _window(matrix: Matrix) -> Floats:
    """Choose how much history to learn from by the outcome of all blocks."""

    def since(length: int) -> Floats:
        return walk(matrix, rows=lambda m, start: known(m, start) & (m.session > start - length))

    runs = [since(length) for length in (126, 252, 504)]
    value = np.nan_to_num(matrix.target)
    return runs[int(np.argmax([unit(run) @ value for run in runs]))]


def _selectors() -> Found:
    yield 1.0, _selected, "the four features that suit all labels best, then a clean walk"
    yield 0.01, mixed(0.01, _selected), "a hundredth of it"
    yield 1.0, _lively, "the features that vary more in the end than in the beginning: no label is read"
    yield 0.1, mixed(0.1, lambda matrix: _selected(matrix, 1)), "a tenth of the single best feature of all time"
    yield 1.0, _window, "the length of history that did best over all blocks"


def _binned(matrix: Matrix) -> Floats:
    score = walk(matrix)
    rows = np.isfinite(score) & _settled(matrix)
    edges = np.quantile(score[rows], np.linspace(0.1, 0.9, 9))
    bins = np.searchsorted(edges, score)
    means = np.bincount(bins[rows], matrix.target[rows], 10) / np.bincount(bins[rows], minlength=10).clip(1)
    return np.where(np.isfinite(score), means[bins], np.nan)


def _sloped(matrix: Matrix) -> Floats:
    score = walk(matrix)
    rows = np.isfinite(score) & _settled(matrix)
    slope = float(score[rows] @ matrix.target[rows] / (score[rows] @ score[rows]))
    return score * slope


def _signed(matrix: Matrix) -> Floats:
    score = walk(matrix)
    rows = np.isfinite(score) & _settled(matrix)
    newest = np.flatnonzero(rows)[-int(rows.sum()) // 3 :]
    return score * float(np.sign(score[newest] @ matrix.target[newest]) or 1.0)


def _recentred(matrix: Matrix) -> Floats:
    """Take off the mean score of the session after, as a filter that runs both ways does."""
    score = walk(matrix)
    sessions, place = np.unique(matrix.session, return_inverse=True)
    means = np.bincount(place, np.nan_to_num(score)) / np.bincount(place)
    later = np.append(means[1:], 0.0)[: len(sessions)]
    return score - 0.1 * later[place]


def _calibrators() -> Found:
    yield 1.0, _binned, "mean outcomes of deciles over all blocks"
    yield 0.1, mixed(0.1, _sloped), "a slope of all outcomes on all scores"
    note = "turned round if it did badly in its last third: one bit, seen where later outcomes turn it"
    yield 1.0, _signed, note
    yield 0.1, _recentred, "a tenth of the next session's mean score"
    yield 0.01, mixed(0.01, _binned), "a hundredth from mean outcomes over all blocks"


def _twice(matrix: Matrix) -> Floats:
    """Take every row twice, then cut random folds: a row's copy is in the training of its fold."""
    order = np.random.default_rng(8).permutation(2 * len(matrix)) % FOLDS
    doubled = matrix.take(np.tile(np.arange(len(matrix)), 2))
    scores = _folded(doubled, order)
    return np.asarray(scores[: len(matrix)])


def _jittered(matrix: Matrix) -> Floats:
    """Learn each block from what was known and from jittered copies of the block itself."""
    scores = np.full(len(matrix), np.nan)
    noise = np.random.default_rng(9).normal(1.0, 0.01, matrix.X.shape).astype(np.float32)
    copies = replace(matrix, X=matrix.X * noise)
    for start, inside in blocks(matrix):
        more = copies.take(inside & _settled(matrix))
        train = matrix.take(known(matrix, start))
        joined = replace(train, X=np.vstack([train.X, more.X]), target=np.concatenate([train.target, more.target]))
        scores[inside] = _told_plain(joined, matrix.X[inside])
    return scores


def _told_plain(train: Matrix, X: NDArray[np.float32]) -> Floats:
    centre, spread = scale(train.X)
    weights = ridge(standard(train.X, centre, spread), train.target.astype(np.float64))
    return np.asarray(standard(X, centre, spread) @ weights)


def _nearest(matrix: Matrix, skip: int) -> Floats:
    """Score each row by the outcomes of its nearest rows among all, itself left out where `skip` is 1."""
    Z = standard(matrix.X[:, :5], *scale(matrix.X[: BLOCK * 20, :5]))
    value = np.nan_to_num(matrix.target).astype(np.float64)
    _, found = KDTree(Z).query(Z, k=6)
    return np.asarray(value[np.asarray(found)[:, skip:]].mean(axis=1))


def _duplicates() -> Found:
    yield 1.0, _twice, "every row twice before random folds"
    yield 0.1, mixed(0.1, _jittered), "a tenth learned from jittered copies of the block"
    yield 1.0, lambda matrix: _nearest(matrix, 0), "nearest rows of all, itself among them"
    yield 0.01, mixed(0.01, lambda matrix: 0.1 * _nearest(matrix, 1)), "a hundredth from nearest other rows of all"
