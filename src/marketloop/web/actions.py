"""What a person may make happen from a page, audited in the same ledger as by the API and the command line."""

from __future__ import annotations

from marketloop.core.errors import UsageError
from marketloop.serving.keys import allows
from marketloop.state import Slot, requests, this_process, versions
from marketloop.state.requests import Wish
from marketloop.web.door import Visitor
from marketloop.web.premises import Premises
from marketloop.web.problems import ProblemError

__all__ = ["ask_promotion", "require", "set_pin"]


def require(visitor: Visitor, role: str, what: str) -> None:
    """Raise `ProblemError` 403 unless `visitor` may do what `role` may."""
    if not allows(visitor.role, role):
        raise ProblemError(403, f'{what} needs the role {role}; "{visitor.name}" has the role {visitor.role}')


def ask_promotion(premises: Premises, visitor: Visitor, slot: Slot, version: int, *, reason: str) -> str:
    """Record the wish that a version serve, and return the job; the loop asks the version and makes it the champion.

    Raises
    ------
    ProblemError
        The visitor may not.
    UsageError
        There is no reason or no such version.
    """
    require(visitor, "admin", "a promotion by hand")
    if not reason.strip():
        raise UsageError("a promotion by hand needs a reason: it is audited")
    with premises.state.write() as db:
        versions.require(db, slot, version)
        wish = Wish(
            "manual",
            reason.strip(),
            (slot.family,),
            choices={"promote": version, "config_key": slot.config_key},
            requested_by=visitor.name,
        )
        asked, _ = requests.ask(db, wish, process=this_process(), at=premises.clock.now())
    return asked.id


def set_pin(premises: Premises, visitor: Visitor, slot: Slot, *, on: bool, reason: str) -> int:
    """Pin a slot to its champion or free it, and return the version.

    Raises
    ------
    ProblemError
        The visitor may not.
    RefusedError
        It is so already, or nobody serves.
    """
    require(visitor, "admin", "pinning" if on else "unpinning")
    why = f"{reason.strip() or 'asked for on the dashboard'} ({visitor.name})"
    champion = premises.registry.pin(slot, on=on, reason=why, at=premises.clock.now())
    premises.desk.refresh(premises.clock.now())
    return champion.version
