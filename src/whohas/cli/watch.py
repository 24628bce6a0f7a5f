"""`whohas watch`: show the progress of active runs until they have ended."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from whohas import timeouts
from whohas.cli.backend import RunFacts
from whohas.cli.completions import complete_runs
from whohas.cli.options import Connection, on_installation
from whohas.cli.terminal import console, is_terminal, single_line
from whohas.errors import WhohasError

_MOST = 1000
"""The most active runs that are watched."""
_NONE = "No active runs."


@on_installation
def watch(
    connection: Connection,
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Its id, or the beginning of it; without one, all active runs.",
            autocompletion=complete_runs,
        ),
    ] = None,
) -> None:
    """Show the progress of a run, or of all active runs, until they have ended.

    On a terminal each run is one line that is updated; elsewhere each change of a run is a new line.

    Examples:
        whohas watch
        whohas watch 3f2a
        whohas watch --server https://reports.example.com
    """
    from rich.live import Live
    from rich.markup import escape

    with connection.open() as backend:
        watched: dict[str, RunFacts] = {}
        run_id = None if run_id is None else backend.id_of(run_id)

        def look() -> bool:
            if run_id is not None:
                watched[run_id] = backend.run(run_id)
            else:
                active = {run.id: run for run in backend.runs("", True, _MOST)}
                for id, run in watched.items():
                    if not run.is_over and id not in active:
                        watched[id] = backend.run(id)
                watched.update(active)
            return any(not run.is_over for run in watched.values())

        if is_terminal():
            with Live(console=console(), auto_refresh=False) as live:
                active = True
                while active:
                    active = look()
                    live.update(escape("\n".join(map(_line, watched.values()))) or _NONE, refresh=True)
                    if active:
                        time.sleep(timeouts.CLI_WATCH_SECONDS)
        else:
            printed: dict[str, str] = {}
            while look() or printed.keys() != watched.keys():
                _print_changes(watched, printed)
                time.sleep(timeouts.CLI_WATCH_SECONDS)
            _print_changes(watched, printed)
            if not printed:
                print(_NONE)
    if run_id is not None and watched[run_id].state not in ("succeeded", "warned"):
        raise WhohasError(f"The run {run_id} ended as {watched[run_id].state}.")


def _print_changes(watched: dict[str, RunFacts], printed: dict[str, str]) -> None:
    for id, run in watched.items():
        line = _line(run)
        if printed.get(id) != line:
            printed[id] = line
            print(line, flush=True)


def _line(run: RunFacts) -> str:
    return single_line(f"{run.id}  {run.report:<31} {run.state:<10} {run.percent:>3} %  {run.progress}")
