"""One tree of errors; the branch decides the exit code.

MarketLoopError
├── UsageError     exit 2   a setting, flag, name or input that is wrong and can be put right by the caller
├── RefusedError   exit 1   a gate, leak check, quality rule or feature/model mismatch said no
└── FailedError    exit 3   a source, store, artefact, lease or disk failed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["FailedError", "MarketLoopError", "RefusedError", "UsageError", "did_you_mean", "unknown_name"]


class MarketLoopError(Exception):
    """An error whose message names the thing, the value, what was expected and the remedy."""

    exit_code = 3


class UsageError(MarketLoopError):
    """The caller asked for something that does not exist or cannot be read."""

    exit_code = 2


class RefusedError(MarketLoopError):
    """A check refused; nothing was changed."""

    exit_code = 1


class FailedError(MarketLoopError):
    """Something outside the caller's hands failed; nothing half-done was kept."""

    exit_code = 3


def did_you_mean(value: str, names: Iterable[str]) -> str:
    """Return ``' Did you mean "x"?'`` for the nearest of `names`, or an empty string.

    >>> did_you_mean("extendet", ["basic", "extended"])
    ' Did you mean "extended"?'
    """
    close = difflib.get_close_matches(value, list(names), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


def unknown_name(kind: str, value: str, names: Iterable[str]) -> UsageError:
    """Build the error for a `value` that is not among the `names` of its `kind`.

    >>> str(unknown_name("feature set", "extendet", ["basic", "extended"]))
    'unknown feature set "extendet": expected one of basic, extended. Did you mean "extended"?'
    """
    known = sorted(names)
    return UsageError(f'unknown {kind} "{value}": expected one of {", ".join(known)}.{did_you_mean(value, known)}')
