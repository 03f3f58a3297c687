"""Every endpoint: its shape, and what it says to what cannot be."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.web.conftest import TICKERS, TODAY, YESTERDAY, Serve, detail, premises_of_shop

from marketloop.bench.shop import Shop, score_of
from marketloop.state import cycles, events, heartbeats, lease, outbox, requests, this_process
from marketloop.web.app import look

PREDICTION = {
    "ticker", "prediction", "classes", "score", "low", "high", "horizon", "as_of", "family", "model_version",
    "config_key", "fallback", "provisional", "abstained", "stale", "assigned", "rollout",
}  # fmt: skip


def ok(answer: httpx.Response) -> dict[str, object]:
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


def test_prediction_has_the_shape_of_the_specification(served: Shop, serve: Serve) -> None:
    document = ok(serve().get("/api/predict/AAPL"))
    assert set(document) == PREDICTION
    assert document["ticker"] == "AAPL"
    assert document["prediction"] == {"probability": 0.55, "signal": "BUY", "class": "BUY"}
    assert document["classes"] == {"SELL": 0.2, "HOLD": 0.25, "BUY": 0.55}
    assert (document["horizon"], document["as_of"], document["model_version"]) == (5, YESTERDAY.isoformat(), 1)
    assert (document["fallback"], document["provisional"], document["abstained"]) == (False, False, False)
    assert (document["stale"], document["assigned"], document["rollout"]) == (False, 1, None)


def test_provisional_champion_says_hold(shop: Shop, serve: Serve) -> None:
    shop.crown(TICKERS, as_of=YESTERDAY, proven=False)
    document = ok(serve().get("/api/predict/AAPL"))
    assert document["prediction"] == {"probability": 0.55, "signal": "HOLD", "class": "BUY"}
    assert (document["provisional"], document["abstained"]) == (True, True)


def test_lower_case_ticker_is_found(served: Shop, serve: Serve) -> None:
    client = serve()
    assert ok(client.get("/api/predict/brk.b"))["ticker"] == "BRK.B"
    many = ok(client.post("/api/predict", json={"tickers": ["msft", "aapl"]}))
    assert [row["ticker"] for row in many["predictions"]] == ["MSFT", "AAPL"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ticker", "status"),
    [
        ("APPL", 404),
        ("ÄÖ", 404),
        ("%F0%9F%93%88", 404),
        ("%00", 404),
        ("%ff%fe", 404),
        ("..%2f..%2fetc%2fpasswd", 404),
        ("....", 404),
        ("A" * 10_000, 422),
        ("%20", 404),
        ("", 404),
    ],
)
def test_ticker_that_cannot_be_is_a_problem(served: Shop, serve: Serve, ticker: str, status: int) -> None:
    assert detail(serve().get(f"/api/predict/{ticker}"), status)


def test_unknown_ticker_is_told_with_what_may_have_been_meant(served: Shop, serve: Serve) -> None:
    said = detail(serve().get("/api/predict/APPL"), 404)
    assert said == 'no prediction for "APPL": not among the 3 tickers scored. Did you mean "AAPL"?'


def test_batch_lists_unknown_tickers(served: Shop, serve: Serve) -> None:
    client = serve()
    document = ok(client.post("/api/predict", json={"tickers": ["AAPL", "NOPE"]}))
    assert set(document) == {"as_of", "family", "model_version", "predictions", "unknown"}
    assert document["unknown"] == ["NOPE"]
    assert [set(row) for row in document["predictions"]] == [PREDICTION]  # type: ignore[attr-defined]
    everything = ok(client.post("/api/predict", json={}))
    assert [row["ticker"] for row in everything["predictions"]] == list(TICKERS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"AAPL"', b'{"tickers": "AAPL"}', b'{"tickers": [1]}', b'{"tickers": [""]}',
             b'{"ticker": ["A"]}', b'{"tickers": ["\\ud800"]}', b"\xff\xfe", b"[" * 50_000, b'{"family": "../x"}',
             json.dumps({"tickers": ["A"] * 5001}).encode(), json.dumps({"tickers": ["A" * 33]}).encode()],
)  # fmt: skip
def test_malformed_body_is_a_problem(served: Shop, serve: Serve, body: bytes) -> None:
    answer = serve().post("/api/predict", content=body, headers={"Content-Type": "application/json"})
    assert detail(answer, 400 if answer.status_code == 400 else 422)


def test_other_configuration_is_answered_by_the_default_one(served: Shop, serve: Serve) -> None:
    client = serve()
    document = ok(client.get("/api/predict/AAPL?config=rsi14_vol30_support50"))
    assert (document["fallback"], document["config_key"]) == (True, served.slot().config_key)
    own = served.slot(config_key="rsi14_vol30_support50")
    served.crown(TICKERS, as_of=YESTERDAY, slot=own)
    document = ok(serve().get("/api/predict/AAPL?config=rsi14_vol30_support50"))
    assert (document["fallback"], document["config_key"]) == (False, own.config_key)


def test_nothing_trained_is_503_with_the_command(shop: Shop, serve: Serve) -> None:
    client = serve()
    for answer in (client.get("/api/predict/AAPL"), client.get("/api/ranking"), client.get("/api/regime")):
        assert "marketloop retrain" in detail(answer, 503)
    assert "marketloop retrain price_predictor" in detail(client.get("/api/ml/model/info"), 503)
    assert detail(client.get("/health/ready"), 503)
    assert ok(client.get("/health/live"))["status"] == "alive"


def test_family_without_champion_is_404(served: Shop, serve: Serve) -> None:
    client = serve()
    assert "served are price_predictor" in detail(client.get("/api/predict/AAPL?family=momentum_ranker"), 404)
    assert "has no champion" in detail(client.get("/api/ml/model/info?family=momentum_ranker"), 404)
    assert detail(client.get("/api/predict/AAPL?family=../x"), 422)
    assert "regime_classifier" in detail(client.get("/api/regime"), 404)


def test_ranking_is_by_falling_score(served: Shop, serve: Serve) -> None:
    client = serve()
    document = ok(client.get("/api/ranking"))
    rows = document["ranking"]
    assert [(row["rank"], row["ticker"], row["percentile"]) for row in rows] == [  # type: ignore[attr-defined]
        (1, "MSFT", 1.0), (2, "BRK.B", 0.5), (3, "AAPL", 0.0),
    ]  # fmt: skip
    assert rows[0]["score"] == score_of(1, 2)  # type: ignore[index]
    assert len(ok(client.get("/api/ranking?top=1"))["ranking"]) == 1  # type: ignore[arg-type]
    for top in ("0", "-1", "x", "1e3", str(10**30)):
        assert detail(client.get(f"/api/ranking?top={top}"), 422)


def test_regime_speaks_of_the_market(shop: Shop, serve: Serve) -> None:
    shop.crown(("^GSPC",), as_of=YESTERDAY, slot=shop.slot("regime_classifier"))
    document = ok(serve().get("/api/regime"))
    assert set(document) == {
        "regime", "probability", "classes", "score", "horizon", "as_of", "family", "model_version", "config_key",
        "fallback", "provisional", "abstained", "stale",
    }  # fmt: skip
    assert (document["regime"], document["probability"]) == ("BUY", 0.55)


def test_status_has_the_shape_of_the_specification(served: Shop, serve: Serve) -> None:
    client = serve()
    document = ok(client.get("/api/ml/retraining/status"))
    assert set(document) >= {"running", "current_metrics", "next_retraining", "scheduled_jobs", "model_path",
                             "backup_path", "families"}  # fmt: skip
    assert document["running"] is False
    assert document["current_metrics"] == {"f1_score": 0.5, "accuracy": 0.52, "precision": 0.51, "recall": 0.5}
    assert str(document["model_path"]).endswith("/v1")
    assert document["backup_path"] is None
    families: Any = document["families"]
    (family,) = families
    assert (family["family"], family["champion"]) == ("price_predictor", 1)
    assert "marketloop up" in family["why_not"]


def test_loop_is_running_while_its_heartbeat_is_fresh(served: Shop, serve: Serve) -> None:
    told = {"next_retraining": "2026-01-05T02:00:00+00:00", "scheduled_jobs": [{"name": "nightly"}]}
    with served.helm.state.write() as db:
        heartbeats.beat(db, "loop", process=this_process(), at=TODAY, document=told)
    document = ok(serve().get("/api/ml/retraining/status"))
    assert (document["running"], document["next_retraining"]) == (True, "2026-01-05T02:00:00+00:00")
    with served.helm.state.write() as db:
        heartbeats.beat(db, "loop", process=this_process(), at=TODAY - dt.timedelta(minutes=5), document=told)
    document = ok(serve().get("/api/ml/retraining/status"))
    assert (document["running"], document["next_retraining"], document["scheduled_jobs"]) == (False, None, [])


def test_status_keeps_its_shape_before_anything_is_trained(shop: Shop, serve: Serve) -> None:
    document = ok(serve().get("/api/ml/retraining/status"))
    none = {"f1_score": None, "accuracy": None, "precision": None, "recall": None}
    assert (document["current_metrics"], document["baseline"]) == (none, none)
    assert (document["model_path"], document["backup_path"], document["next_retraining"]) == (None, None, None)
    assert (document["scheduled_jobs"], document["families"], document["running"]) == ([], [], False)


def test_families_cannot_retrain_without_a_loop_whatever_the_last_one_told(served: Shop, serve: Serve) -> None:
    family = {"family": "price_predictor", "champion": 1, "candidate_age_h": 1.5, "champion_age_h": 2.5,
              "next_run": "2026-01-05T02:00:00+00:00", "can_retrain_now": True, "why_not": None}  # fmt: skip
    told = {"families": [family]}
    client = serve()
    without = (False, "no loop is running: start one with `marketloop up`")
    for document, expected in ((told, (True, None)), ({**told, "stopped": True}, without)):
        with served.helm.state.write() as db:
            heartbeats.beat(db, "loop", process=this_process(), at=TODAY, document=document)
        families: Any = ok(client.get("/api/ml/retraining/status"))["families"]
        (row,) = families
        assert set(row) == set(family)
        assert (row["can_retrain_now"], row["why_not"]) == expected


def test_cycle_of_another_host_is_not_called_running_once_its_signs_of_life_stand_still(
    served: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = 1000.0
    monkeypatch.setattr("marketloop.state.lease.ticks", lambda: tick)
    elsewhere, at = replace(this_process(), host="elsewhere"), TODAY - dt.timedelta(days=3)  # and its clock is wrong
    with served.helm.state.write() as db:
        if (made_the_shop := lease.holder(db, "cycle")) is not None:
            lease.release(db, made_the_shop, at=at)
        held = lease.acquire(db, "cycle", process=elsewhere, at=at)
        cycles.start(db, trigger="schedule", reason="nightly", process=elsewhere, at=at)
    assert held is not None
    client = serve()

    def told() -> tuple[object, object]:
        document: Any = ok(client.get("/api/ml/retraining/status"))
        return document["cycle_running"], document["last_cycle"]["outcome"]

    assert told() == (True, "running")
    tick += lease.PATIENCE.total_seconds() - 1
    with served.helm.state.write() as db:
        lease.renew(db, held, at=at)
    assert told() == (True, "running")
    tick += lease.PATIENCE.total_seconds() + 1
    assert told() == (False, "failed")


def test_loop_of_another_host_is_running_while_its_heartbeat_moves_whatever_its_clock_says(
    served: Shop, serve: Serve
) -> None:
    elsewhere, client = replace(this_process(), host="elsewhere"), serve()
    for minute in range(2):
        at = TODAY + dt.timedelta(hours=1, minutes=minute)
        with served.helm.state.write() as db:
            heartbeats.beat(db, "loop", process=elsewhere, at=at, document={})
        assert ok(client.get("/api/ml/retraining/status"))["running"] is (minute == 1)


def test_trigger_records_a_request_also_without_a_loop(served: Shop, serve: Serve) -> None:
    client = serve()
    document = ok(client.post("/api/ml/retraining/trigger?reason=new%20data&family=price_predictor"))
    assert set(document) == {"job_id", "status", "message"}
    assert (document["status"], document["message"]) == ("started", "Retraining job started in background")
    assert re.fullmatch(r"retrain_\w+", str(document["job_id"]))
    job = ok(client.get(f"/api/ml/retraining/jobs/{document['job_id']}"))
    assert (job["state"], job["trigger"], job["reason"]) == ("waiting", "manual", "new data")
    assert (job["families"], job["force"]) == (["price_predictor"], False)


def test_force_needs_a_reason(served: Shop, serve: Serve) -> None:
    client = serve()
    for query in ("force=true", "force=true&reason=", "force=true&reason=%20"):
        assert "needs a reason" in detail(client.post(f"/api/ml/retraining/trigger?{query}"), 422)
    assert ok(client.post("/api/ml/retraining/trigger?force=true&reason=split"))["status"] == "started"
    assert detail(client.post("/api/ml/retraining/trigger?force=perhaps"), 422)
    assert detail(client.post("/api/ml/retraining/trigger?reason=%00"), 422)
    assert detail(client.post(f"/api/ml/retraining/trigger?reason={'x' * 501}"), 422)


def test_job_that_is_not_there_is_404(served: Shop, serve: Serve) -> None:
    client = serve()
    for path in ("/api/ml/retraining/jobs/retrain_1", "/api/ml/retraining/jobs/retrain_1/events"):
        assert "no job" in detail(client.get(path), 404)
    assert detail(client.get("/api/ml/retraining/jobs/a%20b"), 422)


def test_job_events_end_with_the_job(served: Shop, serve: Serve) -> None:
    client = serve()
    job = str(ok(client.post("/api/ml/retraining/trigger"))["job_id"])
    with served.helm.state.write() as db:
        requests.begin(db, job, process=this_process(), at=TODAY)
        requests.settle(db, job, state="done", outcome="promoted", at=TODAY, cycle_id="c1")
    answer = client.get(f"/api/ml/retraining/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    (told,) = re.findall(r"^event: job\ndata: (.*)\n\n", answer.text, re.MULTILINE)
    assert (json.loads(told)["state"], json.loads(told)["outcome"]) == ("done", "promoted")


def test_rollback_lets_the_previous_version_serve_at_once(served: Shop, serve: Serve) -> None:
    served.crown(TICKERS, as_of=YESTERDAY)
    client = serve()
    assert ok(client.get("/api/predict/AAPL"))["model_version"] == 2
    document = ok(client.post("/api/ml/retraining/rollback"))
    assert document["success"] is True
    assert document["message"] == "Successfully rolled back to previous model version"
    assert document["version"] == 1
    assert ok(client.get("/api/predict/AAPL"))["model_version"] == 1
    with served.helm.state.read() as db:
        told = {topic: outbox.pending(db, topic)[-1].payload["what"] for topic in ("event", "views")}
    assert told == {"event": "rollback", "views": "rollback"}


def test_rollback_without_anything_to_go_back_to_is_409(shop: Shop, serve: Serve) -> None:
    client = serve()
    assert "has no champion" in detail(client.post("/api/ml/retraining/rollback"), 409)
    shop.crown(TICKERS, as_of=YESTERDAY)
    assert "no version before version 1" in detail(client.post("/api/ml/retraining/rollback"), 409)
    assert "the champion already" in detail(client.post("/api/ml/retraining/rollback?to=1"), 409)
    assert detail(client.post("/api/ml/retraining/rollback?to=99"), 400)
    assert detail(client.post("/api/ml/retraining/rollback?to=0"), 422)


def test_model_info_has_the_shape_of_the_specification(served: Shop, serve: Serve) -> None:
    document = ok(serve().get("/api/ml/model/info"))
    assert set(document) >= {"model_path", "backup_path", "metrics", "features", "feature_count", "lineage"}
    assert (document["features"], document["feature_count"]) == (["rsi", "roc_10"], 2)
    assert document["metrics"] == {"accuracy": 0.52, "f1_score": 0.5, "precision": 0.51, "recall": 0.5}
    assert document["lineage"]["recipe"] == "ridge"  # type: ignore[index]


def test_event_is_published_once_under_one_key(served: Shop, serve: Serve) -> None:
    client = serve()
    event = {"type": "DATA_ARRIVED", "data": {"new_rows": 505}, "key": "vendor-1"}
    first, second = ok(client.post("/api/events", json=event)), ok(client.post("/api/events", json=event))
    assert (first["new"], second["new"], first["id"]) == (True, False, second["id"])
    with served.helm.state.read() as db:
        assert [(e.type, e.payload["new_rows"]) for e in events.recent(db)] == [("DATA_ARRIVED", 505)]


@pytest.mark.parametrize(
    "event",
    [{}, {"type": "NOPE"}, {"type": "MARKET_SHOCK", "data": {}}, {"type": "MARKET_SHOCK", "data": {"vix": "x"}},
     {"type": "DATA_ARRIVED", "key": "a b"}, {"type": "DATA_ARRIVED", "more": 1}, []],
)  # fmt: skip
def test_event_that_cannot_be_is_a_problem(served: Shop, serve: Serve, event: object) -> None:
    answer = serve().post("/api/events", json=event)
    assert answer.status_code in {400, 422}
    assert detail(answer, answer.status_code)


def test_database_that_goes_away_leaves_the_predictions(served: Shop, serve: Serve) -> None:
    premises = premises_of_shop(served)
    client = serve(premises)
    assert ok(client.get("/api/predict/AAPL"))["stale"] is False
    files = [file for name in ("state.db", "scoreboard.db") for file in served.helm.project.root.glob(f"{name}*")]
    premises.desk.close()
    for file in files:
        file.unlink()
        file.mkdir()
    assert premises.desk.refresh(TODAY) is False
    document = ok(client.get("/api/predict/AAPL"))
    assert (document["model_version"], document["stale"]) == (1, True)
    assert ok(client.get("/health/ready"))["database"] == "away"
    for path in ("/api/ml/retraining/status", "/api/ml/model/info", "/api/ml/retraining/jobs/retrain_1"):
        assert detail(client.get(path), 503)
    assert detail(client.post("/api/ml/retraining/trigger"), 503)
    assert detail(client.post("/api/events", json={"type": "DATA_ARRIVED"}), 503)
    assert "marketloop_database_away 1.0" in client.get("/metrics").text


def test_docs_load_nothing_from_elsewhere(served: Shop, serve: Serve) -> None:
    client = serve()
    page = client.get("/docs")
    assert page.status_code == 200
    assert "/api/predict/{ticker}" in page.text
    assert {link for link in re.findall(r'href="(.*?)"', page.text) if not link.startswith("#")} == {"/openapi.json"}
    assert re.findall(r"src=|url\(|@import|<link", page.text) == []
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert detail(client.get("/redoc"), 404)


def test_nothing_at_an_address_is_a_problem(served: Shop, serve: Serve) -> None:
    client = serve()
    assert detail(client.get("/nowhere"), 404)
    assert detail(client.request("DELETE", "/api/predict/AAPL"), 405)


def test_trouble_of_any_kind_is_survived(served: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    premises = premises_of_shop(served)
    client = serve(premises)
    version = served.crown(TICKERS, as_of=YESTERDAY)

    def broken(at: dt.datetime) -> bool:
        raise RuntimeError("nobody thought of this")

    with monkeypatch.context() as patched:
        patched.setattr(premises.desk, "refresh", broken)
        look(premises)
        document = ok(client.get("/api/predict/AAPL"))
        assert (document["model_version"], document["stale"]) == (1, True)
        assert "RuntimeError" in str(ok(client.get("/health/live"))["detail"])
    look(premises)
    document = ok(client.get("/api/predict/AAPL"))
    assert (document["model_version"], document["stale"]) == (version, False)
