from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marketloop.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_init_writes_what_its_flags_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "init", "mine", "--path", "bars.csv", "--calendar", "24/7")
    assert made["project"] == str(tmp_path / "mine")
    settings = answer(capsys, "config", "--project", "mine")["settings"]
    assert settings["data.source"]["value"] == "folder"
    assert settings["data.path"]["value"] == str(tmp_path / "bars.csv")
    assert settings["project.calendar"] == {"value": "24/7", "origin": "file marketloop.toml:9"}


def test_init_without_folder_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 2
    assert 'expected "marketloop init DIR"' in capsys.readouterr().err


def test_init_names_an_unknown_calendar_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 'unknown calendar "XNSE"' in answer(capsys, "init", "mine", "--calendar", "XNSE", code=2)["error"]
    assert not (tmp_path / "mine").exists()


def test_init_refuses_to_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "init", "mine")
    assert "exists already" in answer(capsys, "init", "mine", code=2)["error"]


def test_config_hides_secrets(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(capsys, "init", "mine")
    monkeypatch.setenv("MARKETLOOP_STATE__URL", "postgresql://anna:s3cret@db/loop")
    monkeypatch.setenv("MARKETLOOP_ALARMS__URLS", "slack://s3cret")
    shown = answer(capsys, "config", "--project", "mine")
    assert "s3cret" not in json.dumps(shown)
    assert shown["settings"]["state.url"] == {
        "value": "postgresql://***@db/loop",
        "origin": "environment MARKETLOOP_STATE__URL",
    }


def test_config_shows_one_section_or_one_setting(capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "init", "mine")
    assert set(answer(capsys, "config", "compute", "--project", "mine")["settings"]) == {
        "compute.threads",
        "compute.dask",
    }
    assert main(["config", "gate.alpha_skil", "--project", "mine"]) == 2
    assert 'Did you mean "gate.alpha_skill"?' in capsys.readouterr().err


def test_config_prints_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "init", "mine")
    assert main(["config", "gate", "--project", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["gate.alpha_skill", "0.025", "default"] for line in lines)
