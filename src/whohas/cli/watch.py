"""`whohas watch`: runs as they go, in the terminal, until they are over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from whohas import timeouts
from whohas.cli.installation import installation
from whohas.cli.terminal import console, is_terminal, one_line
from whohas.errors import WhohasError

if TYPE_CHECKING:
    from whohas.runs.model import Run


def watch(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Its id, or the beginning of it; without one, all that go on.")
    ] = None,
) -> None:
    """Show runs as they go; ends when the run, or all of them, are over.

    On a terminal each run is a line that changes; elsewhere each change of a run is a separate line.
    """
    from rich.live import Live
    from rich.markup import escape

    from whohas.runs.listing import Listing, page

    with installation() as services:
        watched: dict[str, Run] = {}
        run_id = None if run_id is None else services.runs.id_of(run_id)

        def look() -> bool:
            if run_id is not None:
                watched[run_id] = services.runs.get(run_id)
            else:
                watched.update({run.id: run for run in page(services.database, Listing(pending=True))})
                for id, run in watched.items():
                    if not run.state.over:
                        watched[id] = services.runs.get(id)
            return any(not run.state.over for run in watched.values())

        if is_terminal():
            with Live(console=console(), auto_refresh=False) as live:
                goes_on = True
                while goes_on:
                    goes_on = look()
                    live.update(escape("\n".join(map(_line, watched.values()))) or "No run goes on.", refresh=True)
                    if goes_on:
                        time.sleep(timeouts.CLI_WATCH_SECONDS)
        else:
            told: dict[str, str] = {}
            while look() or told.keys() != watched.keys():
                _print_news(watched, told)
                time.sleep(timeouts.CLI_WATCH_SECONDS)
            _print_news(watched, told)
            if not told:
                print("No run goes on.")
    if run_id is not None and watched[run_id].state not in ("succeeded", "warned"):
        raise WhohasError(f"The run {run_id} ended as {watched[run_id].state.value}.")


def _print_news(watched: dict[str, Run], told: dict[str, str]) -> None:
    for id, run in watched.items():
        line = _line(run)
        if told.get(id) != line:
            told[id] = line
            print(line, flush=True)


def _line(run: Run) -> str:
    return one_line(f"{run.id}  {run.report_type:<31} {run.state.value:<10} {run.percent:>3} %  {run.progress}")
