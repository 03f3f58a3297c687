"""Alarms from the ledger to the file and the channels: each told once, none lost, no dead channel in the way."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path

import pytest
from tests.loop.ledgers import NOON, SLOT, HandClock, cycle, project
from tests.loop.receivers import free_port, http_receiver, mail_receiver, silent_receiver

from marketloop.core.errors import UsageError
from marketloop.loop.alarms import KINDS, Alarm, deliver, raise_alarm, repaired, went_wrong
from marketloop.loop.feeding import feed_mirrors
from marketloop.loop.flight import single_flight
from marketloop.loop.helm import open_helm
from marketloop.loop.house import House
from marketloop.loop.promoting import record_failure
from marketloop.loop.ringing import ring
from marketloop.registry.standing import Back
from marketloop.runtime.sections import AlarmsSection
from marketloop.state import alarms, decisions, outbox
from marketloop.state.decisions import Decision


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


def log_of(house: House) -> str:
    return (house.project.models / "alerts.log").read_text()


def kinds_of(house: House) -> list[str]:
    with house.state.read() as db:
        return [alarm.kind for alarm in alarms.recent(db, limit=100)][::-1]


def waiting(house: House) -> int:
    with house.state.read() as db:
        return len(outbox.pending(db, "alarm"))


def test_kinds_are_those_that_the_settings_know() -> None:
    assert set(AlarmsSection().kinds) == set(KINDS)
    with pytest.raises(UsageError, match='alarm kind "fire"'):
        Alarm("fire", "k", "t")


def test_promotion_is_told_with_figures_previous_figures_and_paths(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        ring(house)
        clock.pass_by(days=1)
        cycle(house, clock, code="superior", reason="better than version 1")
        assert ring(house) == 1
        entry = log_of(house).strip().split("\n\n")[-1]
    lines = entry.splitlines()
    assert lines[0] == "[2026-01-03 07:03:00] price_predictor: version 2 promoted (superior)"
    told = dict(line.strip().split(": ", 1) for line in lines[1:])
    assert (told["duration"], told["samples"], told["tickers"]) == ("90 s", "5000", "40")
    assert (told["metrics"], told["previous metrics"]) == ("accuracy 0.52, rank_ic 0.02", "accuracy 0.51, rank_ic 0.02")
    assert told["model path"].endswith("models/registry/price_predictor/rsi10_vol20_support20/v2")
    assert told["backup path"].endswith("v1")
    assert told["reason"] == "better than version 1"


def test_nothing_is_told_twice_however_often_one_looks(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        assert [ring(house), ring(house)] == [1, 0]
        clock.pass_by(days=3)
        assert ring(house) == 0
        assert log_of(house).count("promoted") == 1


def test_every_kind_of_decision_is_told_as_what_it_is(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        cycle(house, clock, verdict="refused", code="leak", reason="leaking features: mine")
        cycle(house, clock, code="superior")
        house.registry.rollback(SLOT, reason=Back("by hand, a test"), at=clock.now())
        with house.state.write() as db:
            decisions.record(db, Decision(SLOT, 1, "harm", "harm", "worse than chance", clock.now()))
            decisions.record(db, Decision(SLOT, 1, "rollback", "guard", "worse than before", clock.now()))
            decisions.record(db, Decision(SLOT, None, "failed", "error", "ZeroDivisionError", clock.now()))
        ring(house)
        assert kinds_of(house) == ["success", "validation", "success", "rollback", "degradation", "rollback", "error"]
        text = log_of(house)
    assert "rolled back to version 1 by hand" in text
    assert "rolled back to version 1 by the guard" in text
    assert "does harm, every signal HOLD" in text
    assert "version 2 failed validation (leak)" in text


def test_ordinary_refusal_is_told_once_a_week(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        ring(house)
        told = []
        for _ in range(9):
            clock.pass_by(days=1)
            cycle(house, clock, verdict="refused", code="not_better", reason="not better")
            told.append(ring(house))
    assert told == [1, 0, 0, 0, 0, 0, 0, 1, 0]


def test_cycle_that_ends_by_an_error_is_told(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        with pytest.raises(ZeroDivisionError), single_flight(house, trigger="schedule", reason="nightly"):
            raise ZeroDivisionError("no bars")
        assert [ring(house), ring(house)] == [1, 0]
        text = log_of(house)
    assert "failed" in text.splitlines()[0]
    assert "error: ZeroDivisionError: no bars" in text
    assert "trigger: schedule: nightly" in text


def test_what_a_killed_process_did_not_tell_is_told_by_the_next(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
    with project(root, clock) as later:
        assert ring(later) == 1


def test_first_look_at_an_old_project_is_not_full_of_old_news(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        clock.pass_by(days=30)
        assert ring(house) == 0


def test_helm_rings_as_a_house_does(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        cycle(house, clock, code="superior")
        ring(house)
    with open_helm(root, environ={}, clock=clock) as helm:
        helm.registry.rollback(SLOT, reason="a test", at=clock.now())
        assert ring(helm) == 1


def test_same_trouble_is_told_once_in_the_quiet_time(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        for _ in range(8):
            raise_alarm(house, went_wrong("the worker died", key="worker", error="killed"))
            clock.pass_by(hours=1)
        deliver(house)
        assert log_of(house).count("the worker died") == 2
        with house.state.read() as db:
            assert [alarm.repeats for alarm in alarms.recent(db)] == [1, 5]


def test_title_of_several_lines_cannot_look_like_two_alarms(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        raise_alarm(house, went_wrong("a\n[2026-01-01 00:00:00] b", key="k", error="x\n  alarm: 99\n"))
        deliver(house)
        assert len([line for line in log_of(house).splitlines() if line.startswith("[")]) == 1
        raise_alarm(house, repaired("models/x.json", found="another text", done="written again"))
        deliver(house)
        assert "models/x.json was changed by hand and put right" in log_of(house)


def test_log_that_was_deleted_is_written_again(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        ring(house)
        before = log_of(house)
        (house.project.models / "alerts.log").unlink()
        deliver(house)
        assert log_of(house) == before


def test_channels_hear_of_an_alarm_once(root: Path, clock: HandClock) -> None:
    with mail_receiver() as box, http_receiver() as desk:
        urls = [
            f"mailto://127.0.0.1:{box.port}/?from=loop@example.org&to=desk@example.org&mode=insecure",
            f"json://127.0.0.1:{desk.port}/hook",
        ]
        with project(root, clock, alarms_urls=urls) as house:
            cycle(house, clock)
            ring(house, tell=deliver)
            ring(house, tell=deliver)
            assert waiting(house) == 0
    assert (len(box.mails), len(desk.bodies)) == (1, 1)
    assert desk.bodies[0]["title"] == "price_predictor: version 1 promoted (first)"
    assert desk.bodies[0]["message"].startswith("[2026-01-02 07:01:30] price_predictor")


def test_dead_channels_stop_neither_the_others_nor_the_cycle(root: Path, clock: HandClock) -> None:
    with silent_receiver() as silent, http_receiver(status=500) as broken, http_receiver() as desk:
        ports = (silent, free_port(), broken.port, desk.port)
        urls = [f"json://127.0.0.1:{port}/hook" for port in ports]
        with project(root, clock, alarms_urls=urls, alarms_timeout_s=0.5) as house:
            for n in range(3):
                raise_alarm(house, went_wrong(f"trouble {n}", key=f"k{n}", error="x"))
            assert deliver(house) == 3
            assert broken.tries == 1  # one chance a round
            assert waiting(house) == 9
            with house.state.read() as db:
                tried = [m for m in outbox.pending(db, "alarm") if m.attempts]
    assert [body["title"] for body in desk.bodies] == ["trouble 0", "trouble 1", "trouble 2"]
    assert {m.payload["channel"] for m in tried} == {"json-1", "json-2", "json-3"}


def test_broken_channel_is_tried_again_with_growing_pauses_and_hears_all(root: Path, clock: HandClock) -> None:
    with (
        http_receiver(status=500) as desk,
        project(root, clock, alarms_urls=[f"json://127.0.0.1:{desk.port}/hook"]) as house,
    ):
        raise_alarm(house, went_wrong("trouble", key="k", error="x"))
        tries = []
        for _ in range(20):
            deliver(house)
            tries.append(desk.tries)
            clock.pass_by(minutes=1)
        assert [n for n in range(1, 20) if tries[n] > tries[n - 1]] == [1, 3, 7, 15]
        desk.status = 200
        clock.pass_by(hours=1)
        assert deliver(house) == 1
        assert waiting(house) == 0
    assert [body["title"] for body in desk.bodies] == ["trouble"]


def test_channel_that_never_comes_back_is_given_up_with_a_note(root: Path, clock: HandClock) -> None:
    with http_receiver(status=500) as desk:
        with project(root, clock, alarms_urls=[f"json://127.0.0.1:{desk.port}/hook"]) as house:
            raise_alarm(house, went_wrong("trouble", key="k", error="x"))
            for _ in range(15):
                deliver(house)
                clock.pass_by(days=1)
            assert desk.tries == 10
            assert waiting(house) == 0
        with sqlite3.connect(house.project.state_db) as db:
            ((trouble,),) = db.execute("SELECT trouble FROM outbox WHERE topic = 'alarm'").fetchall()
    assert trouble.endswith("given up after 10 attempts")


def test_channel_that_was_taken_out_is_forgotten(root: Path, clock: HandClock) -> None:
    with project(root, clock, alarms_urls=[f"json://127.0.0.1:{free_port()}/hook"]) as house:
        raise_alarm(house, went_wrong("trouble", key="k", error="x"))
    with project(root, clock) as without:
        assert deliver(without) == 0
        assert waiting(without) == 0


def test_flood_is_held_back_from_the_channels_and_never_from_the_file(root: Path, clock: HandClock) -> None:
    with http_receiver() as desk:
        urls = [f"json://127.0.0.1:{desk.port}/hook"]
        with project(root, clock, alarms_urls=urls, alarms_per_hour=3) as house:
            for n in range(7):
                raise_alarm(house, repaired(f"view {n}", found="x", done="y"))
            deliver(house)
            assert log_of(house).count("put right") == 7
            assert len(desk.bodies) == 3
            assert "number 3 within an hour" in desk.bodies[-1]["message"]
            assert "except degradation, error, rollback, are in models/alerts.log" in desk.bodies[-1]["message"]
            clock.pass_by(hours=1.1)
            raise_alarm(house, went_wrong("later", key="k9", error="x"))
            deliver(house)
    assert desk.bodies[-1]["title"] == "later"


def test_urgent_alarms_pass_the_limit_up_to_twice_its_value_whatever_flood_there_is(
    root: Path, clock: HandClock
) -> None:
    with http_receiver() as desk:
        urls = [f"json://127.0.0.1:{desk.port}/hook"]
        with project(root, clock, alarms_urls=urls, alarms_per_hour=3) as house:
            for n in range(9):
                raise_alarm(house, repaired(f"view {n}", found="x", done="y"))
            for n in range(5):
                raise_alarm(house, went_wrong(f"trouble {n}", key=f"k{n}", error="x"))
            deliver(house)
    assert [body["title"] for body in desk.bodies[3:]] == ["trouble 0", "trouble 1", "trouble 2"]
    assert "number 6 within an hour: further ones are" in desk.bodies[-1]["message"]


def test_kinds_that_no_channel_hears_use_up_no_limit(root: Path, clock: HandClock) -> None:
    with http_receiver() as desk:
        urls = [f"json://127.0.0.1:{desk.port}/hook"]
        with project(root, clock, alarms_urls=urls, alarms_per_hour=2, alarms_kinds="drift") as house:
            for n in range(9):
                raise_alarm(house, went_wrong(f"trouble {n}", key=f"k{n}", error="x"))
            raise_alarm(house, Alarm("drift", "d", "drifted"))
            deliver(house)
            assert "within an hour" not in log_of(house)
    assert [body["title"] for body in desk.bodies] == ["drifted"]


def test_no_secret_of_an_error_is_in_ledger_log_file_or_channel(root: Path, clock: HandClock) -> None:
    said = "no answer of https://anna:hunter2@feed.example/v1?api_key=SECRET123"
    with http_receiver() as desk:
        with project(root, clock, alarms_urls=[f"json://127.0.0.1:{desk.port}/hook"]) as house:
            raise_alarm(house, went_wrong(said, key=said, error=said, feed={"api_key": "SECRET123", "urls": [said]}))
            with single_flight(house, trigger="manual", reason="a test") as flight:
                assert record_failure(house, SLOT.family, flight, said).reason.startswith("no answer of https://***@")
                flight.document = {}
            with pytest.raises(RuntimeError), single_flight(house, trigger="manual", reason="a test"):
                raise RuntimeError(said)
            ring(house, tell=deliver)
            assert log_of(house).count("https://***@feed.example/v1?api_key=***") >= 3
        assert len(desk.bodies) == 3
    assert not any(secret in json.dumps(desk.bodies) for secret in ("hunter2", "SECRET123"))
    for path in (path for path in root.rglob("*") if path.is_file()):
        assert not any(secret in path.read_bytes() for secret in (b"hunter2", b"SECRET123")), path


def test_secret_of_an_older_alarm_is_hidden_in_file_and_channel(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        with house.state.write() as db:
            at, said = clock.now(), {"error": "password: hunter2"}
            alarms.raise_alarm(
                db, "error", key="k", title="token=SECRET123", document=said, at=at, quiet=dt.timedelta(0)
            )
        deliver(house)
        assert log_of(house).startswith("[2026-01-02 07:00:00] token=***\n")
        assert "password: ***" in log_of(house)


def test_decisions_of_a_running_cycle_are_told_at_its_end(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        with single_flight(house, trigger="manual", reason="a test") as flight:
            record_failure(house, SLOT.family, flight, "no bars")
            assert ring(house) == 0
            flight.outcome, flight.document = "failed", {}
        assert ring(house) == 1


def test_feeding_the_mirrors_tells_what_nobody_was_told_of(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        feed_mirrors(house)
        assert kinds_of(house) == ["success"]
        feed_mirrors(house)
        assert log_of(house).count("promoted") == 1


def test_channels_hear_of_the_kinds_that_were_chosen(root: Path, clock: HandClock) -> None:
    with http_receiver() as desk:
        urls = [f"json://127.0.0.1:{desk.port}/hook"]
        with project(root, clock, alarms_urls=urls, alarms_kinds="error,drift") as house:
            raise_alarm(house, Alarm("success", "a", "promoted"))
            raise_alarm(house, Alarm("drift", "b", "drifted", {"action": "retrain"}))
            deliver(house)
            assert "promoted" in log_of(house)
    assert [body["title"] for body in desk.bodies] == ["drifted"]


def test_plugin_channel_hears_too(root: Path, clock: HandClock) -> None:
    said = []
    with project(root, clock) as house:
        house.catalog.add_channel("desk", lambda kind, title, _: said.append((kind, title)))
        raise_alarm(house, went_wrong("trouble", key="k", error="x"))
        assert deliver(house) == 1
    assert said == [("error", "trouble")]


def test_no_address_is_in_ledger_log_or_file(root: Path, clock: HandClock) -> None:
    with http_receiver(status=403) as desk:
        urls = [f"json://anna:s3cret-word@127.0.0.1:{desk.port}/s3cret-path?token=s3cret-query"]
        with project(root, clock, alarms_urls=urls) as house:
            raise_alarm(house, went_wrong("trouble", key="k", error="x"))
            deliver(house)
            document = json.dumps(house.settings.flat())
            assert "s3cret" in document  # the settings know it, and only they
    for path in root.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path


def test_addresses_of_one_variable_are_split_where_one_begins() -> None:
    found = AlarmsSection.model_validate({"urls": "mailto://h/?to=a@x.org,b@x.org, json://h/x slack://a/b/c"})
    assert found.urls == ("mailto://h/?to=a@x.org,b@x.org", "json://h/x", "slack://a/b/c")


def test_trouble_with_the_ledger_is_logged_and_nothing_is_raised(root: Path, clock: HandClock) -> None:
    with project(root, clock) as house:
        cycle(house, clock)
        with sqlite3.connect(house.project.state_db) as db:
            db.execute("DROP TABLE alarms")
        assert raise_alarm(house, went_wrong("trouble", key="k", error="x")) is None
        assert (deliver(house), ring(house), ring(house, tell=deliver)) == (0, 0, 0)


def test_noon_is_written_in_the_time_of_the_project(root: Path, clock: HandClock) -> None:
    assert dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC) == NOON
    with project(root, clock, project_timezone="Asia/Kolkata") as house:
        raise_alarm(house, went_wrong("trouble", key="k", error="x"))
        deliver(house)
        assert log_of(house).startswith("[2026-01-02 17:30:00] trouble\n")
