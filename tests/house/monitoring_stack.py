"""The real Prometheus on loopback for the tests of rules and dashboard."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from marketloop.bench.serve import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PATIENCE_S = 60.0


@contextlib.contextmanager
def prometheus(folder: Path, *, target: int, key: str) -> Iterator[httpx.Client]:
    """Run Prometheus with the shipped configuration, a target of its own and a quick pace; yield who may ask it."""
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", folder)
    (folder / "key").write_text(key, encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    job = config["scrape_configs"][0]
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
    job["authorization"] = {"credentials_file": str(folder / "key")}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port, log = free_port(), (folder / "prometheus.log").open("w", encoding="utf-8")
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    server = subprocess.Popen([*command, f"--storage.tsdb.path={folder / 'tsdb'}"], stdout=log, stderr=log)
    try:
        with log, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_for(lambda: ready(client, server), "Prometheus is ready")
            yield client
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def ready(client: httpx.Client, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, "Prometheus ended at once"
    with contextlib.suppress(httpx.TransportError):
        return client.get("/-/ready").status_code == 200
    return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.1)


def query(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """Return what an expression yields now; an expression that cannot be parsed fails the test."""
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
