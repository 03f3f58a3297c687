"""What the README shows as Python works."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import polars as pl
import pytest

from marketloop.core.values import StrategyConfig
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.features import check_leaks, compute, resolve
from marketloop.loop.plugins import build_catalog

README = Path(__file__).resolve().parents[2] / "README.md"


def block(beginning: str) -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [text for text in blocks if text.startswith(beginning)]
    return found


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my_plugin.py"
    path.write_text(block("# my_plugin.py"), encoding="utf-8")
    return path


def test_plugin_of_the_readme_joins_every_set_and_sees_no_future(plugin: Path) -> None:
    catalog = build_catalog(StrategyConfig(), [plugin.name], plugin.parent)
    features = resolve(catalog.features, "basic", catalog.plugin_features)
    assert [f.name for f in features][-1] == "gap_to_high_120"
    bars = simulate(MarketSpec(tickers=3, sessions=400, seed=1)).bars
    values = compute(bars, features[-1:], None)["gap_to_high_120"]
    assert values.drop_nulls().max() == 0
    assert values.null_count() == 3 * 119
    assert check_leaks(bars, features[-1:], None).leaks == ()


def test_plugin_of_the_readme_is_refused_by_name_when_it_looks_ahead(plugin: Path) -> None:
    text = plugin.read_text(encoding="utf-8").replace("- 1\n", "- close.shift(-1) / close\n")
    plugin.write_text(text, encoding="utf-8")
    catalog = build_catalog(StrategyConfig(), [plugin.name], plugin.parent)
    bars: pl.DataFrame = simulate(MarketSpec(tickers=3, sessions=400, seed=1)).bars
    leaks = check_leaks(bars, [catalog.feature("gap_to_high_120")], None).leaks
    assert {leak.feature for leak in leaks} == {"gap_to_high_120"}


def test_plugin_of_the_readme_has_about_ten_lines() -> None:
    assert len([line for line in block("# my_plugin.py").splitlines() if line.strip()]) <= 10


def test_python_of_the_readme_names_only_what_exists() -> None:
    tree = ast.parse(block("from marketloop import"))
    (imported,) = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    module = __import__("marketloop")
    for alias in imported.names:
        assert getattr(module, alias.name) is not None
