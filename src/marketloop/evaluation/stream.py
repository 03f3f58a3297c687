"""The append-only walk-forward of a recipe: what its models said about sessions that they had not seen.

A stream belongs to one slot (family, configuration) and one complete recipe. Sessions are cut into blocks of R,
anchored to the calendar; the model of a block is made by the complete recipe, nomination included, from rows whose
labels were known before the block began. A score, once written, is never computed again:

    block b-1        block b          block b+1
    [ scored ]       [ scored ]       [ open: scored as sessions arrive ]
    ^ known before   ^ known before   ^ known before: model and nominee are fixed here
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Learner
from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec, feature_names_kept, with_ranks
from marketloop.evaluation.nomination import (
    Contender,
    FoldRecord,
    Span,
    finite_output,
    missing_folds,
    named,
    nominate,
    score_fold,
)
from marketloop.evaluation.persistence import persistence_baseline
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.splits import known_before
from marketloop.labels import Panel

__all__ = [
    "Block",
    "Fitted",
    "Stream",
    "StreamSpec",
    "advance",
    "advance_folds",
    "fit_again",
    "fit_at",
    "fit_nominee",
    "grid_of",
    "scale_of",
    "score_again",
    "score_rows",
]

LEAST_SESSIONS = 250
ENOUGH_ROWS = 10_000
ENOUGH_SESSIONS = 500
PMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The complete recipe of a slot: everything that decides which model a block gets.

    Parameters
    ----------
    family : Family
    contenders : tuple of Contender
        Recipes with their settings, the fallback first; inner purged validation nominates one for each block.
    label : LabelSpec
    feature_set, config_key : str
    block : int
        R, sessions per block.
    validation : int
        Sessions per inner validation fold.
    origin : str
        Hash of whatever else decides: sources of plugins, the way of filling.
    small : bool
        Whether the universe has fewer than 10 tickers, which are tested by positions instead of ranks.
    """

    family: Family
    contenders: tuple[Contender, ...]
    label: LabelSpec
    feature_set: str
    config_key: str
    block: int = 21
    validation: int = 126
    seed: int = 0
    threads: int = 1
    origin: str = ""
    small: bool = False

    @property
    def overlap(self) -> int:
        """Sessions that one value of the deciding series reaches over: 1 for ic1, the horizon for a log loss."""
        return self.label.horizon if self.family.statistic == "log_loss" else 1

    @property
    def fingerprint(self) -> str:
        """Name of the stream: another recipe, label, feature set or block length is another stream.

        Tuned contenders are not in the name: the tuner is part of the recipe, and acts on later blocks only.
        """
        declared = [contender for contender in self.contenders if contender.since is None]
        document = {
            "family": self.family.name,
            "contenders": [[contender.recipe.name, dict(contender.params)] for contender in declared],
            "label": [self.label.label.name, self.label.horizon, self.label.threshold],
            "features": self.feature_set,
            "config": self.config_key,
            "block": self.block,
            "validation": self.validation,
            "seed": self.seed,
            "origin": self.origin,
            "small": self.small,
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Block:
    """How one block came by its model.

    `prior` holds the class shares of its training rows or, for a family that predicts a value, their mean label.
    """

    number: int
    nominee: str
    train_through: int
    rows: int
    prior: tuple[float, ...]
    features: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A learner with what is needed to use it: which contender it is and which features were kept."""

    contender: Contender
    learner: Learner
    block: Block


@dataclass(frozen=True, slots=True)
class Stream:
    """What has been said so far.

    Parameters
    ----------
    fingerprint : str
        Of the spec that made it.
    scores : frame ``session, ticker, block, score, tilt, p0, p1, ...``
        One row per (session, ticker), in order.
    blocks, folds : tuples
        Records of blocks and of inner validation folds, in order of time.
    open_model : Fitted, optional
        Model of the newest block, which scores the sessions that are still to come in it.
    """

    fingerprint: str
    scores: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCORE_SCHEMA))
    blocks: tuple[Block, ...] = ()
    folds: tuple[FoldRecord, ...] = ()
    open_model: Fitted | None = None

    @property
    def last_session(self) -> int | None:
        """Newest session scored, or None."""
        return None if self.scores.is_empty() else int(self.scores["session"].max())  # type: ignore[arg-type]


SCORE_SCHEMA: Mapping[str, pl.DataType] = {
    "session": pl.Int32(),
    "ticker": pl.String(),
    "block": pl.Int32(),
    "score": pl.Float64(),
    "tilt": pl.Float64(),
    "probabilities": pl.List(pl.Float32()),
    "baseline": pl.List(pl.Float32()),
}
"""`probabilities` are null for a family that predicts a value; `baseline` only where it differs from row to row."""


def advance(
    stream: Stream,
    matrix: Matrix,
    panel: Panel,
    spec: StreamSpec,
    *,
    labelled: Matrix | None = None,
    pmap: PMap = map,
    on_progress: Callable[[int, int], None] | None = None,
) -> Stream:
    """Append every session of `matrix` that `stream` has not scored yet.

    What was scored before is neither read nor changed; running it twice on the same data appends nothing.

    Parameters
    ----------
    labelled : Matrix, optional
        The rows of `matrix` whose labels are known, where the caller has them already.

    Raises
    ------
    FailedError
        When `stream` was made by another spec.
    """
    if stream.fingerprint != spec.fingerprint:
        raise FailedError(
            f"stream {stream.fingerprint} belongs to another recipe than {spec.fingerprint}: open a new stream instead"
        )
    matrix = _ranked(matrix, spec)
    wanted = _blocks_to_score(stream, matrix, spec)
    if not wanted:
        return stream
    # Without the unlabelled rows everything known before a session stands together: a view, not a copy of gigabytes.
    labelled = matrix.take(np.isfinite(matrix.label)) if labelled is None else labelled
    before = max(wanted) * spec.block
    folds = advance_folds(stream.folds, labelled, panel, spec, before=before, pmap=pmap, on_progress=on_progress)
    stream = replace(stream, folds=folds)
    work = _BlockWork(matrix, labelled, panel, spec, stream)
    for done, (fitted, scores) in enumerate(pmap(work, wanted), start=1):
        fresh = not any(block.number == fitted.block.number for block in stream.blocks)
        stream = replace(
            stream,
            scores=pl.concat([stream.scores, scores]),
            blocks=(*stream.blocks, fitted.block) if fresh else stream.blocks,
            open_model=fitted,
        )
        _tell(on_progress, done, len(wanted))
    return stream


def advance_folds(
    folds: tuple[FoldRecord, ...],
    matrix: Matrix,
    panel: Panel,
    spec: StreamSpec,
    *,
    before: int,
    pmap: PMap = map,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[FoldRecord, ...]:
    """Return `folds` with every inner validation fold that was known before session `before` and is not among them."""
    jobs = missing_folds(folds, matrix, spec.contenders, length=spec.validation, before=before)
    records: list[FoldRecord] = []
    # The last fold has the most rows and the last contender the deepest trees: whoever begins with them is not waited
    # for at the end, when all other threads are done.
    for record in pmap(_FoldWork(matrix, panel, spec), jobs[::-1]):
        records.append(record)
        _tell(on_progress, len(records), len(jobs))
    return (*folds, *records[::-1])


def fit_nominee(matrix: Matrix, spec: StreamSpec, folds: Sequence[FoldRecord], start: int) -> Fitted:
    """Make the model that the complete recipe makes at the close of session ``start - 1``."""
    return _fit(matrix, spec, nominate(folds, spec.contenders, before=start), start)


def fit_at(labelled: Matrix, spec: StreamSpec, folds: Sequence[FoldRecord], session: int) -> Fitted:
    """Make the candidate of the close of `session`, as a cycle does that walked its stream to there.

    Inner folds are scored when a block begins, so those that matured inside the open block have no say yet.
    """
    begun = session // spec.block * spec.block
    allowed = {contender.key for contender in spec.contenders if contender.may_speak_from(begun)}
    heard = [fold for fold in folds if fold.known_on < begun and fold.contender in allowed]
    return fit_nominee(labelled, spec, heard, session + 1)


def fit_again(matrix: Matrix, spec: StreamSpec, contender: Contender, number: int) -> Fitted:
    """Make the model of block `number` once more, from the rows of then and the contender that was nominated then."""
    return _fit(_ranked(matrix, spec).take(np.isfinite(matrix.label)), spec, contender, number * spec.block)


def score_again(matrix: Matrix, panel: Panel, spec: StreamSpec, fitted: Fitted, *, after: int | None) -> pl.DataFrame:
    """Let the model of a block say once more what it said of its sessions in `matrix` that come after `after`.

    With the rows of then it is the same to the bit: as many rows are predicted at once as were then.
    """
    matrix = _ranked(matrix, spec)
    labelled = matrix.take(np.isfinite(matrix.label))
    scored = Stream("").scores if after is None else pl.DataFrame({"session": [after]})
    before = Stream(spec.fingerprint, scores=scored, open_model=fitted)
    return _BlockWork(matrix, labelled, panel, spec, before)(fitted.block.number)[1]


def _ranked(matrix: Matrix, spec: StreamSpec) -> Matrix:
    return with_ranks(matrix) if any(c.recipe.needs_ranks for c in spec.contenders) else matrix


def _fit(matrix: Matrix, spec: StreamSpec, contender: Contender, start: int) -> Fitted:
    train = matrix.take(known_before(matrix, start))
    kept = feature_names_kept(train)
    with named(contender.key):
        learner = contender.build(spec.seed, spec.threads).fit(train.select(kept))
    prior = _prior(train, len(spec.family.classes))
    block = Block(
        number=start // spec.block,
        nominee=contender.key,
        train_through=start - 1,
        rows=len(train),
        prior=prior,
        features=kept,
        dropped=tuple(name for name in matrix.names if name not in kept),
    )
    return Fitted(contender, learner, block)


def _prior(train: Matrix, classes: int) -> tuple[float, ...]:
    if classes == 0:
        return (float(np.nanmean(train.label)),)
    codes = train.label[np.isfinite(train.label)].astype(np.intp)
    counts = np.bincount(codes, minlength=classes)
    return tuple((counts / max(len(codes), 1)).tolist())


def grid_of(scores: pl.DataFrame, panel: Panel, column: str = "score") -> Array:
    """Arrange a column of a stream's scores as (T, N) on the sessions and tickers of `panel`."""
    grid = np.full(panel.close.shape, np.nan)
    if scores.is_empty():
        return grid
    tickers = pl.Series(panel.tickers)
    frame = scores.filter(
        pl.col("ticker").is_in(tickers.implode()) & pl.col("session").is_between(panel.first, panel.last)
    )
    rows = panel.rows_of(frame["session"].to_numpy())
    columns = tickers.search_sorted(frame["ticker"]).to_numpy().astype(np.intp)
    grid[rows, columns] = frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return grid


@dataclass(frozen=True, slots=True)
class _FoldWork:
    matrix: Matrix
    panel: Panel
    spec: StreamSpec

    def __call__(self, job: tuple[int, Contender]) -> FoldRecord:
        number, contender = job
        spec = self.spec
        return score_fold(
            self.matrix,
            self.panel,
            contender,
            Span(number, spec.validation, spec.label.horizon),
            family=spec.family,
            seed=spec.seed,
            threads=spec.threads,
        )


@dataclass(frozen=True, slots=True)
class _BlockWork:
    matrix: Matrix
    labelled: Matrix
    panel: Panel
    spec: StreamSpec
    stream: Stream

    def __call__(self, number: int) -> tuple[Fitted, pl.DataFrame]:
        start = number * self.spec.block
        fitted = self._model(number, start)
        last = self.stream.last_session
        inside = (self.matrix.session >= start) & (self.matrix.session < start + self.spec.block)
        fresh = inside if last is None else inside & (self.matrix.session > last)
        rows = self.matrix.take(fresh)
        scale, baseline = self._scale(fitted, start), self._baseline(rows, start)
        return fitted, score_rows(fitted, rows, self.spec, scale=scale, baseline=baseline)

    def _baseline(self, rows: Matrix, start: int) -> Array | None:
        if self.spec.family.statistic != "log_loss":
            return None
        train = self.labelled.take(known_before(self.labelled, start))
        return persistence_baseline(train, rows, self.matrix, self.panel, self.spec.label.horizon)

    def _model(self, number: int, start: int) -> Fitted:
        kept = self.stream.open_model
        if kept is not None and kept.block.number == number:
            return kept
        return fit_nominee(self.labelled, self.spec, self.stream.folds, start)

    def _scale(self, fitted: Fitted, start: int) -> tuple[float, float] | None:
        if len(self.matrix.tickers) >= SMALL_UNIVERSE or self.spec.family.unit == "session":
            return None
        return scale_of(fitted, self.labelled.take(known_before(self.labelled, start)), self.spec)


def scale_of(fitted: Fitted, train: Matrix, spec: StreamSpec) -> tuple[float, float]:
    """Return the median, and the 99 % quantile of the distance from it, of the scores on training rows."""
    score = spec.family.score(fitted.learner.predict(train.select(fitted.block.features)))
    centre = float(np.median(score))
    return centre, float(np.quantile(np.abs(score - centre), 0.99))


def score_rows(
    fitted: Fitted, rows: Matrix, spec: StreamSpec, *, scale: tuple[float, float] | None, baseline: Array | None
) -> pl.DataFrame:
    """Return what a model says of `rows`, as a stream keeps it.

    Parameters
    ----------
    rows : Matrix
        Whole sessions, with ranks where a recipe reads them.
    scale : pair of float, optional
        From `scale_of`; only a small universe needs it.
    baseline : float64 (n, classes), optional
        What no skill says of each row, where that differs from row to row.
    """
    with named(fitted.contender.key):
        said = fitted.learner.predict(rows.select(fitted.block.features))
    output = finite_output(fitted.contender, said, rows)
    score = spec.family.score(output)
    tilt = np.full(len(rows), np.nan)
    if scale is not None and scale[1] > 0:
        tilt = np.clip((score - scale[0]) / scale[1], -1, 1)
    return pl.DataFrame(
        {
            "session": rows.session,
            "ticker": np.asarray(rows.tickers, dtype=object)[rows.ticker].tolist(),
            "block": rows.session // spec.block,
            "score": score,
            "tilt": tilt,
            "probabilities": _lists(output, len(rows)),
            "baseline": _lists(baseline, len(rows)),
        },
        schema=dict(SCORE_SCHEMA),
        strict=False,
    )


def _lists(output: Array | None, rows: int) -> pl.Series:
    if output is None or output.ndim == 1:
        return pl.Series([None] * rows, dtype=pl.List(pl.Float32))
    return pl.Series(output.astype(np.float32), dtype=pl.Array(pl.Float32, output.shape[1])).arr.to_list()


def _blocks_to_score(stream: Stream, matrix: Matrix, spec: StreamSpec) -> list[int]:
    last = stream.last_session
    sessions = np.unique(matrix.session)
    numbers = np.unique(sessions[sessions > last] if last is not None else sessions) // spec.block
    return [int(n) for n in np.unique(numbers) if last is not None or _enough(matrix, int(n) * spec.block, spec)]


def _enough(matrix: Matrix, start: int, spec: StreamSpec) -> bool:
    """Say whether a first block may start here; a rule about the past only, so longer data never move it."""
    known = known_before(matrix, start)
    sessions = len(np.unique(matrix.session[known]))
    rows = int(known.sum())
    if sessions < LEAST_SESSIONS or rows < spec.family.minimum_rows:
        return False
    return rows >= ENOUGH_ROWS or sessions >= ENOUGH_SESSIONS


def _tell(on_progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)
