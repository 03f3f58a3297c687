"""The gate's word on a candidate, as it enters the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.state import Slot
from marketloop.state.decisions import Decision

__all__ = ["Ruling"]

_SERVED = frozenset({"promoted", "provisional"})
_KEPT = frozenset({"refused", "skipped", "failed"})


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict with everything that has to be remembered of it.

    Parameters
    ----------
    verdict : str
        ``promoted`` or ``provisional`` for `Registry.promote`; ``refused, skipped, failed`` for `Registry.refuse`.
    reason_code : str
        As SPEC "P" lists them.
    reason : str
        One plain sentence.
    record : mapping
        The numbers of GATE.md, section 4.
    skill_proven : bool
        Whether the slot's skill is proven; without it a promoted version is served as provisional.
    session : int, optional
        Session at whose close it was decided.
    cycle_id : str
    """

    verdict: str
    reason_code: str
    reason: str
    record: Mapping[str, Any] = field(default_factory=dict)
    skill_proven: bool = False
    session: int | None = None
    cycle_id: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in _SERVED | _KEPT:
            raise UsageError(f'verdict "{self.verdict}": expected one of {", ".join(sorted(_SERVED | _KEPT))}')
        if self.verdict == "provisional" and self.skill_proven:
            raise UsageError("a slot with proven skill takes no provisional version: promote or refuse it")

    @property
    def is_served(self) -> bool:
        """Whether the version comes to serve."""
        return self.verdict in _SERVED

    @property
    def status(self) -> str:
        """Status in which it serves: ``champion`` needs proven skill, also when forced."""
        return "champion" if self.skill_proven else "provisional"

    @property
    def action(self) -> str:
        """What the champion ledger calls it."""
        if self.reason_code in {"forced", "refresh"}:
            return self.reason_code
        return "provisional" if self.verdict == "provisional" else "promote"

    def decision(self, slot: Slot, version: int | None, at: datetime) -> Decision:
        """Return the decision row."""
        return Decision(slot, version, self.verdict, self.reason_code, self.reason, at, self.cycle_id, self.record)
