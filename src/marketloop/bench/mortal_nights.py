"""What a process does that may be killed: one night of a small project, or a look at what is left of it."""

from __future__ import annotations

import datetime as dt
import gc
import time
from pathlib import Path
from typing import Any, Final

from marketloop.bench.mortal import Job, serve
from marketloop.core.errors import MarketLoopError
from marketloop.features.evidence import LeakReport
from marketloop.loop import checks, turn
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.flight import single_flight
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices
from marketloop.runtime.logging import set_up_logging
from marketloop.runtime.project import create_project
from marketloop.runtime.threads import set_thread_budget
from marketloop.state import champions, cycles, decisions, streams, versions
from marketloop.tracking.client import mlflow

__all__ = ["FAMILY", "JOBS", "MARKET", "look", "main", "make", "night", "poll"]

FAMILY: Final = "price_predictor"
MARKET: Final = {"tickers": 5, "sessions": 1240, "seed": 11, "start": "2013-01-02"}
"""Enough sessions for a stream of scores, and for some hundred nights after it."""
RECIPE: Final = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
"""A recipe that imports no library of models."""
MADE: Final = ("promote", "provisional", "refresh", "forced")
PARTIAL: Final = ("*partial*", "*.tmp", "*#*")


def make(home: str, *, settings: dict[str, Any] | None = None, tracking: bool = False) -> dict[str, Any]:
    """Make the project."""
    create_project(Path(home), settings={"tracking.enabled": tracking, "features.set": "basic", **(settings or {})})
    return {}


def night(home: str, *, end: str, recover: bool = False) -> dict[str, Any]:
    """Run one forced cycle with bars up to `end`; first, if asked, recover alone and say how long it took."""
    found: dict[str, Any] = {}
    with _house(home) as house:
        if recover:
            started, computed = time.perf_counter(), time.process_time()
            with single_flight(house, trigger="manual", reason="recovery, measured") as flight:
                found["recovery_s"] = time.perf_counter() - started
                found["recovery_cpu_s"] = time.process_time() - computed
                flight.outcome, flight.document = "skipped", {}
        collect = CollectRequest(source="synthetic", options=MARKET, end=dt.date.fromisoformat(end))
        request = CycleRequest((FAMILY,), reason="fault run", force=True, choices=RECIPE, collect=collect)
        result = run_cycle(house, request)
        family = result.families[0]
        found |= {"outcome": result.outcome, "version": family.version, "error": family.error, "why": family.reason}
        return found


def look(home: str) -> dict[str, Any]:
    """Say who serves, whether its artefact is whole, what it predicts, and what is wrong or left behind."""
    with _house(home) as house:
        slot = house.slot(FAMILY)
        champion = house.registry.champion(slot)
        if champion is None:
            return {"champion": None, "wrong": _wrong(house), "left": _left(house)}
        artefact = house.registry.load(slot, champion.version)
        answers = predict(house, family=FAMILY)
        return {
            "champion": champion.version,
            "entry": champion.entry,
            "parts": sorted(artefact.parts),
            "predicted_by": answers.champion.version,
            "tickers": len(answers.predictions),
            "wrong": _wrong(house),
            "left": _left(house),
        }


def poll(home: str, *, until: str, every_s: float = 0.02) -> dict[str, Any]:
    """Ask for champion and predictions until the file `until` exists; say how often, and what was odd."""
    asked, odd, served = 0, [], 0
    while not Path(until).exists():
        try:
            with _house(home) as house:
                slot = house.slot(FAMILY)
                champion = house.registry.champion(slot)
                if champion is not None:
                    house.registry.load(slot, champion.version)
                answers = predict(house, family=FAMILY)
        except MarketLoopError as error:
            odd.append(str(error))
            continue
        asked += 1
        Path(f"{until}.asked").write_text(str(asked), encoding="utf-8")
        if champion is None or not served <= champion.version <= answers.champion.version:
            odd.append(f"after version {served}: champion {champion}, predicted by {answers.champion.version}")
        if len(answers.predictions) != MARKET["tickers"]:
            odd.append(f"{len(answers.predictions)} predictions")
        served = max(served, answers.champion.version)
        time.sleep(every_s)
    return {"asked": asked, "odd": odd, "served": served}


JOBS: Final[dict[str, Job]] = {"make": make, "night": night, "look": look, "poll": poll}


def main() -> None:
    """Serve the jobs; what a night needs is imported before the first one.

    Nothing is computed here: threads of Polars or of the store would not survive the fork, and what they hold would
    stay locked. The leak question is answered beforehand: it writes nothing, and is two thirds of so small a night.
    """
    vars(checks)["leak_report"] = _no_leak
    vars(turn)  # what a cycle imports when something is to be trained
    set_up_logging(None)
    mlflow()
    gc.collect()
    gc.freeze()  # else each child looks through all that was imported: half of so small a night
    serve(JOBS)


def _no_leak(*given: Any, **_: object) -> LeakReport:
    return LeakReport(len(given[1]), ())


def _house(home: str) -> House:
    return open_house(Path(home), environ={})


def _wrong(house: House) -> list[str]:
    """Return what contradicts itself in the ledger."""
    slot, found = house.slot(FAMILY), []
    with house.state.read() as db:
        ledger = champions.history(db, slot)
        rows = {row.version: row for row in versions.listing(db, slot)}
        ruled = {decision.id: decision for decision in decisions.history(db)}
        running = [cycle for cycle in cycles.recent(db, limit=1000) if cycle.outcome == cycles.RUNNING]
    if [entry.entry for entry in ledger] != list(range(len(ledger), 0, -1)):
        found.append(f"champion entries {[entry.entry for entry in ledger]}")
    made = [entry.version for entry in ledger if entry.action in MADE]
    if len(made) != len(set(made)):
        found.append(f"a version was promoted twice: {made}")
    for entry in ledger:
        if entry.decision_id not in ruled:
            found.append(f"entry {entry.entry} without a decision")
        if rows[entry.version].state not in {"complete", "deleted"}:
            found.append(f"version {entry.version} served and is {rows[entry.version].state}")
    served = {decision.version for decision in ruled.values() if decision.verdict in {"promoted", "provisional"}}
    if served != set(made):
        found.append(f"decided {sorted(map(str, served))}, promoted {sorted(made)}")
    if len(running) > 1:
        found.append(f"{len(running)} cycles running")
    return found


def _left(house: House) -> dict[str, list[str]]:
    """Return what lies about that nothing names: half-written files, folders and files without a row."""
    root, slot = house.project.root, house.slot(FAMILY)
    with house.state.read() as db:
        kept = {house.registry.root / row.path for row in versions.listing(db, slot) if row.state == "complete"}
        known = streams.paths(db)
        writing = [row.version for row in versions.listing(db, slot) if row.state == "writing"]
        running = [cycle.id for cycle in cycles.recent(db) if cycle.outcome == cycles.RUNNING]
    folders = {path for path in house.registry.root.glob("*/*/*") if path.is_dir()}
    files = (path.relative_to(house.stream_files.root) for path in house.stream_files.root.rglob("*") if path.is_file())
    named = (file.as_posix() for file in files if not {file.as_posix(), file.parent.as_posix()} & set(known))
    found = {
        "partial": [str(path.relative_to(root)) for form in PARTIAL for path in root.rglob(form)],
        "folders": [path.name for path in sorted(folders - kept)],
        "streams": sorted(named),
        "writing": [str(number) for number in writing],
        "running": running,
        "data": [str(path.relative_to(root)) for path in house.store.strays()],
    }
    return {kind: names for kind, names in found.items() if names}


if __name__ == "__main__":
    set_thread_budget(1)
    main()
