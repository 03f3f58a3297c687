"""``marketloop events``: publish what happened, or list what was published and what came of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import pairs
from marketloop.cli.render import Screen
from marketloop.core.errors import UsageError, unknown_name

__all__ = ["command"]


def command(
    call: Call,
    action: Annotated[str, typer.Argument(metavar="publish|list", help="What to do.")] = "list",
    kind: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="E.g. MARKET_SHOCK.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="JSON|FIELD=VALUE", help="What it carries; may be repeated.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Publishing twice under one key is once.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to list, newest first.")] = 20,
) -> Answer:
    """Publish an event, which the loop acts on now or when it starts, or list the events and what came of them."""
    if action not in {"list", "publish"}:
        raise unknown_name("action of events", action, ["list", "publish"])
    listing = call.room("loop.happenings")
    if action == "list":
        if data or key:
            raise UsageError("--data and --key belong to `events publish TYPE`")
        with call.open_helm() as helm:
            document = listing.list_events(helm.state, kind=kind, limit=limit)
        return Answer(document, lambda screen: _show(screen, document))
    bus = call.room("loop.events")
    if kind is None:
        raise UsageError(f"events publish: which one? expected one of {', '.join(bus.EventType)}")
    event = bus.Event(kind, _read(data))
    with call.open_house() as house:
        stored = listing.event_document(bus.publish(event, house, key, source="cli"))

    def show(screen: Screen) -> None:
        screen.line(f"event {stored['id']} {stored['type']} is recorded; marketloop events list tells what came of it")

    return Answer(stored, show)


def _read(given: list[str] | None) -> dict[str, Any]:
    """Read ``--data``: JSON objects, and pairs whose value is JSON or plain text."""
    found: dict[str, Any] = {}
    for text in given or ():
        if text.lstrip().startswith("{"):
            found |= _json(text)
        else:
            found |= {name: _value(value) for name, value in pairs("--data", [text]).items()}
    return found


def _json(text: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--data {text!r:.80}: no JSON ({error}); e.g. --data '{{\"vix\": 45}}' or --data vix=45"
        ) from None
    return document


def _value(text: str) -> Any:
    if text.startswith(("[", "{", '"')):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(f"--data {text!r:.80}: no JSON ({error})") from None
    return text


def _show(screen: Screen, document: dict[str, Any]) -> None:
    if not document["events"]:
        screen.line("no events yet")
        return
    rows = []
    for event in document["events"]:
        result = event["result"]
        came = result.get("action") or (f"attempt {event['attempts']} failed" if event["attempts"] else "waits")
        why = result.get("why") or result.get("request_id") or event["trouble"]
        rows.append([event["id"], event["published_at"][:19], event["type"], event["source"], came, why])
    screen.table(("id", "published", "event", "source", "came of it", "why"), rows)
