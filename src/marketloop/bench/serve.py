"""How quickly and how truly the API answers under load, while champions are swapped behind it."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from marketloop.bench.beside import looked_at, trained_beside
from marketloop.bench.load import CONNECTIONS, TICKERS, Answer, Load, load
from marketloop.bench.shop import Shop
from marketloop.core.errors import FailedError
from marketloop.serving.keeping import create_key

__all__ = ["judge", "run", "serving"]

RATE: Final = 500
"""Requests a second that begin whether or not earlier ones have ended."""
SECONDS: Final = 20
FULL_SECONDS: Final = 5
SWAPS: Final = 100
BETWEEN_SWAPS_S: Final = 0.35
"""The server looks once a second, so that about every third champion is seen; the others are replaced before a look."""
LOOK_S: Final = 1.0
"""How often the server looks for newer champions."""


def run(
    *,
    seeds: int = SECONDS,
    dashboards: int = 0,
    training: bool = False,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Serve 505 tickers from a process of its own, with a key, limits and meters on, and load it from another.

    Parameters
    ----------
    seeds : int
        Seconds of the open loop of 500 requests a second (``--seeds``: the flag that all benchmarks share).
    dashboards : int
        Pages of the dashboard that are open meanwhile.
    training : bool
        Whether a niced training run goes on beside the open loop; it ends before the swaps.

    Returns
    -------
    dict
        The document of ``marketloop bench``; under ``figures``: `steady` (open loop), `swapping` (open loop while
        champions change), `saturated` (as fast as 32 connections go), `ready_s`, `rss_mb`, `swaps`. Of each load,
        `server_cpu_us` and `load_cpu_us` are microseconds of computing per request on either side.
    """
    tell, began = on_progress or _silent, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="marketloop_serve_") as name:
        root = Path(name) / "project"
        with Shop.make(root, serve__reads_per_second=1_000_000.0) as shop:
            today = shop.helm.clock.now().date()
            shop.crown(TICKERS, as_of=today)
            key = create_key(shop.helm.state, "bench", role="read", at=shop.helm.clock.now())["key"]
            tell(0, 4, "starting")
            with serving(root) as (server, port, ready_s), looked_at(port, key, dashboards) as onlookers:
                load(port, key, rate=RATE, seconds=1)  # warms up
                tell(1, 4, "steady")
                with trained_beside(Path(name) / "trained", on=training) as trained:
                    at_first = round(os.getloadavg()[0], 2)
                    steady, steady_cpu = _measured(server.pid, lambda: load(port, key, rate=RATE, seconds=seeds))
                tell(2, 4, "swapping")
                swapping, swaps = _swap_under_load(shop, port, key, today)
                tell(3, 4, "saturated")
                full, full_cpu = _measured(server.pid, lambda: load(port, key, rate=None, seconds=FULL_SECONDS))
                rss_mb = _rss_mb(server.pid)
        return {
            "name": "serve",
            "rows": len(steady.answers) + len(swapping.answers) + len(full.answers),
            "seconds": round(time.perf_counter() - began, 1),
            "peak_rss_mb": rss_mb,
            "figures": {
                "tickers": len(TICKERS),
                "cores": os.cpu_count(),
                "load_average": at_first,
                "ready_s": round(ready_s, 2),
                "rss_mb": rss_mb,
                "dashboards": {"open": onlookers.pages, "messages": onlookers.messages, "troubles": onlookers.troubles},
                "training": dict(trained),
                "steady": {"seconds": seeds, "asked_per_second": RATE, **steady.figures(seeds), **steady_cpu},
                "swapping": swapping.figures(swaps[-1][0] - swaps[0][0]) | judge(swapping.answers, swaps),
                "saturated": {"connections": CONNECTIONS, **full.figures(FULL_SECONDS), **full_cpu},
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


def _swap_under_load(shop: Shop, port: int, key: str, today: dt.date) -> tuple[Load, list[tuple[float, int]]]:
    """Crown 100 champions while somebody asks; return the answers, and when which version began to serve.

    The versions are written before: who writes them in earnest is another process, which gives way.
    """
    candidates = [shop.candidate(TICKERS, as_of=today) for _ in range(SWAPS)]
    swaps = [(time.monotonic(), 1)]
    found: list[Load] = []
    seconds = SWAPS * (BETWEEN_SWAPS_S + 0.05) + 3
    asking = threading.Thread(target=lambda: found.append(load(port, key, rate=RATE, seconds=seconds)))
    asking.start()
    time.sleep(1)
    for version in candidates:
        began = time.monotonic()
        shop.promote(version)
        swaps.append((time.monotonic(), version))
        time.sleep(max(0.0, BETWEEN_SWAPS_S - (time.monotonic() - began)))
    asking.join()
    if not found:
        raise FailedError("the load beside the swaps could not be made")
    return found[0], [*swaps, (max(a.got for a in found[0].answers), candidates[-1])]


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


def _measured(pid: int, work: Callable[[], Load]) -> tuple[Load, dict[str, float]]:
    """Return a load and the computing time that the server spent on each of its requests, where the system tells it."""
    before = _cpu_s(pid)
    made = work()
    after = _cpu_s(pid)
    if before is None or after is None:
        return made, {}
    return made, {"server_cpu_us": round(1e6 * (after - before) / max(len(made.answers), 1), 1)}


def _cpu_s(pid: int) -> float | None:
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    except OSError:
        return None
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


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
