"""``marketloop bench``: measure speed and honesty on this machine."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen, plain
from marketloop.core.errors import UsageError, unknown_name
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["command"]

_REAL_DATA = Path("../shared/data/sp500_daily_2013_2018.parquet")


def command(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to measure: features, skill, ...")],
    path: Annotated[Path | None, typer.Option("--path", help="File of bars, for benchmarks that read one.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=0, help="How many simulated markets of a kind.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes side by side.")] = None,
    kills: Annotated[int | None, typer.Option("--kills", min=0, help="faults: random instants.")] = None,
    first_seed: Annotated[int | None, typer.Option("--first-seed", min=0, help="honesty: the first seed.")] = None,
    kinds: Annotated[str | None, typer.Option("--kinds", help="honesty: kinds of markets, with commas.")] = None,
    families: Annotated[str | None, typer.Option("--families", help="honesty: families, with commas.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="honesty, faults: a line per trial; resumes.")] = None,
    real_file: Annotated[Path | None, typer.Option("--real-file", help="honesty: real bars to shuffle.")] = None,
    dashboards: Annotated[int | None, typer.Option("--dashboards", min=0, help="serve: pages open meanwhile.")] = None,
    training: Annotated[bool, typer.Option("--training", help="serve: a niced training run beside it.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Also write the document to a JSON file.")] = None,
) -> Answer:
    """Run one benchmark and print its document; no project is needed."""
    benches = call.room("bench").BENCHES
    if name not in benches:
        raise unknown_name("benchmark", name, benches)
    run = call.room(benches[name].removeprefix("marketloop.")).run
    given = {
        "path": _whole(path),
        "out": _whole(out),
        "real_file": _whole(real_file),
        "seeds": seeds,
        "workers": workers,
        "kills": kills,
        "first_seed": first_seed,
        "dashboards": dashboards,
        "training": training or None,
        "kinds": kinds.split(",") if kinds else None,
        "families": families.split(",") if families else None,
    }
    with call.progress(f"bench {name}") as update:
        document = run(**_arguments(name, run, given, update))
    if output is not None:
        ensure_folder(output.absolute().parent)
        write_atomic(output.absolute(), (json.dumps(plain(document), indent=2) + "\n").encode())

    def show(screen: Screen) -> None:
        screen.heading(f"bench {document['name']}")
        screen.pairs({key: document.get(key) for key in ("rows", "seconds", "peak_rss_mb")})
        for part in ("figures", "peer"):
            rows = list(_flat(document.get(part) or {}))
            if rows:
                screen.table((part, "value"), rows)

    return Answer(document, show)


def _whole(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _arguments(name: str, run: Any, given: dict[str, Any], update: Any) -> dict[str, Any]:
    """Return the flags that the benchmark takes; one that it does not take is wrong use."""
    known = inspect.signature(run).parameters
    flags = {flag: value for flag, value in given.items() if value is not None}
    for flag in flags:
        if flag not in known:
            raise UsageError(f"bench {name} takes no --{flag.replace('_', '-')}; leave it out")
    if "path" in known and "path" not in flags and known["path"].default is inspect.Parameter.empty:
        if not _REAL_DATA.is_file():
            raise UsageError(f"bench {name} reads a file of bars: name one with --path FILE")
        flags["path"] = _REAL_DATA.absolute()
    if "on_progress" in known:
        flags["on_progress"] = update
    return flags


def _flat(value: Any, above: str = "") -> Any:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner
