"""The layers that settings come from: file, environment and flags, each value with its origin."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from marketloop.core.errors import UsageError
from marketloop.runtime.files import disk_errors

__all__ = ["Key", "Layer", "Origin", "environment_layer", "file_layer", "flag_layer", "key_lines", "read_toml"]

PREFIX: Final = "MARKETLOOP_"
# Variables that are no settings: the project's folder, and fault points of tests.
_NO_SETTINGS: Final = ("MARKETLOOP_PROJECT", "MARKETLOOP_FAULT")
_PATHS: Final = frozenset({("data", "path"), ("retraining", "training_data_path"), ("context", "sectors")})
_FILE_ENDINGS: Final = (".csv", ".parquet", ".csv.gz")
_HEADER = re.compile(r"^\s*\[\[?\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting was given.

    Parameters
    ----------
    kind : str
        ``default``, ``file``, ``environment`` or ``flag``.
    place : str
        Line of the file, name of the variable; empty for the rest.
    """

    kind: Literal["default", "file", "environment", "flag"] = "default"
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}".strip()


@dataclass(frozen=True, slots=True)
class Layer:
    """Values of one layer by their path, e.g. ``("gate", "alpha_skill")``, and where each was given."""

    values: Mapping[Key, Any]
    origins: Mapping[Key, Origin]


def file_layer(path: Path) -> Layer:
    """Read the settings file; relative paths in it count from its folder.

    Raises
    ------
    UsageError
        The file is no TOML (naming the line) or no text.
    """
    text, document = read_toml(path)
    lines = key_lines(text)
    values = _spread((), document, path.parent)
    return Layer(values, {key: Origin("file", f"{path.name}:{_line(lines, key)}") for key in values})


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read ``MARKETLOOP_GATE__ALPHA_SKILL=0.01``: section and key are parted by two underscores."""
    values: dict[Key, Any] = {}
    origins: dict[Key, Origin] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or (name.startswith(_NO_SETTINGS) and "__" not in name):
            continue
        key = tuple(name.removeprefix(PREFIX).lower().split("__"))
        found = _spread(key, _literal(environ[name], name), Path.cwd())
        values |= found
        origins |= dict.fromkeys(found, Origin("environment", name))
    return Layer(values, origins)


def flag_layer(flags: Mapping[str, Any]) -> Layer:
    """Take the flags of a command by dotted key; None means that the flag was not given."""
    values: dict[Key, Any] = {}
    for key, value in flags.items():
        if value is not None:
            values |= _spread(tuple(key.split(".")), value, Path.cwd())
    return Layer(values, dict.fromkeys(values, Origin("flag")))


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a TOML file and what it says."""
    with disk_errors(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f'"{path}" line {line}: not UTF-8 text; save the file as UTF-8') from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at ")
        found = re.search(r"line (\d+)", place)
        line = int(found[1]) if found else text.count("\n") + 1
        raise UsageError(f'"{path}" line {line}: not valid TOML ({what.lower()}); correct that line') from error


def key_lines(text: str) -> dict[Key, int]:
    r"""Return the line, from 1, on which each table and key of a TOML text begins.

    >>> key_lines("plugins = []\n[gate]\nalpha_skill = 0.05\n")
    {('plugins',): 1, ('gate',): 2, ('gate', 'alpha_skill'): 3}
    """
    table: Key = ()
    lines: dict[Key, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", dotted))


def _line(lines: Mapping[Key, int], key: Key) -> int:
    """Return the line of `key`, or of the nearest thing around it (keys of inline tables have no line of their own)."""
    return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 1)


def _spread(key: Key, value: Any, folder: Path) -> dict[Key, Any]:
    """Return every value inside `value` by its path; relative paths count from `folder`."""
    if not isinstance(value, Mapping) or not value:
        return {key: _anchor(key, value, folder)} if key else {}
    return {k: v for name, inner in value.items() for k, v in _spread((*key, str(name)), inner, folder).items()}


def _literal(text: str, name: str) -> Any:
    """Read a list or a table written as TOML; pydantic reads all else from the text."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f'{name} = {text}: not a TOML value; write a list as A,B or ["A", "B"]') from error


def _anchor(key: Key, value: Any, folder: Path) -> Any:
    """Make a relative path absolute from the place where it was written."""
    if key == ("plugins",):
        items = value.split(",") if isinstance(value, str) else value
        return [_join(item, folder) if str(item).endswith(".py") else item for item in items] if items else items
    is_path = key in _PATHS or (key[0] == "context" and str(value).lower().endswith(_FILE_ENDINGS))
    return _join(value, folder) if is_path and isinstance(value, str | Path) else value


def _join(value: str | Path, folder: Path) -> str:
    return str(folder.absolute() / Path(str(value).strip()).expanduser())
