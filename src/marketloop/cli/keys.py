"""``marketloop keys``: make, list, rotate and revoke the keys of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.core.errors import UsageError

__all__ = ["command"]

ACTIONS = ("list", "create", "rotate", "revoke")


def command(
    call: Call,
    action: Annotated[str, typer.Argument(help="list, create, rotate or revoke.")] = "list",
    name: Annotated[str | None, typer.Argument(help="Whose key it is.")] = None,
    role: Annotated[str, typer.Option("--role", help="read, operate or admin.")] = "read",
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="It ends after so many days.")] = None,
    grace: Annotated[float, typer.Option("--grace-hours", min=0, help="rotate: the old one goes on so long.")] = 24,
) -> Answer:
    """Make, list, rotate and revoke the keys of the API; a key is shown once and kept as a hash."""
    if action not in ACTIONS:
        raise UsageError(f'unknown action "{action}": expected one of {", ".join(ACTIONS)}')
    if action != "list" and not name:
        raise UsageError(f"keys {action}: say whose key it is, e.g. `marketloop keys {action} dashboard`")
    with call.open_helm() as helm:
        held = call.room("serving.keeping")
        if action == "list":
            document = held.list_keys(helm.state, at=helm.clock.now())
        elif action == "create":
            ends = None if days is None else dt.timedelta(days=days)
            document = held.create_key(helm.state, str(name), role=role, lifetime=ends, at=helm.clock.now())
        elif action == "rotate":
            document = held.rotate_key(helm.state, str(name), grace=dt.timedelta(hours=grace), at=helm.clock.now())
        else:
            document = held.revoke_key(helm.state, str(name), at=helm.clock.now())

    def show(screen: Screen) -> None:
        if "key" in document:
            screen.line(document["key"], style="bold")
            screen.line("shown once: keep it where secrets are kept", style="dim")
        rows = [
            [row[k] for k in ("name", "id", "role", "state", "created_at", "expires_at")] for row in document["keys"]
        ]
        screen.table(("name", "id", "role", "state", "created", "expires"), rows)

    return Answer(document, show)
