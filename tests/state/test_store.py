from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from marketloop.cli import main
from marketloop.core.errors import FailedError, UsageError
from marketloop.state import Slot, State, champions, decisions, heartbeats, skill, this_process, versions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.schema import schema_version
from marketloop.state.skill import Finding, Year


def test_state_remembers_what_was_written_when_opened_again(url: str, slot: Slot, noon: dt.datetime) -> None:
    with State.open(url) as state, state.write() as db:
        versions.allocate(db, slot, process=this_process(), at=noon)
    with State.open(url) as state, state.read() as db:
        assert [v.version for v in versions.listing(db)] == [1]


def test_state_writes_nothing_when_the_block_raises(state: State, slot: Slot, noon: dt.datetime) -> None:
    with pytest.raises(RuntimeError), state.write() as db:  # noqa: PT012
        versions.allocate(db, slot, process=this_process(), at=noon)
        raise RuntimeError
    with state.read() as db:
        assert versions.listing(db) == ()


def test_state_puts_scoreboards_into_another_file(tmp_path: Path) -> None:
    State.open(f"sqlite:///{tmp_path}/state.db").close()
    assert {path.name for path in tmp_path.iterdir()} == {"state.db", "scoreboard.db"}


def test_state_ledger_survives_a_power_cut_and_scoreboards_can_be_synced(tmp_path: Path) -> None:
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        for database, mode in ((state.ledger, 2), (state.scores, 1)):
            with database.read() as db:
                assert db.exec_driver_sql("PRAGMA synchronous").scalar() == mode
                assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            database.sync()


def test_state_is_opened_by_two_processes_at_once(compete: Callable[[str], list[str]]) -> None:
    script = "with State.open(url) as s, s.read() as db: print(db.exec_driver_sql('SELECT 1').scalar())"
    assert compete(script) == ["1\n", "1\n"]


def test_state_refuses_a_database_of_a_newer_version(url: str) -> None:
    with State.open(url) as state, state.write() as db:
        db.execute(schema_version.update().values(version=99))
    with pytest.raises(FailedError, match=r"state too new: .* has schema version 99, this MarketLoop knows up to 4"):
        State.open(url)


def test_newer_database_stops_every_command_with_one_sentence_and_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mine"
    assert main(["init", str(root)]) == 0
    with State.open(f"sqlite:///{root}/state.db") as state, state.write() as db:
        db.execute(schema_version.update().values(version=99))
    before = (root / "state.db").read_bytes()
    for arguments in (("status",), ("retrain",), ("rollback", "price_predictor", "--reason", "x"), ("loop", "--once")):
        capsys.readouterr()
        assert main(["--project", str(root), *arguments]) == 3
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert "state too new" in said
    assert (root / "state.db").read_bytes() == before


def test_state_says_so_when_the_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"date,open,high\n" * 100)
    with pytest.raises(FailedError, match=r"state\.db is not a database: restore it from a backup"):
        State.open(f"sqlite:///{tmp_path}/state.db")
    assert (tmp_path / "state.db").read_bytes().startswith(b"date,open")


def test_state_says_so_when_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="cannot be opened: check that its folder exists"):
        State.open(f"sqlite:///{tmp_path}/nowhere/state.db")


def test_state_says_so_when_another_process_holds_it(tmp_path: Path, slot: Slot, noon: dt.datetime) -> None:
    with State.open(f"sqlite:///{tmp_path}/state.db", busy_timeout_s=0.05) as state:
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FailedError, match="is held by another process"), state.write() as db:
            versions.allocate(db, slot, process=this_process(), at=noon)
        other.close()


def test_state_says_so_and_goes_on_when_the_disk_was_full(tmp_path: Path, noon: dt.datetime) -> None:
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:
        with pytest.raises(FailedError, match="the disk is full; free some space"), state.write() as db:  # noqa: PT012
            db.exec_driver_sql("PRAGMA max_page_count = 1")
            heartbeats.beat(db, "loop", document={"text": "x" * 1_000_000}, process=this_process(), at=noon)
        with state.write() as db:
            db.exec_driver_sql("PRAGMA max_page_count = 1000000")
            heartbeats.beat(db, "loop", document={}, process=this_process(), at=noon)
        with state.read() as db:
            assert heartbeats.last(db, "loop") is not None


def test_state_says_so_when_it_cannot_be_written(tmp_path: Path, slot: Slot, noon: dt.datetime) -> None:
    with (  # noqa: PT012
        State.open(f"sqlite:///{tmp_path}/state.db") as state,
        pytest.raises(FailedError, match="cannot be written: make the file and its folder writable"),
        state.write() as db,
    ):
        db.exec_driver_sql("PRAGMA query_only = ON")
        versions.allocate(db, slot, process=this_process(), at=noon)


@pytest.mark.parametrize("wrong", ["state.db", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_state_url_names_what_was_expected_when_wrong(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"expected sqlite:///path/to/state\.db or postgresql://"):
        State.open(wrong)


def test_state_hides_the_password_when_the_server_is_away(postgres: str) -> None:
    with pytest.raises(FailedError, match="cannot be reached") as caught:
        State.open("postgresql://loop:secret@127.0.0.1:1/postgres")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://loop:se@cret@127.0.0.1:1/db",
        "postgresql://loop:secret@127.0.0.1:port/db",
        "postgresql//loop:secret@127.0.0.1/db",
        "mysql://loop:secret@127.0.0.1/db?password=secret",
    ],
)
def test_state_url_that_is_wrong_is_named_without_its_password(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"\[state\] url ") as caught:
        State.open(wrong)
    assert not re.search(r"(?<!@)cret|secret|loop:", str(caught.value))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nobody:secret@", 'knows no such user: create it, or correct .* role "nobody" does not exist'),
        ("loop:secret@/nowhere", 'is not there: create the database, .* database "nowhere" does not exist'),
        ("loop@?password=secret", None),
    ],
)
def test_state_says_what_the_server_refused_and_never_the_password(
    empty_postgres: str, given: str, words: str | None
) -> None:
    user, _, database = given.partition("@")
    url = empty_postgres.replace("loop@", f"{user}@")
    url = url.replace("/postgres", database) if database.startswith("/") else url + database
    if words is None:
        with State.open(url) as state, pytest.raises(FailedError) as caught, state.write() as db:
            db.exec_driver_sql("SELECT * FROM nowhere")
    else:
        with pytest.raises(FailedError, match=words) as caught:
            State.open(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_state_says_so_when_the_server_goes_away_in_the_middle_and_goes_on_when_it_is_back(
    empty_postgres: str, noon: dt.datetime
) -> None:
    with State.open(empty_postgres.replace("loop@", "loop:secret@")) as state:
        with pytest.raises(FailedError, match="went away: what was not committed") as caught, state.write() as db:  # noqa: PT012
            heartbeats.beat(db, "loop", document={}, process=this_process(), at=noon)
            db.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        assert "secret" not in str(caught.value)
        with state.write() as db:
            assert heartbeats.last(db, "loop") is None
            heartbeats.beat(db, "loop", document={}, process=this_process(), at=noon)


@pytest.mark.parametrize("verb", ["UPDATE {} SET family = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["champions", "decisions", "skill_years", "skill_events"])
def test_ledger_rows_cannot_be_changed_even_by_sql(state: State, noon: dt.datetime, table: str, verb: str) -> None:
    slot = Slot("price_predictor", "rsi10")
    with state.write() as db:
        champions.append(
            db, Champion(slot, 1, "refresh", "champion", True, noon, noon, noon, "d1", "ab", 1), expected=0
        )
        decisions.record(db, Decision(slot, 1, "refused", "no_skill", "why", noon))
        skill.open_year(db, Year("s1", slot, 1000, 600, 0, 0.025, 2.34, noon))
        skill.record(db, Finding("s1", slot, 1010, "proven", 2.5, 610, noon))
        place = f"marketloop.{table}" if db.dialect.name == "postgresql" else table
    with pytest.raises(FailedError, match=f"{table} is append-only"), state.write() as db:
        db.exec_driver_sql(verb.format(place))
