"""The plan of `bench faults`: instants that follow the pace, a run that resumes, and figures that add up."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest

from marketloop.bench import faults
from marketloop.bench.deaths import COLD_EVERY, OVER, Found, Template, Trial
from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.faults import POINTS
from marketloop.runtime.journal import FileJournal

PLACES = tuple(f"{point}@here" for point in POINTS)


def template(folder: Path) -> Template:
    return Template(
        folder, dict.fromkeys(("served", "empty", "served, mirrored", "empty, mirrored"), PLACES), 2.0, 0.5, 6.0
    )


def found(trial: Trial, *, killed: bool = True, recovery_s: float = 0.1) -> Found:
    return Found(trial, killed, recovery_s, night_s=2.0, load=3.0, left=("running",), recovery_cpu_s=0.03)


def test_instants_lie_within_what_takes_so_long_just_now(tmp_path: Path) -> None:
    pace = template(tmp_path).pace()
    quiet = list(islice(pace.instants(1), 400))
    for _ in range(9):
        pace.note(found(quiet[0]))
        pace.nights_s[-1] = 20.0
    busy = list(islice(pace.instants(1), 400))
    assert [one.kind for one in quiet[:3]] == ["command", "promotion", "cycle"]
    assert sum(one.kind == "command" for one in quiet) == 400 / COLD_EVERY
    longest = {"cycle": 2.0, "promotion": 0.5, "command": 6.0}
    for one, slower in zip(quiet, busy, strict=True):
        assert one.after_s is not None
        assert 0 <= one.after_s <= OVER * longest[one.kind]
        assert slower.after_s == pytest.approx(10 * one.after_s)
    assert max(one.after_s or 0 for one in quiet if one.kind == "promotion") > 0.45


def test_run_that_was_stopped_goes_on_with_what_is_not_done(tmp_path: Path) -> None:
    made = template(tmp_path)
    whole = list(islice(faults._todo(made, made.pace(), [], kills=10**6, seed=1), 30))
    done = [found(trial) for trial in whole[:12]]
    kept = [json.loads(json.dumps(asdict(one))) for one in done]
    assert [faults._read(line) for line in kept] == done
    rest = list(islice(faults._todo(made, made.pace(), done, kills=10**6, seed=1), 18))
    assert [trial.name for trial in rest] == [trial.name for trial in whole[12:]]


def test_places_are_tried_once_enough_processes_were_killed_at_random(tmp_path: Path) -> None:
    made = template(tmp_path)
    known: list[Found] = []
    kinds = []
    for trial in faults._todo(made, made.pace(), known, kills=5, seed=1):
        kinds.append(trial.kind)
        known.append(found(trial, killed=len(known) != 2))  # the third one came too late
    assert kinds == ["command", "promotion", "cycle", "promotion", "cycle", "promotion", *["point"] * len(PLACES)]


def test_document_counts_kills_hits_and_violations(tmp_path: Path) -> None:
    known = [found(Trial("point", f"{place}:1"), recovery_s=0.01 * n) for n, place in enumerate(PLACES)]
    known += [found(Trial("cycle", "", 1.0, number=n)) for n in range(3)]
    known += [Found(Trial("promotion", "", 9.0, number=9), False, math.nan, ("nobody serves",))]
    document = faults._document(known, template(tmp_path), 1.0)
    figures = document["figures"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["rows"], figures["killed"], figures["violations"]) == (
        len(PLACES) + 3,
        {"point": len(PLACES), "cycle": 3},
        1,
    )
    assert (figures["points_never_passed"], figures["survived"]) == ([], 1)
    assert all(figures["hits"][point] == 1 for point in POINTS)
    assert figures["recovery_ms_median"] <= figures["recovery_ms_p99"] <= figures["recovery_ms_max"]
    assert figures["left_by_random_deaths"] == {"running": 3}


def test_journal_of_another_seed_is_not_gone_on_with(tmp_path: Path) -> None:
    FileJournal(tmp_path / "deaths.jsonl", {"about": "deaths of cycles", "seed": 2}).open()
    with pytest.raises(FailedError, match="not the journal that belongs here"):
        faults.run(kills=1, seeds=1, out=tmp_path / "deaths.jsonl")
    with pytest.raises(UsageError, match="workers = 0"):
        faults.run(workers=0)
