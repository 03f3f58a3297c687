"""Make a candidate by the complete recipe, bring its stream up to date, and collect the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from marketloop.core.catalog import Check
from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import with_ranks
from marketloop.evaluation.conformal import conformal
from marketloop.evaluation.continuity import continuity
from marketloop.evaluation.gate import ChampionFacts, Evidence, Verdict, examine
from marketloop.evaluation.importance import importance_of
from marketloop.evaluation.matured import matured
from marketloop.evaluation.positions import CALLED
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, SessionSeries
from marketloop.evaluation.scorecard import Scorecard, SignalRule, score_stream, signal_rule
from marketloop.evaluation.seen import seen_and_unseen
from marketloop.evaluation.skill_series import log_probability
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec, advance, fit_nominee
from marketloop.evaluation.trials import stream_returns
from marketloop.labels import RETURN
from marketloop.loop.checks import hard_checks
from marketloop.loop.house import House, enabled_families
from marketloop.loop.pairing import against_champion, training_scale
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import Prepared
from marketloop.loop.streams import append_stream, gate_slot, keep_look, open_stored, since
from marketloop.loop.training import check_enough, manifest_of, origin_of, recipe_of
from marketloop.loop.trials import trial_evidence
from marketloop.registry import Candidate
from marketloop.runtime.logging import get_logger
from marketloop.runtime.parallel import threaded_map
from marketloop.state import Slot, champions
from marketloop.state.champions import Champion
from marketloop.state.streams import Stream as StreamRow

__all__ = ["Examined", "Made", "examine_candidate", "make_candidate", "side_by_side"]

IMPORTANCE_SESSIONS: Mapping[str, int] = {"ticker": 63, "session": 252}
IMPORTANCE_STEP: Mapping[str, int] = {"ticker": 3, "session": 1}
"""Newest labelled sessions that importance is measured on, and every how many of them, by what a row stands for."""
MOST_FITS = 4
COPIES = 2e9
"""Fits at once, at most, and bytes that their copies of the rows may take. LightGBM keeps one number of threads for the
whole process: fits side by side have equal ones, on two cores one each, as predictions do."""
Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate on disk, with the stream of the recipe that made it.

    `labelled` are the rows of the matrix whose labels are known: copied once, and views from then on.
    """

    slot: Slot
    spec: StreamSpec
    prepared: Prepared
    labelled: Matrix
    row: StreamRow
    stream: Stream
    fitted: Fitted
    candidate: Candidate
    rule: SignalRule | None
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """A candidate with its scorecard and the gate's word.

    `trials` says how much of what was shown may be the luck of many trials (E5); it decides nothing.
    """

    made: Made
    scorecard: Scorecard
    verdict: Verdict
    champion: Champion | None
    extra_checks: tuple[Check, ...] = ()
    trials: Mapping[str, Any] = field(default_factory=dict)


def make_candidate(house: House, spec: StreamSpec, prepared: Prepared, *, tell: Telling) -> Made:
    """Append the new sessions to the slot's stream, then fit the recipe on everything known by the newest close."""
    check_enough(prepared.matrix, spec)
    if any(contender.recipe.needs_ranks for contender in spec.contenders):
        prepared = replace(prepared, matrix=with_ranks(prepared.matrix))
    labelled = prepared.matrix.take(np.isfinite(prepared.matrix.label))
    slot = house.slot(spec.family.name)
    session = prepared.panel.last
    stored = open_stored(house, slot, spec)
    workers = side_by_side(house.threads, prepared.matrix)
    walking = replace(spec, threads=max(1, house.threads // workers))
    stream = advance(
        stored.stream,
        prepared.matrix,
        prepared.panel,
        walking,
        labelled=labelled,
        pmap=partial(threaded_map, workers=workers),
        on_progress=lambda done, total: tell("walking forward", done, total),
    )
    row = append_stream(house, slot, stored, stream, session=session, made=recipe_of(house, walking, prepared))
    stream = since(stream, stored.after)
    fitted = fit_nominee(labelled, spec, stream.folds, session + 1)
    # Where there is a cross-section each session's own scores say what is called, and nothing is carried over.
    rule = None if len(prepared.panel.tickers) >= SMALL_UNIVERSE else signal_rule(stream.scores)
    manifest = manifest_of(
        fitted,
        spec,
        prepared,
        {
            **origin_of(house, prepared),
            "stream_id": row.id,
            "score_scale": training_scale(prepared, spec, fitted),
            "prediction_interval": _interval(stream, spec, prepared),
            "signal": _signal(rule),
        },
    )
    candidate = house.registry.write_candidate(
        slot, parts=fitted.learner.parts(), manifest=manifest, at=house.clock.now()
    )
    return Made(slot, spec, prepared, labelled, row, stream, fitted, candidate, rule, manifest)


def _signal(rule: SignalRule | None) -> dict[str, Any]:
    if rule is None:
        return {"called": CALLED, "of": "session"}
    return {
        "buy_from": rule.buy_from if np.isfinite(rule.buy_from) else None,
        "sell_to": rule.sell_to if np.isfinite(rule.sell_to) else None,
    }


def side_by_side(threads: int, matrix: Matrix) -> int:
    """Return how many fits may run at once: together they have the threads of one, and their copies of rows fit in."""
    return max(1, min(threads, MOST_FITS, int(COPIES // max(1, matrix.X.nbytes))))


def _interval(stream: Stream, spec: StreamSpec, prepared: Prepared) -> dict[str, float] | None:
    """Return level and quantile of the intervals around a predicted return, from the stream's own errors."""
    if spec.label.label is not RETURN:
        return None
    rows = matured(stream, prepared.matrix)
    found = conformal(rows, prepared.panel, horizon=spec.label.horizon, block=spec.block)
    return None if found is None else {"level": found.level, "quantile": found.quantile}


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
    added = _added_checks(house, card)
    hard = (*hard, *(check for check in added if check.hard))
    tell("examining", 1, 2)
    with house.state.read() as db:
        ledger = champions.history(db, made.slot)
    champion, returned = next(iter(ledger), None), champions.returned(ledger)
    session = prepared.panel.last
    evidence = Evidence(
        session=session,
        x=card.x,
        hard=hard,
        continuity=continuity(made.fitted, stream.scores, prepared.matrix, prepared.panel, spec=spec, session=session),
        d=_difference(house, made, champion, card, returned=returned),
        overlap=card.overlap,
        statistic="ic1" if card.statistic == "rank_ic" else "gain",
    )
    before = gate_slot(house, made.slot, made.row, session=session)
    policy = gate_policy(house.settings, spec.family.name, families=len(enabled_families(house)))
    verdict = examine(before, _facts(champion, returned), evidence, policy)
    keep_look(house, made.slot, made.row, verdict.slot, verdict.record)
    earned = stream_returns(stream, prepared.panel, spec.label.horizon)
    trials = trial_evidence(house, made.slot, earned.value)
    house.registry.examined(
        made.slot,
        made.candidate.version,
        metrics=_headline(card),
        baseline=_finite(card.baseline_figures()),
        scorecard={
            **card.document(),
            "trained_through": made.fitted.block.train_through,
            "fingerprint": made.spec.fingerprint,
            "importance": _importance(made),
            "trials": trials,
            "seen_and_unseen": seen_and_unseen(made.fitted, stream, prepared.matrix, spec),
        },
        at=house.clock.now(),
    )
    tell("examining", 2, 2)
    return Examined(made, card, verdict, champion, tuple(check for check in added if not check.hard), trials)


def _added_checks(house: House, card: Scorecard) -> tuple[Check, ...]:
    """Ask the checks of plugins; a hard one that fails is heard before the gate takes its look."""
    found = []
    for name, check in house.catalog.checks.items():
        result = check(scorecard=card)
        if not isinstance(result, Check):
            raise UsageError(f'the gate check "{name}" of a plugin returned {result!r}; expected a Check')
        found.append(result)
    return tuple(found)


def _difference(
    house: House, made: Made, champion: Champion | None, card: Scorecard, *, returned: int | None
) -> SessionSeries | None:
    """Compare with a proven champion; one that cannot be asked any more is compared on no session, and it is said."""
    if champion is None or champion.status == "provisional":
        return None
    x = card.x if card.statistic == "rank_ic" else log_probability(made.stream.scores, made.prepared.matrix)
    try:
        return against_champion(
            house, made.prepared, made.spec, made.row.id, champion, x, said=made.stream.scores, returned=returned
        )
    except MarketLoopError as error:
        get_logger("loop").warning("the champion cannot be compared", version=champion.version, reason=str(error))
        return None


def _importance(made: Made) -> dict[str, Any] | None:
    """Measure importance on the newest labelled sessions, with the nominee refitted on what was known before them."""
    matrix, family = made.labelled, made.spec.family
    sessions = np.unique(matrix.session)[-IMPORTANCE_SESSIONS[family.unit] :]
    start = int(sessions[0])
    train = matrix.take(known_before(matrix, start))
    if len(train) < family.minimum_rows:
        return None
    names, contender = made.fitted.block.features, made.fitted.contender
    learner = contender.build(made.spec.seed, made.spec.threads).fit(train.select(names))
    rows = matrix.take(np.isin(matrix.session, sessions[:: IMPORTANCE_STEP[family.unit]])).select(names)
    rows = rows if contender.recipe.needs_past else replace(rows, past=None)
    seed = made.spec.seed
    return importance_of(learner, rows, score=family.score, statistic=family.statistic, seed=seed).document()


def _headline(card: Scorecard) -> dict[str, float]:
    extra = {"rank_ic": card.ic.mean, "rank_ic_raw": card.ic_raw.mean, "icir": card.icir, "z": card.z}
    if card.calibration is not None:
        extra["calibration_score"] = card.calibration.score
    return _finite({**card.figures(), **extra})


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _facts(champion: Champion | None, returned: int | None) -> ChampionFacts | None:
    if champion is None:
        return None
    through = champion.trained_through if champion.trained_through is not None else champion.session or 0
    return ChampionFacts(champion.version, champion.status == "provisional", through, returned)
