"""The server as its own process: listens, swaps champions without a failed answer, and ends when it is told to."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.web.conftest import TICKERS, YESTERDAY

from marketloop.bench.load import TICKERS as MANY
from marketloop.bench.load import Answer, load
from marketloop.bench.serve import judge, serving
from marketloop.bench.shop import Shop, score_of
from marketloop.cli import main
from marketloop.serving.keeping import create_key

pytestmark = pytest.mark.xdist_group("server")


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)


def test_server_answers_swaps_and_stops(served: Shop) -> None:
    with (
        serving(served.helm.project.root) as (server, port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        assert client.get("/health/live").json()["status"] == "alive"
        seen, torn = set(), 0
        for version in (1, 2, 3):
            until = time.monotonic() + 10
            while version not in seen and time.monotonic() < until:
                answer = client.get("/api/predict/MSFT")
                assert answer.status_code == 200
                document = answer.json()
                seen.add(document["model_version"])
                torn += document["score"] != score_of(document["model_version"], 2)
            if version < 3:
                served.crown(TICKERS, as_of=YESTERDAY)
        assert (seen, torn) == ({1, 2, 3}, 0)
        job = client.post("/api/ml/retraining/trigger").json()["job_id"]
        # A client that still watches does not keep the server from ending.
        with client.stream("GET", f"/api/ml/retraining/jobs/{job}/events") as watching:
            assert next(watching.iter_lines()) == "event: job"
            server.send_signal(signal.SIGTERM)
            server.wait(10)
    assert server.returncode in {0, -signal.SIGTERM}


def test_load_counts_what_it_is_answered(shop: Shop) -> None:
    shop.crown(MANY, as_of=dt.datetime.now(dt.UTC).date())
    key = create_key(shop.helm.state, "load", role="read", at=shop.helm.clock.now())["key"]
    with serving(shop.helm.project.root) as (_, port, ready_s):
        found = load(port, key, rate=100, seconds=0.5)
        refused = load(port, "wrong", rate=100, seconds=0.1)
    assert ready_s > 0
    assert {(one.version, one.is_torn) for one in found.answers} == {(1, False)}
    assert len(found.answers) == 50
    assert refused.figures(0.1)["failures"] == {"status 401": 10}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([(0.5, 1), (1.2, 1), (1.6, 2)], {"older_than_a_look": 0, "went_back": 0, "unknown_version": 0}),
        ([(0.5, 1), (1.6, 2), (1.9, 1)], {"older_than_a_look": 0, "went_back": 1, "unknown_version": 0}),
        ([(0.5, 1), (9.0, 1)], {"older_than_a_look": 1, "went_back": 0, "unknown_version": 0}),
        ([(0.5, 7)], {"older_than_a_look": 0, "went_back": 0, "unknown_version": 1}),
    ],
)
def test_judge_finds_what_was_not_the_champion(told: list[tuple[float, int]], expected: dict[str, int]) -> None:
    answers = [Answer(at, at, at + 0.01, version) for at, version in told]
    assert judge(answers, [(0.0, 1), (1.0, 2), (10.0, 2)]).items() >= expected.items()


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 -- that is what must be refused
def test_no_server_off_this_machine_without_keys(shop: Shop, capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert main(["--project", str(shop.helm.project.root), "serve", "--host", host, "--port", "1"]) == 2
    assert "marketloop keys create" in capsys.readouterr().err


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_taken_port_is_one_sentence(shop: Shop, taken: int) -> None:
    code = "import sys; from marketloop.cli import main; sys.exit(main())"
    given = [sys.executable, "-c", code, "--project", str(shop.helm.project.root), "serve", "--port", str(taken)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARKETLOOP_")}
    ended = subprocess.run(given, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{taken}" in ended.stderr


@pytest.mark.usefixtures("_elsewhere")
def test_keys_are_made_from_the_shell(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--project", str(shop.helm.project.root)]

    def ask(*arguments: str, code: int = 0) -> dict[str, object]:
        capsys.readouterr()
        assert main([*root, "keys", *arguments, "--json"]) == code
        document: dict[str, object] = json.loads(capsys.readouterr().out or "{}")
        return document

    assert ask("list") == {"keys": []}
    made = ask("create", "dashboard", "--role", "operate", "--days", "30")
    assert str(made["key"]).startswith("ml_k")
    assert [row["name"] for row in ask("rotate", "dashboard")["keys"]][-1] == "dashboard"  # type: ignore[attr-defined]
    assert "key" not in ask("revoke", "dashboard")
    for wrong in (("create",), ("create", "a", "--role", "root"), ("revoke", "nobody"), ("burn", "a")):
        ask(*wrong, code=2)
