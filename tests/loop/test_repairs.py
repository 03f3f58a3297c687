"""What somebody changed by hand is put right when the loop looks, and that is in the ledger and the file of alarms."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loop.ledgers import HandClock, cycle, project

from marketloop.loop.feeding import feed_mirrors
from marketloop.state import alarms
from marketloop.tracking.client import mlflow

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.filterwarnings("ignore")]


def test_alias_moved_in_mlflow_and_view_edited_by_hand_are_put_right_and_recorded(tmp_path: Path) -> None:
    clock = HandClock()
    with project(tmp_path / "p", clock, tracking_enabled=True) as house:
        for code in ("first", "superior"):
            cycle(house, clock, code=code)
        feed_mirrors(house)
        uri = f"sqlite:///{house.project.mlflow_db}"
        client = mlflow().tracking.MlflowClient(tracking_uri=uri, registry_uri=uri)
        (model,) = client.search_registered_models()
        client.set_registered_model_alias(model.name, "champion", "1")
        view = house.project.models / "prod_model.json"
        view.write_bytes(b"mine")
        clock.pass_by(minutes=5)
        feed_mirrors(house, repair=True)
        assert str(client.get_model_version_by_alias(model.name, "champion").version) == "2"
        assert view.read_bytes() != b"mine"
        with house.state.read() as db:
            repairs = {alarm.key: alarm for alarm in alarms.recent(db, limit=20, kinds=("repair",))}
        log = (house.project.models / "alerts.log").read_text(encoding="utf-8")
    assert set(repairs) == {"repair:mlflow", "repair:views"}
    assert 'the alias "champion"' in str(repairs["repair:mlflow"].document["found"])
    assert "prod_model.json had been edited" in str(repairs["repair:views"].document["found"])
    assert "mlflow was changed by hand and put right" in log
