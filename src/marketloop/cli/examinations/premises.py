"""The project's own files: folders, disk, settings and plugins."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.core.errors import MarketLoopError
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings, load_settings
from marketloop.runtime.threads import cores

__all__ = ["EXAMINATIONS", "places", "plugins", "settings", "threads_set"]

_LEAST_GB: Final = 0.2
"""Free disk below which no cycle begins."""
_LITTLE_GB: Final = 2.0


def places(project: Project) -> Iterator[Finding]:
    """Say where the project is, whether its folders can be used, and whether the disk has room."""
    yield ok("project", str(project.root))
    yield _folders(project)
    yield _disk(project.root)


def settings(project: Project, environ: Mapping[str, str]) -> tuple[Settings, Finding]:
    """Return the settings, and that they can be read; a wrong one raises the sentence that names it."""
    found = load_settings(project.root, environ=environ, flags={})
    return found, ok("settings", f"{len(found.origins)} given, all known", remedy="")


def plugins(patient: Patient) -> Iterable[Finding]:
    """Say whether each plugin is there and has a ``register``; none is run."""
    wrong = [(name, why) for name in patient.settings.plugins if (why := _plugin(name, patient.project.root))]
    if wrong:
        value = "; ".join(f"{name}: {why}" for name, why in wrong)
        yield failed(
            "plugins", value, "correct plugins = [...] in marketloop.toml, then run marketloop features --check"
        )
    elif patient.settings.plugins:
        yield ok("plugins", f"{len(patient.settings.plugins)}, each with register(catalog)")


def threads_set(patient: Patient) -> Iterable[Finding]:
    """Say when the settings ask for more threads than there are cores."""
    wanted, there = patient.settings.compute.threads, cores()
    if wanted is not None and wanted > there:
        remedy = f"set [compute] threads = {there} in marketloop.toml, or leave it out"
        yield warning(
            "compute",
            f"[compute] threads = {wanted} on {there} cores: training is slower",
            remedy,
            expected=f"at most {there}",
        )


def _folders(project: Project) -> Finding:
    for folder in (project.root, *project.folders):
        if folder.exists() and not folder.is_dir():
            value = f'"{folder}" cannot be used: something of another kind is in the way'
            return failed("folders", value, f'move it away: mv "{folder}" "{folder}.aside"', expected="a folder")
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            value = f'"{folder}" cannot be read and written by this user'
            return failed(
                "folders", value, f'chmod u+rwx "{folder}", or make it this user\'s', expected="read and write"
            )
    missing = [folder.name for folder in project.folders if not folder.exists()]
    shut = next((path for path in _files(project) if path.is_file() and not os.access(path, os.R_OK | os.W_OK)), None)
    if shut is not None:
        return failed("folders", f'"{shut}" cannot be read and written by this user', f'chmod u+rw "{shut}"')
    note = f"; {', '.join(missing)} will be made when needed" if missing else ""
    return ok("folders", f"writable{note}")


def _files(project: Project) -> tuple[Path, ...]:
    return project.settings_file, project.state_db, project.scoreboard_db, project.models / "alerts.log"


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    value = f"{free:,.1f} GB free"
    if free < _LEAST_GB:
        return failed("disk", value, "free some space: no cycle begins", expected=f"at least {_LEAST_GB} GB")
    if free < _LITTLE_GB:
        return warning(
            "disk", value, "free some space, or set a smaller [registry] keep", expected=f"{_LITTLE_GB:g} GB or more"
        )
    return ok("disk", value)


def _plugin(name: str, root: Path) -> str:
    """Return what is wrong with a plugin, looking at its text alone; empty where nothing is."""
    if not name.endswith(".py"):
        try:
            found = importlib.util.find_spec(name) is not None or (root / name.replace(".", "/")).exists()
        except (ImportError, ValueError):
            found = False
        return "" if found or (root / f"{name.replace('.', '/')}.py").is_file() else "no module of that name"
    path = (root / name).resolve()
    if not path.is_file():
        return f"no file {path}"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError, MarketLoopError) as error:
        return f"cannot be read: {error}"
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return "" if "register" in named else "has no function register(catalog)"


EXAMINATIONS: Final = (("plugins", plugins), ("compute", threads_set))
