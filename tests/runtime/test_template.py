from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.runtime.sections import FamilySection
from marketloop.runtime.settings import Settings, load_settings
from marketloop.runtime.template import TEMPLATE, record_settings, set_values, settings_text, toml_value


def test_template_holds_only_known_settings_when_every_example_is_switched_on(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (?=[a-z_0-9]+ = )", "", TEMPLATE)
    (tmp_path / "marketloop.toml").write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path, environ={}, flags={})
    assert len(settings.origins) > 40


def test_template_shows_true_defaults() -> None:
    text = re.sub(r"(?m)^# (?=[a-z_0-9]+ = )", "", TEMPLATE)
    document = tomllib.loads(text)
    defaults = Settings().model_dump(mode="json")
    for section in ("strategy", "features", "gate", "guard", "serve", "alarms"):
        for name, value in document[section].items():
            assert value == defaults[section][name], f"{section}.{name}"
    assert FamilySection().enabled is None  # what is left out follows the family


def test_set_values_replaces_a_commented_default_and_keeps_the_remark() -> None:
    text = "[data]\n# top = 50          # largest\nsource = 'sample' # x\n"
    changed = set_values(text, {"data.top": 10, "data.source": "folder"})
    assert changed == '[data]\ntop = 10            # largest\nsource = "folder"  # x\n'


def test_set_values_adds_a_missing_key_and_a_missing_section() -> None:
    changed = set_values("[data]\ntop = 5\n", {"data.universe": "US", "serve.port": 9000})
    assert tomllib.loads(changed) == {"data": {"top": 5, "universe": "US"}, "serve": {"port": 9000}}


@pytest.mark.parametrize(
    "value",
    [True, 3, 0.05, 'quote " and \\ and ä', dt.date(2015, 1, 2), ["A", "B"], {"seed": 1, "x y": [1.5]}, []],
)
def test_toml_value_reads_back_as_it_was(value: object) -> None:
    assert tomllib.loads(f"v = {toml_value(value)}")["v"] == value


def test_set_values_refuses_a_text_that_it_cannot_change_line_by_line() -> None:
    with pytest.raises(UsageError, match=r'set data.tickers = \["A"\] by hand'):
        set_values('[data]\ntickers = [\n  "X",\n]\n', {"data.tickers": ["A"]})


def test_record_settings_keeps_every_other_line(tmp_path: Path) -> None:
    path = tmp_path / "marketloop.toml"
    path.write_text(settings_text({}), encoding="utf-8")
    record_settings(path, {"data.source": "folder", "data.tickers": ("A", "B")})
    before, after = settings_text({}).splitlines(), path.read_text(encoding="utf-8").splitlines()
    assert len(before) == len(after)
    assert [line.split("#")[0].strip() for line in after if line not in before] == [
        'source = "folder"',
        'tickers = ["A", "B"]',
    ]
