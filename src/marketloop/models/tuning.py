"""The search for hyperparameters: a study of trials that is resumed, shared by processes, and pruned fold by fold."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from marketloop.core.catalog import Dimension
from marketloop.core.errors import FailedError

__all__ = ["Journal", "Search", "Step", "Study", "Trial"]

RANDOM_FIRST = 10
"""Trials, the given first ones included, before the sampler draws from what it has learned."""
LEAST_COMPLETE = 8
"""Complete trials before one may be pruned."""
ALL_FAILED = 10
"""So many failures without a single success end a study: the eleventh would fail like them."""
_STATES: Mapping[TrialState, str] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_INTERRUPTED = "interrupted"
Params = Mapping[str, Any]


class Journal(Protocol):
    """Where a study is kept: records that processes share, appended as a whole, never changed."""

    def read(self, start: int = 0) -> list[dict[str, Any]]:
        """Return the records from number `start` on."""
        ...

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append records."""
        ...


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched.

    Parameters
    ----------
    space : tuple of Dimension
    maximise : bool
        Whether more is better.
    seed : int
        With one worker the same seed gives the same trials, also when the study is interrupted and resumed.
    """

    space: tuple[Dimension, ...]
    maximise: bool
    seed: int = 0

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The space in Optuna's words."""
        return {dimension.name: _distribution(dimension) for dimension in self.space}

    def inside(self, params: Params) -> dict[str, Any]:
        """Return those of `params` that are searched, each moved into its range."""
        found = {}
        for d in self.space:
            if d.name in params:
                value = min(max(float(params[d.name]), d.low), d.high)
                found[d.name] = round(value) if d.kind == "int" else value
        return found


@dataclass(frozen=True, slots=True)
class Step:
    """What a trial knows after a further fold: its value over the folds so far, and that fold's returns."""

    value: float
    returns: Sequence[float] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was tried.

    Parameters
    ----------
    state : str
        ``complete``, ``pruned`` (stopped after some folds), ``failed``, or ``running`` and ``waiting``.
    value : float, optional
        Over the folds that were done; None for a trial that failed.
    reason : str
        Why it failed.
    returns, figures
        As its steps told.
    """

    number: int
    state: str
    value: float | None
    params: Params
    reason: str = ""
    seconds: float | None = None
    returns: tuple[float, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it counts: complete, pruned and failed ones do."""
        return self.state in {"complete", "pruned", "failed"}

    @property
    def was_interrupted(self) -> bool:
        """Whether its process ended before it did; it counts, and it is tried again."""
        return self.state == "failed" and self.reason == _INTERRUPTED


class Study:
    """The trials of one search.

    Opened by each process for itself; what one writes to the journal, the others read.

    Raises
    ------
    FailedError
        The journal holds records that are no study.
    """

    def __init__(self, search: Search, journal: Journal) -> None:
        self.search = search
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        direction: Literal["maximize", "minimize"] = "maximize" if search.maximise else "minimize"
        try:
            self._study = optuna.create_study(
                storage=JournalStorage(_Backend(journal)),
                study_name="study",
                direction=direction,
                load_if_exists=True,
                pruner=_BelowTheMedian(),
            )
            self.trials()
        except (AssertionError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise FailedError(
                f"the journal of the study cannot be read ({type(error).__name__}: {error}): move it away and run the "
                "command again; what the earlier runs found is lost then"
            ) from error

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials in order of their numbers."""
        return tuple(_trial(t) for t in self._study.get_trials(deepcopy=False))

    def finished(self) -> tuple[Trial, ...]:
        """Return the trials that count."""
        return tuple(t for t in self.trials() if t.is_finished)

    def best(self) -> Trial | None:
        """Return the complete trial with the best value, the earliest of equals; None when there is none."""
        complete = [t for t in self.trials() if t.state == "complete" and t.value is not None]
        sign = -1.0 if self.search.maximise else 1.0
        return min(complete, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)

    def prepare(self, first: Iterable[Params] = ()) -> None:
        """Make the study ready to go on: call it once, in the only process that has it open.

        A trial whose process was killed is failed as ``interrupted`` and tried again. A new study begins with the
        settings `first`.
        """
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                self._study._storage.set_trial_user_attr(trial._trial_id, "reason", _INTERRUPTED)  # noqa: SLF001
                self._study.tell(trial.number, state=TrialState.FAIL)
                if len(trial.params) == len(self.search.space):  # one that has fewer is drawn again, as it was
                    self._study.enqueue_trial(trial.params)
        if not trials:
            for params in first:
                self._study.enqueue_trial(self.search.inside(params), skip_if_exists=True)

    def run(
        self,
        evaluate: Callable[[Params], Iterable[Step]],
        *,
        count: int,
        lane: int = 0,
        stop: Callable[[], bool] = bool,
        on_trial: Callable[[], None] | None = None,
    ) -> int:
        """Try `count` settings and return how many were tried.

        A setting that raises, or whose value is not finite, is a failed trial, and the study goes on.

        Parameters
        ----------
        evaluate : function (params) -> iterable of `Step`
            One step per fold.
        lane : int
            Another number for each process that shares the study, so that no two draw the same settings.
        stop : function
            Asked before each trial but the first.
        on_trial : function, optional
            Called after each trial.
        """
        for done in range(count):
            if done and (stop() or self._is_hopeless()):
                return done
            self._try(evaluate, lane)
            if on_trial is not None:
                on_trial()
        return count

    def _try(self, evaluate: Callable[[Params], Iterable[Step]], lane: int) -> None:
        trial = self._ask(lane)
        returns: list[float] = []
        last: Step | None = None
        try:
            for number, step in enumerate(evaluate(_plain(trial.params))):
                if not math.isfinite(step.value):
                    raise FailedError(f"the objective is {step.value} in fold {number + 1}")
                returns += (round(float(r), 7) for r in step.returns)
                trial.report(step.value, number)
                last = step
                if trial.should_prune():
                    self._tell(trial, TrialState.PRUNED, returns, step.figures)
                    return
            if last is None:
                raise FailedError("there is no fold to try it on")
            self._tell(trial, TrialState.COMPLETE, returns, last.figures, last.value)
        except Exception as error:  # noqa: BLE001 -- a trial is a request of its own: its failure is recorded
            reason = str(error) or "no reason given"
            known = isinstance(error, FailedError)
            trial.set_user_attr("reason", reason if known else f"{type(error).__name__}: {reason}")
            self._study.tell(trial, state=TrialState.FAIL)

    def _ask(self, lane: int) -> optuna.Trial:
        # A seed for each trial, not one for the process: a study that is resumed must not draw its beginning again.
        trials = self._study.get_trials(deepcopy=False)
        place = sum(t.state != TrialState.WAITING and not _trial(t).was_interrupted for t in trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.TPESampler(
                seed=(self.search.seed * 101 + lane) * 100_003 + place,
                n_startup_trials=RANDOM_FIRST,
                multivariate=True,
                constant_liar=True,
            )
        return self._study.ask(self.search.distributions)

    def _tell(
        self,
        trial: optuna.Trial,
        state: TrialState,
        returns: Sequence[float],
        figures: Mapping[str, float],
        value: float | None = None,
    ) -> None:
        trial.set_user_attr("returns", list(returns))
        trial.set_user_attr("figures", {name: float(figure) for name, figure in figures.items()})
        self._study.tell(trial, value, state=state)

    def _is_hopeless(self) -> bool:
        states = [t.state for t in self.finished()]
        return len(states) >= ALL_FAILED and set(states) == {"failed"}


@dataclass(frozen=True, slots=True)
class _Backend(BaseJournalBackend):
    """A journal as Optuna takes it."""

    journal: Journal

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.journal.read(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.journal.append(logs)


class _BelowTheMedian(optuna.pruners.BasePruner):
    """Prunes a trial whose value over its folds so far is worse than the median of the complete ones over these folds.

    Optuna's own median pruner looks at the best value that a trial had after any fold, and would forgive everything
    to a trial whose first fold was an easy one for all.
    """

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        step = trial.last_step
        others = [t.intermediate_values[step] for t in complete if step in t.intermediate_values]
        if step is None or len(others) < LEAST_COMPLETE:
            return False
        own, middle = trial.intermediate_values[step], statistics.median(others)
        return own < middle if study.direction == StudyDirection.MAXIMIZE else own > middle


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "int":
        return IntDistribution(round(dimension.low), round(dimension.high), log=dimension.log)
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _plain(params: Params) -> dict[str, Any]:
    """Return the values as they are tried and kept: four digits say all that a search knows of a number."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in params.items()}


def _trial(trial: FrozenTrial) -> Trial:
    about = trial.user_attrs
    return Trial(
        number=trial.number,
        state=_STATES[trial.state],
        value=trial.value,
        params=_plain(trial.params),
        reason=str(about.get("reason", "")),
        seconds=None if trial.duration is None else trial.duration.total_seconds(),
        returns=tuple(about.get("returns", ())),
        figures=dict(about.get("figures", {})),
    )
