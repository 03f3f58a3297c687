from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketloop.core.errors import MarketLoopError
from marketloop.runtime.logging import get_logger, set_up_logging
from marketloop.runtime.redact import redact, redact_text


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    yield
    root = logging.getLogger("marketloop")
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()


def test_logging_writes_json_lines_to_the_file_and_leaves_the_screen_to_the_command(tmp_path: Path) -> None:
    screen = io.StringIO()
    set_up_logging(tmp_path / "logs", screen=screen)
    get_logger("loop").info("cycle started", family="price_predictor")
    get_logger("loop").warning("late")
    lines = [json.loads(line) for line in (tmp_path / "logs" / "app.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("cycle started", "info"), ("late", "warning")]
    assert lines[0]["family"] == "price_predictor"
    assert screen.getvalue() == ""


def test_logging_hides_secrets_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    set_up_logging(tmp_path, verbosity=1, screen=screen)
    get_logger("state").info(
        "opened", url="postgresql://anna:s3cret@db/loop", api_key="s3cret", nested={"token": "s3cret"}
    )
    logging.getLogger("marketloop.guest").info("password=s3cret")
    try:
        raise ValueError("http://anna:s3cret@host")
    except ValueError:
        get_logger("state").exception("failed")
    written = screen.getvalue() + (tmp_path / "app.log").read_text(encoding="utf-8")
    assert "s3cret" not in written
    assert "postgresql://***@db/loop" in written
    assert capsys.readouterr().out == ""


def test_logging_set_up_twice_writes_each_line_once(tmp_path: Path) -> None:
    for _ in range(2):
        set_up_logging(tmp_path, screen=io.StringIO())
    get_logger("x").info("once")
    assert (tmp_path / "app.log").read_text(encoding="utf-8").count("once") == 1


def test_logging_says_so_when_the_folder_is_read_only(read_only_folder: Path) -> None:
    with pytest.raises(MarketLoopError, match="no permission"):
        set_up_logging(read_only_folder)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("alarms.urls", ("slack://a/b",), ["***"]),
        ("alarms.urls", (), []),
        ("state.url", "postgresql+psycopg://u:p@h:5432/d", "postgresql+psycopg://***@h:5432/d"),
        ("data.options", {"api_key": "k", "seed": 3}, {"api_key": "***", "seed": 3}),
        ("data.source", "sample", "sample"),
    ],
)
def test_redact_hides_what_is_secret_and_nothing_else(key: str, value: object, shown: object) -> None:
    assert redact(key, value) == shown


def test_redact_text_hides_what_follows_a_secret_name() -> None:
    assert redact_text("Authorization: Bearer abc, n=1") == "Authorization: ***, n=1"
