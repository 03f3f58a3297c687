"""Asks a server for predictions from a process of its own, which computes little so that it is not what is measured."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.bench.shop import score_of
from marketloop.core.errors import FailedError

__all__ = ["TICKERS", "Answer", "Load", "ask", "load"]

TICKERS: Final = tuple(f"T{number:03d}" for number in range(505))
CONNECTIONS: Final = 32
PATIENCE_S: Final = 10.0
_PLACES: Final = tuple(random.Random(7).choices(range(len(TICKERS)), k=10_007))  # noqa: S311 -- which is asked, no secret


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: when it was due, when it was sent for and when it was there (seconds of one clock), and what it is.

    `version` is None where it failed; `is_torn` where parts of it come from different versions.
    """

    due: float
    sent: float
    got: float
    version: int | None
    is_torn: bool = False
    trouble: str = ""


@dataclass(slots=True)
class Load:
    """Answers of a load, and the seconds of computing that asking for them took."""

    answers: list[Answer] = field(default_factory=list)
    cpu_s: float = 0.0

    def figures(self, seconds: float) -> dict[str, Any]:
        """Return counts, rate, and percentiles in milliseconds from the moment a request was due."""
        waits = sorted(1000 * (one.got - one.due) for one in self.answers if one.version is not None)
        failed = Counter(one.trouble for one in self.answers if one.version is None)
        return {
            "answers": len(waits),
            "per_second": round(len(waits) / seconds, 1),
            "p50_ms": _percentile(waits, 0.5),
            "p99_ms": _percentile(waits, 0.99),
            "p999_ms": _percentile(waits, 0.999),
            "max_ms": _percentile(waits, 1.0),
            "failed": sum(failed.values()),
            "failures": dict(failed.most_common(5)),
            "torn": sum(one.is_torn for one in self.answers),
            "load_cpu_us": round(1e6 * self.cpu_s / max(len(self.answers), 1), 1),
        }


def load(port: int, key: str, *, rate: int | None, seconds: float) -> Load:
    """Ask from a process of its own; `rate` None asks again as soon as an answer is there."""
    code = "import sys; from marketloop.bench.load import ask; ask(*sys.argv[1:])"
    given = [sys.executable, "-c", code, str(port), key, str(rate or 0), str(seconds)]
    ended = subprocess.run(given, capture_output=True, text=True, check=False, timeout=seconds + 120)
    if ended.returncode != 0:
        raise FailedError(f"the load could not be made: {ended.stderr[-500:]}")
    told = json.loads(ended.stdout)
    return Load([Answer(*row) for row in told["answers"]], told["cpu_s"])


def ask(port: str, key: str, rate: str, seconds: str) -> None:
    """Load the server on `port` and print the answers: what the process of `load` runs."""
    # select() waits to the microsecond; epoll rounds up to whole milliseconds, which would count as the server's.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    asking = Asking(int(port), key, int(rate), float(seconds))
    before = os.times()
    try:
        loop.run_until_complete(asking.run())
    finally:
        loop.close()
    after = os.times()
    cpu_s = after.user + after.system - before.user - before.system
    rows = [(a.due, a.sent, a.got, a.version, a.is_torn, a.trouble) for a in asking.answers()]
    sys.stdout.write(json.dumps({"answers": rows, "cpu_s": cpu_s}))


@dataclass
class Asking:
    """Shares requests among keep-alive connections; in the open loop each is due at its own moment.

    What comes back is kept as it came and read when the load is over.
    """

    port: int
    key: str
    rate: int
    seconds: float
    raw: list[tuple[float, float, float, int, bytes]] = field(default_factory=list)
    begin: float = 0.0
    turns: Iterator[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Ask until time is up and all answers are there."""
        loop = asyncio.get_running_loop()
        requests = [
            f"GET /api/predict/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n\r\n".encode()
            for name in TICKERS
        ]
        self.begin = time.monotonic() + 0.2
        lines = [Line(self, requests, loop) for _ in range(CONNECTIONS)]
        for line in lines:
            await loop.create_connection(lambda line=line: line, "127.0.0.1", self.port)  # type: ignore[misc]
        await asyncio.gather(*(line.ended for line in lines))

    def turn(self) -> tuple[int, float] | None:
        """Return the number of the next request and when it is due, or None when time is up."""
        number = next(self.turns)
        due = self.begin + number / self.rate if self.rate else time.monotonic()
        over = number >= self.rate * self.seconds if self.rate else due - self.begin >= self.seconds
        return None if over else (number, due)

    def answers(self) -> list[Answer]:
        """Return what came back, read."""
        return [_read(*row) for row in self.raw]


class Line(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, and asks again."""

    def __init__(self, asking: Asking, requests: Sequence[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self.asking, self.requests, self.loop = asking, requests, loop
        self.ended: asyncio.Future[None] = loop.create_future()
        self.transport: asyncio.WriteTransport | None = None
        self.came, self.number, self.due, self.sent = b"", -1, 0.0, 0.0
        self.patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 -- what loop.create_connection gives
        self.transport = transport
        self.patience = self.loop.call_later(PATIENCE_S, self.look)
        self.go_on()

    def go_on(self) -> None:
        """Take the next request, now or when it is due."""
        turn = self.asking.turn()
        if turn is None:
            self.number = -1
            self.end()
            return
        self.number, self.due = turn
        early = self.due - time.monotonic()
        if early > 0:
            self.loop.call_later(early, self.send)
        else:
            self.send()

    def send(self) -> None:
        """Ask."""
        if self.transport is None or self.ended.done():
            return
        self.came, self.sent = b"", time.monotonic()
        self.transport.write(self.requests[_PLACES[self.number % len(_PLACES)]])

    def data_received(self, data: bytes) -> None:
        """Keep the answer when it is whole."""
        self.came = self.came + data if self.came else data
        head = self.came.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.came.lower().find(b"content-length:", 0, head)
        if at < 0 or len(self.came) < head + 4 + int(self.came[at + 15 : self.came.index(b"\r\n", at)]):
            return
        self.asking.raw.append((self.due, self.sent, time.monotonic(), self.number, self.came))
        self.go_on()

    def look(self) -> None:
        """Give up an answer that has not come for too long."""
        if self.number >= 0 and self.sent and time.monotonic() - max(self.sent, self.due) > PATIENCE_S:
            self.end()
        elif not self.ended.done():
            self.patience = self.loop.call_later(PATIENCE_S / 10, self.look)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- why does not matter
        """Note what was lost; the other connections go on."""
        self.end()

    def end(self) -> None:
        """Close, and count the request under way as lost."""
        if self.ended.done():
            return
        if self.number >= 0:
            self.asking.raw.append((self.due, self.sent, time.monotonic(), self.number, b""))
        self.ended.set_result(None)
        if self.patience is not None:
            self.patience.cancel()
        if self.transport is not None:
            self.transport.close()


def _read(due: float, sent: float, got: float, number: int, came: bytes) -> Answer:
    head, _, body = came.partition(b"\r\n\r\n")
    status = head[9:12].decode("latin-1")
    if status != "200":
        return Answer(due, sent, got, None, trouble=f"status {status}" if status else "lost")
    document = json.loads(body)
    place = _PLACES[number % len(_PLACES)]
    version = int(document["model_version"])
    whole = document["ticker"] == TICKERS[place] and math.isclose(document["score"], score_of(version, place))
    return Answer(due, sent, got, version, not whole)


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 2)
