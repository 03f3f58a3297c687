"""The views follow the ledger through the outbox; what somebody edits is put right and heard of; old files go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketloop.loop.helm import open_helm
from marketloop.loop.house import House, open_house
from marketloop.loop.mirroring import drain_mirrors, drain_views, repair_mirrors
from marketloop.loop.retaining import retain
from marketloop.registry import Ruling
from marketloop.runtime.project import create_project
from marketloop.runtime.template import record_settings
from marketloop.state import lease, outbox, this_process

FAMILY = "price_predictor"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    create_project(tmp_path / "p")
    record_settings(tmp_path / "p" / "marketloop.toml", {"tracking.enabled": False, "registry.keep": 3})
    with open_house(tmp_path / "p", environ={}) as opened:
        yield opened


def crown(house: House) -> None:
    """Write a candidate and promote it."""
    slot, at = house.slot(FAMILY), house.clock.now()
    about = {"data_version": "1", "features": ["rsi"], "recipe": "rank_ridge", "seed": 0, "threads": 1}
    with house.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=at)
    assert held is not None
    now = house.registry.champion(slot)
    number = 1 if now is None else now.version + 1
    made = house.registry.write_candidate(slot, parts={"ridge.json": b"{}%d" % number}, manifest=about, at=at)
    ruling = Ruling("promoted", "superior" if now else "first", "better", skill_proven=True)
    house.registry.promote(slot, made.version, ruling, expected=now.entry if now else 0, held=held, at=at)
    with house.state.write() as db:
        lease.release(db, held, at=at)


def prod(house: House) -> bytes:
    return (house.project.models / "prod_model.json").read_bytes()


def test_views_follow_the_champion_and_many_messages_write_once(house: House) -> None:
    assert drain_views(house).sent == 0
    assert not (house.project.models / "prod_model.json").exists()
    crown(house)
    crown(house)
    drained = drain_views(house)
    assert (drained.sent, drained.failed) == (2, 0)
    assert prod(house) == b"{}2"
    with house.state.read() as db:
        assert outbox.waiting(db, ["views"]) == 0


def test_rollback_at_the_helm_moves_the_views(house: House) -> None:
    crown(house)
    crown(house)
    drain_mirrors(house)
    with open_helm(house.project.root, environ={}) as helm:
        helm.registry.rollback(helm.slot(FAMILY), reason="bad", at=helm.clock.now())
        assert drain_views(helm).sent == 1
    assert prod(house) == b"{}1"


def test_views_that_cannot_be_written_wait_and_fail_nothing(house: House) -> None:
    crown(house)
    models = house.project.models
    (models / "training_metrics.json").mkdir()  # a folder is no view: it is in the way and is moved aside
    (models / "backups").write_bytes(b"a file where a folder belongs")
    crown(house)
    drained = drain_views(house)
    assert drained.failed == 1
    assert "something of another kind is in the way" in drained.reason
    (models / "backups").unlink()
    assert drain_views(house).sent == 2
    assert prod(house) == b"{}2"


def test_repair_on_start_is_heard_of_and_thorough(house: House) -> None:
    crown(house)
    drain_mirrors(house)
    (house.project.models / "prod_model.json").write_bytes(b"mine")
    heard: list[tuple[str, str]] = []
    said = repair_mirrors(house, on_repair=lambda mirror, text: heard.append((mirror, text)))
    assert said == ("prod_model.json had been edited and is what the registry says again",)
    assert heard == [("views", said[0])]
    assert prod(house) == b"{}1"
    assert repair_mirrors(house) == ()


def test_retention_follows_the_setting_and_the_views_follow_it(house: House) -> None:
    for _ in range(6):
        crown(house)
    slot = house.slot(FAMILY)
    assert retain(house, [FAMILY]) == tuple(f"{slot} v{number}" for number in (1, 2, 3))
    drain_mirrors(house)
    names = {path.name for path in house.project.models.glob(f"{FAMILY}_{slot.config_key}_v*.json")}
    assert names == {f"{FAMILY}_{slot.config_key}_v{number}.json" for number in (4, 5, 6)}
    assert retain(house, [FAMILY]) == ()
