"""The log of predictions holds each scoreboard once, whatever happens to the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.loop.journal import DAYS, Desk, desk
from tests.loop.ledgers import SLOT

from marketloop.loop import predictionlog
from marketloop.loop.predictionlog import bring_up_to_date


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Desk]:
    made = desk(tmp_path / "project")
    yield made
    made.house.close()


def log(project: Desk) -> list[str]:
    return (project.house.project.logs / "predictions.log").read_text(encoding="utf-8").splitlines()


def test_scoreboard_is_a_line_with_time_version_session_and_signals(project: Desk) -> None:
    version = project.crown()
    project.say(version, 80, [{}] * 5)
    assert bring_up_to_date(project.house) == 1
    (line,) = log(project)
    assert re.fullmatch(
        r"2026-01-02 \d\d:\d\d:00 \| price_predictor v1 \| as of "
        + DAYS[80].isoformat()
        + r" \| 5 tickers \| BUY 0 HOLD 5 SELL 0 \| direction/5/0\.02 \| "
        + SLOT.config_key,
        line,
    )


def test_lines_are_appended_in_order_and_none_comes_twice(project: Desk) -> None:
    first = project.crown()
    project.say(first, 80, [{}] * 5)
    bring_up_to_date(project.house)
    second = project.crown()
    project.say(second, 80, [{"label": None}] * 5)
    project.say(first, 81, [{}] * 5)
    assert bring_up_to_date(project.house) == 2
    assert bring_up_to_date(project.house) == 0
    assert [line.split(" | ")[1:3] for line in log(project)] == [
        ["price_predictor v1", f"as of {DAYS[80]}"],
        ["price_predictor v2", f"as of {DAYS[80]}"],
        ["price_predictor v1", f"as of {DAYS[81]}"],
    ]


def test_log_that_was_deleted_is_written_again(project: Desk) -> None:
    version = project.crown()
    for day in (40, 80):
        project.say(version, day, [{}] * 5)
    bring_up_to_date(project.house)
    before = log(project)
    (project.house.project.logs / "predictions.log").unlink()
    assert bring_up_to_date(project.house) == 2
    assert log(project) == before


def test_log_that_has_grown_begins_anew_and_knows_what_the_one_before_holds(
    project: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictionlog, "MOST_BYTES", 50)
    version = project.crown()
    project.say(version, 80, [{}] * 5)
    bring_up_to_date(project.house)
    project.say(version, 81, [{}] * 5)
    assert bring_up_to_date(project.house) == 1
    assert f"as of {DAYS[81]}" in log(project)[0]
    assert bring_up_to_date(project.house) == 0


def test_line_that_was_cut_off_is_ended_and_written_again(project: Desk) -> None:
    version = project.crown()
    for day in (80, 81):
        project.say(version, day, [{}] * 5)
    bring_up_to_date(project.house)
    path = project.house.project.logs / "predictions.log"
    whole = log(project)
    path.write_text("\n".join([whole[0], whole[1][:40]]), encoding="utf-8")
    assert bring_up_to_date(project.house) == 1
    assert log(project) == [whole[0], whole[1][:40], whole[1]]


def test_log_that_cannot_be_written_stops_nobody(project: Desk) -> None:
    project.house.project.logs.mkdir(parents=True, exist_ok=True)
    (project.house.project.logs / "predictions.log").mkdir()
    project.say(project.crown(), 80, [{}] * 5)
    assert bring_up_to_date(project.house) == 0
