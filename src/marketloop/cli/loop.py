"""``marketloop loop``: plans, reacts to events, and runs one cycle at a time until it is stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen, plain

__all__ = ["ScheduleOption", "Teller", "command"]

ScheduleOption = Annotated[
    str | None, typer.Option("--schedule", metavar="PROFILE", help="default, calm or off, instead of the settings'.")
]


class Teller:
    """Prints what happens as it happens: one JSON document a line, or one line for people."""

    def __init__(self, call: Call, *, quiet: bool = False) -> None:
        self._json, self._quiet = call.json, quiet
        self._clock = call.room("runtime.clock").SystemClock()
        self.happened: list[dict[str, Any]] = []

    def __call__(self, what: str, about: Mapping[str, Any]) -> None:
        """Tell one happening; quiet ones are kept for the document instead."""
        at = self._clock.now()
        told = {"at": at.isoformat(), "what": what, "about": plain(about)}
        if self._quiet:
            self.happened.append(told)
        if self._json and not self._quiet:
            sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        elif not self._json:
            details = ", ".join(f"{name} {_short(value)}" for name, value in about.items() if value not in (None, ""))
            sys.stdout.write(f"{at:%Y-%m-%d %H:%M:%S} {what}: {details}\n")
        sys.stdout.flush()


def command(
    call: Call,
    once: Annotated[bool, typer.Option("--once", help="One round: run what is due now, then end.")] = False,
    health: Annotated[bool, typer.Option("--health", help="Only say whether a loop runs; exit code 1 if not.")] = False,
    schedule: ScheduleOption = None,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Plan what is due, react to events, and run one request at a time, until SIGTERM or Ctrl-C.

    Of several loops of one project one is in charge and the others stand by. A running cycle is stopped with the loop
    and recorded as failed; the champion stays as it was.
    """
    if health:
        with call.open_helm() as helm:
            return _health(call.room("loop.pulse").pulse(helm))
    stopping = call.room("runtime.stopping")
    until = stopping.stop_flag()
    if tied:
        stopping.tie_to_parent()
    with call.open_house({"retraining.schedule": schedule}) as house:
        teller = Teller(call, quiet=once)
        one = call.room("loop.worker").Worker(house, say=teller)
        if not once:
            teller("loop", {"project": house.project.root, "state": "started"})
            one.run(until)
            teller("loop", {"project": house.project.root, "state": "stopped"})
            raise typer.Exit
        try:
            in_charge = one.tick()
            one.wait(until)
        finally:
            one.stop()
    document = {"in_charge": in_charge, "happened": teller.happened}
    return Answer(document, lambda screen: screen.line("done" if in_charge else "another loop is in charge"))


def _health(document: dict[str, Any]) -> Answer:
    def show(screen: Screen) -> None:
        since = f"last seen {document['last_seen']}" if document["last_seen"] else "never seen"
        screen.line(f"a loop runs ({since})" if document["running"] else f"no loop runs ({since}): marketloop up")

    return Answer(document, show, exit_code=0 if document["running"] else 1)


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 200 else text[:197] + "..."
