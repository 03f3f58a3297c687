"""Settings that a tuning found, as contenders of their family, and the file view of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices
from marketloop.models import checked_parameters
from marketloop.runtime.files import ensure_folder, write_atomic
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, streams, tunings
from marketloop.state.tunings import Tuning

__all__ = ["VIEW", "tuned_contender", "with_tuned", "write_view"]

VIEW = "best_hyperparameters.json"


def with_tuned(house: House, spec: StreamSpec, choices: Choices | None = None) -> StreamSpec:
    """Return `spec` with the newest tuned settings of each of its recipes as further contenders.

    They may speak only for blocks behind everything that their tuning saw, and leave the stream's name as it is. Where
    recipes or hyperparameters are named by hand, exactly these are used, unless ``choices.tuned`` asks for more. The
    settings that made the model of the stream's open block stay a contender while it is open.
    """
    choices = choices or Choices()
    slot = house.slot(spec.family.name)
    with house.state.read() as db:
        past = tunings.history(db, slot)
        office = _in_office(house, slot, spec) if past else ""
    by_hand = bool(choices.params) or (bool(choices.recipes) and not choices.tuned)
    recipes = {contender.recipe.name for contender in spec.contenders}
    newest = {tuning.recipe: tuning for tuning in past if tuning.recipe in recipes}
    found: dict[str, Contender] = {}
    for tuning in past:
        contender = tuned_contender(house, tuning)
        if contender is None or contender.key in {declared.key for declared in spec.contenders}:
            continue
        if contender.key == office or (not by_hand and newest.get(tuning.recipe) == tuning):
            found.setdefault(contender.key, contender)
    return replace(spec, contenders=(*spec.contenders, *found.values())) if found else spec


def tuned_contender(house: House, tuning: Tuning) -> Contender | None:
    """Return the contender of a tuning; None, and a line in the log, when its recipe no longer takes its settings."""
    try:
        recipe = house.catalog.recipe(tuning.recipe)
        params = checked_parameters(recipe, tuning.params)
    except UsageError as error:
        get_logger("loop").warning("tuned settings are passed over", recipe=tuning.recipe, reason=str(error))
        return None
    return Contender(recipe, params, since=tuning.tuned_through + 1)


def _in_office(house: House, slot: Slot, spec: StreamSpec) -> str:
    """Return the contender that made the model of the open block of this recipe's stream."""
    with house.state.read() as db:
        row = streams.find(db, slot)
        if row is None or row.fingerprint != spec.fingerprint:
            return ""
        blocks = streams.blocks_of(db, row.id)
    return blocks[-1].nominee if blocks else ""


def write_view(house: House) -> None:
    """Write ``models/best_hyperparameters.json``: the newest tuning of each family, for people and scripts.

    It is derived from the ledger and replaced as a whole.
    """
    document = {}
    with house.state.read() as db:
        for family in house.catalog.families:
            tuning = tunings.latest(db, house.slot(family))
            if tuning is not None:
                document[family] = _entry(tuning)
    folder = ensure_folder(house.project.models)
    write_atomic(folder / VIEW, (json.dumps(document, indent=2) + "\n").encode())


def _entry(tuning: Tuning) -> dict[str, Any]:
    return {
        **tuning.params,
        "validation_accuracy": tuning.evidence.get("accuracy"),
        "recipe": tuning.recipe,
        "objective": tuning.objective,
        "value": tuning.value,
        "trials": tuning.trials,
        "data_version": tuning.data_version,
        "tuned_at": tuning.tuned_at.isoformat(),
    }
