from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Ask

from marketloop.cli import main

BARS = """date,ticker,open,high,low,close,volume
2015-01-05,A,10,11,9,10,100
2015-01-06,A,10,11,9,10,100
2015-01-06,A,10,11,9,10,100
2015-01-07,A,10,8,9,10,100
2015-01-08,A,10,11,9,,100
2015-01-09,A,10,20,9,18,0
2015-01-12,A,18,18,18,18,5
2015-01-13,A,18,18,18,18,5
2015-01-14,A,18,18,18,18,5
2015-01-15,A,18,18,18,18,5
2015-01-16,A,18,18,18,18,5
2015-01-20,A,18,18,18,18,5
"""


@pytest.fixture
def root(tmp_path: Path, ask: Ask) -> str:
    (tmp_path / "bars.csv").write_text(BARS, encoding="utf-8")
    main(["init", "mine", "--path", "bars.csv"])
    ask("--project", "mine", "collect")
    return "mine"


def test_quality_counts_what_was_set_aside_by_rule(root: str, ask: Ask) -> None:
    report = ask("--project", root, "quality")
    assert tuple(report) == ("rows", "accepted", "quarantined", "rules", "warnings")
    assert (report["rows"], report["accepted"], report["quarantined"]) == (12, 9, 3)
    assert report["rules"] == {"null_price": 1, "high_below_low": 1, "duplicate": 1}
    assert {warning["rule"] for warning in report["warnings"]} == {"jump", "zero_volume"}


def test_quality_lists_the_quarantine_with_reasons(root: str, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ask("--project", root, "quality", "--quarantine")["rows_quarantined"]
    assert [(row["rule"], row["date"]) for row in rows] == [
        ("duplicate", "2015-01-06"),
        ("high_below_low", "2015-01-07"),
        ("null_price", "2015-01-08"),
    ]
    assert rows[1]["reason"] == "high 8.0 is below low 9.0"
    assert main(["--project", root, "quality", "--quarantine"]) == 0
    assert "high 8.0 is below low 9.0" in capsys.readouterr().out


def test_quality_says_what_to_do_when_there_are_no_bars(ask: Ask) -> None:
    main(["init", "mine"])
    assert "run `marketloop collect`" in ask("--project", "mine", "quality", code=2)["error"]
