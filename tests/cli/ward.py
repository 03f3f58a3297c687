"""A healthy project to be broken, and every way in which a test breaks it: each one really, none by a mock."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marketloop.bench.shop import Shop
from marketloop.cli import main
from marketloop.cli.examinations import Finding, examine
from marketloop.data.store import DeltaBarStore
from marketloop.loop.helm import Helm, open_helm
from marketloop.registry import Ruling
from marketloop.runtime.template import record_settings
from marketloop.state import Slot, cycles, heartbeats, lease, this_process
from marketloop.state.process import Process

FAMILY = "price_predictor"
MARKET = ("tickers=12", "sessions=800", "seed=3")
CARD = {
    "rank_ic": {"mean": 0.031, "interval": [0.012, 0.05]},
    "seen_and_unseen": {"figures": {"seen": {"accuracy": 0.56}, "unseen": {"accuracy": 0.52}}},
    "trained_through": 6000,
}
FIGURES = {"accuracy": 0.52, "f1_score": 0.5, "rank_ic": 0.031}
NONE = {"accuracy": 0.4, "f1_score": 0.3, "rank_ic": 0.0}


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def healthy(root: Path) -> Path:
    """Make a project with bars, a proven champion that has spoken, its predecessor, views, and nothing that waits."""
    with Shop.make(root, data__source="synthetic", serve__port=free_port()):
        pass
    options = [word for pair in MARKET for word in ("--option", pair)]
    assert main(["--project", str(root), "collect", *options]) == 0
    with reopened(root) as shop:
        store = DeltaBarStore(root / "data")
        newest, tickers = store.coverage()["last"].max(), store.tickers()
        assert isinstance(newest, dt.date)
        for _ in range(2):
            version = shop.crown(tickers, as_of=newest)
            examined(shop.helm, version)
    assert main(["--project", str(root), "export", "--views"]) == 0
    assert main(["--project", str(root), "loop", "--once"]) == 0
    return root


def reopened(root: Path) -> Shop:
    """Return the shop over a project that is there already."""
    helm = open_helm(root, environ={})
    with helm.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=helm.clock.now())
    assert held is not None
    return Shop(helm, held)


def examined(helm: Helm, version: int, **card: Any) -> None:
    """Record figures of a version; `card` replaces entries of its scorecard, `metrics` its figures."""
    metrics = {**FIGURES, **card.pop("metrics", {})}
    slot = Slot(FAMILY, helm.settings.strategy.config.key)
    at = helm.clock.now()
    helm.registry.examined(slot, version, metrics=metrics, baseline=NONE, scorecard={**CARD, **card}, at=at)


@dataclass(frozen=True)
class Ward:
    """A copy of the healthy project that a test may break."""

    root: Path

    def open(self) -> Helm:
        return open_helm(self.root, environ={})

    def settings(self, **values: Any) -> None:
        record_settings(
            self.root / "marketloop.toml", {name.replace("__", "."): value for name, value in values.items()}
        )

    def examine(self, **environ: str) -> dict[str, Finding]:
        return {finding.name: finding for finding in examine(self.root, environ=environ)}

    def cycle(
        self, outcome: str, *, ago: dt.timedelta, took_s: float = 9, trigger: str = "schedule", **told: Any
    ) -> None:
        """Record a cycle that ended."""
        with self.open() as helm, helm.state.write() as db:
            at = helm.clock.now() - ago
            begun = cycles.start(db, trigger=trigger, reason="a test", process=this_process(), at=at)
            document = {"cycle_id": begun.id, "outcome": outcome, "families": [], **told}
            cycles.finish(db, begun.id, outcome=outcome, document=document, at=at + dt.timedelta(seconds=took_s))

    def beat(self, *, ago: dt.timedelta, process: Process | None = None, **document: Any) -> None:
        """Record a heartbeat of the loop."""
        with self.open() as helm, helm.state.write() as db:
            at = helm.clock.now() - ago
            heartbeats.beat(db, "loop", document=document, process=process or this_process(), at=at)

    def crown(self, *, proven: bool = True, **card: Any) -> int:
        """Make another champion with these figures, and bring the views up to date."""
        with reopened(self.root) as shop:
            coverage = DeltaBarStore(self.root / "data").coverage()
            newest = coverage["last"].max()
            assert isinstance(newest, dt.date)
            version = shop.candidate(coverage["ticker"].to_list(), as_of=newest)
            examined(shop.helm, version, **card)
            shop.promote(version, proven=proven)
        return version

    def force(self, **card: Any) -> int:
        """Force a champion past the gate."""
        with reopened(self.root) as shop:
            coverage = DeltaBarStore(self.root / "data").coverage()
            newest = coverage["last"].max()
            assert isinstance(newest, dt.date)
            version = shop.candidate(coverage["ticker"].to_list(), as_of=newest)
            examined(shop.helm, version, **card)
            now = shop.registry.champion(shop.slot())
            assert now is not None
            word = Ruling("promoted", "forced", "a test", skill_proven=False)
            at = shop.helm.clock.now()
            shop.registry.promote(shop.slot(), version, word, expected=now.entry, held=shop.held, at=at)
        return version


def dead_process() -> Process:
    """Return a process of this host that is gone."""
    return replace(this_process(), pid=2**22 - 1, start="1")


Break = Callable[[Ward], None]


def copied(healthy_root: Path, to: Path) -> Ward:
    """Return a copy of the healthy project, times of its files kept."""
    shutil.copytree(healthy_root, to)
    return Ward(to)
