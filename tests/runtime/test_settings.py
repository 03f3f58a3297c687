from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from marketloop.core.errors import UsageError
from marketloop.core.values import StrategyConfig
from marketloop.runtime.settings import Settings, load_settings


def write(folder: Path, text: str) -> Path:
    (folder / "marketloop.toml").write_text(text, encoding="utf-8")
    return folder


def load(folder: Path | None, environ: dict[str, str] | None = None, flags: dict[str, Any] | None = None) -> Settings:
    return load_settings(folder, environ=environ or {}, flags=flags or {})


def test_settings_take_defaults_when_nothing_is_given() -> None:
    settings = load(None)
    assert settings.project.calendar == "XNYS"
    assert settings.gate.alpha_skill == 0.025
    assert settings.gate.refresh_age == 63
    assert settings.features.set == "extended"
    assert str(settings.origin("gate.alpha_skill")) == "default"


def test_settings_prefer_flag_to_environment_to_file_to_default(tmp_path: Path) -> None:
    project = write(tmp_path, "[gate]\nalpha_skill = 0.01\nalpha_better = 0.01\nrefresh_age = 70\n")
    environ = {"MARKETLOOP_GATE__ALPHA_BETTER": "0.02", "MARKETLOOP_GATE__REFRESH_AGE": "80"}
    settings = load(project, environ, {"gate.refresh_age": 90, "gate.z_refresh": None})
    gate = settings.gate
    assert (gate.alpha_skill, gate.alpha_better, gate.refresh_age, gate.z_refresh) == (0.01, 0.02, 90, -1.28)
    origins = [str(settings.origin(f"gate.{k}")) for k in ("alpha_skill", "alpha_better", "refresh_age", "z_refresh")]
    assert origins == ["file marketloop.toml:2", "environment MARKETLOOP_GATE__ALPHA_BETTER", "flag", "default"]


def test_settings_read_lists_from_the_environment() -> None:
    settings = load(None, {"MARKETLOOP_DATA__TICKERS": "AAPL, MSFT", "MARKETLOOP_PLUGINS": '["a.b"]'})
    assert settings.data.tickers == ("AAPL", "MSFT")
    assert settings.plugins == ("a.b",)


def test_settings_ignore_the_variable_that_names_the_project() -> None:
    assert load(None, {"MARKETLOOP_PROJECT": "/somewhere", "HOME": "/root"}).origins == {}


def test_settings_anchor_relative_paths_of_the_file_at_its_folder(tmp_path: Path) -> None:
    text = 'plugins = ["mine.py", "package.module"]\n[data]\npath = "bars"\n[context]\nvix = "vix.csv"\nspx = "^GSPC"\n'
    settings = load(write(tmp_path, text))
    assert settings.data.path == tmp_path / "bars"
    assert settings.context.vix == str(tmp_path / "vix.csv")
    assert settings.context.spx == "^GSPC"
    assert settings.plugins == (str(tmp_path / "mine.py"), "package.module")


def test_settings_anchor_relative_paths_of_flags_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, flags={"data.path": "bars.csv"}).data.path == tmp_path / "bars.csv"


def test_settings_give_a_family_its_own_gate_where_it_says_so(tmp_path: Path) -> None:
    text = "[gate]\nalpha_skill = 0.01\nrefresh_age = 70\n[family.price_predictor.gate]\nalpha_skill = 0.02\n"
    settings = load(write(tmp_path, text))
    own = settings.gate_for("price_predictor")
    assert (own.alpha_skill, own.refresh_age) == (0.02, 70)
    assert settings.gate_for("momentum_ranker") == settings.gate


def test_settings_convert_the_strategy_section() -> None:
    assert load(None, flags={"strategy.rsi_period": 14}).strategy.config == StrategyConfig(rsi_period=14)


def test_settings_keep_the_options_of_a_source_as_they_are(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "[data]\noptions = {seed = 3, planted_ic = 0.05}\n"))
    assert settings.data.options == {"seed": 3, "planted_ic": 0.05}


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(None).gate.alpha_skill = 0.5


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[gate]\nalfa_skill = 1\n", 2, 'unknown setting "gate.alfa_skill". Did you mean "gate.alpha_skill"?'),
        ("[gat]\nalpha_skill = 1\n", 2, 'unknown setting "gat". Did you mean "gate"?'),
        (
            "[features]\nrsi_period = 3\n",
            2,
            'unknown setting "features.rsi_period". Did you mean "strategy.rsi_period"?',
        ),
        (
            "[family.price_predictor]\ntarget_day = 3\n",
            2,
            'unknown setting "family.price_predictor.target_day". Did you mean "family.price_predictor.target_days"?',
        ),
        ("[gate]\n\nalpha_skill = 'x'\n", 3, "gate.alpha_skill = 'x': expected a number"),
        ("[gate]\nalpha_skill = 2\n", 2, "gate.alpha_skill = 2: expected a value less than or equal to 0.05"),
        ("[strategy]\nrsi_period = 14.5\n", 2, "strategy.rsi_period = 14.5: expected a whole number"),
        ("[features]\nfill = 'foward'\n", 2, 'expected one of forward, none. Did you mean "forward"?'),
        ("[tracking]\nenabled = 'maybe'\n", 2, "tracking.enabled = 'maybe': expected true or false"),
        ("[data]\ntimeframe = '5'\n", 2, "expected a number and a unit, e.g. 5y, 6mo, 2w or 30d"),
        ("[data]\nstart = '1.2.2015'\n", 2, "data.start = '1.2.2015': expected a date as YYYY-MM-DD"),
        ("gate = 3\n", 1, "gate = 3: expected a section, not a value"),
        ("[data]\n# remark\ntickers = 5\n", 3, 'data.tickers = 5: expected a list, e.g. ["A", "B"]'),
        ("[gate]\nx = ]\n", 2, "not valid TOML"),
    ],
)
def test_settings_name_what_is_wrong_and_where_in_the_file(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, text))
    message = str(caught.value)
    assert message.startswith(f'"{tmp_path / "marketloop.toml"}" line {line}: ')
    assert sentence in message


def test_settings_name_the_environment_variable_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"environment MARKETLOOP_GATE__ALFA: unknown setting"):
        load(None, {"MARKETLOOP_GATE__ALFA": "1"})


def test_settings_name_the_flag_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"flag: strategy.rsi_period = 1: expected a value greater than or equal to 2"):
        load(None, flags={"strategy.rsi_period": 1})


def test_settings_refuse_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "marketloop.toml").write_bytes(b"[project]\nname = '\xff\xfe'\n")
    with pytest.raises(UsageError, match="line 2: not UTF-8 text"):
        load(tmp_path)


def test_settings_say_how_many_more_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\(1 more wrong after this one\)"):
        load(write(tmp_path, "[gate]\nalpha_skill = 'x'\nalpha_better = 'y'\n"))
