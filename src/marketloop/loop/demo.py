"""The whole road on real sample data, from bars to predictions, with what each step did in plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.loop.checking import Computed, compute_stored
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, Ingested, ingest
from marketloop.loop.predicting import predict
from marketloop.loop.quality import quality_report
from marketloop.loop.results import CycleResult
from marketloop.runtime.project import Project, create_project
from marketloop.state.champions import Champion

__all__ = ["FAMILY", "Demo", "demo_project", "run_demo"]

FAMILY = "price_predictor"
SOURCE = "sample"
Telling = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of each step."""

    project: Path
    ingested: Ingested
    quality: dict[str, Any]
    computed: Computed
    cycle: CycleResult
    answers: dict[str, Any]
    champion: Champion

    @property
    def last_line(self) -> str:
        """The champion in one line."""
        word = "proven" if self.champion.skill_proven else "provisional"
        return f"champion: {self.champion.slot.family} v{self.champion.version} ({word})"

    def document(self) -> dict[str, Any]:
        """Return the `demo` document."""
        collected, features = self.ingested.collected, self.computed.document()
        return {
            "project": str(self.project),
            "collect": {"source": SOURCE, "tickers": list(collected.tickers), "new_rows": collected.new_rows},
            "quality": self.quality,
            "features": {
                "feature_set": features["feature_set"],
                "count": len(features["features"]),
                "unfed": features["unfed"],
            },
            "retrain": self.cycle.document(),
            "predict": self.answers,
            "champion": self.last_line,
        }


def demo_project(root: Path) -> Project:
    """Make the project of the demonstration in `root`, or use the one that an earlier run made there.

    Raises
    ------
    UsageError
        Another project is in the folder.
    """
    project = Project(root.expanduser().absolute())
    if not project.settings_file.exists():
        return create_project(project.root, settings={"project.name": "demo", "data.source": SOURCE})
    with open_house(project.root) as house:
        if house.settings.data.source != SOURCE or house.settings.project.name != "demo":
            raise UsageError(f'"{project.root}" holds another project: choose an empty folder with demo --dir DIR')
    return project


def run_demo(house: House, *, tell: Telling) -> Demo:
    """Take the sample through the whole road: collect, examine, compute, retrain, predict."""
    ingested = ingest(house, CollectRequest(source=SOURCE), tell=tell)
    quality = quality_report(house).document()
    tell("computing features", 0, 1)
    computed = compute_stored(house)
    cycle = run_cycle(house, CycleRequest(families=(FAMILY,), trigger="demo", reason="demonstration"), tell=tell)
    champion = house.registry.champion(house.slot(FAMILY))
    if champion is None:
        raise UsageError(f"the demonstration ended without a champion: {cycle.families[0].reason}")
    answers = predict(house, family=FAMILY)
    return Demo(house.project.root, ingested, quality, computed, cycle, answers.document(), champion)
