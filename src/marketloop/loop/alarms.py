"""Alarms: written to the ledger first, then to ``models/alerts.log``, the log and every channel that will listen."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from zoneinfo import ZoneInfo

from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.loop.alertlog import append_new, body, stamp
from marketloop.registry import Registry
from marketloop.runtime.clock import Clock
from marketloop.runtime.logging import get_logger
from marketloop.runtime.project import Project
from marketloop.runtime.redact import redact, redact_text
from marketloop.runtime.sections import AlarmsSection
from marketloop.runtime.settings import Settings
from marketloop.state import Connection, State, alarms, outbox
from marketloop.state.alarms import Raised
from marketloop.state.outbox import Message

if TYPE_CHECKING:
    from marketloop.loop.channels import Channel

__all__ = [
    "KINDS",
    "Alarm",
    "Place",
    "deliver",
    "due",
    "enter",
    "is_listened_to",
    "raise_alarm",
    "repaired",
    "went_wrong",
    "write_down",
]

KINDS: Final = ("success", "validation", "degradation", "rollback", "error", "drift", "repair")
URGENT: Final = frozenset({"error", "rollback", "degradation"})
"""Kinds that pass the limit of alarms per hour, up to twice its value."""
TOPIC: Final = "alarm"
HOUR: Final = timedelta(hours=1)
MOST_ATTEMPTS: Final = 10
"""Attempts at one channel before an alarm is given up there: with the pauses between them, 17 hours at least."""
FIRST_PAUSE: Final = timedelta(minutes=1)
DELAYS: Final = tuple(FIRST_PAUSE * ((1 << n) - 1) for n in range(MOST_ATTEMPTS))
FORGOTTEN: Final = timedelta(days=7)
"""Age at which an alarm for a channel that is not there any more is given up."""
AT_ONCE: Final = 100
"""Messages looked at in one round."""


class Place(Protocol):
    """What alarms need of a project; a `House` is one, a `Helm` another."""

    project: Project
    settings: Settings
    clock: Clock

    @property
    def state(self) -> State:
        """The ledger."""
        ...

    @property
    def registry(self) -> Registry:
        """Artefacts and champions."""
        ...


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody should know of.

    Parameters
    ----------
    kind : str
        One of `KINDS`; ``[alarms] kinds`` chooses those that the channels hear of.
    key : str
        What it is about; the same key within the quiet time is the same alarm and is counted only.
    title : str
        One line.
    document : mapping
        ``duration, samples, tickers, metrics, previous_metrics``, paths and whatever a reader needs to act.
    quiet : timedelta, optional
        Its own quiet time instead of ``[alarms] quiet_hours``.
    """

    kind: str
    key: str
    title: str
    document: Mapping[str, Any] = field(default_factory=dict)
    quiet: timedelta | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f'alarm kind "{self.kind}": expected one of {", ".join(KINDS)}')


def raise_alarm(place: Place, alarm: Alarm) -> Raised | None:
    """Record an alarm durably, for `deliver` to carry out; None for a repeat, or when the ledger is away.

    Nothing is raised: whoever sounds an alarm is in trouble already. What the ledger does not take is in the log.
    """
    try:
        with place.state.write() as db:
            return enter(db, place, alarm)
    except MarketLoopError as error:
        get_logger("alarms").error("an alarm was not recorded", title=redact_text(alarm.title), reason=str(error))
        return None


def enter(db: Connection, place: Place, alarm: Alarm) -> Raised | None:
    """Record an alarm in a transaction of the caller, with a message for each channel that is to hear of it.

    After ``[alarms] per_hour`` alarms within an hour the channels hear only of urgent ones, and after twice as many of
    none; the last one says so. Secrets are hidden before anything is written.
    """
    section, at = place.settings.alarms, place.clock.now()
    heard, note = _heard(db, section, alarm.kind, since=at - HOUR)
    title, document = redact_text(alarm.title), redact("document", dict(alarm.document)) | note
    quiet = timedelta(hours=section.quiet_hours) if alarm.quiet is None else alarm.quiet
    key = redact_text(alarm.key)[:255]
    raised, new = alarms.raise_alarm(db, alarm.kind, key=key, title=title, document=document, at=at, quiet=quiet)
    if not new:
        get_logger("alarms").info("alarm again", kind=alarm.kind, key=key, repeats=raised.repeats)
        return None
    get_logger("alarms").warning(title, kind=alarm.kind, key=key, alarm=raised.id, **_flat(document))
    if heard:
        for name in (*_names(section.urls), *(f"plugin:{plugin}" for plugin in _plugins(place))):
            payload = {"alarm": raised.id, "channel": name}
            outbox.append(db, TOPIC, key=f"{TOPIC}:{raised.id}:{name}", payload=payload, at=at)
    return raised


def _heard(db: Connection, section: AlarmsSection, kind: str, *, since: datetime) -> tuple[bool, dict[str, str]]:
    """Return whether the channels hear of an alarm raised now, and a note for the last one before they hear less.

    Only kinds that they hear of count, and ordinary ones only up to the limit, so that no flood of them ever costs an
    urgent one.
    """
    if kind not in section.kinds:
        return False, {}
    most = section.per_hour
    urgent = alarms.raised_since(db, since, kinds=URGENT & set(section.kinds))
    ordinary = min(alarms.raised_since(db, since, kinds=set(section.kinds) - URGENT), most)
    number = ordinary + urgent + 1
    if number == most:
        but = f", except {', '.join(sorted(URGENT))},"
    elif number == 2 * most and kind in URGENT:
        but = ""
    else:
        return number <= (2 * most if kind in URGENT else most), {}
    return True, {"note": f"number {number} within an hour: further ones{but} are in models/alerts.log and not sent"}


def went_wrong(title: str, *, key: str, error: str, **more: Any) -> Alarm:
    """Return the alarm of something that failed: a worker that died, an event that cannot be acted on."""
    return Alarm("error", key, title, {"error": error, **more})


def repaired(what: str, *, found: str, done: str) -> Alarm:
    """Return the alarm of something that was changed by hand and put right: a view, an alias, the history."""
    return Alarm(
        "repair", f"repair:{what}", f"{what} was changed by hand and put right", {"found": found, "done": done}
    )


def deliver(place: Place) -> int:
    """Bring ``alerts.log`` up to date and tell the channels what waits for them; return how many were told.

    Each channel gets one chance per round: after its first failure the rest waits, with pauses that double. One that
    hangs costs ``[alarms] timeout_s``, once. Nothing is raised: a dead channel never stops the loop.
    """
    write_down(place)
    try:
        waits = due(place)
        return _tell_all(place, waits, ZoneInfo(place.settings.project.timezone)) if waits else 0
    except MarketLoopError as error:
        get_logger("alarms").error("alarms were not delivered", reason=str(error))
        return 0


def write_down(place: Place) -> None:
    """Bring ``alerts.log`` up to date; nothing is raised."""
    try:
        append_new(place.project.models / "alerts.log", place.state, ZoneInfo(place.settings.project.timezone))
    except MarketLoopError as error:
        get_logger("alarms").warning("alerts.log is behind", reason=str(error))


def due(place: Place) -> tuple[Message, ...]:
    """Return what may be told to a channel now: those that wait for a dead one do not stand before the others."""
    with place.state.read() as db:
        return outbox.pending(db, TOPIC, limit=AT_ONCE, at=place.clock.now(), delays=DELAYS)


def is_listened_to(place: Place) -> bool:
    """Say whether the project may have any channel; a plugin's is known only where plugins are loaded."""
    return bool(place.settings.alarms.urls or place.settings.plugins or _plugins(place))


def _tell_all(place: Place, waits: Sequence[Message], zone: ZoneInfo) -> int:
    channels, failed, told = _channels(place), set[str](), 0
    for message in waits:
        name = str(message.payload["channel"])
        channel = channels.get(name)
        if channel is None:
            _forget(place, message, name)
        elif name not in failed:
            if _tell(place, message, channel, zone):
                told += 1
            else:
                failed.add(name)
    return told


def _tell(place: Place, message: Message, channel: Channel, zone: ZoneInfo) -> bool:
    """Make one attempt; False when the channel failed."""
    with place.state.write() as db:
        mine = outbox.claim(db, message)
        alarm = alarms.get(db, int(message.payload["alarm"])) if mine else None
    if alarm is None:  # another process is at it
        return True
    try:
        title = redact_text(alarm.title)
        channel.deliver(alarm.kind, title, f"[{stamp(alarm.raised_at, zone)}] {title}\n{body(alarm)}")
    except MarketLoopError as error:
        last = message.attempts + 1 >= MOST_ATTEMPTS
        trouble = f"{error}{f'; given up after {MOST_ATTEMPTS} attempts' if last else ''}"
        get_logger("alarms").warning("a channel failed", channel=channel.name, alarm=alarm.id, reason=trouble)
        with place.state.write() as db:
            if last:
                outbox.sent(db, message, at=place.clock.now(), trouble=trouble)
            else:
                outbox.troubled(db, message, trouble)
        return False
    with place.state.write() as db:
        outbox.sent(db, message, at=place.clock.now())
    return True


def _forget(place: Place, message: Message, name: str) -> None:
    """Give up a message for a channel that is not there any more; a plugin's may be there for somebody else."""
    at = place.clock.now()
    if name.startswith("plugin:") and at - message.created_at < FORGOTTEN:
        return
    with place.state.write() as db:
        outbox.sent(db, message, at=at, trouble=f"given up: {name} is not among the channels any more")


def _names(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the channels are called: their scheme, which is no secret, and their place."""
    schemes = (re.match(r"[a-zA-Z][\w+.-]{0,19}(?=://)", url) for url in urls)
    return tuple(f"{found[0].lower() if found else 'unknown'}-{n}" for n, found in enumerate(schemes, start=1))


def _plugins(place: Place) -> Mapping[str, Any]:
    catalog = getattr(place, "catalog", None)
    return {} if catalog is None else catalog.channels


def _channels(place: Place) -> dict[str, Channel]:
    """Open the channels; their library is imported when there is something to tell, and not before."""
    section = place.settings.alarms
    if not section.urls and not _plugins(place):
        return {}
    room = importlib.import_module("marketloop.loop.channels")
    found: dict[str, Channel] = room.open_channels(
        section.urls, _names(section.urls), _plugins(place), patience=section.timeout_s
    )
    return found


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as fields of a log line, which has names of its own for some things."""
    return {
        f"about_{k}" if k in {"event", "level", "timestamp", "kind", "key", "alarm"} else k: v
        for k, v in document.items()
    }
