"""The front door: commands that read flags, open the house, call one function of `loop`, and show its answer.

To add a command ``rank``:

1. Write ``cli/rank.py`` with one function ``command``. Its first argument is the `Call`; the others are its flags and
   arguments, declared as typer does. ``--project``, ``--json`` and ``--verbose`` are added for you::

       '''Rank the tickers of the universe.'''

       from typing import Annotated

       import typer

       from marketloop.cli.call import Answer, Call
       from marketloop.cli.render import Screen

       __all__ = ["command"]


       def command(
           call: Call,
           family: Annotated[str, typer.Argument(help="Family of models.")] = "momentum_ranker",
           rsi_period: Annotated[int | None, typer.Option(help="Period of RSI, in bars.")] = None,
       ) -> Answer:
           '''Rank the tickers of the universe, best first.'''
           with call.open_house({"strategy.rsi_period": rsi_period}) as house, call.progress("ranking") as update:
               ranking = rank(house, family, on_progress=update)

           def show(screen: Screen) -> None:
               screen.table(("ticker", "score"), [(row.ticker, row.score) for row in ranking.rows])

           return Answer(ranking.document(), show)

2. Add one line to ``cli/commands.py``: name, module, help of one line.
3. Describe it in the README or in ``docs/``; a test compares.

An error of the house (`MarketLoopError`) becomes one sentence and its exit code; anything else becomes exit code 3, one
sentence, and a file with the traceback. ``Answer(..., exit_code=1)`` says "refused".
"""

from marketloop.cli.front import main

__all__ = ["main"]
