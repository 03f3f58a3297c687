"""The way in: reads the command line, loads only the command that was asked for, and turns errors into exit codes."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

import typer
from typer.core import TyperGroup
from typer.main import get_command

import marketloop
from marketloop.cli.call import Answer, Call
from marketloop.cli.commands import COMMANDS
from marketloop.cli.failures import explain, report
from marketloop.cli.flags import gathered, spread
from marketloop.core.errors import UsageError, unknown_name
from marketloop.runtime.threads import set_thread_budget

__all__ = ["main"]

ProjectOption = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="Project directory.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Show the log; twice for all of it.")
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 refused, 2 wrong use, 3 failed, 130 interrupted."""
    set_thread_budget()  # before anything imports a numerical library
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = _app(args=given, prog_name="marketloop", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:  # noqa: BLE001 -- the outermost edge
        wrong = _wrong_use(error) if isinstance(error, _WrongUse) else error
        return report(explain(wrong, None), as_json="--json" in given)
    return code if isinstance(code, int) else 0


@runtime_checkable
class _WrongUse(Protocol):
    """What the parser raises about the command line."""

    message: str

    def format_message(self) -> str: ...


def _wrong_use(error: _WrongUse) -> UsageError:
    """Put the parser's complaint into our words: what is wrong, and the nearest right option."""
    path = getattr(getattr(error, "ctx", None), "command_path", "marketloop")
    hint = "".join(f' Did you mean "{option}"?' for option in sorted(getattr(error, "possibilities", None) or ())[:1])
    message = error.message if hint else error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    return UsageError(f"{message}.{hint} See: {path} --help")


class _Commands(TyperGroup):
    """A group that lists commands from the table and imports the one that is run.

    (`typer.Context` is what typer hands to user code; its own annotations name the class below it.)
    """

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ARG002
        if cmd_name not in COMMANDS:
            raise unknown_name("command", cmd_name, COMMANDS)
        return _load(cmd_name)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def _load(name: str) -> Any:
    """Import the module of a command and make typer's command of it, with the options that all have."""
    function = importlib.import_module(COMMANDS[name].module).command
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name=name, help=inspect.getdoc(function))(_with_common_options(function))
    return get_command(app)


def _with_common_options(function: Callable[..., Answer]) -> Callable[..., int]:
    """Return `function` as typer sees it: its `Call` gone, ``--project``, ``--json`` and ``--verbose`` added."""
    own = inspect.signature(function, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        inspect.Parameter("project_", keyword, default=None, annotation=ProjectOption),
        inspect.Parameter("json_", keyword, default=False, annotation=JsonOption),
        inspect.Parameter("verbose_", keyword, default=0, annotation=VerboseOption),
    ]
    given = list(own.parameters.values())[1:]

    @functools.wraps(function)
    def run(*, ctx: typer.Context, project_: Path | None, json_: bool, verbose_: int, **values: Any) -> int:
        above: Call = ctx.find_object(Call) or Call()
        call = Call(project_ or above.named, json_ or above.json, max(verbose_, above.verbose))
        return _deliver(call, function, gathered(given, values))

    parameters = [*spread(given), *common]
    run.__signature__ = own.replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__  # typer must see our signature, not the one below
    return run


def _deliver(call: Call, function: Callable[..., Answer], values: dict[str, Any]) -> int:
    """Run a command and print its answer, or its failure."""
    try:
        answer = function(call, **values)
        render = importlib.import_module("marketloop.cli.render")
        if call.json:
            render.print_json(answer.document)
        else:
            answer.show(render.Screen())
        return answer.exit_code
    except (BrokenPipeError, typer.Exit):
        raise
    except BaseException as error:  # noqa: BLE001 -- the outermost edge: becomes a sentence and an exit code
        return report(explain(error, call.named), as_json=call.json)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"marketloop {marketloop.__version__}")
        raise typer.Exit


_typer = typer.Typer(cls=_Commands, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@_typer.callback()
def _front(
    ctx: typer.Context,
    project: ProjectOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
    version: Annotated[  # noqa: ARG001 -- its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep market-prediction models fresh without letting a bad one through."""
    ctx.obj = Call(project, json, verbose)


_app = get_command(_typer)
