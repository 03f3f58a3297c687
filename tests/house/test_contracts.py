"""The import contracts of pyproject.toml hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = """
cli bench web loop serving reports registry tracking monitoring evaluation dataset models features labels data state
runtime core
"""
ROOMS = LAYERS.split()


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Return a house of empty rooms under the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ("", *ROOMS):
        package = tmp_path / "src" / "marketloop" / room
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("", encoding="utf-8")
    return tmp_path


def plant(house: Path, module: str, *lines: str) -> None:
    path = house / "src" / "marketloop" / f"{module}.py"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def test_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_contracts_hold_for_empty_rooms(skeleton: Path) -> None:
    assert lint(skeleton).returncode == 0


def test_every_room_is_there_with_one_sentence() -> None:
    package = ROOT / "src" / "marketloop"
    assert sorted(p.parent.name for p in package.glob("*/__init__.py")) == sorted(ROOMS)


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("The stairs", "core/x", "import marketloop.runtime"),
        ("The stairs", "loop/x", "import marketloop.web"),
        ("The stairs", "data/x", "import marketloop.state"),
        ("Quiet rooms: of the house", "features/x", "import marketloop.runtime"),
        ("Quiet rooms: no clock", "evaluation/x", "import time"),
        ("Quiet rooms: no clock", "models/x", "from pathlib import Path"),
        ("Guests of state", "loop/x", "import sqlalchemy"),
        ("Guests of models", "evaluation/x", "from sklearn.metrics import f1_score"),
        ("Guests of data and evaluation", "models/x", "import arch"),
        ("Guests of cli", "loop/x", "import rich"),
        ("Guests of tracking", "loop/x", "import mlflow"),
        ("Guests of runtime", "data/x", "import joblib"),
    ],
)
def test_contract_breaks_when_it_is_violated(contract: str, module: str, line: str, skeleton: Path) -> None:
    plant(skeleton, module, line)
    done = lint(skeleton)
    assert done.returncode == 1
    broken = [shown for shown in done.stdout.splitlines() if shown.rstrip().endswith("BROKEN")]
    assert any(shown.startswith(contract) for shown in broken), done.stdout


def test_contract_breaks_when_modules_of_a_room_import_each_other(skeleton: Path) -> None:
    plant(skeleton, "state/a", "import marketloop.state.b")
    plant(skeleton, "state/b", "import marketloop.state.a")
    done = lint(skeleton)
    assert done.returncode == 1
    assert "No cycles among the modules of a room BROKEN" in done.stdout


def test_contract_breaks_when_a_room_stands_outside_the_stairs(skeleton: Path) -> None:
    (skeleton / "src" / "marketloop" / "attic").mkdir()
    plant(skeleton, "attic/__init__", "")
    done = lint(skeleton)
    assert done.returncode == 1
    assert "marketloop.attic" in done.stdout
