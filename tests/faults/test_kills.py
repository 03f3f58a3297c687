"""Kills nights at every point that they pass and at random instants, while a reader asks all the time."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.conftest import JOBS, check_whole

from marketloop.bench.deaths import ALLOCATED, Trial, nights, passes, try_out
from marketloop.bench.mortal import Mortal
from marketloop.runtime.faults import POINTS

INSTANTS = 10
BETWEEN_CHECKS = 15
# What nights of a project that has none of it do not pass: MLflow's points, tried by `marketloop bench faults`.
# A statement of an open transaction is nothing to anybody else: what lies before it is as what lies after it.
ELSEWHERE = ("mirror.", "file.delete.", "ledger.write.before", "scores.write.before")
COMMITTED = "ledger.commit.after@registry.registry.Registry.promote"


class Reader:
    """A process that asks for champion and predictions until it is told to stop."""

    def __init__(self, server: Mortal, home: Path, sign: Path) -> None:
        self.server, self.sign = server, sign
        server.start("poll", home=str(home), until=str(sign), every_s=0.2)

    def answers(self) -> int:
        count = Path(f"{self.sign}.asked")
        return int(count.read_text(encoding="utf-8") or 0) if count.exists() else 0

    def stop(self) -> dict[str, object]:
        self.sign.touch()
        return self.server.wait().document


@pytest.fixture
def reader(home: Path, tmp_path: Path) -> Iterator[Reader]:
    with Mortal(JOBS) as server:
        reader = Reader(server, home, tmp_path / "stop")
        while not reader.answers():
            time.sleep(0.01)
        yield reader
        reader.sign.touch()


@pytest.fixture(scope="module")
def passed(server: Mortal, served: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the points of a later night, in order, each with the place."""
    folder = tmp_path_factory.mktemp("record")
    copy = Path(shutil.copytree(served, folder / "copy"))
    return passes(server, copy, nights()[1], folder / "points.txt")


def test_every_point_is_passed(passed: tuple[str, ...]) -> None:
    hits = Counter(place.partition("@")[0] for place in places_of(passed))
    assert [point for point in POINTS if not hits[point] and not point.startswith(ELSEWHERE)] == []


def places_of(passed: tuple[str, ...]) -> list[str]:
    """Return where to kill: everywhere in the promotion, and elsewhere once at each point.

    `marketloop bench faults` kills at every place.
    """
    places = [place for place in dict.fromkeys(passed) if not place.startswith(ELSEWHERE)]
    promotion = set(places[places.index(ALLOCATED) : places.index(COMMITTED) + 1])
    once = {place.partition("@")[0]: place for place in reversed(places) if place not in promotion}
    return [place for place in places if place in promotion or place in once.values()]


def test_killed_at_every_point_the_project_serves_and_goes_on(
    server: Mortal, home: Path, served: Path, reader: Reader, passed: tuple[str, ...]
) -> None:
    places = places_of(passed)
    days = iter(nights()[1:])
    later = []
    for number, place in enumerate(places):
        if not server.run("night", home=str(home), end=next(days), fault=place).was_killed:
            later.append(place)  # e.g. the reader was first to keep the features of the new bars
        if number % BETWEEN_CHECKS == BETWEEN_CHECKS - 1 or place == places[-1]:
            check_next(server, home, next(days))
    said = reader.stop()
    assert said["odd"] == []
    assert isinstance(said["asked"], int)
    assert said["asked"] > len(places) / 4
    for number, place in enumerate(later):
        fresh = Path(shutil.copytree(served, home.with_name(f"fresh{number}")))
        assert server.run("night", home=str(fresh), end=nights()[1], fault=place).was_killed, place
        check_next(server, fresh, nights()[2])


def check_next(server: Mortal, home: Path, day: str) -> None:
    """Assert that a night that nobody kills promotes, and that nothing of the dead ones is left."""
    done = server.run("night", home=str(home), end=day, recover=True).document
    assert done.get("outcome") == "promoted", done
    assert done["recovery_s"] < 30  # a tenth of a second on an idle machine; `bench faults` measures it
    check_whole(server.run("look", home=str(home)).document, done["version"])


@pytest.mark.parametrize("kind", ["cycle", "promotion"])
def test_killed_at_random_instants_the_project_serves_all_the_time_and_goes_on(
    server: Mortal, home: Path, reader: Reader, kind: str
) -> None:
    days = iter(nights()[1:])
    chance = random.Random(kind)
    whole = _seconds(server, home, next(days), kind)
    version, kills = 2, 0
    for _ in range(3 * INSTANTS):
        fault = f"stop:{ALLOCATED}" if kind == "promotion" else ""
        trial = Trial(kind, fault, chance.uniform(0, whole))
        found = try_out(server, home, trial, before=version, ends=(next(days), next(days)))
        assert found.wrong == (), trial
        version = server.run("look", home=str(home)).document["champion"]
        kills += found.was_killed
        whole *= 1.0 if found.was_killed else 0.7  # it was measured beside other work
        if kills == INSTANTS:
            break
    assert kills == INSTANTS
    said = reader.stop()
    assert said["odd"] == []
    assert isinstance(said["asked"], int)
    assert said["asked"] > INSTANTS


def _seconds(server: Mortal, home: Path, day: str, kind: str) -> float:
    """Return how long a night, or its promotion, takes just now."""
    if kind == "cycle":
        return server.run("night", home=str(home), end=day).seconds
    server.start("night", home=str(home), end=day, fault=f"stop:{ALLOCATED}")
    server.told(None)
    since = time.perf_counter()
    server.signal(signal.SIGCONT)
    server.wait()
    return time.perf_counter() - since
