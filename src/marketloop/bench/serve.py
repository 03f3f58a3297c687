"""How quickly and how truly the API answers under load, while champions are swapped behind it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from marketloop.bench.shop import Shop, score_of
from marketloop.core.errors import FailedError
from marketloop.serving.keeping import create_key

__all__ = ["Answer", "Load", "judge", "run", "serving"]

TICKERS: Final = tuple(f"T{number:03d}" for number in range(505))
RATE: Final = 500
"""Requests a second that begin whether or not earlier ones have ended."""
SECONDS: Final = 20
CONNECTIONS: Final = 32
FULL_SECONDS: Final = 5
BETWEEN_SWAPS_S: Final = 0.2
LOOK_S: Final = 1.0
"""How often the server looks for newer champions."""


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
    """Answers of a load, and the process that asks for them."""

    answers: list[Answer] = field(default_factory=list)

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
        }


def run(*, seeds: int = SECONDS, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Serve 505 tickers from a process of its own, with a key, limits and meters on, and load it from another.

    Parameters
    ----------
    seeds : int
        Seconds of the open loop of 500 requests a second (``--seeds``: the flag that all benchmarks share).

    Returns
    -------
    dict
        The document of ``marketloop bench``; under ``figures``: `steady` (open loop), `swapping` (open loop while
        champions change), `saturated` (as fast as 32 connections go), `ready_s`, `rss_mb`, `swaps`.
    """
    tell, began = on_progress or _silent, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="marketloop_serve_") as name:
        root = Path(name) / "project"
        with Shop.make(root, serve__reads_per_second=1_000_000.0) as shop:
            today = shop.helm.clock.now().date()
            shop.crown(TICKERS, as_of=today)
            key = create_key(shop.helm.state, "bench", role="read", at=shop.helm.clock.now())["key"]
            tell(0, 4, "starting")
            with serving(root) as (server, port, ready_s):
                load(port, key, rate=RATE, seconds=1)  # warms up
                tell(1, 4, "steady")
                steady = load(port, key, rate=RATE, seconds=seeds)
                tell(2, 4, "swapping")
                swapping, swaps = _swap_under_load(shop, port, key, today)
                tell(3, 4, "saturated")
                full = load(port, key, rate=None, seconds=FULL_SECONDS)
                rss_mb = _rss_mb(server.pid)
        return {
            "name": "serve",
            "rows": len(steady.answers) + len(swapping.answers) + len(full.answers),
            "seconds": round(time.perf_counter() - began, 1),
            "peak_rss_mb": rss_mb,
            "figures": {
                "tickers": len(TICKERS),
                "cores": os.cpu_count(),
                "load_average": round(os.getloadavg()[0], 2),
                "ready_s": round(ready_s, 2),
                "rss_mb": rss_mb,
                "steady": {"seconds": seeds, "asked_per_second": RATE, **steady.figures(seeds)},
                "swapping": swapping.figures(swaps[-1][0] - swaps[0][0]) | judge(swapping.answers, swaps),
                "saturated": {"connections": CONNECTIONS, **full.figures(FULL_SECONDS)},
            },
            "peer": {},
        }


@contextlib.contextmanager
def serving(root: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """Run ``marketloop serve`` on a free port; yield the process, the port, and the seconds until it was ready."""
    port = free_port()
    code = "import sys; from marketloop.cli import main; sys.exit(main())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARKETLOOP_")}
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-c", code, "--project", str(root), "serve", "--port", str(port), *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if line.recv(64).startswith(b"HTTP/1.1 200"):
                    break
            if server.poll() is not None or time.perf_counter() - began > 60:
                raise FailedError(
                    f"the server did not become ready: {server.communicate()[1] if server.poll() else ''}"
                )
            time.sleep(0.02)
        yield server, port, time.perf_counter() - began
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        for pipe in (server.stdout, server.stderr):
            if pipe is not None:
                pipe.close()


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def load(port: int, key: str, *, rate: int | None, seconds: float) -> Load:
    """Ask from a process of its own; `rate` None asks again as soon as an answer is there."""
    code = "import sys; from marketloop.bench.serve import ask; ask(*sys.argv[1:])"
    given = [sys.executable, "-c", code, str(port), key, str(rate or 0), str(seconds)]
    ended = subprocess.run(given, capture_output=True, text=True, check=False, timeout=seconds + 120)
    if ended.returncode != 0:
        raise FailedError(f"the load could not be made: {ended.stderr[-500:]}")
    return Load([Answer(*row) for row in json.loads(ended.stdout)])


def ask(port: str, key: str, rate: str, seconds: str) -> None:
    """Load the server on `port` and print the answers: what the process of `load` runs."""
    answers = asyncio.run(_ask(int(port), key, int(rate), float(seconds)))
    rows = [(a.due, a.sent, a.got, a.version, a.is_torn, a.trouble) for a in answers]
    sys.stdout.write(json.dumps(rows))


async def _ask(port: int, key: str, rate: int, seconds: float) -> list[Answer]:
    """Share requests among keep-alive connections; in the open loop each is due at its own moment."""
    answers: list[Answer] = []
    begin = time.monotonic() + 0.2
    turns = iter(range(10**9))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for number in turns:
                due = begin + number / rate if rate else time.monotonic()
                if number >= rate * seconds if rate else due - begin >= seconds:
                    return
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                answer = await _one(reader, writer, key, number, due)
                answers.append(answer)
                if answer.trouble.startswith("lost"):
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
        finally:
            writer.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return answers


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, number: int, due: float) -> Answer:
    place = number % len(TICKERS)
    sent = time.monotonic()
    try:
        writer.write(
            f"GET /api/predict/{TICKERS[place]} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await asyncio.wait_for(reader.readexactly(length), 10)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        return Answer(due, sent, time.monotonic(), None, trouble=f"lost: {type(error).__name__}")
    got = time.monotonic()
    status = head[9:12].decode()
    if status != "200":
        return Answer(due, sent, got, None, trouble=f"status {status}")
    document = json.loads(body)
    version = int(document["model_version"])
    whole = document["ticker"] == TICKERS[place] and math.isclose(document["score"], score_of(version, place))
    return Answer(due, sent, got, version, not whole)


def _swap_under_load(shop: Shop, port: int, key: str, today: dt.date) -> tuple[Load, list[tuple[float, int]]]:
    """Crown 100 champions while somebody asks; return the answers, and when which version began to serve."""
    swaps = [(time.monotonic(), 1)]
    found: list[Load] = []
    seconds = 100 * (BETWEEN_SWAPS_S + 0.15) + 3
    asking = threading.Thread(target=lambda: found.append(load(port, key, rate=RATE, seconds=seconds)))
    asking.start()
    time.sleep(1)
    versions = 0
    while versions < 100:
        began = time.monotonic()
        version = shop.candidate(TICKERS, as_of=today)
        shop.promote(version)
        swaps.append((time.monotonic(), version))
        versions += 1
        time.sleep(max(0.0, BETWEEN_SWAPS_S - (time.monotonic() - began)))
    asking.join()
    if not found:
        raise FailedError("the load beside the swaps could not be made")
    return found[0], [*swaps, (max(a.got for a in found[0].answers), version)]


def judge(answers: Sequence[Answer], swaps: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """Say how far the versions in the answers lag behind the ledger, in seconds, and whether any went back.

    Parameters
    ----------
    swaps : (seconds, version)
        When each version had begun to serve, in order; the last entry is the end of the load.
    """
    ended = {version: later for (_, version), (later, _) in itertools.pairwise(swaps)}
    lags = [max(0.0, a.sent - ended[a.version]) for a in answers if a.version is not None and a.version in ended]
    unknown = sum(a.version is not None and a.version not in ended for a in answers)
    told = sorted((a for a in answers if a.version is not None), key=lambda a: a.sent)
    newest, back = (0, -math.inf), 0
    for answer in told:
        version = answer.version or 0
        back += version < newest[0] and answer.sent > newest[1]
        newest = max(newest, (version, answer.got), key=lambda one: one[0])
    return {
        "swaps": len(swaps) - 2,
        "versions_seen": len({a.version for a in told}),
        "lag_s_max": round(max(lags, default=0.0), 3),
        "older_than_a_look": sum(lag > LOOK_S + 0.5 for lag in lags),
        "unknown_version": unknown,
        "went_back": back,
    }


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 2)


def _rss_mb(pid: int) -> float | None:
    """Return the greatest resident memory that a process had, where the system tells it."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else round(int(line.split()[1]) / 1024, 1)


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
