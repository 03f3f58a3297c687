"""What `doctor` examines, in order: the machine, the libraries, the project, and what is in it."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from marketloop.cli.call import Call
from marketloop.core.errors import MarketLoopError
from marketloop.runtime.clock import SystemClock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings

__all__ = ["Finding", "examine"]

_LIBRARIES: Final = ("numpy", "polars", "pyarrow", "scipy", "sklearn", "xgboost", "deltalake", "sqlalchemy")
_LISTED: Final = ("mlflow-skinny", "exchange-calendars", "polars-talib")  # importing takes seconds; presence is enough
_FREE_WARNING_GB: Final = 2.0
_FREE_FAILED_GB: Final = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


def examine(call: Call) -> Iterator[Finding]:
    """Examine everything that can be examined; what depends on a thing that failed is left out."""
    yield _python()
    yield _libraries()
    try:
        project = call.project()
    except MarketLoopError as error:
        yield Finding("project", "failed", str(error), "marketloop init DIR")
        return
    yield Finding("project", "ok", str(project.root))
    yield _guarded("folders", lambda: _folders(project))
    yield _disk(project.root)
    try:
        settings = call.settings()
    except MarketLoopError as error:
        yield Finding("settings", "failed", str(error), f'correct "{project.settings_file}" or the environment')
        return
    yield Finding("settings", "ok", f"{len(settings.origins)} given, all known")
    yield _guarded("calendar", lambda: _calendar(settings))
    yield _guarded("source", lambda: _source(settings))
    yield _guarded("data", lambda: _data(project))
    yield _guarded("state", lambda: _state(project, settings))


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """Examine one thing; whatever goes wrong is the finding, and the next thing is examined."""
    try:
        return look()
    except MarketLoopError as error:
        return Finding(name, "failed", str(error), "do as the sentence says, then run marketloop doctor again")
    except Exception as error:  # noqa: BLE001 -- a doctor does not fall ill with the patient
        what = f"{type(error).__name__}: {error}"
        return Finding(name, "failed", what, "install MarketLoop again; if that does not help, report this line")


def _python() -> Finding:
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding(
        "python",
        "ok" if good else "failed",
        f"{platform.python_version()} on {platform.system()}",
        "" if good else "install Python 3.11, 3.12 or 3.13 and make the environment again",
    )


def _libraries() -> Finding:
    broken: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 -- a broken library may raise anything
            broken[name] = str(error).splitlines()[0] if str(error) else type(error).__name__
    for name in _LISTED:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            broken[name] = "not installed"
    if broken:
        detail = "; ".join(f"{name} ({why})" for name, why in broken.items())
        return Finding("libraries", "failed", f"cannot be imported: {detail}", "make setup, or: pip install marketloop")
    return Finding("libraries", "ok", f"{len(_LIBRARIES) + len(_LISTED)} present")


def _folders(project: Project) -> Finding:
    project.check_writable()
    return Finding("folders", "ok", "writable")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    status: Literal["ok", "warning", "failed"] = "ok"
    if free < _FREE_WARNING_GB:
        status = "failed" if free < _FREE_FAILED_GB else "warning"
    return Finding("disk", status, f"{free:,.1f} GB free", "" if status == "ok" else "free some space")


def _calendar(settings: Settings) -> Finding:
    name = settings.project.calendar
    today = SystemClock().now().date()
    load = importlib.import_module("marketloop.data.calendar").load_sessions
    sessions = load(name, today - dt.timedelta(days=30), today)
    return Finding("calendar", "ok", f"{name}, last session {sessions.dates[-1]}")


def _source(settings: Settings) -> Finding:
    builtin = importlib.import_module("marketloop.data.builtin")
    wanted = settings.data
    if wanted.source not in builtin.BUILTIN_SOURCES and settings.plugins:
        detail = f"{wanted.source} is not built in; one of the plugins must add it"
        return Finding("source", "warning", detail, "marketloop collect says so if none does")
    source = builtin.build_source(wanted.source, path=wanted.path, options=wanted.options)
    return Finding("source", "ok", f"{wanted.source}, {len(source.tickers())} tickers")


def _data(project: Project) -> Finding:
    store = importlib.import_module("marketloop.data.store").DeltaBarStore(project.data)
    if store.version is None:
        return Finding("data", "warning", "no bars yet", "marketloop collect")
    coverage = store.coverage()
    span = f"{coverage['first'].min()} to {coverage['last'].max()}"
    return Finding("data", "ok", f"{coverage.height} tickers, {span}, version {store.version}")


def _state(project: Project, settings: Settings) -> Finding:
    if settings.state.url is None and not project.state_db.exists():
        return Finding("state", "warning", "no ledger yet, so no champion", "marketloop retrain price_predictor")
    url = settings.state.url or f"sqlite:///{project.state_db}"
    ledger = importlib.import_module("marketloop.state.champions")
    opened: Any = importlib.import_module("marketloop.state").State.open(url)
    with opened as state, state.read() as db:
        champions = [ledger.current(db, slot) for slot in ledger.slots(db)]
    if not champions:
        return Finding("state", "warning", "readable, no champion yet", "marketloop retrain price_predictor")
    names = ", ".join(f"{c.slot.family} v{c.version} ({c.status})" for c in champions)
    return Finding("state", "ok", f"readable, {names}")
