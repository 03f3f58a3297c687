"""Buttons that make something happen: each says what will, asks once more, and needs its role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nicegui import ui

from marketloop.core.errors import MarketLoopError
from marketloop.state import Slot
from marketloop.web.actions import ask_promotion, require, set_pin
from marketloop.web.dashboard.frame import Visit
from marketloop.web.dashboard.pieces import Text, banner
from marketloop.web.dashboard.words import family_name
from marketloop.web.problems import ProblemError
from marketloop.web.retraining import roll_back, trigger_retraining

__all__ = ["pin_button", "promote_button", "retrain_button", "rollback_button"]

LONGEST_REASON: Final = 500
WAITS: Final = "No loop is running: the request waits until you start one with `marketloop up`."


@dataclass(frozen=True, slots=True)
class _Deed:
    """What a button does.

    Parameters
    ----------
    name, icon : str
        On the button.
    role : str
        Who may.
    title, says, warning : str
        What the dialog tells before it asks.
    act : function (reason, choice, force) -> str
        Runs beside the answers and returns the address to go to.
    choices : mapping of version to its name
        To choose among; the first is preset.
    forcible, primary : bool
    """

    name: str
    icon: str
    role: str
    title: str
    says: str
    act: Callable[[str, int | None, bool], str]
    warning: str = ""
    choices: Mapping[int, str] = field(default_factory=dict)
    forcible: bool = False
    primary: bool = False


def retrain_button(visit: Visit, family: str | None = None, *, loop_runs: bool) -> None:
    """Show the button that asks for a retraining."""
    name = "all families" if family is None else family_name(family)

    def act(reason: str, _: int | None, force: bool) -> str:
        families = () if family is None else (family,)
        job = trigger_retraining(visit.premises, visit.visitor, reason=reason, force=force, families=families)
        return f"/activity/{job}"

    says = (
        f"A whole cycle for {name}: collect what is missing, train, examine, and promote what passes the gate. "
        "The champion goes on serving meanwhile."
    )
    warning = "" if loop_runs else WAITS
    deed = _Deed("Retrain now", "autorenew", "operate", f"Retrain {name}", says, act, warning)
    _button(visit, replace(deed, forcible=True, primary=True))


def rollback_button(visit: Visit, slot: Slot, serving: int, served: Sequence[int]) -> None:
    """Show the button that lets an earlier version serve again."""

    def act(reason: str, to: int | None, _: bool) -> str:
        require(visit.visitor, "admin", "a rollback")
        why = reason or "asked for on the dashboard"
        roll_back(visit.premises, visit.visitor, slot.family, to=to, reason=why)
        return visit.address

    says = (
        f"Version {serving} serves now. The version that you choose serves again at once, with the figures and the "
        "status that it had."
    )
    deed = _Deed("Roll back", "undo", "admin", f"Roll back {family_name(slot.family)}", says, act)
    _button(visit, replace(deed, choices={version: f"version {version}" for version in served}))


def promote_button(visit: Visit, slot: Slot, version: int, *, loop_runs: bool) -> None:
    """Show the button that makes a version the champion past the gate's opinion."""

    def act(reason: str, _: int | None, __: bool) -> str:
        return f"/activity/{ask_promotion(visit.premises, visit.visitor, slot, version, reason=reason)}"

    says = (
        "This goes past the gate's opinion, never past a hard check. It stays provisional, every signal HOLD, while "
        "the skill of its recipe is unproven. It needs a reason, which is recorded."
    )
    title = f"Promote version {version} of {family_name(slot.family)} by hand"
    warning = "" if loop_runs else WAITS
    _button(visit, _Deed(f"Promote version {version}", "publish", "admin", title, says, act, warning))


def pin_button(visit: Visit, slot: Slot, version: int, *, pinned: bool) -> None:
    """Show the button that pins the champion, or frees it."""

    def act(reason: str, _: int | None, __: bool) -> str:
        set_pin(visit.premises, visit.visitor, slot, on=not pinned, reason=reason)
        return visit.address

    word, icon = ("Unpin", "lock_open") if pinned else ("Pin", "push_pin")
    says = (
        f"Version {version} may be replaced again, and the family is retrained again."
        if pinned
        else f"Version {version} serves until it is unpinned: nothing replaces it, and nothing is trained."
    )
    _button(visit, _Deed(word, icon, "admin", f"{word} {family_name(slot.family)}", says, act))


def _button(visit: Visit, deed: _Deed) -> None:
    """Show a button with its dialog; somebody without the role sees it switched off, and why."""
    dialog = _dialog(visit, deed)
    look = "unelevated" if deed.primary else "outline"
    button = ui.button(deed.name, icon=deed.icon, on_click=dialog.open).props(f"no-caps {look} color=primary")
    if not visit.may(deed.role):
        button.disable()
        with button:
            ui.tooltip(f"needs the role {deed.role}; you have {visit.visitor.role}")


def _dialog(visit: Visit, deed: _Deed) -> ui.dialog:
    with ui.dialog() as dialog, ui.element("div").classes("ml-card") as box:
        box.props["aria-label"] = deed.title
        Text("h2", deed.title)
        Text("p", deed.says)
        if deed.warning:
            banner(deed.warning)
        chosen = None
        if deed.choices:
            chosen = ui.select(dict(deed.choices), value=next(iter(deed.choices)), label="Which")
            chosen.props("outlined dense").style("width:100%")
        reason = ui.input("Reason (recorded)").props(f"outlined dense maxlength={LONGEST_REASON}").style("width:100%")
        force = None
        if deed.forcible and visit.may("admin"):
            force = ui.checkbox("Force: skip the skill test, never a hard check (needs a reason)")
        trouble = ui.element("div")

        async def go() -> None:
            trouble.clear()
            confirm.disable()
            choice = None if chosen is None else int(chosen.value)
            forced = force is not None and bool(force.value)
            try:
                if not visit.is_valid():
                    raise ProblemError(401, "the key of this session has ended: log in again")
                require(visit.visitor, deed.role, deed.name.lower())
                visit.premises.asked(visit.visitor.client)
                where = await asyncio.to_thread(deed.act, str(reason.value or "").strip(), choice, forced)
            except (MarketLoopError, ProblemError) as error:
                with trouble:
                    banner(str(error), "bad")
                return
            finally:
                confirm.enable()
            dialog.close()
            ui.navigate.to(where)

        with ui.element("div").classes("ml-row"):
            confirm = ui.button(deed.name, on_click=go).props("no-caps unelevated color=primary")
            ui.button("Cancel", on_click=dialog.close).props("no-caps flat")
    return dialog
