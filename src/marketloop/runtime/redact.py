"""Secrets, hidden before anything is printed or logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["redact", "redact_text"]

HIDDEN: Final = "***"
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|api[_-]?key|authorization|cookie|credential)")
_SECRET_KEYS: Final = frozenset({"alarms.urls"})  # an Apprise address is a secret as a whole
_USER_IN_URL = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)[^\s/]+@")  # up to the last @: a password may hold one
_ASSIGNED = re.compile(
    r"(?i)\b((?:password|passwd|secret|token|api[_-]?key|authorization)\s*[=:]\s*)(?:bearer\s+)?[^\s&,;]+"
)


def redact(key: str, value: Any) -> Any:
    """Return `value` with every secret in it hidden; `key` names it and may say that all of it is one.

    >>> redact("state.url", "postgresql://anna:pw@db/loop")
    'postgresql://***@db/loop'
    """
    if value and (key in _SECRET_KEYS or _SECRET_NAME.search(key)):
        return [HIDDEN] * len(value) if isinstance(value, list | tuple) else HIDDEN
    match value:
        case str():
            return redact_text(value)
        case Mapping():
            return {name: redact(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [redact(key, inner) for inner in value]
    return value


def redact_text(text: str) -> str:
    """Hide user names and passwords of addresses, and what follows ``password=``, ``token:`` and the like."""
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", text))
