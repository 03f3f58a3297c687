"""The candidate beside its own stream, and the stream beside the champion it would replace."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.persistence import persistence_baseline
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, SessionSeries
from marketloop.evaluation.skill_series import frozen_stream, log_probability, skill_series
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import SCORE_SCHEMA, Block, Fitted, StreamSpec, scale_of
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared
from marketloop.loop.scoring import output_of
from marketloop.loop.streams import stored_scores
from marketloop.state import streams
from marketloop.state.champions import Champion

__all__ = ["against_champion", "frozen_scores", "measured", "series_of", "training_scale"]

Array = NDArray[np.float64]


def training_scale(prepared: Prepared, spec: StreamSpec, fitted: Fitted) -> dict[str, float] | None:
    """Return centre and scale of the candidate's scores on its training rows; only small universes need them."""
    if len(prepared.panel.tickers) >= SMALL_UNIVERSE or spec.family.unit == "session":
        return None
    train = prepared.matrix.take(known_before(prepared.matrix, fitted.block.train_through + 1))
    centre, scale = scale_of(fitted, train, spec)
    return {"centre": centre, "scale": scale}


def against_champion(
    house: House,
    prepared: Prepared,
    spec: StreamSpec,
    stream_id: str,
    champion: Champion,
    own: SessionSeries,
    *,
    said: pl.DataFrame | None = None,
    returned: int | None = None,
) -> SessionSeries:
    """Return what the stream has over the champion, on sessions that the champion has not seen (GATE.md, G3).

    After the champion's last label it is the frozen champion itself that is compared. When another recipe made it,
    the difference to *its* stream goes before, on the sessions until then: both sides of that were out of sample. A
    champion that came back by a rollback is compared on later sessions only: those before have had their say, and
    would undo the rollback the next night. Of a stream whose scores are lost and given up nothing is left to compare.

    Parameters
    ----------
    own : SessionSeries
        Of the stream: x, or for a family measured by log loss its `log_probability`, so that the baselines cancel.
    said : frame, optional
        Scores of the stream. A small universe needs them: there a position counts less its own past mean (ADR 0014),
        and both sides must have the same past.
    returned : int, optional
        Newest session that was known when the champion came back by a rollback (`champions.returned`).

    Raises
    ------
    MarketLoopError
        The champion cannot be read or asked any more: its recipe or features are gone, or its files are damaged.
    """
    through = champion.trained_through
    if through is None:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    horizon, last = spec.label.horizon, prepared.panel.last
    frozen = measured(prepared, spec, frozen_scores(house, prepared, spec, champion, last=last))
    whole = own
    if spec.small and said is not None:
        own = measured(prepared, spec, said.filter(pl.col("session") > through))
    heard = prepared.panel.first - 1 if returned is None else returned
    after = own.minus(frozen).between(max(through + horizon, heard) + 1, last)
    if champion.stream_id is None or champion.stream_id == stream_id:
        return after
    with house.state.read() as db:
        row = streams.get(db, champion.stream_id)
    if row is not None and row.is_given_up:
        return after
    stored = stored_scores(house, champion.stream_id)
    if spec.small and said is not None and len(stored) and len(said):
        begin = max(int(stored["session"][0]), int(said["session"][0]))
        stored, begun = (scores.filter(pl.col("session") >= begin) for scores in (stored, said))
        whole = measured(prepared, spec, begun)
    before = whole.minus(measured(prepared, spec, stored)).between(heard + 1, through + horizon)
    return SessionSeries(np.concatenate([before.session, after.session]), np.concatenate([before.value, after.value]))


def measured(prepared: Prepared, spec: StreamSpec, scores: pl.DataFrame) -> SessionSeries:
    """Return what differences between two models are taken of: x, or log probabilities, whose baselines cancel."""
    if spec.family.statistic == "log_loss":
        return log_probability(scores, prepared.matrix)
    return series_of(prepared, spec, scores)


def frozen_scores(
    house: House, prepared: Prepared, spec: StreamSpec, champion: Champion, *, last: int, first: int = 0
) -> pl.DataFrame:
    """Return what a version says of the sessions after its training, ``first .. last``, like a stream's scores.

    Raises
    ------
    MarketLoopError
        The version cannot be read or asked any more.
    """
    through, session = champion.trained_through, prepared.matrix.session
    start = last + 1 if through is None else max(first, through + 1)
    rows = prepared.matrix.take((session >= start) & (session <= last))
    if len(rows) == 0 or through is None:
        return pl.DataFrame(schema=dict(SCORE_SCHEMA))
    artefact = house.registry.load(champion.slot, champion.version)
    recipe = house.catalog.recipe(str(artefact.manifest["recipe"]))
    output = output_of(recipe.from_parts(artefact.parts), recipe, tuple(artefact.manifest["features"]), rows)
    frame = _frame(rows, spec.family.score(output), artefact.manifest.get("score_scale"))
    if spec.family.statistic == "log_loss":
        train = prepared.matrix.take(known_before(prepared.matrix, through + 1))
        usual = persistence_baseline(train, rows, prepared.matrix, prepared.panel, spec.label.horizon)
        frame = frame.with_columns(probabilities=_lists(output), baseline=_lists(usual))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SCORE_SCHEMA.items() if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in SCORE_SCHEMA.items())


def series_of(prepared: Prepared, spec: StreamSpec, scores: pl.DataFrame) -> SessionSeries:
    """Return x of GATE.md, section 2, of scores that are no open stream."""
    numbers = scores["block"].fill_null(0).unique().to_list()
    blocks = tuple(Block(int(number), "", 0, 0, (), (), ()) for number in numbers)
    stream = frozen_stream(scores.with_columns(pl.col("block").fill_null(0)), blocks)
    return skill_series(stream, prepared.matrix, prepared.panel, spec)


def _lists(shares: Array) -> pl.Series:
    return pl.Series(shares.astype(np.float32), dtype=pl.Array(pl.Float32, shares.shape[1])).arr.to_list()


def _frame(rows: Matrix, score: Array, scale: dict[str, Any] | None = None) -> pl.DataFrame:
    tilt = np.full(len(rows), np.nan)
    if scale is not None and scale["scale"] > 0:
        tilt = np.clip((score - scale["centre"]) / scale["scale"], -1, 1)
    names = pl.Series(rows.tickers).gather(rows.ticker)
    return pl.DataFrame({"session": rows.session, "ticker": names, "score": score, "tilt": tilt})
