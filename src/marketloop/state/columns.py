"""Column types that keep moments, days, slots and documents exactly as they were given."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, String, Text
from sqlalchemy.types import TypeDecorator

from marketloop.core.errors import UsageError

__all__ = ["Document", "Json", "Moment", "Slot", "decode", "encode", "stamp"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place that one champion fills: a family under one configuration key.

    Parameters
    ----------
    family : str
        E.g. ``price_predictor``.
    config_key : str
        E.g. ``rsi10_vol20_support20``.
    """

    family: str
    config_key: str

    def __post_init__(self) -> None:
        for name in ("family", "config_key"):
            value = getattr(self, name)
            if not value or not value.replace("_", "a").isalnum() or not value.isascii():
                raise UsageError(f"{name} {value!r}: expected ASCII letters, digits and underscores; it names a folder")

    def __str__(self) -> str:
        return f"{self.family} ({self.config_key})"


def encode(document: Json) -> str:
    """Return `document` as JSON text with sorted keys.

    NaN and infinities have no JSON; they become null. Dates and moments become ISO text, NumPy scalars numbers.

    >>> encode({"b": float("nan"), "a": 1})
    '{"a": 1, "b": null}'
    """
    return json.dumps(_plain(document), sort_keys=True, allow_nan=False, ensure_ascii=False)


def decode(text: str) -> dict[str, Any]:
    """Return the document of a JSON text."""
    document: dict[str, Any] = json.loads(text)
    return document


def stamp(at: dt.datetime) -> str:
    """Return a moment as text of fixed width in UTC, so that the order of texts is the order of time.

    Raises
    ------
    UsageError
        For a moment without a time zone.
    """
    if at.tzinfo is None:
        raise UsageError(f"the moment {at.isoformat()} has no time zone: expected an aware datetime, e.g. in UTC")
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case dt.date():
            return stamp(value) if isinstance(value, dt.datetime) else value.isoformat()
        case _ if hasattr(value, "tolist"):  # NumPy scalars and arrays
            return _plain(value.tolist())
        case _:
            raise TypeError(f"a document holds plain values, not {type(value).__name__}: {value!r}")


class Moment(TypeDecorator[dt.datetime]):
    """An aware datetime, stored as ISO text in UTC with microseconds."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text to store."""
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Return the moment of a stored text."""
        return None if value is None else dt.datetime.fromisoformat(value)


class Document(TypeDecorator[dict[str, Any]]):
    """A JSON object, stored as text with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text to store."""
        return None if value is None else encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the object of a stored text."""
        return None if value is None else decode(value)
