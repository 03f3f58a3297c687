"""Make a candidate by the complete recipe, bring its stream up to date, and collect the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import stats

from marketloop.core.catalog import Check
from marketloop.core.values import Matrix
from marketloop.dataset import with_ranks
from marketloop.evaluation.gate import ChampionFacts, Evidence, Verdict, examine
from marketloop.evaluation.rank_ic import SessionSeries, neutral_one_session, sequential_ic
from marketloop.evaluation.scorecard import Scorecard, SignalRule, score_stream, signal_rule
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec, advance, fit_nominee, grid_of
from marketloop.loop.checks import hard_checks
from marketloop.loop.house import House
from marketloop.loop.preparing import Prepared, gate_policy
from marketloop.loop.streams import StoredStream, append_stream, gate_slot, keep_look, open_stored
from marketloop.loop.training import check_enough, manifest_of
from marketloop.registry import Candidate
from marketloop.state import Slot
from marketloop.state.champions import Champion

__all__ = ["Examined", "Made", "examine_candidate", "make_candidate"]

Telling = Callable[[str, int, int], None]
CONTINUITY_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate on disk, with the stream of the recipe that made it."""

    slot: Slot
    spec: StreamSpec
    prepared: Prepared
    stored: StoredStream
    stream: Stream
    fitted: Fitted
    candidate: Candidate
    rule: SignalRule


@dataclass(frozen=True, slots=True)
class Examined:
    """A candidate with its scorecard and the gate's word."""

    made: Made
    scorecard: Scorecard
    verdict: Verdict
    champion: Champion | None
    extra_checks: tuple[Check, ...] = ()


def make_candidate(house: House, spec: StreamSpec, prepared: Prepared, *, tell: Telling) -> Made:
    """Append the new sessions to the slot's stream, then fit the recipe on everything known by the newest close."""
    check_enough(prepared.matrix, spec)
    if any(contender.recipe.needs_ranks for contender in spec.contenders):
        prepared = replace(prepared, matrix=with_ranks(prepared.matrix))
    slot = house.slot(spec.family.name)
    session = prepared.panel.last
    stored = open_stored(house, slot, spec, session=session)
    stream = advance(
        stored.stream,
        prepared.matrix,
        prepared.panel,
        spec,
        on_progress=lambda done, total: tell("walking forward", done, total),
    )
    append_stream(house, stored, stream)
    fitted = fit_nominee(prepared.matrix, spec, stream.folds, session + 1)
    rule = signal_rule(stream.scores)
    manifest = manifest_of(
        fitted,
        spec,
        prepared,
        {
            "stream_id": stored.row.id,
            "signal": {
                "buy_from": rule.buy_from if np.isfinite(rule.buy_from) else None,
                "sell_to": rule.sell_to if np.isfinite(rule.sell_to) else None,
            },
        },
    )
    candidate = house.registry.write_candidate(
        slot, parts=fitted.learner.parts(), manifest=manifest, at=house.clock.now()
    )
    return Made(slot, spec, prepared, stored, stream, fitted, candidate, rule)


def examine_candidate(house: House, made: Made, *, leak: Check, tell: Telling) -> Examined:
    """Compute the scorecard and the hard checks, and ask the gate.

    Tonight's look is recorded in the ledger before anything follows from it, so that a cycle killed afterwards has
    spent what it spent.
    """
    spec, prepared, stream = made.spec, made.prepared, made.stream
    tell("examining", 0, 2)
    card = score_stream(stream, prepared.matrix, prepared.panel, spec)
    artefact = house.registry.load(made.slot, made.candidate.version)
    recipe = made.fitted.contender.recipe
    limit = house.settings.gate_for(spec.family.name).plausibility_ic
    hard = (leak, *hard_checks(prepared, artefact, made.fitted.learner, recipe, card, threshold_ic=limit))
    tell("examining", 1, 2)
    champion = house.registry.champion(made.slot)
    session = prepared.panel.last
    evidence = Evidence(
        session=session,
        x=card.ic1,
        hard=hard,
        continuity=_continuity(made) if champion is not None else None,
        d=None if champion is None or champion.status == "provisional" else _paired(house, made, champion, card),
    )
    before = gate_slot(house, made.slot, made.stored.row, session=session)
    verdict = examine(before, _facts(champion), evidence, gate_policy(house.settings, spec.family.name))
    keep_look(house, made.slot, made.stored.row, verdict.slot, verdict.record)
    extra = tuple(check(scorecard=card) for check in house.catalog.checks.values())
    house.registry.examined(
        made.slot,
        made.candidate.version,
        metrics=_headline(card),
        baseline={} if card.baseline is None else card.baseline.figures(),
        scorecard={**card.document(), "trained_through": made.fitted.block.train_through},
        at=house.clock.now(),
    )
    tell("examining", 2, 2)
    return Examined(made, card, verdict, champion, extra)


def _headline(card: Scorecard) -> dict[str, float]:
    figures = {} if card.metrics is None else card.metrics.figures()
    extra = {"rank_ic": card.ic.mean, "rank_ic_raw": card.ic_raw.mean, "icir": card.icir, "z": card.z}
    if card.calibration is not None:
        extra["calibration_score"] = card.calibration.score
    return {name: value for name, value in {**figures, **extra}.items() if np.isfinite(value)}


def _facts(champion: Champion | None) -> ChampionFacts | None:
    if champion is None:
        return None
    through = champion.trained_through if champion.trained_through is not None else champion.session or 0
    return ChampionFacts(champion.version, champion.status == "provisional", through)


def _continuity(made: Made) -> float | None:
    """Median rank correlation between the candidate's scores and the stream's over the last 20 sessions."""
    last = made.prepared.panel.last
    recent = made.prepared.matrix.take(made.prepared.matrix.session > last - CONTINUITY_SESSIONS)
    if len(recent) == 0 or len(made.prepared.panel.tickers) < 3:
        return None
    own = _scores_of(made, recent)
    theirs = grid_of(made.stream.scores, made.prepared.panel)
    values = []
    for row in range(len(theirs) - CONTINUITY_SESSIONS, len(theirs)):
        both = np.isfinite(own[row]) & np.isfinite(theirs[row])
        if both.sum() >= 3 and np.ptp(own[row, both]) > 0 and np.ptp(theirs[row, both]) > 0:
            values.append(float(stats.spearmanr(own[row, both], theirs[row, both]).statistic))
    return float(np.median(values)) if values else None


def _scores_of(made: Made, rows: Matrix) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    learner, names = made.fitted.learner, made.fitted.block.features
    frame = _frame(rows, made.spec.family.score(learner.predict(rows.select(names))))
    return grid_of(frame, made.prepared.panel)


def _paired(house: House, made: Made, champion: Champion, card: Scorecard) -> SessionSeries | None:
    """Return ic1 of the stream minus ic1 of the frozen champion, on sessions that neither has seen."""
    through = champion.trained_through
    if through is None:
        return None
    artefact = house.registry.load(made.slot, champion.version)
    recipe = house.catalog.recipe(str(artefact.manifest["recipe"]))
    names = tuple(artefact.manifest["features"])
    rows = made.prepared.matrix.take(made.prepared.matrix.session > through)
    if len(rows) == 0:
        return SessionSeries(np.zeros(0, np.int32), np.zeros(0))
    frozen = recipe.from_parts(artefact.parts)
    rows = with_ranks(rows) if recipe.needs_ranks else rows
    panel, horizon = made.prepared.panel, made.spec.label.horizon
    grid = grid_of(_frame(rows, made.spec.family.score(frozen.predict(rows.select(names)))), panel)
    theirs = sequential_ic(grid, panel, neutral_one_session(panel), horizon)
    return card.ic1.minus(theirs).between(through + horizon + 1, panel.last)


def _frame(rows: Matrix, score: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pl.DataFrame:
    return pl.DataFrame(
        {"session": rows.session, "ticker": pl.Series(rows.tickers).gather(rows.ticker), "score": score}
    )
