from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Ask

from marketloop.cli import main
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.features import FEATURE_SETS, FeatureEngineer

pytestmark = pytest.mark.xdist_group("commands")


@pytest.fixture
def bars(tmp_path: Path) -> pl.DataFrame:
    made = simulate(MarketSpec(tickers=2, sessions=300)).bars.sort("ticker", "date")
    made.write_csv(tmp_path / "bars.csv")
    made.write_parquet(tmp_path / "bars.parquet")
    return made


def test_features_list_is_exact_and_needs_no_project(ask: Ask) -> None:
    assert ask("features", "--list") == {"sets": {name: list(names) for name, names in FEATURE_SETS.items()}}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_features_of_a_file_are_those_of_the_engineer(
    ending: str, bars: pl.DataFrame, tmp_path: Path, ask: Ask
) -> None:
    said = ask("features", "--input", f"bars.{ending}", "--output", f"out/features.{ending}", "--feature-set", "basic")
    assert (said["feature_set"], said["rows"], said["tickers"]) == ("basic", 600, 2)
    path = tmp_path / "out" / f"features.{ending}"
    written = pl.read_parquet(path) if ending == "parquet" else pl.read_csv(path, try_parse_dates=True)
    assert written.columns == ["date", "ticker", *FEATURE_SETS["basic"]]
    expected = FeatureEngineer().create_features(bars, "basic")
    for name in FEATURE_SETS["basic"]:
        assert written[name].null_count() == expected[name].null_count()
        gap = (written[name].cast(pl.Float64) - expected[name].cast(pl.Float64)).abs().max()
        assert isinstance(gap, float)
        assert gap < 1e-3 * float(expected[name].cast(pl.Float64).std() or 1)  # type: ignore[arg-type]


def test_features_warn_of_price_levels(bars: pl.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", "--input", "bars.csv", "--output", "f.csv", "--feature-set", "legacy"]) == 0
    assert "price levels identify ticker and date" in capsys.readouterr().out


def test_features_of_the_stored_bars_say_what_is_missing(project: Path, ask: Ask) -> None:
    said = ask("--project", project, "features", "--feature-set", "extended")
    assert len(said["features"]) == 75
    assert (said["rows"], said["tickers"]) == (12 * 620, 12)
    assert said["unfed"] == ["breadth_10"]  # 12 tickers are too few
    shares = {feature["name"]: feature["missing"] for feature in said["features"]}
    assert shares["breadth_10"] == 1
    assert 0 < shares["sma_200_ratio"] < 0.5


def test_features_flags_win_over_the_file(project: Path, ask: Ask) -> None:
    flags = ("--rsi-period", 14, "--vol-lookback", 30, "--support-lookback", 50)
    said = ask("--project", project, "features", "--feature-set", "basic", *flags)
    assert said["config_key"] == "rsi14_vol30_support50"
    assert len(said["features"]) == 20


def test_features_check_finds_the_house_honest(project: Path, ask: Ask) -> None:
    assert ask("--project", project, "features", "--check", "--feature-set", "basic") == {"checked": 20, "leaks": []}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--feature-set", "extendet"), 'Did you mean "extended"?'),
        (("--input", "bars.csv"), "belong together"),
        (("--input", "bars.csv", "--output", "features.xlsx"), "ends in .csv or .parquet"),
        (("--input", "gone.csv", "--output", "features.csv"), "does not exist"),
        (("--list", "--check"), "give one of them"),
        (("--rsi-period", "1"), "rsi_period = 1"),
    ],
)
def test_features_name_what_is_wrong(
    flags: tuple[str, ...], words: str, project: Path, bars: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", str(project), "features", *flags]) == 2
    assert words in capsys.readouterr().err
