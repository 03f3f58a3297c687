"""Alert rules and dashboard: checked by Prometheus's own tools, against the figures that the server really gives."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.house.monitoring_stack import DEPLOY, prometheus, query, wait_for

from marketloop.bench.serve import serving
from marketloop.bench.shop import Shop
from marketloop.cli.commands import COMMANDS
from marketloop.serving.keeping import create_key

RULES = DEPLOY / "prometheus" / "rules.yml"
PAGE = (DEPLOY.parent / "docs" / "observability.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "marketloop.json").read_text(encoding="utf-8"))
ROWS = ["Champions", "Freshness", "Cycles", "Serving", "Door"]
OF_PROMETHEUS = {"up", "ALERTS"}
SEVERITIES = {"critical", "warning", "info"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus has it)"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian's package prometheus has it)"
)


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return every expression of the dashboard, with its variables filled in."""
    told = [target["expr"] for panel in panels() for target in panel["targets"]]
    told += [one["expr"] for one in DASHBOARD["annotations"]["list"] if "expr" in one]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            told.append(variable["definition"].removeprefix("label_values(").rpartition(",")[0])
    filled = [re.sub(r"\$(job|family)\b", ".*", one).replace("$__rate_interval", "5m") for one in told]
    assert not [one for one in filled if "$" in one]
    return filled


def metrics_of(expression: str) -> set[str]:
    """Return the names of metrics in an expression: words that stand before a selector, a range, or alone."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b(?:marketloop|process)_\w+|\bup\b|\bALERTS\b", bare))


def told_by(text: str) -> set[str]:
    """Return the names that a scrape offers; a metric without rows today is offered all the same."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, cwd=RULES.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_rules_configuration_and_their_tests_are_accepted_by_promtool() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", "rules.yml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "FAILED" not in promtool("test", "rules", "rules_test.yml")


def test_every_rule_has_a_test_in_which_it_is_quiet_and_then_fires() -> None:
    document = yaml.safe_load((RULES.parent / "rules_test.yml").read_text(encoding="utf-8"))
    told: dict[str, list[bool]] = {}
    for test in document["tests"]:
        for one in test["alert_rule_test"]:
            told.setdefault(one["alertname"], []).append(bool(one["exp_alerts"]))
    assert told == {rule["alert"]: [False, True] for rule in rules()}


def test_every_rule_says_what_is_wrong_what_to_do_and_where_it_is_explained() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^#+ (MarketLoop\w+)$", PAGE, re.MULTILINE)}
    for rule in rules():
        assert rule["labels"]["severity"] in SEVERITIES
        assert set(rule["annotations"]) == {"summary", "description", "remedy", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (page, anchor) == ("docs/observability.md", rule["alert"].lower())
        assert anchor in anchors
        commands = re.findall(r"`marketloop (\w+)", rule["annotations"]["remedy"])
        assert set(commands) <= set(COMMANDS)


def test_dashboard_has_its_rows_and_every_panel_an_id_a_unit_and_a_word_of_explanation() -> None:
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == ROWS
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
    places = [
        (x, y) for p in DASHBOARD["panels"] for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]  # fmt: skip
    assert len(places) == len(set(places)), "panels lie over each other"
    assert max(x for x, _ in places) < 24


def test_dashboard_names_no_data_source_but_the_one_that_is_chosen() -> None:
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", "-- Grafana --", "marketloop"}
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"


@needs_prometheus
@pytest.mark.xdist_group("server")
def test_prometheus_scrapes_the_server_evaluates_the_rules_and_answers_the_dashboard(tmp_path: Path) -> None:
    with Shop.make(tmp_path / "project") as shop:
        shop.crown(("AAPL", "MSFT"), as_of=dt.datetime.now(dt.UTC).date())
        key = create_key(shop.helm.state, "prometheus", role="read", at=shop.helm.clock.now())["key"]
        with serving(shop.helm.project.root) as (_, port, _):
            text = offered(port, key)
            names = told_by(text) | OF_PROMETHEUS
            for expression in [*expressions(), *(rule["expr"] for rule in rules())]:
                assert metrics_of(expression), expression
                assert metrics_of(expression) <= names, expression
            with prometheus(tmp_path, target=port, key=key) as client:
                wait_for(lambda: bool(query(client, "marketloop_champion_version == 1")), "a scrape has succeeded")
                assert [row["value"][1] for row in query(client, 'up{job="marketloop"}')] == ["1"]
                for expression in expressions():
                    query(client, expression)
                # Nobody runs a loop here: the rule sees it, and waits for its five minutes.
                wait_for(lambda: "MarketLoopLoopNotSeen" in waiting(client), "the rules were evaluated")
                wait_for(lambda: {rule["health"] for rule in evaluated(client)} == {"ok"}, "every rule is healthy")
                assert {rule["name"] for rule in evaluated(client)} == {rule["alert"] for rule in rules()}
                # What is written here waits for a loop too, and this machine's disk is its own affair.
                assert waiting(client) <= {
                    "MarketLoopLoopNotSeen", "MarketLoopMirrorBehind", "MarketLoopDiskNearlyFull",
                }  # fmt: skip


def offered(port: int, key: str) -> str:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get("/api/predict/AAPL").status_code == 200
        return client.get("/metrics").text


def evaluated(client: httpx.Client) -> list[dict[str, Any]]:
    groups = client.get("/api/v1/rules").json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def waiting(client: httpx.Client) -> set[str]:
    alerts = client.get("/api/v1/alerts").json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts}
