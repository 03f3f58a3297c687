"""The processes of a project from the shell: they start, tell, survive kills, and stop in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ask
from tests.cli.test_json_reference import EXAMPLES, differences
from tests.loop.moody import all_cycles, all_requests, eventually, moody_project, open_moody

from marketloop.cli import main
from marketloop.loop import supervisor
from marketloop.loop.house import House
from marketloop.loop.pulse import pulse
from marketloop.loop.worker import STOP_S
from marketloop.state import alarms, cycles, heartbeats, this_process
from marketloop.state.alarms import Raised


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return moody_project(tmp_path / "moody")


@pytest.fixture
def house(root: Path) -> Iterator[House]:
    with open_moody(root) as opened:
        yield opened


class Up:
    """A running ``marketloop up``."""

    def __init__(self, root: Path, port: int | None = None) -> None:
        self.said = root.parent / "said.jsonl"
        command = [sys.executable, "-m", "marketloop.cli", "--project", str(root), "up", "--json"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            environ = {**os.environ, "MARKETLOOP_SERVE__PORT": str(port or free.getsockname()[1])}
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stdin=subprocess.DEVNULL, env=environ)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said.read_text(encoding="utf-8").splitlines()]

    def has(self, what: str) -> bool:
        return any(line["what"] == what for line in self.lines())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


@pytest.fixture
def up(root: Path) -> Iterator[Up]:
    running = Up(root)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def loop_pid(house: House) -> int:
    with house.state.read() as db:
        beat = heartbeats.last(db, "loop")
    return 0 if beat is None else beat.process.pid


def test_up_restarts_a_loop_that_is_killed_and_stops_within_ten_seconds_while_a_cycle_runs(
    root: Path, house: House, up: Up, ask: Ask
) -> None:
    eventually(lambda: bool(pulse(house)["running"]), seconds=120)
    first = loop_pid(house)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: loop_pid(house) not in {0, first}, seconds=120)
    (root / "mood").write_text("stubborn", encoding="utf-8")
    ask("--project", root, "retrain", "price_predictor", "--queue")
    eventually(lambda: any(cycle.outcome == cycles.RUNNING for cycle in all_cycles(house)), seconds=120)
    up.stop()
    assert up.process.returncode == 0
    assert STOP_S < supervisor.STOP_S < 10  # what each level waits for the one below, before it kills
    of_loop = [line for line in up.lines() if line["about"].get("program") == "loop"]
    (stopped,) = [line["about"] for line in of_loop if line["what"] == "stopped"]
    assert (stopped["exit_code"], stopped["killed"]) == (0, False)
    (cycle,), (request,) = all_cycles(house), all_requests(house)
    assert (cycle.outcome, request.state) == ("failed", "failed")
    assert "stopped" in str(cycle.document["error"])
    assert cycle.process.is_dead(this_process())
    assert not pulse(house)["running"]
    assert {line["what"] for line in up.lines() if line["about"].get("program") == "serve"} == {"started", "stopped"}
    assert [line["what"] for line in of_loop] == [
        "started",
        "died",
        "started",
        "stopped",
    ]
    assert up.has("cycle begins")
    assert differences(EXAMPLES["loop --health"], ask("--project", root, "loop", "--health", code=1)) == []
    assert all(differences(EXAMPLES["up"], line) == [] for line in up.lines())


def test_up_goes_on_with_the_loop_and_says_once_what_to_do_when_another_project_has_its_port(
    root: Path, house: House
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = Up(root, port=taken.getsockname()[1])
        try:
            eventually(lambda: bool(pulse(house)["running"]) and bool(all_alarms(house)), seconds=180)
        finally:
            up.stop()
    of_serve = [line for line in up.lines() if line["about"].get("program") == "serve"]
    assert [line["what"] for line in of_serve] == ["started", "died", "alarm"]
    assert "`[serve] port`" in of_serve[1]["about"]["words"]
    assert of_serve[1]["about"]["restart_in_s"] == supervisor.LONGEST_S
    assert [alarm.title for alarm in all_alarms(house)] == ["marketloop serve refuses to run"]
    assert [line["what"] for line in up.lines() if line["about"].get("program") == "loop"] == ["started", "stopped"]
    assert all(differences(EXAMPLES["up"], line) == [] for line in up.lines() if line["what"] != "alarm")


def all_alarms(house: House) -> list[Raised]:
    with house.state.read() as db:
        return list(alarms.recent(db, limit=10))


def test_once_runs_what_waits_and_the_next_start_is_clean(root: Path, house: House, ask: Ask) -> None:
    queued = ask("--project", root, "retrain", "price_predictor", "--queue", "--reason", "try")
    assert differences(EXAMPLES["retrain --queue"], queued) == []
    done = ask("--project", root, "loop", "--once")
    assert differences(EXAMPLES["loop --once"], done) == []
    assert done["in_charge"]
    assert [told["what"] for told in done["happened"]] == ["cycle begins", "cycle ended"]
    (request,) = all_requests(house)
    assert (request.id, request.state, request.reason) == (queued["job_id"], "failed", "try")
    assert ask("--project", root, "loop", "--once")["happened"][0]["what"] == "event"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("retrain", "price", "--queue"), 'unknown family "price"'),
        (("retrain", "--queue", "--force"), 'needs --reason "why"'),
        (("retrain", "--queue", "--source", "sample"), "repeats the last collection"),
        (("retrain", "--queue", "--feature-set", "basic"), "follows the project's settings"),
        (("retrain", "--request", "gone"), 'no request "gone"'),
        (("loop", "--once", "--schedule", "weekly"), "expected one of default, calm, off"),
        (("up", "--schedule", "weekly"), "expected one of default, calm, off"),
        (("retrain", "--request", "gone", "--force"), "leave all else out"),
        (("events", "publish"), "which one?"),
        (("events", "publish", "BOOM"), 'unknown event "BOOM"'),
        (("events", "publish", "MARKET_SHOCK", "--data", "vix"), "expected NAME=VALUE"),
        (("events", "publish", "MARKET_SHOCK", "--data", "{vix: 4}"), "no JSON"),
        (("events", "publish", "MARKET_SHOCK", "--data", "vix=high"), "vix = 'high': expected a valid number"),
        (("events", "shout"), 'unknown action of events "shout"'),
        (("events", "list", "--key", "k"), "belong to `events publish TYPE`"),
    ],
)
def test_wrong_use_is_one_sentence_and_leaves_nothing(
    root: Path, house: House, ask: Ask, arguments: tuple[str, ...], words: str
) -> None:
    document = ask("--project", root, *arguments, code=2)
    assert words in document["error"]
    assert all_requests(house) == []


def test_event_is_published_and_listed_with_what_came_of_it(root: Path, ask: Ask) -> None:
    told = ask("--project", root, "events", "publish", "market_event", "--data", "kind=crash", "--key", "k1")
    again = ask("--project", root, "events", "publish", "market_event", "--data", '{"kind": "crash"}', "--key", "k1")
    assert told == again
    assert differences(EXAMPLES["events publish"], told) == []
    assert (told["type"], told["source"], told["data"]["kind"]) == ("MARKET_EVENT", "cli", "crash")
    ask("--project", root, "loop", "--once")
    listed = ask("--project", root, "events", "list", "MARKET_EVENT")
    assert differences(EXAMPLES["events"], listed) == []
    (event,) = listed["events"]
    assert event["result"]["action"] == "none"
    assert "on_events is off" in event["result"]["why"]


def test_people_read_lines_and_tables(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(root), "events"]) == 0
    assert "no events yet" in capsys.readouterr().out
    main(["--project", str(root), "events", "publish", "MARKET_SHOCK", "--data", "vix=20"])
    assert "event 1 MARKET_SHOCK is recorded" in capsys.readouterr().out
    assert main(["--project", str(root), "loop", "--once"]) == 0
    assert "event: event_id 1, type MARKET_SHOCK, action none" in capsys.readouterr().out
    assert main(["--project", str(root), "loop", "--health"]) == 1
    assert "no loop runs (last seen" in capsys.readouterr().out
