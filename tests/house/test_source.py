"""What a linter does not see: laziness only at doors, time only from the clock, no pickle, no code in strings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "marketloop"
MODULES = sorted(PACKAGE.rglob("*.py"))
QUIET = ("features", "labels", "dataset", "models", "evaluation", "monitoring")
# Doors that load a room or a library when it is first needed.
DOORS = (
    "__init__.py",
    "bench/__init__.py",
    "cli/*.py",
    "data/builtin.py",
    "cli/examinations/installation.py",
    "data/calendar.py",
    "data/repeats.py",
    "evaluation/nomination.py",
    "loop/alarms.py",
    "loop/cycle.py",
    "loop/house.py",
    "loop/messenger.py",
    "loop/plugins.py",
    "models/builtin.py",
    "state/dialects.py",
    "state/migrations/__init__.py",
    "tracking/*.py",
)
CLOCK = "runtime/clock.py"
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile"}
PICKLING_CALLS = {("joblib", "load"), ("joblib", "dump"), ("np", "load"), ("torch", "load")}
CLOCK_CALLS = {"now", "utcnow", "today"}
FORBIDDEN_WORDS = ("manager", "handler", "helper", "processor", "utils", "misc", "common")


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module


def is_door(path: Path) -> bool:
    relative = path.relative_to(PACKAGE)
    return any(relative.full_match(door) if hasattr(relative, "full_match") else relative.match(door) for door in DOORS)


def imports_inside_functions(module: ast.Module) -> list[int]:
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [
        inner.lineno
        for function in functions
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]


def calls(module: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Yield (owner, function, line) of every call; the owner of a bare name is empty."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=function)):
                yield "", function, node.lineno
            case ast.Call(func=ast.Attribute(attr=function, value=value)):
                yield ast.unparse(value), function, node.lineno


def offences(module: ast.Module, *, door: bool, clock: bool, quiet: bool) -> list[str]:
    """Return what one module does that the house forbids."""
    found = [f"line {line}: import inside a function" for line in imports_inside_functions(module)]
    for node in ast.walk(module):
        found += [f"imports {m}" for m in imported(node) if m.split(".")[0] in FORBIDDEN_MODULES]
    for owner, function, line in calls(module):
        last = owner.split(".")[-1]
        if not owner and function in FORBIDDEN_CALLS:
            found.append(f"line {line}: {function}()")
        if (last, function) in PICKLING_CALLS:
            found.append(f"line {line}: {owner}.{function}()")
        if not clock and function in CLOCK_CALLS and last in {"datetime", "date", "dt", "Timestamp", "pd"}:
            found.append(f"line {line}: {owner}.{function}()")
        if not door and function == "import_module":
            found.append(f"line {line}: import_module() outside a door")
        if quiet and not owner and function == "open":
            found.append(f"line {line}: open() in a quiet room")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_keeps_the_rules_of_the_house(path: Path) -> None:
    quiet = name(path).split("/")[0] in QUIET
    assert offences(tree(path), door=is_door(path), clock=name(path) == CLOCK, quiet=quiet) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_says_what_it_is_for_in_one_paragraph(path: Path) -> None:
    words = ast.get_docstring(tree(path))
    assert words, f"{name(path)} has no docstring"
    assert words.split("\n\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_sorts_its_public_names(path: Path) -> None:
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=elements)):
                names = [ast.literal_eval(element) for element in elements]
                order = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
                assert names == order


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_and_its_classes_carry_the_name_of_the_thing(path: Path) -> None:
    classes = [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    for word in FORBIDDEN_WORDS:
        assert path.stem != word
        assert not [c for c in classes if c.lower().endswith(word)]


def test_rules_are_tried_on_every_module() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize(
    ("code", "offence"),
    [
        ("def f():\n    import os\n", "import inside a function"),
        ("import pickle\n", "imports pickle"),
        ("from cloudpickle import loads\n", "imports cloudpickle"),
        ("eval('1')\n", "eval()"),
        ("joblib.load('x')\n", "joblib.load()"),
        ("import datetime as dt\ndt.datetime.now()\n", "dt.datetime.now()"),
        ("from datetime import date\ndate.today()\n", "date.today()"),
        ("import importlib\nimportlib.import_module('x')\n", "import_module() outside a door"),
        ("open('x')\n", "open() in a quiet room"),
    ],
)
def test_rules_find_what_they_forbid(code: str, offence: str) -> None:
    (found,) = offences(ast.parse(code), door=False, clock=False, quiet=True)
    assert offence in found
