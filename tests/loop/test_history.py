"""The history file: a line per cycle, in order, made whole again whatever was done to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loop.ledgers import HandClock, cycle, project

from marketloop.loop.flight import single_flight
from marketloop.loop.history import FILE, HEADER, bring_up_to_date
from marketloop.loop.house import House
from marketloop.state import alarms


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def house(tmp_path: Path, clock: HandClock) -> House:
    return project(tmp_path / "project", clock)


def lines_of(house: House) -> list[str]:
    return (house.project.logs / FILE).read_text().splitlines()


def repairs(house: House) -> int:
    with house.state.read() as db:
        return len(alarms.recent(db, kinds=("repair",)))


def nights(house: House, clock: HandClock, count: int = 3) -> None:
    for _ in range(count):
        cycle(house, clock, code="superior")
        bring_up_to_date(house)
        clock.pass_by(days=1)


def test_line_holds_time_reason_models_errors_and_outcome(house: House, clock: HandClock) -> None:
    cycle(house, clock)
    assert bring_up_to_date(house)
    header, line = lines_of(house)
    assert header == HEADER
    time, reason, trained, errors, outcome, duration, cycle_id = line.split(" | ")
    assert (time, reason) == ("2026-01-02 07:00:00", "manual: a test")
    assert (trained, errors) == ("price_predictor v1 promoted (first)", "none")
    assert (outcome, duration) == ("promoted", "90.0 s")
    assert cycle_id.startswith("retrain_20260102T120000_")


def test_failed_cycle_has_its_error_on_one_line(house: House, clock: HandClock) -> None:
    with pytest.raises(ValueError, match="two"), single_flight(house, trigger="schedule", reason="nightly"):
        raise ValueError("two\nlines | and a bar")
    bring_up_to_date(house)
    (line,) = lines_of(house)[1:]
    assert line.split(" | ")[2:5] == ["none", "ValueError: two lines / and a bar", "failed"]


def test_running_cycle_has_no_line_yet(house: House, clock: HandClock) -> None:
    with single_flight(house, trigger="manual", reason="") as flight:
        flight.outcome = "skipped"
        bring_up_to_date(house)
        assert lines_of(house) == [HEADER]
    bring_up_to_date(house)
    assert len(lines_of(house)) == 2


def test_lines_are_added_in_order_and_once(house: House, clock: HandClock) -> None:
    nights(house, clock)
    assert not bring_up_to_date(house)
    lines = lines_of(house)[1:]
    assert [line[:10] for line in lines] == ["2026-01-02", "2026-01-03", "2026-01-04"]
    assert repairs(house) == 0


def test_many_cycles_since_the_last_look_are_all_there(house: House, clock: HandClock) -> None:
    nights(house, clock, count=1)
    for _ in range(60):
        with single_flight(house, trigger="schedule", reason="") as flight:
            flight.outcome = "skipped"
        clock.pass_by(hours=1)
    bring_up_to_date(house)
    assert len(lines_of(house)) == 62
    assert repairs(house) == 0


def test_deleted_file_is_made_again(house: House, clock: HandClock) -> None:
    nights(house, clock)
    before = lines_of(house)
    (house.project.logs / FILE).unlink()
    assert bring_up_to_date(house)
    assert lines_of(house) == before


def test_deleted_line_comes_back(house: House, clock: HandClock) -> None:
    nights(house, clock)
    before = lines_of(house)
    (house.project.logs / FILE).write_text("\n".join([before[0], *before[2:]]) + "\n")
    assert bring_up_to_date(house)
    assert lines_of(house) == before
    assert repairs(house) == 0


@pytest.mark.parametrize("edit", ["changed", "added", "binary"])
def test_line_written_by_hand_is_undone_and_told(house: House, clock: HandClock, edit: str) -> None:
    nights(house, clock)
    before, path = lines_of(house), house.project.logs / FILE
    text = path.read_text()
    if edit == "changed":
        path.write_text(text.replace("promoted", "refused", 1))
    elif edit == "added":
        path.write_text(text + "2026-01-05 02:00:00 | never happened\n")
    else:
        path.write_bytes(b"\xff\xfe\x00 no text")
    assert bring_up_to_date(house)
    assert lines_of(house) == before
    assert repairs(house) == 1
    assert not bring_up_to_date(house)


def test_folder_that_cannot_be_written_fails_nothing(house: House, clock: HandClock) -> None:
    cycle(house, clock)
    house.project.logs.rmdir()
    house.project.logs.write_text("a file is in the way")
    assert not bring_up_to_date(house)
