"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web.conftest import TICKERS, YESTERDAY, premises_of_shop

from marketloop.bench.shop import Shop
from marketloop.web.app import build_app
from marketloop.web.door import Rules
from marketloop.web.limits import Allowance

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8
SEEDS = (1, 7)
ALL = list(HealthCheck)
MANY = Allowance(per_second=1e6, burst=10**6)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    root: Path = tmp_path_factory.mktemp("schema") / "project"
    with Shop.make(root) as shop:
        shop.crown(TICKERS, as_of=YESTERDAY)
        shop.crown(("^GSPC",), as_of=YESTERDAY, slot=shop.slot("regime_classifier"))
        premises = premises_of_shop(shop)
        premises.desk.refresh(dt.datetime.now(dt.UTC))
        yield build_app(premises, Rules(hosts=frozenset(), keys=lambda: premises.desk.ring, reading=MANY, asking=MANY))
        premises.desk.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", SEEDS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_as_described(app: FastAPI, mode: GenerationMode, number: int) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    found: Any = schema.get_all_operations()
    operations = [operation.ok() for operation in found]
    assert len(operations) >= 14
    tried = 0
    for operation in operations:
        if mode.is_negative and not (list(operation.iter_parameters()) or operation.body):
            continue  # nothing of it can be wrong

        @seed(number)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=ALL)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(checks=CHECKS)

        check()
    assert tried > 3 * len(operations)


def test_every_operation_is_described(app: FastAPI) -> None:
    document: Any = app.openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation.get("description"), where
            assert {"200", "401", "421", "429"} <= set(operation["responses"]), where
            for parameter in operation.get("parameters", ()):
                assert parameter["schema"], where
