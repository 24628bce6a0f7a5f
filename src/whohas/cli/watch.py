"""`whohas watch`: show the progress of active runs until they have ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from whohas import timeouts
from whohas.cli.installation import open_installation
from whohas.cli.terminal import console, is_terminal, single_line
from whohas.errors import WhohasError

if TYPE_CHECKING:
    from whohas.runs.models import Run


def watch(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Its id, or the beginning of it; without one, all active runs.")
    ] = None,
) -> None:
    """Show the progress of a run, or of all active runs, until they have ended.

    On a terminal each run is one line that is updated; elsewhere each change of a run is a new line.
    """
    from rich.live import Live
    from rich.markup import escape

    from whohas.runs.listing import ListRequest, list_page

    with open_installation() as services:
        watched: dict[str, Run] = {}
        run_id = None if run_id is None else services.runs.resolve_id(run_id)

        def look() -> bool:
            if run_id is not None:
                watched[run_id] = services.runs.get(run_id)
            else:
                watched.update({run.id: run for run in list_page(services.database, ListRequest(only_active=True))})
                for id, run in watched.items():
                    if not run.state.is_over:
                        watched[id] = services.runs.get(id)
            return any(not run.state.is_over for run in watched.values())

        if is_terminal():
            with Live(console=console(), auto_refresh=False) as live:
                active = True
                while active:
                    active = look()
                    live.update(escape("\n".join(map(_line, watched.values()))) or "No run goes on.", refresh=True)
                    if active:
                        time.sleep(timeouts.CLI_WATCH_SECONDS)
        else:
            printed: dict[str, str] = {}
            while look() or printed.keys() != watched.keys():
                _print_changes(watched, printed)
                time.sleep(timeouts.CLI_WATCH_SECONDS)
            _print_changes(watched, printed)
            if not printed:
                print("No run goes on.")
    if run_id is not None and watched[run_id].state not in ("succeeded", "warned"):
        raise WhohasError(f"The run {run_id} ended as {watched[run_id].state.value}.")


def _print_changes(watched: dict[str, Run], printed: dict[str, str]) -> None:
    for id, run in watched.items():
        line = _line(run)
        if printed.get(id) != line:
            printed[id] = line
            print(line, flush=True)


def _line(run: Run) -> str:
    return single_line(f"{run.id}  {run.report_type:<31} {run.state.value:<10} {run.percent:>3} %  {run.progress}")
