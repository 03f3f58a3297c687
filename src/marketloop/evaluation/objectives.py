"""What tuning may improve: one figure of a fold, by name, and which families it is defined for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family
from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import Matrix
from marketloop.evaluation.metrics import classifier_metrics
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE, mean_rank_ic

__all__ = ["OBJECTIVES", "Objective", "objective_of"]

LEAST = 1e-12
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure that tuning improves.

    Parameters
    ----------
    name : str
    maximise : bool
        Whether more is better.
    value : function (output, rows, family) -> float
        Of what a learner said of `rows`, whose labels are known.
    kind : str
        ``classes`` or ``values`` for families that predict these, ``order`` for those that rank tickers.
    """

    name: str
    maximise: bool
    value: Callable[[Array, Matrix, Family], float]
    kind: str

    def suits(self, family: Family) -> bool:
        """Say whether the figure is defined for what `family` predicts."""
        has = {"classes": bool(family.classes), "values": not family.classes, "order": family.unit == "ticker"}
        return has[self.kind]


def _log_loss(output: Array, rows: Matrix, family: Family) -> float:
    del family
    said = output[np.arange(len(rows)), rows.label.astype(np.intp)]
    return float(-np.log(np.clip(said, LEAST, 1.0)).mean())


def _accuracy(output: Array, rows: Matrix, family: Family) -> float:
    del family
    return float((output.argmax(axis=1) == rows.label.astype(np.intp)).mean())


def _f1(output: Array, rows: Matrix, family: Family) -> float:
    return classifier_metrics(rows.label.astype(np.intp), output, family.classes).f1_score


def _rmse(output: Array, rows: Matrix, family: Family) -> float:
    del family
    return float(np.sqrt(np.mean((output - rows.label.astype(np.float64)) ** 2)))


def _rank_ic(output: Array, rows: Matrix, family: Family) -> float:
    return mean_rank_ic(rows, family.score(output))


OBJECTIVES: Mapping[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("log_loss", False, _log_loss, "classes"),
        Objective("rank_ic", True, _rank_ic, "order"),
        Objective("rmse", False, _rmse, "values"),
        Objective("accuracy", True, _accuracy, "classes"),
        Objective("f1", True, _f1, "classes"),
    )
}
"""Objectives by name; every one is the figure of one fold, averaged over the folds by their sessions."""


def objective_of(family: Family, name: str | None = None, *, tickers: int = SMALL_UNIVERSE) -> Objective:
    """Return the objective `name`, by default the family's own.

    Raises
    ------
    UsageError
        It is unknown, is not defined for the family, or ranks fewer tickers than a rank needs.
    """
    suited = [objective.name for objective in OBJECTIVES.values() if objective.suits(family)]
    name = name or family.objective
    if name not in suited:
        raise unknown_name(f"objective of {family.name}", name, suited)
    if name == "rank_ic" and tickers < SMALL_UNIVERSE:
        others = " or ".join(other for other in suited if other != name)
        raise UsageError(
            f"the objective rank_ic orders the tickers of a session and needs {SMALL_UNIVERSE} of them, not {tickers}: "
            f"collect more, or choose --objective {others}"
        )
    return OBJECTIVES[name]
