"""The Python API: `Trainer`, `Predictor` and the `Model` that they speak of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from marketloop.core.catalog import Learner
from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import StrategyConfig
from marketloop.dataset import with_ranks
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.scorecard import Scorecard, score_stream
from marketloop.evaluation.stream import Stream, advance
from marketloop.loop.house import House, open_house
from marketloop.loop.plugins import build_catalog
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.loop.training import train_family
from marketloop.registry import Artefact
from marketloop.registry.disk import read_verified, safe_name
from marketloop.runtime.files import ensure_folder, write_atomic
from marketloop.runtime.project import find_project

__all__ = ["Model", "Predictor", "Trainer", "house_of"]

Config = Path | str | House | None


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model with what is known of it.

    Parameters
    ----------
    learner : Learner
    manifest : mapping
        ``family, config_key, version, features, recipe, params, data_version, trained_through, ...``.
    parts : mapping of file name to content
    """

    learner: Learner
    manifest: Mapping[str, Any]
    parts: Mapping[str, bytes]

    @property
    def features(self) -> tuple[str, ...]:
        """Features in the order in which the model reads them."""
        return tuple(self.manifest["features"])

    def save(self, folder: Path | str) -> Path:
        """Write the model's parts and its manifest (last) to `folder`; return the folder."""
        path = ensure_folder(Path(folder))
        for name, content in self.parts.items():
            write_atomic(path / safe_name(name), content)
        write_atomic(path / "manifest.json", json.dumps(dict(self.manifest), indent=2, sort_keys=True).encode())
        return path

    @classmethod
    def load(cls, folder: Path | str, config: Config = None) -> Self:
        """Read a model that `save` wrote; damage raises `FailedError`.

        Parameters
        ----------
        config : path of a project or `House`, optional
            The project whose plugins hold the recipe, where it is not one of the product's own.
        """
        path = Path(folder)
        try:
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            parts = {
                safe_name(name): read_verified(path / safe_name(name), about["sha256"], remedy="save the model again")
                for name, about in manifest["files"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            text = f'"{path}" holds no complete model ({error}); expected manifest.json and its parts'
            raise FailedError(text) from error
        artefact = Artefact(manifest, parts)
        return cls.of(artefact, None if config is None else house_of(config))

    @classmethod
    def of(cls, artefact: Artefact, house: House | None = None) -> Self:
        """Return the model in an artefact."""
        catalog = house.catalog if house is not None else build_catalog(StrategyConfig())
        recipe = catalog.recipe(str(artefact.manifest["recipe"]))
        return cls(recipe.from_parts(artefact.parts), artefact.manifest, artefact.parts)


class Trainer:
    """Trains and evaluates families of a project.

    Parameters
    ----------
    config : path of a project, a `House`, or None
        None finds the project from the working directory.
    """

    def __init__(self, config: Config = None) -> None:
        self._house = house_of(config)

    def train(self, family: str, data: Prepared | None = None, *, choices: Choices | None = None) -> Model:
        """Make a candidate of `family` from the stored bars, and keep it; nothing is promoted.

        Parameters
        ----------
        data : Prepared, optional
            Rows to learn from instead of those that the project's bars give (`Trainer.prepare`).

        Raises
        ------
        UsageError
            There are no bars or too few.
        """
        given = None if data is None else _prepared(data, family)
        trained = train_family(self._house, family, choices, prepared=given)
        artefact = self._house.registry.load(trained.candidate.slot, trained.candidate.version)
        return Model.of(artefact, self._house)

    def prepare(self, family: str) -> Prepared:
        """Return features, labels and prices of the stored bars as `train` and `evaluate` take them."""
        return prepare(self._house, choose(self._house, family))

    def evaluate(self, model: Model, data: Prepared | None = None) -> Scorecard:
        """Examine the recipe of `model` by a purged walk-forward over `data`, by default the stored bars.

        A model cannot be judged on rows that it has learned from, so what is judged is its recipe with its settings:
        refitted block by block on what was known before each block, and scored inside.
        """
        family = str(model.manifest["family"])
        house = self._house
        recipe = house.catalog.recipe(str(model.manifest["recipe"]))
        contender = Contender(recipe, {**recipe.defaults, **model.manifest["params"]})
        spec = replace(choose(house, family), contenders=(contender,))
        prepared = prepare(house, spec) if data is None else _prepared(data, family)
        matrix = with_ranks(prepared.matrix) if recipe.needs_ranks else prepared.matrix
        stream = advance(Stream(spec.fingerprint), matrix, prepared.panel, spec)
        if stream.scores.is_empty():
            raise UsageError(
                f"no block of {family} has enough history before it to be examined: "
                "a walk-forward starts after 250 labelled sessions with 10,000 rows, or after 500 sessions"
            )
        return score_stream(stream, matrix, prepared.panel, spec)


class Predictor:
    """Answers with the champion of a project."""

    def __init__(self, config: Config = None) -> None:
        self._house = house_of(config)

    def predict(self, tickers: Sequence[str] = (), *, family: str | None = None) -> list[dict[str, Any]]:
        """Return one prediction per ticker, with the keys of the `predict` document."""
        found: list[dict[str, Any]] = predict(self._house, tickers, family=family).document()["predictions"]
        return found


def _prepared(data: object, family: str) -> Prepared:
    if not isinstance(data, Prepared):
        raise UsageError(
            f'data is a {type(data).__name__}: expected what Trainer.prepare("{family}") returns; '
            "bars of your own go in by `marketloop collect --source folder --path FILE`"
        )
    return data


def house_of(config: Config) -> House:
    """Return the house that `config` names, or the one around the working directory."""
    if isinstance(config, House):
        return config
    explicit = None if config is None else Path(config)
    return open_house(find_project(Path.cwd(), explicit=explicit).root)
