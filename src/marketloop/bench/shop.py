"""A project whose champions are made by hand, for measuring and testing what serves them: nothing is trained."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from marketloop.core.errors import FailedError
from marketloop.loop.helm import Helm, open_helm
from marketloop.registry import Registry, Ruling
from marketloop.runtime.project import create_project
from marketloop.state import Slot, lease, this_process
from marketloop.state.lease import Lease
from marketloop.state.scoreboards import Prediction

__all__ = ["FAMILY", "Shop", "score_of"]

FAMILY: Final = "price_predictor"
_MANIFEST: Final = {"data_version": "1", "features": ["rsi", "roc_10"], "recipe": "ridge", "seed": 7, "threads": 1}


def score_of(version: int, place: int) -> float:
    """Return the score that a version gives its ticker number `place`: who reads it knows who said it."""
    return version + place / 100_000


@dataclass(frozen=True, slots=True)
class Shop:
    """A project and the lease that makes champions in it. A context manager: leaving it closes the ledger."""

    helm: Helm
    held: Lease

    @classmethod
    def make(cls, root: Path, **settings: Any) -> Self:
        """Make a project in `root`; `settings` by dotted key with ``__`` for the dot."""
        given = {key.replace("__", "."): value for key, value in settings.items()}
        create_project(root, settings={"tracking.enabled": False, **given})
        helm = open_helm(root, environ={})
        with helm.state.write() as db:
            held = lease.acquire(db, "cycle", process=this_process(), at=helm.clock.now())
        if held is None:
            raise FailedError("the lease of a new project is taken")
        return cls(helm, held)

    @property
    def registry(self) -> Registry:
        """Artefacts and champions."""
        return self.helm.registry

    def slot(self, family: str = FAMILY, config_key: str | None = None) -> Slot:
        """Return a slot of the project."""
        return Slot(family, config_key or self.helm.settings.strategy.config.key)

    def candidate(
        self, tickers: Sequence[str], *, as_of: dt.date, slot: Slot | None = None, stream_id: str | None = None
    ) -> int:
        """Write a version that says BUY with its own number in every score, and return it."""
        at, where = self.helm.clock.now(), slot or self.slot()
        manifest = {**_MANIFEST, **({} if stream_id is None else {"stream_id": stream_id})}
        made = self.registry.write_candidate(where, parts={"model.ubj": b"trees"}, manifest=manifest, at=at)
        figures = {"accuracy": 0.52, "f1_score": 0.5, "precision": 0.51, "recall": 0.5}
        none = dict.fromkeys(figures, 0.33)
        self.registry.examined(where, made.version, metrics=figures, baseline=none, scorecard={"horizon": 5}, at=at)
        classes = {"SELL": 0.2, "HOLD": 0.25, "BUY": 0.55}
        said = [
            Prediction(ticker, as_of, "BUY", score_of(made.version, place), 0.55, "BUY", classes)
            for place, ticker in enumerate(tickers)
        ]
        self.registry.write_scoreboard(where, made.version, said, at=at)
        return made.version

    def promote(self, version: int, *, slot: Slot | None = None, proven: bool = True) -> None:
        """Make a version the champion."""
        where = slot or self.slot()
        now = self.registry.champion(where)
        word = Ruling(
            "promoted" if proven else "provisional",
            "first" if now is None else "superior",
            "made by hand",
            skill_proven=proven,
        )
        at = self.helm.clock.now()
        self.registry.promote(where, version, word, expected=now.entry if now else 0, held=self.held, at=at)

    def crown(self, tickers: Sequence[str], *, as_of: dt.date, slot: Slot | None = None, proven: bool = True) -> int:
        """Write a version, make it the champion, and return it."""
        version = self.candidate(tickers, as_of=as_of, slot=slot)
        self.promote(version, slot=slot, proven=proven)
        return version

    def close(self) -> None:
        """Give the lease and the connections back."""
        with self.helm.state.write() as db:
            lease.release(db, self.held, at=self.helm.clock.now())
        self.helm.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
