"""The command line `whohas`, with Typer: one module a command or group, which call the same functions as the HTTP API.

Command modules import nothing heavy at module level, so that `whohas --help` responds at once.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from whohas import __version__
from whohas.cli.audit import audit_app
from whohas.cli.client import client_app
from whohas.cli.commands import Commands
from whohas.cli.completion import completion, prepare_completion
from whohas.cli.docs import docs
from whohas.cli.exits import ExitCode
from whohas.cli.generate import generate
from whohas.cli.hook import hook_app
from whohas.cli.index import index
from whohas.cli.keys import keys_app
from whohas.cli.load import load
from whohas.cli.map import map_files
from whohas.cli.reports import reports_app
from whohas.cli.retention import hold, holds, release, sweep
from whohas.cli.run import download, run
from whohas.cli.runs import cancel, replay, runs, show
from whohas.cli.schedule import schedule_app
from whohas.cli.search import search
from whohas.cli.serve import serve
from whohas.cli.terminal import is_terminal, prepare_arguments, prepare_streams
from whohas.cli.user import user_app
from whohas.cli.watch import watch
from whohas.cli.worker import worker
from whohas.errors import WhohasError, WrongUsage
from whohas.file_modes import restrict_process

app = Commands(
    name="whohas",
    help="Who has what? Identity reports that one can run, watch, cancel, download and prove. `whohas docs` has the "
    "documentation, and `whohas docs choose` says how a command chooses between this machine and a server.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    # rich prints help and usage errors in boxes of 80 columns, which break long values when a program reads them
    rich_markup_mode="rich" if is_terminal() and is_terminal(stderr=True) else None,
)


_REPORTS, _DATA, _SERVER, _RIGHTS, _HELP = "Reports and runs", "Data", "Servers", "Rights, audit, retention", "Help"

for panel, commands in (
    (_REPORTS, (run, runs, show, download, watch, cancel, replay, search)),
    (_DATA, (load, index, generate)),
    (_SERVER, (serve, worker)),
    (_RIGHTS, (hold, release, holds, sweep)),
    (_HELP, (docs, completion)),
):
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command("map", rich_help_panel=_DATA)(map_files)
for panel, name, group in (
    (_REPORTS, "reports", reports_app),
    (_REPORTS, "schedule", schedule_app),
    (_REPORTS, "hook", hook_app),
    (_RIGHTS, "client", client_app),
    (_RIGHTS, "user", user_app),
    (_RIGHTS, "keys", keys_app),
    (_RIGHTS, "audit", audit_app),
):
    app.add_typer(group, name=name, rich_help_panel=panel)


@app.callback(invoke_without_command=True)
def version_option(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"whohas {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line of this process, and exit.

    Known errors (of whohas, the system, the database) are printed as one line on stderr, with exit code 1, or 2 for
    wrong usage. Other exceptions are bugs and keep their traceback. See `Exit` for all codes.
    """
    restrict_process()
    prepare_streams()
    prepare_arguments()
    prepare_completion()
    try:
        _run()
    except WhohasError as error:
        _report(error.message)
        sys.exit(ExitCode.USAGE if isinstance(error, WrongUsage) else ExitCode.ERROR)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.BROKEN_PIPE)
    except Exception as error:
        from whohas.faults import describe

        text = _of_output(error) or describe(error)
        if text is None:
            raise
        _report(text)
        sys.exit(ExitCode.ERROR)


def _run() -> None:
    try:
        app(prog_name="whohas")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer makes an exit with code 1 of it
            raise end.__context__ from None
        sys.stdout.flush()  # flush now: an error at the interpreter's exit could not be reported any more
        raise


_NOT_TAKEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _of_output(error: Exception) -> str | None:
    """Return a message if the error came from writing to standard output; otherwise None."""
    if not isinstance(error, OSError) or error.filename is not None or error.errno not in _NOT_TAKEN:
        return None
    try:
        print(flush=True)
    except OSError as fault:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else the interpreter tries to flush it again at exit
        return f"The output could not be written: {fault.strerror}. Send it elsewhere."
    return None


def _report(text: str) -> None:
    """Print why a command failed: as a JSON log line for servers and workers whose stderr is not a terminal."""
    logs = sys.modules.get("whohas.logs")
    if logs is not None and logs.is_logging_json():
        logs.log.critical("ended", reason=text)
        return
    try:
        print(f"whohas: {text}", file=sys.stderr)
    except OSError:
        sys.stderr = None  # stderr is closed; the exit code still shows the failure
