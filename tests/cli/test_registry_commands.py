"""promote, rollback, pin, rollout, export and rebuild on one small simulated project, and what is wrong with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ask, small_project
from tests.cli.test_json_reference import EXAMPLES, differences

from marketloop.cli import main
from marketloop.loop.api import Model
from marketloop.runtime.template import record_settings
from marketloop.state import Slot, State, decisions, versions

pytestmark = pytest.mark.xdist_group("commands")

FAMILY = "price_predictor"
SLOT = Slot(FAMILY, "rsi10_vol20_support20")
FAST = ("--algorithm", "ridge")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project whose version 2 replaced version 1 by force; version 3 is a candidate of `train`."""
    root = small_project(tmp_path_factory.mktemp("registry") / "mine")
    record_settings(root / "marketloop.toml", {"features.set": "basic"})
    here = ("--project", str(root))
    assert main([*here, "collect"]) == 0
    assert main([*here, "retrain", FAMILY, *FAST]) == 0
    assert main([*here, "retrain", FAMILY, *FAST, "--set", "penalty=7", "--force", "--reason", "a second"]) == 0
    assert main([*here, "train", FAMILY, *FAST]) == 0
    return root


@pytest.fixture
def copy(two: Path, tmp_path: Path) -> Path:
    """Return a copy of the project, to change."""
    return Path(shutil.copytree(two, tmp_path / "copy"))


def champion_of(ask: Ask, root: Path) -> dict[str, Any]:
    (found,) = ask("--project", root, "champion")["champions"]
    return dict(found)


def views_of(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (root / "models").glob("*") if p.is_file() and p.name[0] != "."}


def test_rollback_serves_the_old_version_with_its_figures_and_views(copy: Path, ask: Ask) -> None:
    before = views_of(copy)
    done = ask("--project", copy, "rollback", FAMILY, "--reason", "the second is bad")
    assert differences(EXAMPLES["rollback"], done) == []
    assert (done["from"], done["to"], done["status"], done["stale"]) == (2, 1, "provisional", False)
    assert champion_of(ask, copy)["version"] == 1
    assert {p["model_version"] for p in ask("--project", copy, "predict")["predictions"]} == {1}
    after = views_of(copy)
    assert after["prod_model.json"] == before["backup_model.json"] != before["prod_model.json"]
    assert json.loads(after["training_metrics.json"])["version"] == 1
    assert b"rolled back to version 1 by hand" in after["alerts.log"]
    with State.open(f"sqlite:///{copy}/state.db") as state, state.read() as db:
        word = decisions.latest(db, SLOT)
    assert word is not None
    assert (word.verdict, word.reason) == ("rollback", "rolled back from version 2 to version 1: the second is bad")


def test_rollback_imports_no_learning_library_and_no_frames(copy: Path) -> None:
    script = (
        "import sys; from marketloop.cli import main; "
        f"code = main(['--project', {str(copy)!r}, 'rollback', {FAMILY!r}, '--reason', 'x', '--json']); "
        "heavy = {'numpy', 'polars', 'scipy', 'sklearn', 'xgboost', 'lightgbm', 'mlflow', 'deltalake', 'optuna'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert json.loads(done.stdout)["to"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("rollback", FAMILY), 2, 'a rollback needs a reason: it is audited; add --reason "why"'),
        (
            ("rollback", FAMILY, "--to", "2", "--reason", "x"),
            1,
            "version 2 of price_predictor .* is the champion already",
        ),
        (("rollback", FAMILY, "--to", "3", "--reason", "x"), 1, "never served; promote it with `marketloop promote`"),
        (("rollback", FAMILY, "--to", "9", "--reason", "x"), 2, "has no version 9: known are 1, 2, 3"),
        (("rollback", "price_predicto", "--reason", "x"), 2, 'Did you mean "price_predictor"'),
        (
            ("rollback", FAMILY, "--config", "rsi14_vol20_support20", "--reason", "x"),
            2,
            "it has with rsi10_vol20_support20",
        ),
        (("promote", FAMILY, "1"), 2, "a promotion by hand needs a reason"),
        (("promote", FAMILY, "2", "--reason", "x"), 1, "is the champion already"),
        (("promote", FAMILY, "3", "--reason", "x"), 1, "was never examined by the gate"),
        (("promote", FAMILY, "9", "--reason", "x"), 2, "has no version 9"),
        (("promote", "price", "1", "--reason", "x"), 2, "unknown family"),
        (
            ("promote", FAMILY, "1", "--rsi-period", "14", "--reason", "x"),
            2,
            "belongs to the configuration rsi10_vol20",
        ),
        (("pin", FAMILY, "--off"), 1, "is not pinned already"),
        (("pin", FAMILY, "2", "--off"), 2, "--off takes no version"),
        (("pin", FAMILY, "3"), 1, "never served"),
        (("rollout", FAMILY, "--mode", "canary", "--version", "1", "--share", "1.5", "--reason", "x"), 2, "share 1.5"),
        (("rollout", FAMILY, "--mode", "canary", "--version", "1", "--share", "-1", "--reason", "x"), 2, "share -1"),
        (("rollout", FAMILY, "--mode", "canary", "--version", "1"), 2, "a rollout needs a reason"),
        (("rollout", FAMILY, "--mode", "canari", "--version", "1", "--reason", "x"), 2, 'Did you mean "canary"'),
        (("rollout", FAMILY, "--mode", "canary", "--reason", "x"), 2, "expected a version"),
        (("rollout", FAMILY, "--mode", "shadow", "--version", "1", "--share", "0.2", "--reason", "x"), 2, "for nobody"),
        (
            ("rollout", FAMILY, "--mode", "ab", "--version", "2", "--reason", "x"),
            1,
            "is the champion: name the version",
        ),
        (("rollout", FAMILY, "--mode", "ab", "--version", "3", "--reason", "x"), 1, "was never examined by the gate"),
        (("rollout", FAMILY, "--mode", "ab", "--version", "9", "--reason", "x"), 2, "has no version 9"),
        (("rollout", FAMILY, "--mode", "off", "--reason", "x"), 1, "there is nothing to switch off"),
        (("rollout", FAMILY, "--version", "2"), 2, "Add --mode"),
        (("rollout", "--mode", "off"), 2, "belongs to one family"),
        (("export", FAMILY), 2, "expected FAMILY --to FOLDER"),
        (("export", FAMILY, "--views"), 2, "leave FAMILY"),
        (("rebuild", FAMILY, "9"), 2, "has no version 9"),
        (("rebuild", "price", "1"), 2, "unknown family"),
        (("champion", "--at", "2020-01-01"), 0, ""),
    ],
)
def test_what_makes_no_sense_is_named_and_changes_nothing(
    two: Path, ask: Ask, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = champion_of(ask, two), views_of(two)
    said = ask("--project", two, *arguments, code=code)
    assert re.search(words, said.get("error", "")), said
    assert (champion_of(ask, two), views_of(two)) == before
    assert ask("--project", two, "rollout")["rollouts"] == []
    if arguments[0] == "champion":
        assert said == {"champions": []}


def test_damaged_artefact_is_named_with_the_next_step(copy: Path, ask: Ask) -> None:
    path = copy / "models" / "registry" / FAMILY / SLOT.config_key / "v1" / "ridge.json"
    path.write_bytes(b"{}")
    for arguments in (
        ("rollback", FAMILY, "--reason", "x"),
        ("promote", FAMILY, "1", "--reason", "x"),
        ("rollout", FAMILY, "--mode", "shadow", "--version", "1", "--reason", "x"),
        ("export", FAMILY, "--version", "1", "--to", copy / "out"),
        ("rebuild", FAMILY, "1"),
    ):
        said = ask("--project", copy, *arguments, code=3)["error"]
        assert "ridge.json" in said
        assert "is damaged" in said
        assert "marketloop rollback" in said
    assert champion_of(ask, copy)["version"] == 2
    assert not (copy / "out").exists()


def test_promotion_by_hand_is_forced_provisional_and_audited(copy: Path, ask: Ask) -> None:
    done = ask("--project", copy, "promote", FAMILY, "1", "--reason", "I know better")
    assert differences(EXAMPLES["promote"], done) == []
    assert (done["previous"], done["reason_code"], done["status"]) == (2, "forced", "provisional")
    with State.open(f"sqlite:///{copy}/state.db") as state, state.read() as db:
        word = decisions.latest(db, SLOT, 1)
        assert word is not None
        assert versions.require(db, SLOT, 1).verdict == "promoted"
    assert (word.verdict, word.reason_code, word.record["forced_reason"]) == ("promoted", "forced", "I know better")
    assert "promoted by hand: I know better; the gate said:" in word.reason
    assert b"version 1 promoted (forced)" in views_of(copy)["alerts.log"]
    assert views_of(copy)["prod_model.json"] == views_of(copy)[f"price_predictor_{SLOT.config_key}_v1.json"]


def test_failed_hard_check_is_never_overruled_by_hand(copy: Path, ask: Ask) -> None:
    bad = {"name": "leak", "value": 1, "threshold": 0, "passed": False, "hard": True, "detail": "feature x sees ahead"}
    with State.open(f"sqlite:///{copy}/state.db") as state, state.write() as db:
        word = decisions.latest(db, SLOT, 1)
        assert word is not None
        later = decisions.Decision(SLOT, 1, "refused", "leak", "leaking", word.decided_at, "", {"checks": [bad]})
        decisions.record(db, later)
    for command in (("promote", FAMILY, "1"), ("rollout", FAMILY, "--mode", "canary", "--version", "1")):
        said = ask("--project", copy, *command, "--reason", "please", code=1)["error"]
        assert "failed the hard check leak (feature x sees ahead): that is never overruled" in said
    assert champion_of(ask, copy)["version"] == 2


def test_pinned_family_is_neither_trained_nor_replaced_until_it_is_free(copy: Path, ask: Ask) -> None:
    here = ("--project", copy)
    done = ask(*here, "pin", FAMILY, "1", "--reason", "the audit")
    assert differences(EXAMPLES["pin"], done) == []
    assert (done["version"], done["pinned"], champion_of(ask, copy)["pinned"]) == (1, True, True)
    assert b"rolled back to version 1 by hand" in views_of(copy)["alerts.log"]
    (turn,) = ask(*here, "retrain", FAMILY, *FAST, "--force", "--reason", "x")["families"]
    assert (turn["verdict"], turn["version"]) == ("skipped", None)
    assert "is pinned to version 1; unpin it first: `marketloop pin price_predictor --off`" in turn["reason"]
    for command in (("rollback", FAMILY, "--to", "2"), ("promote", FAMILY, "2")):
        assert "is pinned to version 1" in ask(*here, *command, "--reason", "x", code=1)["error"]
    assert ask(*here, "pin", FAMILY, "--off")["pinned"] is False
    (turn,) = ask(*here, "retrain", FAMILY, *FAST, "--force", "--reason", "x")["families"]
    assert turn["verdict"] == "promoted"


def test_canary_answers_for_its_tickers_and_a_shadow_for_none(copy: Path, ask: Ask) -> None:
    here = ("--project", copy)
    alone = {p["ticker"]: p for p in ask(*here, "predict")["predictions"]}
    assert all((p["assigned"], p["rollout"]) == (2, None) for p in alone.values())
    begin = ("rollout", FAMILY, "--version", "1", "--reason", "try")
    done = ask(*here, *begin, "--mode", "canary", "--share", "0.4")
    assert differences(EXAMPLES["rollout"], done) == []
    mixed = {p["ticker"]: p for p in ask(*here, "predict")["predictions"]}
    chosen = {ticker for ticker, p in mixed.items() if p["assigned"] == 1}
    assert 0 < len(chosen) < len(mixed)
    for ticker, p in mixed.items():
        assert p["model_version"] == p["assigned"]
        assert p["rollout"] == {"mode": "canary", "version": 1, "share": 0.4}
        assert (p["score"] == alone[ticker]["score"]) == (ticker not in chosen)
        assert p["signal"] == "HOLD"
    wider = {
        p["ticker"] for p in _predicted(ask, here, (*begin, "--mode", "canary", "--share", "0.8")) if p["assigned"] == 1
    }
    assert chosen < wider
    assert {p["model_version"] for p in _predicted(ask, here, (*begin, "--mode", "shadow"))} == {2}
    off = ("rollout", FAMILY, "--mode", "off", "--reason", "enough")
    assert _predicted(ask, here, off) == list(alone.values())
    assert ask(*here, "rollout")["rollouts"][0]["entry"] == 4


def _predicted(ask: Ask, here: tuple[object, ...], change: tuple[str, ...]) -> list[dict[str, Any]]:
    ask(*here, *change)
    found: list[dict[str, Any]] = ask(*here, "predict")["predictions"]
    return found


def test_champion_answers_for_a_canary_that_cannot_be_asked(copy: Path, ask: Ask) -> None:
    here = ("--project", copy)
    ask(*here, "rollout", FAMILY, "--mode", "ab", "--version", "1", "--share", "1", "--reason", "all of it")
    (copy / "models" / "registry" / FAMILY / SLOT.config_key / "v1" / "ridge.json").unlink()
    said = ask(*here, "predict")["predictions"]
    assert {(p["assigned"], p["model_version"]) for p in said} == {(1, 2)}


def test_shadow_is_journalled_and_a_ranking_is_the_champions_own(copy: Path, ask: Ask) -> None:
    here = ("--project", copy)
    ask(*here, "rollout", FAMILY, "--mode", "shadow", "--version", "3", "--reason", "watch the candidate")
    ask(*here, "predict", "SYN001")
    with State.open(f"sqlite:///{copy}/state.db") as state, state.scores.read() as db:
        count = db.exec_driver_sql("SELECT count(*) FROM scoreboards WHERE version = 3").scalar()
    assert count == 12
    ask(*here, "rollout", FAMILY, "--mode", "ab", "--version", "1", "--share", "1", "--reason", "all of it")
    assert ask(*here, "rank", "--family", FAMILY)["model_version"] == 2


def test_export_copies_a_version_that_can_be_read_elsewhere(two: Path, ask: Ask, tmp_path: Path) -> None:
    done = ask("--project", two, "export", FAMILY, "--version", "1", "--to", tmp_path / "out")
    assert differences(EXAMPLES["export"], done) == []
    model = Model.load(tmp_path / "out")
    assert model.manifest["version"] == 1
    assert "is not empty" in ask("--project", two, "export", FAMILY, "--to", tmp_path / "out", code=2)["error"]


def test_views_are_repaired_by_hand_and_said(copy: Path, ask: Ask) -> None:
    right = views_of(copy)
    (copy / "models" / "prod_model.json").write_text("{}", encoding="utf-8")
    (copy / "models" / "training_metrics.json").unlink()
    done = ask("--project", copy, "export", "--views")
    assert differences(EXAMPLES["export --views"], done) == []
    assert len(done["repaired"]) == 2
    assert views_of(copy) == right


def test_rebuild_makes_the_same_files_again(two: Path, ask: Ask) -> None:
    for version in ("1", "2", "3"):
        done = ask("--project", two, "rebuild", FAMILY, version)
        assert differences(EXAMPLES["rebuild"], done) == []
        assert (done["identical"], done["agrees"], done["difference"]) == (True, True, 0.0)


def test_lost_scores_are_restored_or_given_up_in_the_open(tmp_path: Path, ask: Ask) -> None:
    copy = small_project(tmp_path / "long", "tickers=12", "sessions=850")
    record_settings(copy / "marketloop.toml", {"features.set": "basic"})
    ask("--project", copy, "collect")
    ask("--project", copy, "retrain", FAMILY, *FAST)
    files = sorted((copy / "models" / "streams").rglob("*.parquet"))
    kept = files[0].read_bytes()
    files[0].unlink()
    done = ask("--project", copy, "rebuild", FAMILY, "--stream")
    assert differences(EXAMPLES["rebuild --stream"], done) == []
    assert (done["lost"], done["restored"], done["whole"]) == (1, 1, True)
    assert files[0].read_bytes() == kept
    assert ask("--project", copy, "rebuild", FAMILY, "--stream")["files"] == []
    for arguments, words in (
        (("--stream", "--give-up", "--reason", "x"), "nothing to give up"),
        (("--stream", "--give-up"), "needs|audited"),
        (("1", "--stream"), "leave 1 out"),
        (("--give-up",), "which version"),
        ((), "which version"),
    ):
        assert re.search(words, ask("--project", copy, "rebuild", FAMILY, *arguments, code=2)["error"])
    files[0].unlink()
    done = ask("--project", copy, "rebuild", FAMILY, "--stream", "--give-up", "--reason", "no backup")
    assert (done["whole"], len(done["given_up"])) == (False, 1)
