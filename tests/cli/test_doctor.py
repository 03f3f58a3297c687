from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from marketloop.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)


def examine(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, dict[str, str | None]]:
    capsys.readouterr()
    assert main(["doctor", "--project", "mine", "--json"]) == code
    return {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_doctor_finds_a_new_project_healthy_and_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "mine"])
    found = examine(capsys, 0)
    assert [name for name, check in found.items() if check["status"] == "failed"] == []
    assert found["data"]["remedy"] == "marketloop collect"
    assert found["state"]["remedy"] == "marketloop retrain price_predictor"
    assert found["source"]["detail"] == "sample, 5 tickers"
    assert str(found["calendar"]["detail"]).startswith("XNYS, last session ")


def test_doctor_names_the_remedy_when_there_is_no_project(capsys: pytest.CaptureFixture[str]) -> None:
    found = examine(capsys, 1)
    assert found["project"]["status"] == "failed"
    assert found["project"]["remedy"] == "marketloop init DIR"


def test_doctor_names_wrong_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "mine"])
    (tmp_path / "mine" / "marketloop.toml").write_text("[gate]\nalfa = 1\n", encoding="utf-8")
    found = examine(capsys, 1)
    assert 'line 2: unknown setting "gate.alfa"' in str(found["settings"]["detail"])


@pytest.mark.parametrize(
    ("section", "name", "words"),
    [
        ('[project]\ncalendar = "XNYC"\n', "calendar", "XNYC"),
        ('[data]\nsource = "folder"\npath = "gone.parquet"\n', "source", "gone.parquet"),
        ('[data]\nsource = "smaple"\n', "source", 'Did you mean "sample"?'),
    ],
)
def test_doctor_names_what_is_unknown_or_missing(
    section: str, name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", "mine"])
    (tmp_path / "mine" / "marketloop.toml").write_text(section, encoding="utf-8")
    found = examine(capsys, 1)
    assert found[name]["status"] == "failed"
    assert words in str(found[name]["detail"])


def test_doctor_names_a_ledger_that_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "mine"])
    (tmp_path / "mine" / "state.db").write_bytes(b"not a database at all" * 50)
    assert examine(capsys, 1)["state"]["status"] == "failed"


def test_doctor_names_a_folder_that_a_file_is_in_the_way_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "mine"])
    shutil.rmtree(tmp_path / "mine" / "models")
    (tmp_path / "mine" / "models").write_text("a file", encoding="utf-8")
    assert "something of another kind is in the way" in str(examine(capsys, 1)["folders"]["detail"])


def test_doctor_prints_remedies_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "mine"])
    assert main(["doctor", "--project", "mine"]) == 0
    assert "remedy: marketloop collect" in capsys.readouterr().out
