"""Output of commands: formatted for a terminal, or unbroken with one line a row if it goes to a program or file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_UNBROKEN = 10_000_000
"""Line width, in columns, for output to programs: longer than any value, so that nothing is wrapped."""


def without_control_characters(text: str) -> str:
    """Replace control characters, which could be terminal escape sequences, by blanks; keep line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def single_line(text: str) -> str:
    """Replace control characters and line breaks by blanks."""
    return without_control_characters(text).replace("\n", " ")


def is_terminal(*, stderr: bool = False) -> bool:
    """Return whether stdout (or stderr) is a terminal; environment variables are ignored."""
    stream = sys.stderr if stderr else sys.stdout
    return stream is not None and stream.isatty()  # None: the process was started with the stream closed


def prepare_streams() -> None:
    """Make standard output and standard error accept every text, whatever the locale.

    Programs and files get UTF-8. A terminal gets its own encoding, with `?` for a character that it does not have. A
    stream that was closed before the process started takes what is written to it, and drops it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding="utf-8", errors="surrogateescape" if name == "stdout" else "replace")


def prepare_arguments() -> None:
    """Read arguments of the command line as UTF-8 where the locale cannot, such as `São Paulo` in the locale C.

    Bytes that are not UTF-8 stay as Python has them: they may be the name of a file.
    """
    for position, text in enumerate(sys.argv):
        if not text.isascii():
            with suppress(UnicodeDecodeError, UnicodeEncodeError):
                text.encode("utf-8", "strict")
                continue
            with suppress(UnicodeDecodeError):
                sys.argv[position] = os.fsencode(text).decode("utf-8")


def console(*, stderr: bool = False) -> Console:
    """Return a rich console: as wide as the terminal, or without wrapping, truncation and colours elsewhere."""
    from rich.console import Console

    if is_terminal(stderr=stderr):
        return Console(stderr=stderr, highlight=False, emoji=False)
    return Console(
        stderr=stderr, highlight=False, emoji=False, width=_UNBROKEN, force_terminal=False, color_system=None
    )


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]], whole: Collection[int] = ()) -> None:
    """Print a table; if the output is not a terminal, each row is one line.

    Args:
        head: the names of the columns.
        rows: the cells of each row.
        whole: the positions of columns, such as ids, that are never wrapped on a terminal either.
    """
    names = list(head)
    lines = [[single_line(cell) for cell in row] for row in rows]
    if not is_terminal():
        _print_lines([names, *lines])
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for position, name in enumerate(names):
        table.add_column(escape(name), no_wrap=position in whole, overflow="fold")
    for line in lines:
        table.add_row(*map(escape, line))
    console().print(table)


def _print_lines(lines: list[list[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
