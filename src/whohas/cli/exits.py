"""Exit codes of the command line, the same for all commands: `docs/reference/command-line.md`."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    """The command was typed wrong: an unknown option, a missing argument."""
    STOPPED = 3
    """A load was stopped to protect data; nothing was published."""
    INCOMPLETE = 4
    """A load was published, but rows were rejected or cells emptied."""
    INTERRUPTED = 130
    """Ctrl-C."""
    BROKEN_PIPE = 141
    """The reader of the output has closed it (as `head` does)."""
