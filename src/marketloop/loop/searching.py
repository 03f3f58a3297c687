"""Runs the trials of a study: in this process, or in several that share its journal."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from marketloop.core.errors import MarketLoopError
from marketloop.core.values import Matrix
from marketloop.evaluation.nomination import Span
from marketloop.evaluation.objectives import OBJECTIVES
from marketloop.evaluation.trials import TrialFolds
from marketloop.labels import Panel
from marketloop.loop.house import House
from marketloop.loop.plugins import build_catalog
from marketloop.loop.preparing import Choices
from marketloop.loop.studies import StudyPlan, what_to_tune
from marketloop.models.tuning import Search, Step, Study
from marketloop.runtime.clock import Clock
from marketloop.runtime.journal import FileJournal
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings

__all__ = ["run_trials", "steps_of"]

LOOK_EVERY = 1.0
"""Seconds between two looks at what the other processes have done."""


def run_trials(
    house: House,
    plan: StudyPlan,
    study: Study,
    *,
    count: int,
    workers: int,
    until: dt.datetime,
    after: Callable[[], None],
    choices: Choices | None = None,
) -> None:
    """Do `count` trials of `study`; none is begun after `until`.

    Parameters
    ----------
    workers : int
        Processes; they share the threads that a fit may use.
    after : function
        Called after each trial, or every second while other processes do them.
    choices : Choices, optional
        Label, where the settings do not hold.
    """
    workers = min(workers, count)
    if workers < 1:
        return
    if workers == 1:
        folds = TrialFolds(plan.contender, plan.spec, plan.objective, plan.folds)
        folds.prepare(plan.matrix, plan.prepared.panel)
        study.run(steps_of(folds), count=count, stop=lambda: house.clock.now() >= until, on_trial=after)
        return
    work = _Work(
        project=house.project,
        settings=house.settings,
        clock=house.clock,
        until=until,
        family=plan.spec.family.name,
        recipe=plan.contender.recipe.name,
        choices=choices,
        objective=plan.objective.name,
        folds=plan.folds,
        threads=max(1, plan.spec.threads // workers),
        search=plan.search,
        journal=plan.journal(),
        matrix=plan.matrix,
        panel=plan.prepared.panel,
        parent=os.getpid(),
    )
    shares = [(lane, count // workers + (lane < count % workers)) for lane in range(workers)]
    with _meanwhile(after):
        parallel_map(work, shares, workers=workers, threads=plan.spec.threads)


def steps_of(folds: TrialFolds) -> Callable[[Mapping[str, Any]], Iterator[Step]]:
    """Return the function by which a study tries settings on `folds`."""

    def evaluate(params: Mapping[str, Any]) -> Iterator[Step]:
        for found in folds.values(params):
            yield Step(found.value, found.returns, found.figures)

    return evaluate


@dataclass(frozen=True, slots=True)
class _Work:
    """What another process needs to do its share: names and arrays; the catalog is built anew there."""

    project: Project
    settings: Settings
    clock: Clock
    until: dt.datetime
    family: str
    recipe: str
    choices: Choices | None
    objective: str
    folds: tuple[Span, ...]
    threads: int
    search: Search
    journal: FileJournal
    matrix: Matrix
    panel: Panel
    parent: int

    def __call__(self, share: tuple[int, int]) -> int:
        lane, count = share
        catalog = build_catalog(self.settings.strategy.config, self.settings.plugins, self.project.root)
        house = House(self.project, self.settings, catalog, self.clock)
        spec, recipe = what_to_tune(house, self.family, self.recipe, self.choices)
        contender = next(c for c in spec.contenders if c.recipe is recipe)
        folds = TrialFolds(
            replace(contender, params=dict(recipe.defaults)),
            replace(spec, threads=self.threads),
            OBJECTIVES[self.objective],
            self.folds,
        )
        folds.prepare(self.matrix, self.panel)
        return Study(self.search, self.journal).run(steps_of(folds), count=count, lane=lane, stop=self._is_over)

    def _is_over(self) -> bool:
        """Say whether the time is up, or the process that asked for the trials has died."""
        return self.clock.now() >= self.until or os.getppid() != self.parent


@contextmanager
def _meanwhile(call: Callable[[], None]) -> Iterator[None]:
    """Call a function every second for the length of the block."""
    over = threading.Event()

    def repeat() -> None:
        try:
            while not over.wait(LOOK_EVERY):
                call()
        except MarketLoopError:  # it is called once more at the end, where its error is heard
            return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
