"""Text from outside, on a terminal."""

from collections.abc import Iterable


def plain(text: str) -> str:
    """A text without what a terminal would obey; its line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table; as wide as the terminal, or as a wide one where its lines go to a program."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    Console(width=None if Console().is_terminal else 240, markup=False, highlight=False).print(table)
