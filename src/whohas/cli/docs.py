"""`whohas docs`: list the pages of the documentation, and print one; a wheel contains them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from whohas.cli.options import OutputFormat, OutputOption
from whohas.cli.printing import Column, print_list
from whohas.cli.terminal import console, is_terminal
from whohas.errors import NotFound

_FOLDERS = ("", "how-to", "reference", "explanation")


@cache
def pages() -> dict[str, Path]:
    """Return the file of each page by its name, such as `load`.

    They are in the package, or in the folder `docs` of a clone from which whohas is installed as editable.
    """
    package = Path(str(files("whohas")))
    root = next(
        (folder for folder in (package / "pages", package.parents[1] / "docs") if (folder / "how-to").is_dir()), None
    )
    if root is None:
        return {}
    found = (path for folder in _FOLDERS for path in sorted((root / folder).glob("*.md")))
    return {path.stem: path for path in found if not path.stem.endswith(".in") and path.stem != "index"}


def _complete(incomplete: str) -> list[tuple[str, str]]:
    return [(name, _title(name)) for name in pages() if name.startswith(incomplete)]


def docs(
    page: Annotated[
        str | None,
        typer.Argument(metavar="PAGE", help="Its name; without one, all are listed.", autocompletion=_complete),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print a page of the documentation of this version, or list the pages.

    Examples:
        whohas docs
        whohas docs own-data
        whohas docs load
        whohas docs search
    """
    if page is None:
        columns: tuple[Column[str], ...] = (
            Column("page", "Page", lambda name: name, is_key=True),
            Column("title", "Title", _title, is_key=True),
        )
        print_list(output, list(pages()), columns, empty="This installation has no pages.")
        return
    from whohas.hints import did_you_mean

    name = page.removesuffix(".md").rpartition("/")[2]
    if name not in pages():
        raise NotFound(f"There is no page {page!r}.{did_you_mean(page, pages())} `whohas docs` lists the pages.")
    text = without_front_matter(pages()[name].read_text(encoding="utf-8"))
    if is_terminal():
        from rich.markdown import Markdown

        console().print(Markdown(text))
    else:
        print(text, end="")


def without_front_matter(text: str) -> str:
    """Return a page without the settings of the documentation site, which it may have between two lines `---`."""
    if not text.startswith("---\n"):
        return text
    _, separator, page = text.removeprefix("---\n").partition("\n---\n")
    return page.lstrip("\n") if separator else text


def _title(name: str) -> str:
    """Return the heading of a page; its name if it has none."""
    lines = without_front_matter(pages()[name].read_text(encoding="utf-8")).splitlines()
    return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), name)
