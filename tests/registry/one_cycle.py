"""One cycle from recovery to retention, for the tests that kill it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from marketloop.bench.mortal import serve
from marketloop.registry import Registry, Ruling, StreamFiles
from marketloop.state import Slot, State, lease, this_process
from marketloop.state.scoreboards import Prediction

AT = dt.datetime(2026, 1, 3, 12, tzinfo=dt.UTC)
SLOT = Slot("price_predictor", "rsi10_vol20_support20")
MANIFEST = {"data_version": "18", "features": ["rsi"], "recipe": "ridge", "seed": 7, "threads": 2}


def cycle(home: Path, content: bytes) -> int:
    """Promote a model whose part is `content` and return its version."""
    with State.open(f"sqlite:///{home}/state.db") as state:
        registry, files = Registry(home / "registry", state), StreamFiles(home / "streams")
        with state.write() as db:
            held = lease.acquire(db, "cycle", process=this_process(), at=AT)
        assert held is not None
        registry.recover()
        files.recover(set())
        files.put("s/1.parquet", content)
        parts = {"model.ubj": content, "learner.json": b"{}"}
        made = registry.write_candidate(SLOT, parts=parts, manifest=MANIFEST, at=AT)
        registry.examined(SLOT, made.version, metrics={"rank_ic": 0.02}, baseline={}, scorecard={}, at=AT)
        registry.write_scoreboard(SLOT, made.version, [Prediction("AAPL", AT.date(), "BUY", 0.1)], at=AT)
        now = registry.champion(SLOT)
        assert now is not None
        ruling = Ruling("promoted", "superior", "better", skill_proven=True)
        registry.promote(SLOT, made.version, ruling, expected=now.entry, held=held, at=AT)
        registry.prune(SLOT, keep=1)
        with state.write() as db:
            lease.release(db, held, at=AT)
        return made.version


if __name__ == "__main__":
    serve({"cycle": lambda home, content: {"version": cycle(Path(home), content.encode())}})
