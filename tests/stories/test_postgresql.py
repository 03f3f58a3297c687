"""A whole project on PostgreSQL: the first day, the server gone in the middle, and the day after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres_server import PostgresServer
from tests.stories.conftest import Ask

from marketloop.cli import main
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.runtime.template import record_settings

FAST = ("--algorithm", "ridge", "--feature-set", "basic")
HERE = ("--project", "mine")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    started = PostgresServer()
    yield started
    started.remove()


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails because the server is away, and return what it says."""
    capsys.readouterr()
    assert main([*arguments]) == 3
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert "secret" not in said.err + said.out
    return " ".join(said.err.split())


def test_project_lives_on_postgresql_and_comes_back_when_the_server_does(
    tmp_path: Path, ask: Ask, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = simulate(MarketSpec(tickers=12, sessions=620, seed=11)).bars
    bars.write_parquet("bars.parquet")
    ask("init", "mine", "--path", "bars.parquet")
    url = server.url.replace("loop@", "loop:secret@")
    record_settings(tmp_path / "mine" / "marketloop.toml", {"state.url": url, "tracking.enabled": False})

    assert ask(*HERE, "collect")["new_rows"] == bars.height
    first = ask(*HERE, "retrain", "price_predictor", *FAST)
    assert (first["outcome"], first["families"][0]["reason_code"]) == ("provisional", "first")
    (champion,) = ask(*HERE, "champion")["champions"]
    assert (champion["version"], champion["status"]) == (1, "provisional")
    assert ask(*HERE, "status")["last_cycle"]["cycle_id"] == first["cycle_id"]
    assert ask(*HERE, "predict", "SYN003", "--feature-set", "basic")["predictions"][0]["signal"] == "HOLD"
    assert ask(*HERE, "retrain", "price_predictor", *FAST)["families"][0]["reason_code"] == "not_due"
    assert not [path.name for path in (tmp_path / "mine").glob("*.db*")]

    server.stop()
    for command in ("champion", "status", "retrain"):
        assert "cannot be reached: start the server, or correct [state] url" in complaint(capsys, *HERE, command)
    server.start()
    assert ask(*HERE, "champion")["champions"] == [champion]
    config = ask(*HERE, "config")
    assert "secret" not in str(config)
