"""Nobody waits for a channel: the loop tells it, or a process that outlives whoever raised the alarm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.loop.ledgers import HandClock, cycle, project
from tests.loop.receivers import Received, http_receiver, silent_receiver

from marketloop.loop.alarms import raise_alarm, went_wrong
from marketloop.loop.errand import main
from marketloop.loop.house import House
from marketloop.loop.messenger import hand_over
from marketloop.loop.pulse import LEASE
from marketloop.loop.ringing import ring
from marketloop.runtime.project import create_project
from marketloop.state import heartbeats, outbox, this_process

TROUBLE = went_wrong("trouble", key="k", error="x")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def listening(root: Path, port: int, **settings: object) -> Path:
    create_project(root, settings={"alarms.urls": [f"json://127.0.0.1:{port}/hook"], **settings})
    return root


def titles(desk: Received) -> list[str]:
    return [str(body["title"]) for body in desk.bodies]


def waiting(house: House) -> int:
    with house.state.read() as db:
        return len(outbox.pending(db, "alarm"))


def test_messenger_tells_the_channels_after_us(tmp_path: Path, clock: HandClock) -> None:
    with http_receiver() as desk, project(listening(tmp_path / "p", desk.port), clock) as house:
        raise_alarm(house, TROUBLE)
        messenger = hand_over(house)
        assert messenger is not None
        assert "trouble" in (house.project.models / "alerts.log").read_text()  # at once
        assert messenger.wait(120) == 0
        assert titles(desk) == ["trouble"]
        assert waiting(house) == 0


def test_nobody_is_sent_where_there_is_nothing_to_tell_or_nobody_to_hear(tmp_path: Path, clock: HandClock) -> None:
    with project(tmp_path / "deaf", clock) as house:
        raise_alarm(house, TROUBLE)
        assert hand_over(house) is None
    with project(listening(tmp_path / "quiet", 9), clock) as house:
        assert hand_over(house) is None


def test_loop_that_runs_tells_them_itself(tmp_path: Path, clock: HandClock) -> None:
    with project(listening(tmp_path / "p", 9), clock) as house:
        with house.state.write() as db:
            heartbeats.beat(db, LEASE, document={}, process=this_process(), at=clock.now())
        raise_alarm(house, TROUBLE)
        assert hand_over(house) is None
        assert waiting(house) == 1


def test_end_of_a_cycle_does_not_wait_for_a_channel_that_hangs(tmp_path: Path, clock: HandClock) -> None:
    told = []
    with silent_receiver() as port, project(listening(tmp_path / "p", port), clock) as house:
        cycle(house, clock)
        assert ring(house, tell=lambda place: told.append(hand_over(place))) == 1
        (messenger,) = told
        assert messenger is not None
        assert messenger.poll() is None  # it has yet to begin, or hangs
        messenger.kill()
        messenger.wait()
        assert waiting(house) == 1  # for whoever comes next


def test_rollback_from_the_shell_ends_while_its_channel_hangs(tmp_path: Path, clock: HandClock) -> None:
    with silent_receiver() as port:
        root = listening(tmp_path / "p", port, **{"alarms.timeout_s": 60.0})
        with project(root, clock) as house:
            cycle(house, clock)
            cycle(house, clock, code="superior")
        asked = ["--project", str(root), "rollback", "price_predictor", "--reason", "a test"]
        done = subprocess.run(
            [sys.executable, "-m", "marketloop.cli", *asked], capture_output=True, text=True, check=False, timeout=55
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "version 1 serves again" in done.stdout


def test_messenger_loads_the_channels_of_plugins(tmp_path: Path, clock: HandClock) -> None:
    root = tmp_path / "p"
    create_project(root, settings={"plugins": ["desk.py"]})
    (root / "desk.py").write_text(
        "from pathlib import Path\n"
        "def tell(kind, title, body):\n    Path(__file__).with_name('heard.txt').write_text(title)\n"
        "def register(catalog):\n    catalog.add_channel('desk', tell)\n"
    )
    with project(root, clock) as house:
        raise_alarm(house, TROUBLE)
    assert main(root) == 1
    assert (root / "heard.txt").read_text() == "trouble"


def test_messenger_is_never_armed_with_our_faults(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MARKETLOOP_FAULT", "ledger.commit.before")
    with http_receiver() as desk, project(listening(tmp_path / "p", desk.port), clock) as house:
        raise_alarm(house, TROUBLE)
        messenger = hand_over(house)
        assert messenger is not None
        assert messenger.wait(120) == 0
    assert titles(desk) == ["trouble"]
