"""Files for people and scripts: right after every change, right again after every edit, and never trusted."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from marketloop.core.errors import RefusedError
from marketloop.registry import Candidate, ModelViews, Registry, Ruling
from marketloop.registry.aside import MOST_ASIDE, set_aside
from marketloop.registry.views import INDEX, model_files
from marketloop.runtime.journal import alone
from marketloop.state import Slot, State
from marketloop.state.champions import Champion
from marketloop.state.lease import Lease

Make = Callable[[], Candidate]
Crown = Callable[[], Champion]
Examined = Callable[[int, float], None]
DAY = dt.timedelta(days=1)
KEY = "rsi10_vol20_support20"
NOON_S = int(dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC).timestamp())


@pytest.fixture
def views(tmp_path: Path, registry: Registry, state: State) -> ModelViews:
    return ModelViews(tmp_path, registry.root, state, KEY, "price_predictor")


def files(views: ModelViews) -> dict[str, bytes]:
    """Return every view by name."""
    found = (p for p in views.folder.rglob("*") if p.is_file() and views.root not in p.parents)
    names = {p.relative_to(views.folder).as_posix(): p.read_bytes() for p in found}
    return {n: c for n, c in names.items() if not n.startswith((".views", "state.db", "scoreboard.db"))}


def test_project_without_champions_has_no_views(views: ModelViews, make: Make) -> None:
    make()
    assert views.sync().written == ()
    assert files(views) == {}


def test_first_champion_has_all_its_names(views: ModelViews, crown: Crown) -> None:
    crown()
    done = views.sync()
    assert set(files(views)) == {
        "price_predictor.ubj",
        "price_predictor_2026-01-02.ubj",
        f"price_predictor_{KEY}_v1.ubj",
        "prod_model.ubj",
        "prod_model_20260102_120000.ubj",
        "training_metrics.json",
        "model_versions.json",
    }
    assert sorted(done.written) == sorted(files(views))
    assert {c for n, c in files(views).items() if n.endswith(".ubj")} == {b"trees"}
    assert views.sync() == replace(done, written=())


def test_second_champion_and_a_rollback_move_every_name(
    views: ModelViews, registry: Registry, noon: dt.datetime, slot: Slot, crown: Crown, examined: Examined
) -> None:
    crown()
    examined(1, 0.51)
    views.sync()
    crown()
    examined(2, 0.53)
    views.sync()
    assert set(files(views)) >= {"backup_model.ubj", "backups/price_predictor_20260103_120000.ubj"}
    metrics = json.loads(files(views)["training_metrics.json"])
    assert (metrics["version"], metrics["accuracy"], metrics["cv_mean"], metrics["cv_std"]) == (2, 0.53, 0.53, 0.02)
    assert [old["accuracy"] for old in metrics["history"]] == [0.51]
    assert set(metrics) > {"f1_score", "accuracy", "precision", "recall", "roc_auc", "cv_mean", "cv_std", "history"}

    registry.rollback(slot, reason="bad", at=noon + 5 * DAY)
    views.sync()
    metrics = json.loads(files(views)["training_metrics.json"])
    assert (metrics["version"], metrics["accuracy"]) == (1, 0.51)
    assert "backup_model.ubj" not in files(views)
    assert "backups/price_predictor_20260107_120000.ubj" in files(views)


def test_versions_document_is_as_promised(views: ModelViews, crown: Crown, examined: Examined) -> None:
    crown()
    examined(1, 0.51)
    crown()
    views.sync()
    document = json.loads(files(views)["model_versions.json"])
    assert set(document) == {"verdict_models", "price_models", "price_predictors"}
    entry = document["price_predictors"][KEY]
    assert set(entry) == {"version", "path", "config", "trained_date", "performance", "history"}
    assert entry["version"] == 2
    assert entry["path"] == f"models/price_predictor_{KEY}_v2.ubj"
    assert (views.folder / Path(entry["path"]).name).is_file()
    assert entry["config"] == {
        "rsi_period": 10,
        "volume_exhaustion_lookback_daily": 20,
        "support_resistance_lookback_daily": 20,
    }
    assert entry["history"][0]["performance"]["accuracy"] == 0.51


@pytest.mark.parametrize(
    ("family", "name", "shelf"),
    [
        ("verdict_classifier", "verdict_model", "verdict_models"),
        ("price_regressor", "price_model", "price_models"),
        ("momentum_ranker", "momentum_ranker", "momentum_rankers"),
    ],
)
def test_other_families_and_configurations_have_their_own_names(
    views: ModelViews, registry: Registry, held: Lease, noon: dt.datetime, family: str, name: str, shelf: str
) -> None:
    slot = Slot(family, "rsi14_vol30_support50")
    about = {"data_version": "1", "features": ["rsi"], "recipe": "ridge", "seed": 0, "threads": 1}
    made = registry.write_candidate(slot, parts={"ridge.json": b"{}"}, manifest=about, at=noon)
    ruling = Ruling("provisional", "first", "nothing is served yet")
    registry.promote(slot, made.version, ruling, expected=0, held=held, at=noon)
    views.sync()
    assert set(files(views)) == {f"{name}_rsi14_vol30_support50_v1.json", "model_versions.json"}
    entry = json.loads(files(views)["model_versions.json"])[shelf]["rsi14_vol30_support50"]
    assert entry["path"] == f"models/{name}_rsi14_vol30_support50_v1.json"
    assert entry["config"]["rsi_period"] == 14


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("name", ["prod_model.ubj", "training_metrics.json"])
def test_edited_and_deleted_views_are_repaired_and_it_is_said(
    views: ModelViews, crown: Crown, name: str, thorough: bool
) -> None:
    crown()
    views.sync()
    right = files(views)
    (views.folder / name).write_bytes(b"somebody's own")
    (views.folder / "price_predictor.ubj").unlink()
    done = views.sync(thorough=thorough)
    assert sorted(done.repaired) == [
        f"{n} had been {what} and is what the registry says again"
        for n, what in sorted([(name, "edited"), ("price_predictor.ubj", "deleted")])
    ]
    assert files(views) == right
    assert views.sync().repaired == ()


def test_edit_that_keeps_size_and_time_is_found_by_a_thorough_look(views: ModelViews, crown: Crown) -> None:
    crown()
    views.sync()
    path = views.folder / "prod_model.ubj"
    was = path.stat()
    path.write_bytes(b"TREES")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert views.sync().repaired == ()
    assert views.sync(thorough=True).repaired == ("prod_model.ubj had been edited and is what the registry says again",)
    assert path.read_bytes() == b"trees"


def test_edited_view_harms_no_artefact(views: ModelViews, registry: Registry, slot: Slot, crown: Crown) -> None:
    crown()
    views.sync()
    with (views.folder / "prod_model.ubj").open("r+b") as file:
        file.write(b"XXXX")
    assert registry.load(slot, 1).parts["model.ubj"] == b"trees"


@pytest.mark.parametrize("trouble", ["missing", "damaged", "strange"])
def test_lost_index_costs_nothing(views: ModelViews, crown: Crown, trouble: str) -> None:
    crown()
    views.sync()
    right, index = files(views), views.folder / INDEX
    if trouble == "missing":
        index.unlink()
    else:
        index.write_text("{" if trouble == "damaged" else '{"prod_model.ubj": 3}', encoding="utf-8")
    assert views.sync().repaired == ()
    assert files(views) == right


def test_damaged_artefact_is_never_copied_and_the_others_go_on(
    views: ModelViews, registry: Registry, slot: Slot, held: Lease, noon: dt.datetime, crown: Crown
) -> None:
    crown()
    views.sync()
    about = {"data_version": "1", "features": ["rsi"], "recipe": "ridge", "seed": 0, "threads": 1}
    made = registry.write_candidate(slot, parts={"model.ubj": b"other trees"}, manifest=about, at=noon + DAY)
    ruling = Ruling("promoted", "superior", "better", skill_proven=True)
    registry.promote(slot, made.version, ruling, expected=1, held=held, at=noon + DAY)
    (made.path / "model.ubj").write_bytes(b"damage")
    done = views.sync()
    assert any("prod_model.*" in text and "is damaged" in text for text in done.troubles)
    assert files(views)["prod_model.ubj"] == b"trees"
    assert "backup_model.ubj" in files(views)
    (made.path / "model.ubj").write_bytes(b"other trees")
    assert views.sync().troubles == ()
    assert files(views)["prod_model.ubj"] == b"other trees"


def test_number_of_views_is_bounded(views: ModelViews, crown: Crown) -> None:
    few = replace(views, keep=3)
    for _ in range(8):
        crown()
        few.sync()
    names = set(files(few))
    assert {n for n in names if "_v" in n and n.endswith(".ubj")} == {
        f"price_predictor_{KEY}_v{n}.ubj" for n in (6, 7, 8)
    }
    assert len([n for n in names if n.startswith("backups/")]) == 3
    assert len([n for n in names if n.startswith("prod_model_")]) == 3
    assert len([n for n in names if n.startswith("price_predictor_2026")]) == 3


def test_other_files_in_the_folder_are_left_alone(views: ModelViews, crown: Crown) -> None:
    (views.folder / "best_hyperparameters.json").write_text("{}", encoding="utf-8")
    (views.folder / "price_predictor_mine.ubj").write_bytes(b"mine")
    crown()
    views.sync()
    crown()
    views.sync()
    assert files(views)["price_predictor_mine.ubj"] == b"mine"
    assert files(views)["best_hyperparameters.json"] == b"{}"


def test_link_in_the_place_of_a_view_is_replaced_and_its_target_left_alone(
    views: ModelViews, crown: Crown, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.bin"
    elsewhere.write_bytes(b"precious")
    crown()
    views.sync()
    path = views.folder / "prod_model.ubj"
    path.unlink()
    path.symlink_to(elsewhere)
    assert len(views.sync().repaired) == 1
    assert not path.is_symlink()
    assert elsewhere.read_bytes() == b"precious"


def index_of(views: ModelViews) -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = json.loads((views.folder / INDEX).read_text(encoding="utf-8"))
    return document


def test_index_edited_by_hand_deletes_nothing_that_is_no_view(views: ModelViews, crown: Crown, tmp_path: Path) -> None:
    inner = replace(views, folder=tmp_path / "a" / "models")
    precious = tmp_path / "precious"
    crown()
    inner.sync()
    for folder in (precious, inner.folder / "registry", inner.folder / "streams"):
        folder.mkdir()
        (folder / "x").write_bytes(b"mine")
    (inner.folder / "alerts.log").write_bytes(b"mine")
    bad = (
        "registry",
        "streams",
        "alerts.log",
        "../../precious",
        str(precious),
        "backups/../registry",
        "a\n",
        ".hidden",
    )
    entry = {"sha256": hashlib.sha256(b"mine").hexdigest(), "size": 4, "ns": 0}
    (inner.folder / INDEX).write_text(json.dumps(index_of(inner) | dict.fromkeys(bad, entry)), encoding="utf-8")
    done = inner.sync()
    assert (done.written, done.removed) == ((), ())
    assert len(done.repaired) == len(bad)
    assert '.views.json named "../../precious", which is no view: the entry is gone' in done.repaired
    assert not set(bad) & set(index_of(inner))
    assert inner.sync().repaired == ()
    for path in (precious / "x", *(inner.folder / n for n in ("registry/x", "streams/x", "alerts.log"))):
        assert path.read_bytes() == b"mine"


def test_what_is_not_as_it_was_written_is_never_deleted(views: ModelViews, crown: Crown) -> None:
    crown()
    views.sync()
    (views.folder / "mine.txt").write_bytes(b"mine")
    (views.folder / "a_folder").mkdir()
    (views.folder / "a_link").symlink_to(views.folder / "nowhere")
    there = (views.folder / "mine.txt").stat()
    os.utime(views.folder / "mine.txt", (NOON_S, NOON_S))
    entry = {"sha256": "0" * 64, "size": there.st_size, "ns": NOON_S * 10**9}
    names = ("mine.txt", "a_folder", "a_link", "missing")
    (views.folder / INDEX).write_text(json.dumps(index_of(views) | dict.fromkeys(names, entry)), encoding="utf-8")
    done = views.sync()
    gone = "the registry has nothing of that name any more"
    assert done.repaired[0] == f"a_folder is no file and stays where it is: {gone}"
    assert done.repaired[1].startswith("a_link had become a link and is a_link.edited-")
    assert done.repaired[2] == f"mine.txt had been edited and is mine.txt.edited-20260102_120000 now: {gone}"
    assert (views.folder / "mine.txt.edited-20260102_120000").read_bytes() == b"mine"
    assert (views.folder / "a_folder").is_dir()
    assert views.sync().repaired == ()


def test_folder_in_the_place_of_a_view_is_moved_aside_with_what_is_in_it(views: ModelViews, crown: Crown) -> None:
    crown()
    views.sync()
    place = views.folder / "prod_model.ubj"
    place.unlink()
    place.mkdir()
    (place / "x").write_bytes(b"mine")
    os.utime(place, (NOON_S, NOON_S))
    (sentence,) = views.sync().repaired
    aside = "prod_model.ubj.edited-20260102_120000"
    assert sentence == f"prod_model.ubj was a folder, which is {aside} now, and is what the registry says again"
    assert (views.folder / aside / "x").read_bytes() == b"mine"
    assert place.read_bytes() == b"trees"


def test_edited_views_that_are_planned_no_more_stay_in_bounded_number(views: ModelViews, crown: Crown) -> None:
    few = replace(views, keep=1)
    for n in range(MOST_ASIDE + 4):
        crown()
        few.sync()
        (views.folder / f"price_predictor_{KEY}_v{n + 1}.ubj").write_bytes(b"edited")
        os.utime(views.folder / f"price_predictor_{KEY}_v{n + 1}.ubj", (NOON_S + n, NOON_S + n))
    kept = sorted(p.name for p in views.folder.glob("*.edited-*"))
    assert len(kept) == MOST_ASIDE
    assert not any(f"_v{n}." in name for name in kept for n in (1, 2, 3))


def test_two_edited_files_of_one_second_are_both_kept(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        (tmp_path / "a.txt").write_bytes(b"mine")
        os.utime(tmp_path / "a.txt", (NOON_S, NOON_S))
        names.append(set_aside(tmp_path / "a.txt"))
    assert names == ["a.txt.edited-20260102_120000", "a.txt.edited-20260102_120000-2"]


def test_two_processes_do_not_write_views_at_once(views: ModelViews, crown: Crown) -> None:
    crown()
    with alone(views.folder / f"{INDEX}.lock", "x"), pytest.raises(RefusedError, match="in another process"):
        views.sync()


@pytest.mark.parametrize(
    ("parts", "endings"),
    [
        (["ridge.json"], {".json": "ridge.json"}),
        (["learner.json", "model.txt"], {".txt": "model.txt"}),
        (["learner.json", "trees.skops"], {".skops": "trees.skops"}),
        (["calibration.json", "raw.learner.json", "raw.model.ubj"], {".ubj": "raw.model.ubj"}),
        (
            ["ensemble.json", "rf.trees.skops", "xgb.model.ubj"],
            {".rf.skops": "rf.trees.skops", ".xgb.ubj": "xgb.model.ubj"},
        ),
        (
            ["calibration.json", "raw.ridge.json"],
            {".calibration.json": "calibration.json", ".raw.ridge.json": "raw.ridge.json"},
        ),
    ],
)
def test_ending_of_a_view_is_that_of_its_format(parts: list[str], endings: dict[str, str]) -> None:
    assert model_files(parts) == endings
