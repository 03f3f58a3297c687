"""What /metrics says of the loop: counted in the ledger, answered from memory, under names that Prometheus likes."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.web.asking import Asker
from tests.web.conftest import TICKERS, TODAY, YESTERDAY, Serve, premises_of_shop

from marketloop.bench.shop import FAMILY, Shop
from marketloop.loop.alarms import KINDS as ALARM_KINDS
from marketloop.registry import Ruling
from marketloop.state import alarms, champions, cycles, heartbeats, outbox, requests, this_process
from marketloop.state.requests import Wish
from marketloop.state.tally import Tally, count
from marketloop.web.ledger import ACTIONS, KINDS, OUTCOMES, Ledger
from marketloop.web.meters import Meters
from marketloop.web.premises import Premises

HOUR = dt.timedelta(hours=1)
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def figures(client: Asker) -> Figures:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def one(found: Figures, name: str, **labels: str) -> float | None:
    return found.get((f"marketloop_{name}", frozenset(labels.items())))


def ran(shop: Shop, outcome: str, *, ended: dt.datetime, took: dt.timedelta = HOUR) -> None:
    with shop.helm.state.write() as db:
        cycle = cycles.start(db, trigger="schedule", reason="nightly", process=this_process(), at=ended - took)
        cycles.finish(db, cycle.id, outcome=outcome, document={"families": []}, at=ended)


def beat(shop: Shop, at: dt.datetime, **document: object) -> None:
    with shop.helm.state.write() as db:
        heartbeats.beat(db, "loop", document=document, process=this_process(), at=at)


def test_loop_that_never_ran_is_told_as_not_running_without_made_up_ages(shop: Shop, serve: Serve) -> None:
    found = figures(serve())
    assert one(found, "loop_running") == 0
    assert one(found, "loop_heartbeat_age_seconds") is None
    assert one(found, "last_cycle_age_seconds") is None
    assert {one(found, "cycles_total", outcome=outcome) for outcome in OUTCOMES} == {0}
    assert {one(found, "alarms_total", kind=kind) for kind in KINDS} == {0}
    assert one(found, "requests", state="waiting") == 0


def test_cycles_are_counted_by_outcome_and_the_last_one_is_told(shop: Shop, serve: Serve) -> None:
    ran(shop, "promoted", ended=TODAY - 50 * HOUR)
    ran(shop, "refused", ended=TODAY - 26 * HOUR)
    ran(shop, "failed", ended=TODAY - 2 * HOUR, took=dt.timedelta(seconds=90))
    with shop.helm.state.write() as db:
        cycles.start(db, trigger="hand", reason="", process=this_process(), at=TODAY - dt.timedelta(minutes=3))
    found = figures(serve())
    totals = {outcome: one(found, "cycles_total", outcome=outcome) for outcome in OUTCOMES}
    assert totals == {"promoted": 1, "provisional": 0, "refused": 1, "skipped": 0, "failed": 1}
    assert one(found, "last_cycle_outcome", outcome="failed") == 1
    assert one(found, "last_cycle_outcome", outcome="promoted") == 0
    assert one(found, "last_cycle_duration_seconds") == 90
    assert one(found, "last_cycle_age_seconds") == 7200
    assert one(found, "last_good_cycle_age_seconds") == 26 * 3600
    assert (one(found, "cycle_running"), one(found, "cycle_running_seconds")) == (1, 180)


def test_candidate_and_champion_have_ages_of_their_own(served: Shop, serve: Serve) -> None:
    fresh = served.candidate(TICKERS, as_of=YESTERDAY)
    found = figures(serve())
    slot = {"family": FAMILY, "config_key": served.slot().config_key}
    with served.helm.state.read() as db:
        champion = champions.current(db, served.slot())
    assert champion is not None
    assert one(found, "champion_version", **slot) == champion.version == fresh - 1
    champion_age, candidate_age = (
        one(found, "champion_age_seconds", **slot),
        one(found, "candidate_age_seconds", **slot),
    )
    assert champion_age is not None
    assert candidate_age is not None
    assert candidate_age < champion_age == (TODAY - champion.trained_at).total_seconds()
    assert one(found, "scoreboard_age_seconds", **slot) == (TODAY - TODAY.replace(
        hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)).total_seconds()  # fmt: skip


def test_loop_and_its_plans_are_told_while_it_lives(shop: Shop, serve: Serve) -> None:
    plan = [{"family": FAMILY, "next_run": (TODAY + HOUR).isoformat()}, {"family": "other", "next_run": None}]
    beat(shop, TODAY - dt.timedelta(seconds=20), families=plan)
    found = figures(serve())
    assert (one(found, "loop_running"), one(found, "loop_heartbeat_age_seconds")) == (1, 20)
    assert one(found, "next_run_seconds", family=FAMILY) == 3600
    assert one(found, "next_run_seconds", family="other") is None
    beat(shop, TODAY - HOUR, families=plan)
    found = figures(serve())
    assert (one(found, "loop_running"), one(found, "loop_heartbeat_age_seconds")) == (0, 3600)
    assert one(found, "next_run_seconds", family=FAMILY) is None


def test_requests_alarms_and_messages_that_wait_are_counted(shop: Shop, serve: Serve) -> None:
    with shop.helm.state.write() as db:
        for minutes in (1, 30):
            at = TODAY - dt.timedelta(minutes=minutes)
            requests.ask(db, Wish("manual", "", requested_by="me"), process=this_process(), at=at)
        for kind in ("error", "drift"):
            alarms.raise_alarm(db, kind, key=kind, title=kind, document={}, at=TODAY, quiet=HOUR)
        alarms.raise_alarm(db, "error", key="error", title="again", document={}, at=TODAY, quiet=HOUR)
        outbox.append(db, "mlflow", key="one", payload={}, at=TODAY)
        outbox.append(db, "made up", key="two", payload={}, at=TODAY)
    found = figures(serve())
    assert one(found, "requests", state="waiting") == 2
    assert one(found, "request_wait_seconds") == 1800
    assert [one(found, "alarms_total", kind=kind) for kind in ("error", "drift", "success")] == [1, 1, 0]
    assert (one(found, "outbox_waiting", topic="mlflow"), one(found, "outbox_waiting", topic="other")) == (1, 1)


def test_promotions_rollbacks_and_refusals_are_counted(served: Shop, serve: Serve) -> None:
    served.crown(TICKERS, as_of=YESTERDAY)
    third = served.candidate(TICKERS, as_of=YESTERDAY)
    ruling = Ruling("refused", "not_better", "z 0.3 < 2.5")
    served.registry.refuse(served.slot(), third, ruling, at=TODAY)
    served.registry.rollback(served.slot(), reason="odd signals", at=TODAY)
    found = figures(serve())
    slot = {"family": FAMILY, "config_key": served.slot().config_key}
    changes = {action: one(found, "champion_changes_total", **slot, action=action) for action in ACTIONS}
    assert changes == {
        "promote": 2, "rollback": 1, "refresh": 0, "provisional": 0, "forced": 0, "harm": 0, "pin": 0,
    }  # fmt: skip
    told = {"family": FAMILY, "verdict": "refused", "reason_code": "not_better"}
    assert one(found, "decisions_total", **told) == 1
    # Told before the first one, so that the first one is an increase that a rule sees.
    assert one(found, "decisions_total", family=FAMILY, verdict="rollback", reason_code="guard") == 0


def test_figures_stay_and_grow_older_while_the_database_is_away(served: Shop, serve: Serve) -> None:
    ran(served, "promoted", ended=TODAY - HOUR)
    premises = premises_of_shop(served)
    client = serve(premises)
    files = [file for name in ("state.db", "scoreboard.db") for file in served.helm.project.root.glob(f"{name}*")]
    premises.desk.close()
    for file in files:
        file.unlink()
        file.mkdir()
    assert premises.desk.refresh(TODAY) is False
    found = figures(client)
    assert one(found, "database_away") == 1
    assert one(found, "cycles_total", outcome="promoted") == 1
    assert one(found, "ledger_read_age_seconds") == 0


def test_asking_often_counts_the_ledger_once(served: Shop) -> None:
    moving = Moving(TODAY)
    opened = premises_of_shop(served)
    ledger = Ledger(Premises(opened.project, opened.settings, opened.desk, moving))
    ledger.look()
    first = list(ledger.collect())
    ran(served, "promoted", ended=TODAY)
    ledger.look()
    assert list(ledger.collect()) == first
    moving.at += dt.timedelta(seconds=5)
    ledger.look()
    totals = next(metric for metric in ledger.collect() if metric.name == "marketloop_cycles")
    assert {sample.labels["outcome"]: sample.value for sample in totals.samples}["promoted"] == 1
    opened.desk.close()


def test_figures_asked_for_in_a_hurry_are_written_once() -> None:
    meters = Meters(hold_s=3600.0)
    first = meters.exposition()
    meters.swaps.inc()
    assert meters.exposition() is first
    assert Meters(hold_s=0.0).exposition() is not first


def test_ledger_that_cannot_be_counted_keeps_the_last_figures(served: Shop) -> None:
    moving, opened = Moving(TODAY), premises_of_shop(served)
    ledger = Ledger(Premises(opened.project, opened.settings, opened.desk, moving))
    ledger.look()
    shutil.rmtree(served.helm.project.root)
    moving.at += HOUR
    ledger.look()
    ages = {metric.name: metric for metric in ledger.collect()}
    assert ages["marketloop_ledger_read_age_seconds"].samples[0].value == 3600
    opened.desk.close()


def test_words_that_nobody_foresaw_make_no_series_of_their_own(shop: Shop, serve: Serve) -> None:
    for number in range(5):
        ran(shop, f"made up {number}", ended=TODAY)
    text = serve().get("/metrics").text
    assert "made up" not in text
    assert 'marketloop_cycles_total{outcome="other"} 5.0' in text


def test_lists_of_labels_are_those_of_the_loop_and_of_the_ledger() -> None:
    assert KINDS == ALARM_KINDS
    assert ACTIONS == champions.ACTIONS


def test_empty_ledger_is_counted(shop: Shop) -> None:
    with shop.helm.state.read() as db:
        assert count(db) == Tally()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say_about_the_names(served: Shop, serve: Serve) -> None:
    ran(served, "promoted", ended=TODAY)
    client = serve()
    client.get("/api/predict/AAPL")
    client.get("/api/predict/AAPL", headers={"Host": "evil"})
    text = client.get("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


class Moving:
    """A clock that stands where it was put."""

    def __init__(self, at: dt.datetime) -> None:
        self.at = at

    def now(self) -> dt.datetime:
        return self.at
