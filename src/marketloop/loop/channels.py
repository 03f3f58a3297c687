"""Channels that carry an alarm out of the house: Apprise addresses and plugins, each with an end to its patience."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from apprise import Apprise, AppriseAsset, NotifyType
from apprise.logger import LogCapture

from marketloop.core.errors import FailedError, MarketLoopError, UsageError
from marketloop.runtime.redact import redact_text

__all__ = ["Channel", "Tell", "open_channels"]

Tell = Callable[[str, str, str], None]
"""Deliver an alarm: its kind, title and body; raises when it could not be delivered."""

_TYPES: Final[Mapping[str, NotifyType]] = {
    "success": NotifyType.SUCCESS,
    "error": NotifyType.FAILURE,
    "drift": NotifyType.INFO,
}
_LEAST_SECRET: Final = 4
"""Parts of an address shorter than this cannot be told from ordinary words, and are no secrets."""
_CAPTURE: Any = LogCapture

# What Apprise says goes where we put it: its own lines would land on the screen, and some of them hold addresses.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to somebody.

    Parameters
    ----------
    name : str
        Scheme and place in the list, e.g. ``mailto-1``: it is logged and must hold nothing of the address.
    tell : function (kind, title, body)
    patience : float
        Seconds after which it has failed.
    """

    name: str
    tell: Tell
    patience: float

    def deliver(self, kind: str, title: str, body: str) -> None:
        """Tell it; a channel that hangs is left alone when its patience is over.

        Raises
        ------
        FailedError
            It refused, failed or did not answer; the sentence holds no secret.
        """
        trouble: list[BaseException] = []

        def work() -> None:
            try:
                self.tell(kind, title, body)
            except Exception as error:  # noqa: BLE001 -- the edge of a delivery: whatever it is, it is reported below
                trouble.append(error)

        # A thread that may outlive us: libraries' own time-outs begin anew with every byte that trickles in.
        thread = threading.Thread(target=work, name=f"alarm {self.name}", daemon=True)
        thread.start()
        thread.join(self.patience)
        if thread.is_alive():
            raise FailedError(f"{self.name} did not answer within {self.patience:g} s")
        if trouble:
            # What a library or a plugin says of its failure may hold an address: only our own sentences are told.
            said = str(trouble[0]) if isinstance(trouble[0], MarketLoopError) else type(trouble[0]).__name__
            raise FailedError(f"{self.name}: {said}")


def open_channels(
    urls: Sequence[str], names: Sequence[str], plugins: Mapping[str, Tell], *, patience: float
) -> dict[str, Channel]:
    """Return the channels by name: Apprise addresses `urls`, called `names`, and those of plugins.

    An address that Apprise cannot read is a channel that always fails and says so.
    """
    found = {}
    for place, (url, name) in enumerate(zip(urls, names, strict=True), start=1):
        found[name] = Channel(name, _apprise(url, place, patience), patience)
    for name, tell in plugins.items():
        found[f"plugin:{name}"] = Channel(f"plugin:{name}", _plugin(tell), patience)
    return found


def _plugin(tell: Tell) -> Tell:
    """Return `tell` with nothing but the type of its errors: their words are not ours and may hold an address."""

    def told(kind: str, title: str, body: str) -> None:
        try:
            tell(kind, title, body)
        except Exception as error:  # noqa: BLE001 -- the edge of somebody else's program
            raise FailedError(type(error).__name__) from None

    return told


def _apprise(url: str, place: int, patience: float) -> Tell:
    with _CAPTURE(level=logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first address makes Apprise import all its services, old ones too
        made = Apprise.instantiate(url, asset=AppriseAsset(app_id="MarketLoop", app_desc="MarketLoop", app_url=""))
    if made is None:

        def refuse(_kind: str, _title: str, _body: str) -> None:
            raise UsageError(f"[alarms] urls, number {place}, is not an address that Apprise knows: correct it")

        return refuse
    plugin = made
    plugin.socket_connect_timeout = min(float(plugin.socket_connect_timeout), patience)
    plugin.socket_read_timeout = min(float(plugin.socket_read_timeout), patience)

    def tell(kind: str, title: str, body: str) -> None:
        with _CAPTURE(level=logging.WARNING) as said:
            done = plugin.notify(body=body, title=title, notify_type=_TYPES.get(kind, NotifyType.WARNING))
        if not done:
            lines = said.getvalue().strip().splitlines()
            raise FailedError(_without_secrets(lines[-1] if lines else "not delivered", url))

    return tell


def _without_secrets(text: str, url: str) -> str:
    """Return `text` without any part of the address: tokens stand in its host, path and query as often as not."""
    parts = {piece for part in re.split(r"[/@:?&=,;\s]+", url) for piece in (part, unquote(part))}
    scheme = url.split("://", maxsplit=1)[0]
    for part in sorted(parts - {scheme}, key=len, reverse=True):
        if len(part) >= _LEAST_SECRET:
            text = text.replace(part, "***")
    return redact_text(re.sub(r"^\S+ \S+ - (WARNING|ERROR|CRITICAL) - ", "", text))
