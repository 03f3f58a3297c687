"""The candidate beside its own stream, and the stream beside the champion it would replace."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from marketloop.core.values import Matrix
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, SessionSeries, neutral_one_session, sequential_ic
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec, grid_of, scale_of
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared
from marketloop.loop.scoring import output_of
from marketloop.loop.streams import stored_scores
from marketloop.state.champions import Champion

__all__ = ["against_champion", "continuity", "training_scale"]

CONTINUITY_SESSIONS = 20
Array = NDArray[np.float64]


def continuity(prepared: Prepared, spec: StreamSpec, stream: Stream, fitted: Fitted) -> float | None:
    """Return the median rank correlation of the candidate's scores with the stream's over the last 20 sessions.

    None while the stream has said nothing, or where every score is the same.
    """
    recent = prepared.matrix.take(prepared.matrix.session > prepared.panel.last - CONTINUITY_SESSIONS)
    if len(recent) == 0 or stream.scores.is_empty():
        return None
    output = fitted.learner.predict(recent.select(fitted.block.features))
    own, theirs = (
        grid_of(_frame(recent, spec.family.score(output)), prepared.panel),
        grid_of(stream.scores, prepared.panel),
    )
    values = []
    for row in range(max(len(theirs) - CONTINUITY_SESSIONS, 0), len(theirs)):
        both = np.isfinite(own[row]) & np.isfinite(theirs[row])
        if both.sum() >= 3 and np.ptp(own[row, both]) > 0 and np.ptp(theirs[row, both]) > 0:
            values.append(float(stats.spearmanr(own[row, both], theirs[row, both]).statistic))
    return float(np.median(values)) if values else None


def training_scale(prepared: Prepared, spec: StreamSpec, fitted: Fitted) -> dict[str, float] | None:
    """Return centre and scale of the candidate's scores on its training rows; only small universes need them."""
    if len(prepared.panel.tickers) >= SMALL_UNIVERSE:
        return None
    train = prepared.matrix.take(known_before(prepared.matrix, fitted.block.train_through + 1))
    centre, scale = scale_of(fitted, train, spec)
    return {"centre": centre, "scale": scale}


def against_champion(
    house: House, prepared: Prepared, spec: StreamSpec, stream_id: str, champion: Champion, own: SessionSeries
) -> SessionSeries:
    """Return ic1 of the stream minus ic1 of the champion, on sessions that the champion has not seen (GATE.md, G3).

    After the champion's last label it is the frozen champion itself that is compared. When another recipe made it,
    the difference to *its* stream goes before, on the sessions until then: both sides of that were out of sample.

    Raises
    ------
    MarketLoopError
        The champion cannot be read or asked any more: its recipe or features are gone, or its files are damaged.
    """
    through = champion.trained_through
    if through is None:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    horizon, last = spec.label.horizon, prepared.panel.last
    frozen = _frozen_ic1(house, prepared, spec, champion, through)
    after = own.minus(frozen).between(through + horizon + 1, last)
    if champion.stream_id is None or champion.stream_id == stream_id:
        return after
    theirs = _ic1(prepared, spec, stored_scores(house, champion.stream_id))
    before = own.minus(theirs).between(prepared.panel.first, through + horizon)
    return SessionSeries(np.concatenate([before.session, after.session]), np.concatenate([before.value, after.value]))


def _frozen_ic1(house: House, prepared: Prepared, spec: StreamSpec, champion: Champion, through: int) -> SessionSeries:
    artefact = house.registry.load(champion.slot, champion.version)
    recipe = house.catalog.recipe(str(artefact.manifest["recipe"]))
    rows = prepared.matrix.take(prepared.matrix.session > through)
    if len(rows) == 0:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    output = output_of(recipe.from_parts(artefact.parts), recipe, tuple(artefact.manifest["features"]), rows)
    score = spec.family.score(output)
    return _ic1(prepared, spec, _frame(rows, score, artefact.manifest.get("score_scale")))


def _ic1(prepared: Prepared, spec: StreamSpec, scores: pl.DataFrame) -> SessionSeries:
    panel = prepared.panel
    grid, tilt = grid_of(scores, panel), grid_of(scores, panel, "tilt")
    return sequential_ic(grid, panel, neutral_one_session(panel), spec.label.horizon, tilt=tilt)


def _frame(rows: Matrix, score: Array, scale: dict[str, Any] | None = None) -> pl.DataFrame:
    tilt = np.full(len(rows), np.nan)
    if scale is not None and scale["scale"] > 0:
        tilt = np.clip((score - scale["centre"]) / scale["scale"], -1, 1)
    names = pl.Series(rows.tickers).gather(rows.ticker)
    return pl.DataFrame({"session": rows.session, "ticker": names, "score": score, "tilt": tilt})
