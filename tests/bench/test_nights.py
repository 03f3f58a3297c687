"""A year of looks at prefixes is the year that night after night would have had."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from marketloop.bench.ground import Ground, Prepared, ground_of
from marketloop.bench.nights import bench_house, known_at, look_nightly, play_year
from marketloop.core.errors import UsageError
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.dataset import LabelSpec
from marketloop.evaluation.gate import Evidence, GatePolicy, Slot, Verdict, examine
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.scorecard import score_stream
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.loop.house import House
from marketloop.loop.preparing import Choices, choose
from marketloop.runtime.project import Project

NIGHTS = 24
POLICY = GatePolicy(min_skill_sessions=60)
RECIPES = ("rank_ridge", "small_trees")


@pytest.fixture(scope="module")
def house() -> House:
    plain = bench_house()
    settings = plain.settings.model_copy(
        update={"features": plain.settings.features.model_copy(update={"set": "basic"})}
    )
    return House(Project(plain.project.root), settings, plain.catalog)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return ground_of(simulate(MarketSpec(tickers=40, sessions=640, seed=77, planted_ic=0.15)))


def _spec(house: House) -> StreamSpec:
    return choose(house, "price_predictor", Choices(recipes=RECIPES))


@dataclass(frozen=True, slots=True)
class Night:
    x: SessionSeries
    verdict: Verdict
    open_nominee: str


@pytest.fixture(scope="module")
def nights(house: House, ground: Ground) -> list[Night]:
    """Live through the last nights one by one: bars, features, labels, stream and ledger of that night only."""
    whole, spec = Prepared(house, ground), _spec(house)
    stream, slot, lived = Stream(spec.fingerprint), Slot(), []
    for session in range(whole.panel.last - NIGHTS + 1, whole.panel.last + 1):
        tonight = Prepared(house, ground.before(session, whole.sessions))
        matrix, panel = tonight.matrix(spec), tonight.panel
        assert panel.last == session
        stream = advance(stream, matrix, panel, spec)
        card = score_stream(stream, matrix, panel, spec)
        verdict = examine(slot, None, Evidence(session, card.x), POLICY)
        slot = verdict.slot
        assert stream.open_model is not None
        lived.append(Night(card.x, verdict, stream.open_model.block.nominee))
    return lived


@pytest.fixture(scope="module")
def whole(house: House, ground: Ground) -> tuple[SessionSeries, Stream, StreamSpec]:
    prepared, spec = Prepared(house, ground), _spec(house)
    matrix = prepared.matrix(spec)
    stream = advance(Stream(spec.fingerprint), matrix, prepared.panel, spec)
    return score_stream(stream, matrix, prepared.panel, spec).x, stream, spec


def test_series_of_a_night_is_a_prefix_of_the_series_walked_once(
    nights: list[Night], whole: tuple[SessionSeries, Stream, StreamSpec]
) -> None:
    x, _, spec = whole
    for night in nights:
        prefix = known_at(x, night.verdict.record["session"], spec)
        assert np.array_equal(prefix.session, night.x.session)
        assert prefix.value == pytest.approx(night.x.value, abs=1e-9)


def test_nights_cross_a_block_and_meet_the_same_nominees(
    nights: list[Night], whole: tuple[SessionSeries, Stream, StreamSpec]
) -> None:
    _, stream, spec = whole
    nominee = {block.number: block.nominee for block in stream.blocks}
    numbers = [night.verdict.record["session"] // spec.block for night in nights]
    assert len(set(numbers)) >= 2
    assert [night.open_nominee for night in nights] == [nominee[number] for number in numbers]


def test_looks_at_prefixes_say_what_the_nights_said(
    nights: list[Night], whole: tuple[SessionSeries, Stream, StreamSpec]
) -> None:
    x, _, spec = whole
    last = int(x.session[-1])
    looks = look_nightly(x, range(last - NIGHTS + 1, last + 1), spec, POLICY)
    first, final = nights[0].verdict, nights[-1].verdict
    proven = next((at for at, night in enumerate(nights, 1) if night.verdict.slot.proven), None)
    assert looks.night == proven
    assert looks.n_first == first.record["n"]
    assert looks.z_first == pytest.approx(first.record["z"], abs=1e-9)
    assert looks.z_star == first.record["year"]["z_star"] == final.record["year"]["z_star"]
    assert looks.z_last == pytest.approx(final.record["z"], abs=1e-9)


def test_looks_find_the_first_night_above_the_boundary_and_stay_proven() -> None:
    spec = _spec(bench_house())
    value = np.concatenate([np.tile([0.1, -0.1], 50), np.full(40, 0.1), np.full(60, -0.1)])
    x = SessionSeries(np.arange(200, dtype=np.int32), value)
    policy = GatePolicy(min_skill_sessions=100)
    looks = look_nightly(x, range(99, 200), spec, policy)
    z = [value[: n + 1].sum() / np.sqrt(np.square(value[: n + 1]).sum()) for n in range(99, 200)]
    assert looks.night == next(at for at, figure in enumerate(z, 1) if figure >= looks.z_star)
    assert looks.z_highest == pytest.approx(max(z))
    assert looks.z_last == pytest.approx(z[-1])
    assert z[-1] < looks.z_star


def test_looks_count_no_night_before_the_least_number_of_sessions() -> None:
    spec = _spec(bench_house())
    x = SessionSeries(np.arange(80, dtype=np.int32), np.full(80, 0.1))
    looks = look_nightly(x, range(60, 80), spec, GatePolicy(min_skill_sessions=100))
    assert (looks.night, looks.z_highest) == (None, None)
    assert looks.n_first == 61


def test_log_loss_is_known_a_horizon_after_its_session() -> None:
    ranked = _spec(bench_house())
    by_session = replace(ranked, family=replace(ranked.family, statistic="log_loss"), label=LabelSpec(horizon=20))
    x = SessionSeries(np.arange(100, 200, dtype=np.int32), np.zeros(100))
    assert known_at(x, 150, ranked).session[-1] == 150
    assert known_at(x, 150, by_session).session[-1] == 130


def test_year_of_a_strong_signal_is_proven_on_the_first_night_and_reports_its_true_rank_ic(
    house: House, ground: Ground
) -> None:
    found = play_year(house, ground, ("price_predictor:rank_ridge",), nights=20)["price_predictor:rank_ridge"]
    assert set(found["nominees"]) <= {"rank_ridge", "rank_ridge(penalty=0.4)", "rank_ridge(penalty=6.0)"}
    assert found["true_ic"] == pytest.approx(0.15, abs=0.04)
    assert found["ic_low"] < found["ic_mean"] < found["ic_high"]
    assert found["n_first"] > 60


def test_two_families_share_the_memory_of_their_features(house: House, ground: Ground) -> None:
    prepared = Prepared(house, replace(ground, truth=None))
    price = prepared.matrix(choose(house, "price_predictor", Choices(recipes=RECIPES)))
    rank = prepared.matrix(choose(house, "momentum_ranker", Choices(recipes=RECIPES)))
    assert price.X is rank.X
    assert price.ranks is rank.ranks
    assert price.classes == ("SELL", "HOLD", "BUY")
    assert rank.classes == ()
    assert not np.array_equal(price.label, rank.label)


def test_year_names_an_unknown_recipe(house: House, ground: Ground) -> None:
    with pytest.raises(UsageError, match="rank_rigde"):
        play_year(house, ground, ("price_predictor:rank_rigde",))
