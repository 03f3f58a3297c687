from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.registry import Candidate, Registry, Ruling, champion_document, models_document
from marketloop.state import Slot, State, champions, decisions, lease, outbox
from marketloop.state.champions import Champion
from marketloop.state.lease import Lease
from marketloop.state.scoreboards import Prediction

Make = Callable[[], Candidate]
Crown = Callable[[], Champion]
DAY = dt.timedelta(days=1)


def test_promotion_records_decision_champion_and_messages_together(
    registry: Registry, state: State, slot: Slot, held: Lease, noon: dt.datetime, make: Make
) -> None:
    candidate = make()
    ruling = Ruling("provisional", "first", "no champion yet", {"n": 500, "z": 1.1}, session=1250, cycle_id="c1")
    champion = registry.promote(slot, candidate.version, ruling, expected=0, held=held, at=noon)
    assert (champion.status, champion.action, champion.skill_proven) == ("provisional", "provisional", False)
    assert (champion.sha256, champion.data_version, champion.trained_through) == (candidate.sha256, "17", 1200)
    assert (champion.session, champion.stream_id) == (1250, "stream_1")
    with state.read() as db:
        decision = decisions.latest(db, slot, 1)
        messages = outbox.pending(db, "mlflow")
    assert decision is not None
    assert decision.id == champion.decision_id
    assert (decision.verdict, decision.reason_code, decision.record["z"]) == ("provisional", "first", 1.1)
    assert [message.payload["what"] for message in messages] == ["provisional"]


@pytest.mark.parametrize("trouble", ["lease", "champion", "damaged"])
def test_promotion_changes_nothing_when_it_fails(
    registry: Registry, state: State, slot: Slot, held: Lease, noon: dt.datetime, make: Make, crown: Crown, trouble: str
) -> None:
    first = crown()
    candidate = make()
    ruling = Ruling("promoted", "superior", "better", skill_proven=True)
    expected, mine, message = first.entry, held, ""
    if trouble == "lease":
        mine, message = replace(held, token=0), 'lease "cycle" lost'
    elif trouble == "champion":
        expected, message = 0, "the champion of price_predictor .* changed meanwhile"
    else:
        (candidate.path / "model.ubj").write_bytes(b"other")
        message = "is damaged"
    with state.read() as db:
        before = decisions.history(db), outbox.pending(db, "mlflow")
    with pytest.raises(FailedError, match=message):
        registry.promote(slot, candidate.version, ruling, expected=expected, held=mine, at=noon)
    with state.read() as db:
        assert (decisions.history(db), outbox.pending(db, "mlflow")) == before
    assert registry.champion(slot) == first


def test_refusal_keeps_the_champion_and_its_reason(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, make: Make, crown: Crown
) -> None:
    champion = crown()
    registry.refuse(slot, make().version, Ruling("refused", "not_better", "z 0.3 < 2.5", {"d_n": 41}), at=noon)
    registry.refuse(slot, None, Ruling("skipped", "not_due", "no new session"), at=noon)
    assert registry.champion(slot) == champion
    with state.read() as db:
        assert [(d.version, d.reason_code) for d in decisions.history(db, slot, limit=2)] == [
            (None, "not_due"),
            (2, "not_better"),
        ]


def test_ruling_knows_where_it_belongs(registry: Registry, slot: Slot, held: Lease, noon: dt.datetime) -> None:
    with pytest.raises(UsageError, match="use refuse"):
        registry.promote(slot, 1, Ruling("refused", "leak", "x"), expected=0, held=held, at=noon)
    with pytest.raises(UsageError, match="use promote"):
        registry.refuse(slot, 1, Ruling("promoted", "first", "x"), at=noon)
    with pytest.raises(UsageError, match='verdict "maybe": expected one of'):
        Ruling("maybe", "first", "x")
    forced = Ruling("promoted", "forced", "by hand")
    assert (forced.status, forced.action) == ("provisional", "forced")


def test_rollback_returns_to_the_previous_version_with_its_status_and_figures(
    registry: Registry, slot: Slot, noon: dt.datetime, crown: Crown
) -> None:
    first, second, third = crown(), crown(), crown()
    back = registry.rollback(slot, reason="live IC turned bad", at=noon + 9 * DAY)
    assert (back.version, back.action, back.status, back.sha256) == (2, "rollback", "champion", second.sha256)
    assert back.promoted_at == noon + 9 * DAY
    again = registry.rollback(slot, to=3, reason="it was the data", at=noon + 10 * DAY)
    assert again.sha256 == third.sha256
    assert registry.champion(slot, at=noon + 9 * DAY) == back
    assert registry.champion(slot, at=noon) == first


def test_rollback_says_why_not(registry: Registry, slot: Slot, noon: dt.datetime, make: Make, crown: Crown) -> None:
    with pytest.raises(RefusedError, match="has no champion, so there is nothing to roll back"):
        registry.rollback(slot, reason="x", at=noon)
    crown()
    make()
    for to, message in ((None, "has no version before version 1"), (1, "is the champion already"), (2, "never served")):
        with pytest.raises(RefusedError, match=message):
            registry.rollback(slot, to=to, reason="x", at=noon)
    with pytest.raises(UsageError, match="has no version 9: known are 1, 2"):
        registry.rollback(slot, to=9, reason="x", at=noon)


def test_rollback_beats_a_cycle_that_compared_with_the_old_champion(
    registry: Registry, slot: Slot, held: Lease, noon: dt.datetime, make: Make, crown: Crown
) -> None:
    crown()
    compared = crown()
    candidate = make()
    registry.rollback(slot, reason="bad", at=noon + 5 * DAY)
    ruling = Ruling("promoted", "superior", "better", skill_proven=True)
    with pytest.raises(FailedError, match="changed meanwhile: expected ledger entry 2, found 3"):
        registry.promote(slot, candidate.version, ruling, expected=compared.entry, held=held, at=noon + 6 * DAY)


def test_pinned_champion_stays(
    registry: Registry, state: State, slot: Slot, held: Lease, noon: dt.datetime, make: Make, crown: Crown
) -> None:
    first = crown()
    with state.write() as db:
        champions.append(db, replace(first, action="pin", pinned=True), expected=1)
    ruling = Ruling("promoted", "superior", "better", skill_proven=True)
    with pytest.raises(RefusedError, match="is pinned to version 1; unpin it"):
        registry.promote(slot, make().version, ruling, expected=2, held=held, at=noon)


def test_retention_never_deletes_champion_or_previous(registry: Registry, slot: Slot, make: Make, crown: Crown) -> None:
    crown()
    crown()
    for _ in range(3):
        make()
    assert registry.prune(slot, keep=2) == (3,)
    assert registry.prune(slot, keep=2) == ()
    left = {path.name for path in (registry.root / "price_predictor" / "rsi10_vol20_support20").iterdir()}
    assert left == {"v1", "v2", "v4", "v5"}
    with pytest.raises(UsageError, match=r"version 3 of .* has no artefact: it is deleted"):
        registry.load(slot, 3)


def test_documents_have_the_promised_keys(
    registry: Registry, state: State, slot: Slot, noon: dt.datetime, make: Make, crown: Crown
) -> None:
    crown()
    registry.examined(slot, 1, metrics={"rank_ic": 0.02}, baseline={"rank_ic": 0.0}, scorecard={}, at=noon)
    crown()
    registry.refuse(slot, make().version, Ruling("refused", "not_better", "x"), at=noon)
    make()
    (champion,) = champion_document(state)["champions"]
    assert champion == {
        "family": "price_predictor",
        "config_key": "rsi10_vol20_support20",
        "version": 2,
        "status": "champion",
        "pinned": False,
        "skill_proven": True,
        "promoted_at": "2026-01-03T12:00:00+00:00",
        "trained_at": "2026-01-02T12:00:00+00:00",
        "data_version": "17",
        "sha256": champion["sha256"],
    }
    assert champion_document(state, at=noon)["champions"][0]["version"] == 1
    assert champion_document(state, family="momentum_ranker") == {"champions": []}
    models = models_document(state)["models"]
    assert [model["status"] for model in models] == ["previous", "champion", "refused", "candidate"]
    assert models[0] == {
        "family": "price_predictor",
        "config_key": "rsi10_vol20_support20",
        "version": 1,
        "verdict": "promoted",
        "status": "previous",
        "metrics": {"rank_ic": 0.02},
        "baseline": {"rank_ic": 0.0},
        "trained_at": "2026-01-02T12:00:00+00:00",
    }


def test_scoreboard_is_journalled_before_the_promotion(
    registry: Registry, slot: Slot, noon: dt.datetime, make: Make
) -> None:
    board = [Prediction("AAPL", dt.date(2026, 1, 2), "HOLD", 0.01)]
    assert registry.write_scoreboard(slot, make().version, board, at=noon) == 1
    assert registry.write_scoreboard(slot, 1, board, at=noon) == 0


def test_lease_is_needed_to_promote(
    registry: Registry, state: State, slot: Slot, held: Lease, noon: dt.datetime, make: Make
) -> None:
    with state.write() as db:
        lease.release(db, held, at=noon)
    ruling = Ruling("provisional", "first", "no champion yet")
    with pytest.raises(FailedError, match="nobody holds it"):
        registry.promote(slot, make().version, ruling, expected=0, held=held, at=noon)
    assert registry.champion(slot) is None
