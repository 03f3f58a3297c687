"""Whatever is written goes by a road with fault points: no module writes, renames, flushes or commits past them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "marketloop"
# The roads themselves, and what never runs in a cycle or leaves nothing that a cycle reads.
ROADS = {
    "runtime/faults.py": "notes what passes",
    "runtime/files.py": "the road of files",
    "runtime/journal.py": "appends, with points of its own",
    "state/store.py": "the road of transactions",
    "data/delta.py": "the road of tables",
    "cli/failures.py": "writes a traceback",
}
FREE = ("bench/",)
OWNED = {
    ("os", "rename"), ("os", "replace"), ("os", "fsync"), ("os", "write"), ("os", "unlink"), ("os", "remove"),
    ("os", "truncate"), ("os", "link"), ("os", "symlink"), ("shutil", "rmtree"), ("shutil", "move"),
    ("shutil", "copy"), ("shutil", "copyfile"), ("shutil", "copytree"), ("tempfile", "mkstemp"),
}  # fmt: skip
METHODS = {
    *("write_text", "write_bytes", "unlink", "rmdir", "touch", "symlink_to", "hardlink_to", "commit", "sink_parquet"),
    *("optimize", "vacuum", "to_parquet", "to_csv"),
}
FUNCTIONS = {"write_deltalake"}
MODES = frozenset("wax+")


def offences(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name) if name in FUNCTIONS or (name == "open" and _writes(node, 1)):
                yield f"line {node.lineno}: {name}()"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in OWNED:
                yield f"line {node.lineno}: {owner}.{name}()"
            case ast.Attribute(attr=name) if name in METHODS or (name == "open" and _writes(node, 0)):
                yield f"line {node.lineno}: .{name}()"
            case ast.Attribute(attr="replace" | "rename" as name) if _is_of_paths(node):
                yield f"line {node.lineno}: .{name}()"


def _writes(call: ast.Call, position: int) -> bool:
    """Return whether a call of ``open`` asks for a mode that writes."""
    modes = [*call.args[position : position + 1], *(word.value for word in call.keywords if word.arg == "mode")]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return any(set(text) & MODES and len(text) <= 3 for text in texts)


def _is_of_paths(call: ast.Call) -> bool:
    """Return whether ``x.replace(y)`` is that of a path: texts take two arguments, dates words, frames mappings."""
    one = len(call.args) == 1 and not call.keywords
    return one and not isinstance(call.args[0], ast.Dict | ast.DictComp | ast.Starred)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module_writes_by_the_roads_with_fault_points_only(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    found = list(offences(ast.parse(path.read_text(encoding="utf-8"))))
    if name.startswith(FREE):
        return
    if name in ROADS:
        assert found, f"{name} ({ROADS[name]}) writes nothing any more: take it out of the list"
        return
    assert found == [], "write with runtime.files, commit with state.Database.write, so that it can be cut off in tests"


@pytest.mark.parametrize(
    "code",
    [
        "os.rename(a, b)",
        "os.fsync(n)",
        "path.replace(other)",
        "path.rename(other)",
        "path.write_text('x')",
        "path.open('w')",
        "path.open(mode='ab')",
        "open(path, 'w')",
        "db.commit()",
        "write_deltalake(path, frame)",
        "shutil.rmtree(path)",
    ],
)
def test_other_roads_are_seen(code: str) -> None:
    assert len(list(offences(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    ["text.replace('a', 'b')", "day.replace(hour=3)", "frame.rename({'a': 'b'})", "path.open('rb')", "open(path)"],
)
def test_what_writes_no_file_is_free(code: str) -> None:
    assert list(offences(ast.parse(code))) == []
