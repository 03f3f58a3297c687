from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest

from marketloop.cli.render import Screen, cell, plain, print_json, progress


def test_json_holds_only_what_json_can_say() -> None:
    stream = io.StringIO()
    print_json({"nan": float("nan"), "inf": np.float32("inf"), "n": np.int64(3), "at": dt.date(2018, 2, 7)}, stream)
    assert json.loads(stream.getvalue()) == {"nan": None, "inf": None, "n": 3, "at": "2018-02-07"}


def test_plain_takes_arrays_paths_and_tuples() -> None:
    assert plain({"a": np.array([1.5, np.nan]), "p": Path("x"), 3: (True, None)}) == {
        "a": [1.5, None],
        "p": "x",
        "3": [True, None],
    }


def test_plain_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="a document cannot hold object"):
        plain({"x": object()})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (True, "yes"), (0.05123, "0.05123"), (float("nan"), "-"), (619040, "619,040"), (["a", "b"], "a, b")],
)
def test_cell_writes_values_for_people(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_screen_prints_a_table_with_numbers_to_the_right() -> None:
    stream = io.StringIO()
    Screen(stream).table(("name", "rows"), [("[a]", 5), ("b", 1000)])
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert any(line.split() == ["[a]", "5"] and line.endswith("    5") for line in lines)
    assert any(line.split() == ["b", "1,000"] for line in lines)


def test_title_of_a_narrow_table_stays_on_one_line() -> None:
    stream = io.StringIO()
    Screen(stream).table(("n",), [(5,)], title="as of 2017-09-01, momentum_ranker v2")
    assert stream.getvalue().splitlines()[0].rstrip() == "as of 2017-09-01, momentum_ranker v2"


def test_progress_draws_nothing_when_it_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work", wanted=False) as update:
        update(1, 2, "x")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_progress_draws_nothing_for_quick_work(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work", wanted=True) as update:
        update(1, 2, "x")
    shown = capsys.readouterr()
    assert (shown.out, shown.err.strip()) == ("", "")


def test_progress_draws_a_bar_for_slow_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketloop.cli.render._PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress("work", wanted=True) as update:
        update(1, 2, "ticker AAPL")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "50 %" in shown.err
    assert "ticker AAPL" in shown.err
