"""What commands print: for people on a terminal, or for a program, which gets every value whole and a line a row."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_UNBROKEN = 10_000_000
"""Columns of a line that goes to a program: more than any value has."""


def plain(text: str) -> str:
    """A text without what a terminal would obey; its line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def one_line(text: str) -> str:
    """The same on one line."""
    return plain(text).replace("\n", " ")


def is_terminal(*, stderr: bool = False) -> bool:
    """Whether people read what is printed, rather than a program or a file; no environment variable changes that."""
    return (sys.stderr if stderr else sys.stdout).isatty()


def console(*, stderr: bool = False) -> Console:
    """Where to print with rich: as wide as the terminal; elsewhere without wrapping, cutting or colours."""
    from rich.console import Console

    if is_terminal(stderr=stderr):
        return Console(stderr=stderr, highlight=False, emoji=False)
    return Console(
        stderr=stderr, highlight=False, emoji=False, width=_UNBROKEN, force_terminal=False, color_system=None
    )


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]], whole: int = 0) -> None:
    """A table; where its lines go to a program, each row is one line.

    Args:
        whole: how many of the first columns are never broken on a terminal either, such as ids.
    """
    names = list(head)
    lines = [[one_line(cell) for cell in row] for row in rows]
    if not is_terminal():
        _print_lines([names, *lines])
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(escape(name), no_wrap=place < whole, overflow="fold")
    for line in lines:
        table.add_row(*map(escape, line))
    console().print(table)


def _print_lines(lines: list[list[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
