"""Search the hyperparameters of a family, count every trial, and keep the best as one more contender."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from marketloop.core.errors import FailedError, UsageError
from marketloop.evaluation.objectives import objective_of
from marketloop.evaluation.overfitting import sharpe_moments
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, Prepared, prepare
from marketloop.loop.searching import run_trials
from marketloop.loop.studies import StudyPlan, plan_study, search_space, what_to_tune
from marketloop.loop.trials import search_evidence, trial_evidence
from marketloop.loop.tuned import write_view
from marketloop.models.tuning import Study, Trial
from marketloop.runtime.journal import alone
from marketloop.state import tunings
from marketloop.state.tunings import Tuning

__all__ = ["TuneRequest", "Tuned", "tune_family"]

Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """How a search is wanted.

    Parameters
    ----------
    algorithm : str, optional
        Recipe; by default the last of the family's that has something to tune.
    n_trials : int
        Trials of the study in all: those that an earlier run has done count.
    timeout : float
        Seconds after which no further trial is begun.
    objective : str, optional
        By default the family's own.
    workers : int
        Processes; with 1 the same data give the same trials.
    choices : Choices, optional
        Label and share of the rows, where the settings do not hold.
    """

    algorithm: str | None = None
    n_trials: int = 50
    timeout: float = 3600.0
    objective: str | None = None
    workers: int = 1
    choices: Choices | None = None

    def __post_init__(self) -> None:
        if self.n_trials < 1:
            raise UsageError(f"n_trials = {self.n_trials}: expected at least 1 trial")
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise UsageError(f"timeout = {self.timeout:g}: expected a number of seconds above 0, e.g. 3600")
        if self.workers < 1:
            raise UsageError(f"workers = {self.workers}: expected at least 1 process")


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found.

    Parameters
    ----------
    tuning : Tuning
        As the ledger keeps it.
    states : mapping
        Trials of the study by what became of them.
    resumed : int
        Trials that earlier runs had done.
    folds : tuple of (first, last) dates
    default_value : float, optional
        Objective of the recipe's own settings on the same folds; None when that trial did not end, or when they lie
        outside the ranges.
    path : Path
        The study's file.
    evidence : mapping
        How much of it is the luck of many trials (`loop.trials`).
    """

    tuning: Tuning
    states: Mapping[str, int]
    resumed: int
    folds: tuple[tuple[dt.date, dt.date], ...]
    default_value: float | None
    seconds: float
    path: Path
    evidence: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the `tune` document."""
        tuning = self.tuning
        return {
            "family": tuning.slot.family,
            "config_key": tuning.slot.config_key,
            "recipe": tuning.recipe,
            "params": dict(tuning.params),
            "objective": tuning.objective,
            "value": tuning.value,
            "default_value": self.default_value,
            "accuracy": tuning.evidence.get("accuracy"),
            "trials": dict(self.states),
            "resumed": self.resumed,
            "folds": [{"first": first.isoformat(), "last": last.isoformat()} for first, last in self.folds],
            "data_version": tuning.data_version,
            "tuned_at": tuning.tuned_at.isoformat(),
            "duration_s": round(self.seconds, 3),
            "study": str(self.path),
            "evidence": dict(self.evidence),
            "warnings": list(self.warnings),
        }


def tune_family(
    house: House,
    family: str,
    request: TuneRequest | None = None,
    *,
    prepared: Prepared | None = None,
    tell: Telling | None = None,
) -> Tuned:
    """Search the hyperparameters of one recipe of `family` on purged inner folds of the stored bars.

    The best become one more contender of the family; nothing is trained, examined or promoted. Every trial is counted.
    A search that was interrupted goes on where it was; one about other data, folds or ranges begins a study of its own
    beside it.

    Raises
    ------
    UsageError
        The request, a range in the settings or the family is wrong, or there is too little data.
    RefusedError
        Another process tunes this family.
    FailedError
        No trial succeeded, or the study's file is damaged.
    """
    request, started = request or TuneRequest(), house.clock.now()
    choices = request.choices or Choices()
    spec, recipe = what_to_tune(house, family, request.algorithm, choices)
    space = search_space(house, spec, recipe)
    objective_of(spec.family, request.objective)  # what is misspelt is said before anything is read
    house.project.check_writable()
    prepared = prepare(house, spec, sample_size=choices.sample_size) if prepared is None else prepared
    plan = plan_study(house, spec, recipe, prepared, space=space, objective=request.objective)
    warnings = list(prepared.warnings)
    with alone(plan.folder / ".lock", f"{family} is tuned"):
        if plan.others and not plan.path.exists():
            warnings.append(f"a fresh study: {plan.others} beside it are about other data, folds or ranges")
        study = plan.open()
        study.prepare([plan.contender.params, *_last_best(house, plan)])
        resumed = sum(not trial.was_interrupted for trial in study.finished())
        ledger = _Ledger(house, plan, study, request.n_trials, tell)
        run_trials(
            house,
            plan,
            study,
            count=request.n_trials - resumed,
            workers=request.workers,
            until=started + dt.timedelta(seconds=request.timeout),
            choices=choices,
            after=ledger.settle,
        )
        ledger.settle()
        tuning = _record(house, plan, study)
    write_view(house)
    return Tuned(
        tuning=tuning,
        states=Counter(trial.state for trial in study.finished()),
        resumed=resumed,
        folds=_dates(plan),
        default_value=_default_value(plan, study),
        seconds=(house.clock.now() - started).total_seconds(),
        path=plan.path,
        evidence=trial_evidence(house, plan.slot),
        warnings=(*warnings, *_warnings(house, plan, study, tuning)),
    )


@dataclass(slots=True)
class _Ledger:
    """Counts the trials of a study as they end, and tells how far it is."""

    house: House
    plan: StudyPlan
    study: Study
    wanted: int
    tell: Telling | None
    counted: set[int] = field(default_factory=set)

    def settle(self) -> None:
        """Count every trial that has ended since the last time."""
        at = self.house.clock.now()
        finished = self.study.finished()
        new = [trial for trial in finished if trial.number not in self.counted]
        if new:
            with self.house.state.write() as db:
                tunings.add_trials(db, (_counted(self.plan, trial, at) for trial in new))
            self.counted |= {trial.number for trial in new}
        if self.tell is not None:
            done = sum(not trial.was_interrupted for trial in finished)
            self.tell(f"tuning {self.plan.contender.recipe.name}", min(done, self.wanted), self.wanted)


def _counted(plan: StudyPlan, trial: Trial, at: dt.datetime) -> tunings.Trial:
    found = sharpe_moments(np.array(trial.returns))
    return tunings.Trial(
        study=plan.identity,
        number=trial.number,
        slot=plan.slot,
        recipe=plan.contender.recipe.name,
        state=trial.state,
        value=trial.value,
        sharpe=found.sharpe if found.sessions > 1 else None,
        params=trial.params,
        reason=trial.reason,
        recorded_at=at,
    )


def _record(house: House, plan: StudyPlan, study: Study) -> Tuning:
    """Keep the best settings in the ledger; raise `FailedError` when there are none."""
    best, finished = study.best(), study.finished()
    if best is None or best.value is None:
        reason = next((trial.reason for trial in finished if trial.reason), "none was completed")
        name = plan.contender.recipe.name
        raise FailedError(f"all {len(finished)} trials of the recipe {name} failed, the first because of: {reason}")
    complete = [trial.returns for trial in finished if trial.state == "complete"]
    tuning = Tuning(
        slot=plan.slot,
        study=plan.identity,
        recipe=plan.contender.recipe.name,
        params=best.params,
        objective=plan.objective.name,
        value=best.value,
        trials=len(finished),
        data_version=plan.prepared.data_version,
        tuned_through=plan.prepared.panel.last,
        tuned_at=house.clock.now(),
        evidence={**best.figures, **search_evidence(best.returns, complete)},
    )
    with house.state.write() as db:
        return tunings.record(db, tuning)


def _last_best(house: House, plan: StudyPlan) -> list[Mapping[str, Any]]:
    """Return what the last tuning of the recipe found, for the new one to begin with."""
    with house.state.read() as db:
        last = tunings.latest(db, plan.slot, plan.contender.recipe.name)
    return [] if last is None else [{**plan.contender.params, **last.params}]


def _default_value(plan: StudyPlan, study: Study) -> float | None:
    own = {dimension.name: plan.contender.params[dimension.name] for dimension in plan.search.space}
    return next((t.value for t in study.trials() if t.state == "complete" and dict(t.params) == own), None)


def _dates(plan: StudyPlan) -> tuple[tuple[dt.date, dt.date], ...]:
    starts = [(span.number * span.length, span.length) for span in plan.folds]
    return tuple((plan.prepared.sessions.date(at), plan.prepared.sessions.date(at + n - 1)) for at, n in starts)


def _warnings(house: House, plan: StudyPlan, study: Study, tuning: Tuning) -> tuple[str, ...]:
    found = []
    family = plan.spec.family.name
    failed = [trial for trial in study.finished() if trial.state == "failed" and not trial.was_interrupted]
    if failed:
        found.append(
            f"{len(failed)} of {len(study.finished())} trials failed, the first because of: {failed[0].reason}"
        )
    at_home = house.settings.family_section(family).recipes or house.catalog.family(family).recipes
    if tuning.recipe not in at_home:
        found.append(
            f"{tuning.recipe} is not among the recipes of {family} ({', '.join(at_home)}): add it to "
            f"[family.{family}] recipes to let it compete"
        )
    return tuple(found)
