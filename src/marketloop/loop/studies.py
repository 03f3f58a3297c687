"""What one search for hyperparameters is about: recipe, ranges, folds and data; another of these is another study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from marketloop.core.catalog import Dimension, Recipe
from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import Matrix
from marketloop.dataset import with_ranks
from marketloop.evaluation.nomination import Contender, Span
from marketloop.evaluation.objectives import Objective, objective_of
from marketloop.evaluation.stream import StreamSpec
from marketloop.evaluation.trials import SHORTER, trial_folds
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, Prepared, choose
from marketloop.loop.training import check_enough
from marketloop.models.tuning import Search, Study
from marketloop.runtime.journal import FileJournal
from marketloop.state import Slot

__all__ = ["StudyPlan", "plan_study", "search_space", "what_to_tune"]

FORMAT = 1
"""Of the study files; another number is another study."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Everything that a study is about.

    Parameters
    ----------
    slot : Slot
    spec : StreamSpec
        The family's complete recipe.
    contender : Contender
        The recipe that is tuned, with its own settings.
    search : Search
    objective : Objective
    folds : tuple of Span
        Inner folds that a trial is scored on.
    matrix : Matrix
        The labelled rows.
    prepared : Prepared
    folder : Path
        Where the slot's studies lie.
    """

    slot: Slot
    spec: StreamSpec
    contender: Contender
    search: Search
    objective: Objective
    folds: tuple[Span, ...]
    matrix: Matrix
    prepared: Prepared
    folder: Path

    @property
    def identity(self) -> str:
        """Hash of all of it."""
        spec = self.spec
        document = {
            "format": FORMAT,
            "slot": [self.slot.family, self.slot.config_key],
            "recipe": [self.contender.recipe.name, dict(self.contender.params)],
            "space": [[d.name, d.low, d.high, d.kind, d.log] for d in self.search.space],
            "objective": self.objective.name,
            "folds": [[span.number, span.length] for span in self.folds],
            "label": [spec.label.label.name, spec.label.horizon, spec.label.threshold],
            "features": spec.feature_set,
            "data": [self.prepared.data_version, self.matrix.fingerprint, len(self.matrix), self.prepared.panel.last],
            "seed": self.search.seed,
            "origin": spec.origin,
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def path(self) -> Path:
        """The study's file; studies about other things lie beside it."""
        return self.folder / f"{self.contender.recipe.name}_{self.identity[:12]}.journal"

    @property
    def others(self) -> int:
        """How many studies of the same recipe about other things lie beside it."""
        found = self.folder.glob(f"{self.contender.recipe.name}_*.journal")
        return sum(path != self.path for path in found)

    def journal(self) -> FileJournal:
        """Return the study's journal, not opened yet."""
        return FileJournal(self.path, {"marketloop_study": self.identity, "format": FORMAT})

    def open(self) -> Study:
        """Open the study, and create its file when there is none."""
        return Study(self.search, self.journal().open())


def plan_study(
    house: House,
    spec: StreamSpec,
    recipe: Recipe,
    prepared: Prepared,
    *,
    space: tuple[Dimension, ...],
    objective: str | None,
) -> StudyPlan:
    """Return the study of `recipe` on `prepared`.

    Raises
    ------
    UsageError
        There is too little data, or the objective is not defined for the family.
    """
    check_enough(prepared.matrix, spec)
    aim = objective_of(spec.family, objective, tickers=len(prepared.panel.tickers))
    matrix = with_ranks(prepared.matrix) if recipe.needs_ranks else prepared.matrix
    if not recipe.needs_past:  # the rows travel to other processes: no more of them than are read
        matrix = replace(matrix, past=None)
    matrix = matrix.take(np.isfinite(matrix.label))
    folds = trial_folds(matrix, spec, before=prepared.panel.last + 1)
    if not folds:
        raise UsageError(
            f"{len(np.unique(matrix.session))} labelled sessions are too few to tune {spec.family.name}: a trial learns"
            f" from 125 and is scored on a complete fold of {SHORTER[-1]} after them; collect a longer history"
        )
    slot = house.slot(spec.family.name)
    return StudyPlan(
        slot=slot,
        spec=spec,
        contender=Contender(recipe, dict(recipe.defaults)),
        search=Search(space, maximise=aim.maximise, seed=spec.seed),
        objective=aim,
        folds=folds,
        matrix=matrix,
        prepared=prepared,
        folder=house.project.models / "tuning" / f"{slot.family}_{slot.config_key}",
    )


def what_to_tune(
    house: House, family: str, algorithm: str | None, choices: Choices | None = None
) -> tuple[StreamSpec, Recipe]:
    """Return the family's complete recipe, with the label of `choices`, and the one of its recipes that is tuned.

    By default it is the last of them that has a space: families name their most shrunk recipe first, and the one with
    the most to tune last.

    Raises
    ------
    UsageError
        The family or the recipe is unknown.
    """
    choices = replace(choices or Choices(), recipes=() if algorithm is None else (algorithm,), params=None)
    spec = choose(house, family, choices)
    recipes = [contender.recipe for contender in spec.contenders]
    return spec, next((recipe for recipe in reversed(recipes) if recipe.space), recipes[-1])


def search_space(house: House, spec: StreamSpec, recipe: Recipe) -> tuple[Dimension, ...]:
    """Return what is searched: the recipe's space with the ranges of ``[family.<name>.space]`` over it.

    Raises
    ------
    UsageError
        A range names no number among the hyperparameters of the family's recipes, or is none; or nothing is left.
    """
    family = spec.family.name
    given = house.settings.family_section(family).space
    own = _numbers(recipe)
    known = set(own).union(*(_numbers(house.catalog.recipe(name)) for name in _recipe_names(house, spec)))
    space = {dimension.name: dimension for dimension in recipe.space}
    for name, (low, high) in given.items():
        origin = house.settings.origin(f"family.{family}.space.{name}")
        if name not in known:
            raise UsageError(f"{origin}: {unknown_name(f'hyperparameter of the recipes of {family}', name, known)}")
        if name in own:
            base = space.get(name) or Dimension(name, 0, 1, "int" if own[name] is int else "float")
            if base.kind == "int" and not (low.is_integer() and high.is_integer()):
                raise UsageError(f"{origin}: {name} = [{low:g}, {high:g}]; expected whole numbers")
            space[name] = replace(base, low=low, high=high)
    if not space:
        raise UsageError(
            f"the recipe {recipe.name} names nothing to tune: choose another with --algorithm, or give ranges in "
            f"[family.{family}.space]"
        )
    return tuple(space.values())


def _recipe_names(house: House, spec: StreamSpec) -> list[str]:
    """Return the recipes that a range in the settings may be about: those that compete, and the family's own."""
    return [*(contender.recipe.name for contender in spec.contenders), *house.catalog.family(spec.family.name).recipes]


def _numbers(recipe: Recipe) -> dict[str, type]:
    return {name: type(value) for name, value in recipe.defaults.items() if type(value) in {int, float}}
