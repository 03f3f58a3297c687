"""The installation: Python, libraries and their versions, libraries that clash, and threads."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from marketloop.cli.examinations.finding import Finding, failed, ok, warning
from marketloop.runtime.threads import cores

__all__ = ["EXAMINATIONS", "clashes", "libraries", "threads"]

_IMPORTED: Final = ("numpy", "polars", "deltalake", "sqlalchemy", "pydantic")
"""Libraries without which the rest of the examination is not possible; those that learn are only looked for."""
_LOOKED_FOR: Final = ("sklearn", "lightgbm", "xgboost", "optuna", "scipy", "pyarrow", "mlflow")
_SAME_NAME: Final = (
    ("xgboost", "xgboost-cpu", "xgboost-cpu"),
    ("polars", "polars-lts-cpu", "polars"),
    ("polars", "polars-u64-idx", "polars"),
)
"""Two distributions that install the same package over each other, and the one that is meant to be there."""
_LIMIT: Final = re.compile(r"(>=|<=|==|<|>)\s*([0-9][0-9.]*)")
_SETUP: Final = "make setup"


def python(_: object) -> Iterable[Finding]:
    """Say which Python this is."""
    value = f"{platform.python_version()} on {platform.system()}"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return [ok("python", value)]
    remedy = "install Python 3.11, 3.12 or 3.13 and make the environment again"
    return [failed("python", value, remedy, expected="3.11, 3.12 or 3.13")]


def libraries(_: object) -> Iterable[Finding]:
    """Say which libraries are missing, broken, or of a version that MarketLoop does not know."""
    wrong = dict(_broken())
    wrong |= {name: why for name, why in _unfit(importlib.metadata.requires("marketloop") or ()) if name not in wrong}
    if wrong:
        value = "; ".join(f"{name} ({why})" for name, why in sorted(wrong.items()))
        return [failed("libraries", value, _SETUP, expected="the versions of requirements/lock.txt")]
    return [ok("libraries", f"{len(_IMPORTED) + len(_LOOKED_FOR)} present, versions as required")]


def clashes(_: object) -> Iterable[Finding]:
    """Say which installed distributions overwrite each other's files."""
    found = [
        (one, other, meant)
        for one, other, meant in _SAME_NAME
        if _version(one) is not None and _version(other) is not None
    ]
    for one, other, meant in found:
        remedy = f"pip uninstall --yes {one} {other} && pip install {meant}"
        value = f"{one} {_version(one)} beside {other} {_version(other)}: both are imported as {one.split('-')[0]}"
        yield failed("clashes", value, remedy, expected=f"{meant} alone")
    if not found:
        yield ok("clashes", "no two libraries of one name")


def threads(environ: Mapping[str, str]) -> Iterable[Finding]:
    """Say whether the thread budget lets a fit use the machine, and not more than it."""
    there = cores()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    if environ.get("OMP_WAIT_POLICY", "passive").lower() == "active":
        value = (
            "OMP_WAIT_POLICY=active: idle threads spin, and a fit beside another process takes several times as long"
        )
        return [warning("threads", value, "unset OMP_WAIT_POLICY", expected="passive")]
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        text = environ.get(name, str(there))
        if not text.isdecimal() or int(text) == 0:
            return [warning("threads", f"{name}={text}", f"unset {name}", expected="a number of threads")]
        if int(text) > there:
            return [
                warning(
                    "threads", f"{name}={text} on {there} cores{load}", f"unset {name}", expected=f"at most {there}"
                )
            ]
        if int(text) < there:
            remedy = f"unset {name}, or leave it if other programs need the rest"
            return [ok("threads", f"{text} of {there} cores by {name}{load}", remedy=remedy)]
    return [ok("threads", f"{there} cores{load}")]


def _broken() -> Iterator[tuple[str, str]]:
    for name in _IMPORTED:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 -- a broken library may raise anything
            yield name, f"cannot be imported: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    for name in _LOOKED_FOR:
        if importlib.util.find_spec(name) is None:
            yield name, "not installed"


def _unfit(required: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the distributions that are missing or outside their range; a requirement under a condition is left out."""
    for line in required:
        if ";" in line:
            continue
        found = re.match(r"[A-Za-z0-9._-]+", line)
        if found is None:
            continue
        name, version = found[0], _version(found[0])
        if version is None:
            yield name, "not installed"
        elif not all(_holds(version, sign, limit) for sign, limit in _LIMIT.findall(line)):
            yield name, f"{version}, expected {line[len(name) :].strip()}"


def _holds(version: str, sign: str, limit: str) -> bool:
    """Compare two versions by their leading numbers, as far as the limit goes.

    >>> [_holds("3.1.0", "<", "3.1"), _holds("3.0.3", "<", "3.1"), _holds("2.10", ">=", "2.9")]
    [False, True, True]
    """
    wanted = [int(part) for part in limit.strip(".").split(".")]
    there = [int(part) for part in re.findall(r"\d+", version)[: len(wanted)]]
    there += [0] * (len(wanted) - len(there))
    answers: dict[str, Any] = {
        ">=": there >= wanted,
        "<=": there <= wanted,
        "==": there == wanted,
        "<": there < wanted,
        ">": there > wanted,
    }
    return bool(answers[sign])


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


EXAMINATIONS: Final = (("python", python), ("libraries", libraries), ("clashes", clashes), ("threads", threads))
