"""Wrong settings, said in one sentence: which, where, what was expected, and the nearest right one."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.runtime.layers import Key, Origin

__all__ = ["complaint"]

_WORDS: Final = {
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "model_type": "expected a section, not a value",
    "dict_type": "expected a section, not a value",
    "tuple_type": 'expected a list, e.g. ["A", "B"]',
    "path_type": "expected a path",
    "string_pattern_mismatch": "expected a number and a unit, e.g. 5y, 6mo, 2w or 30d",
}


def complaint(
    error: ValidationError,
    given: Mapping[str, Any],
    origins: Mapping[Key, Origin],
    *,
    model: type[BaseModel],
    folder: Path | None,
) -> UsageError:
    """Put the first thing that pydantic found into one sentence of ours.

    Parameters
    ----------
    given : nested mapping that was validated
    origins : where each of its values was given
    model : the settings, for the names of all keys
    folder : the project's folder, for the name of the file
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    first = details[0]
    key = _named(first, given)
    more = f" ({len(details) - 1} more wrong after this one)" if len(details) > 1 else ""
    where = _where(key, origins, folder)
    if first["type"] == "extra_forbidden":
        return UsageError(f'{where}: unknown setting "{".".join(key)}".{_nearest(key, model)}{more}')
    return UsageError(f"{where}: {'.'.join(key)} = {_shown(given, key)}: {_expected(first)}{more}")


def _where(key: Key, origins: Mapping[Key, Origin], folder: Path | None) -> str:
    around = (origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins)
    inside = (origin for k, origin in origins.items() if k[: len(key)] == key)
    origin = next(around, None) or next(inside, Origin())
    if origin.kind == "file" and folder is not None:
        name, _, line = origin.place.rpartition(":")
        return f'"{folder / name}" line {line}'
    return str(origin)


def _named(detail: ErrorDetails, given: Mapping[str, Any]) -> Key:
    """Return the path of the setting that a finding is about (positions in a list belong to the list)."""
    key: Key = ()
    table: Any = given
    for part in detail["loc"]:
        if not isinstance(table, Mapping) or part not in table:
            break
        key, table = (*key, str(part)), table[part]
    return key


def _shown(given: Mapping[str, Any], key: Key) -> str:
    value: Any = given
    for part in key:
        value = value[part]
    return "a table" if isinstance(value, Mapping) else repr(str(value) if isinstance(value, Path) else value)


def _expected(detail: ErrorDetails) -> str:
    """Say what was expected, in words of settings rather than of Python."""
    kind = detail["type"]
    if kind == "literal_error":
        allowed = str(detail["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"expected one of {', '.join(allowed)}.{did_you_mean(str(detail['input']), allowed)}"
    if kind.startswith("date"):
        return "expected a date as YYYY-MM-DD"
    return _WORDS.get(kind) or detail["msg"].replace("Input should be", "expected a value")


def _nearest(key: Key, model: type[BaseModel]) -> str:
    """Suggest the right key: in the same section first, else wherever that key lives."""
    section, name = key[:-1], key[-1]
    family = section[1] if section[:1] == ("family",) and len(section) > 1 else "<name>"
    known = list(_paths(model, (), family))
    depth = len(section)
    beside = {k[depth]: ".".join(k[: depth + 1]) for k in known if k[:depth] == section and len(k) > depth}
    if close := difflib.get_close_matches(name, beside, n=1):
        return f' Did you mean "{beside[close[0]]}"?'
    if elsewhere := next((k for k in known if k[-1] == name), None):
        return f' Did you mean "{".".join(elsewhere)}"?'
    return f" Expected one of {', '.join(sorted(beside))}." if beside else ""


def _paths(model: type[BaseModel], above: Key, family: str) -> Iterator[Key]:
    """Yield the path of every setting; the one table with free names, ``family``, takes the name given."""
    for name, field in model.model_fields.items():
        inner: Any = field.annotation
        here = (*above, name)
        if typing.get_origin(inner) is dict:
            inner, here = typing.get_args(inner)[1], (*here, family)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _paths(inner, here, family)
        else:
            yield (*above, name)
