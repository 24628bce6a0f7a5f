"""`whohas map`: propose a TOML mapping for data files of your own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def map_files(
    files: Annotated[list[Path], typer.Argument(help="CSV, XLSX or Parquet files of one system.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The source's name; default: from the file's name.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the mapping; default: standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that -o names.")] = False,
) -> None:
    """Propose a mapping for your own files, with the reason of each line; `whohas docs own-data` is a guide.

    Examples:
        whohas map payroll.xlsx
        whohas map accounts.csv groups.csv --name Payroll -o payroll.toml
    """
    from whohas.errors import InvalidArguments
    from whohas.ingest.proposals import SeveralSystems, propose

    if output is not None and output.suffix.lower() != ".toml":
        raise typer.BadParameter(
            f"{output} must end in .toml, because whohas load recognises mappings by this extension.", param_hint="-o"
        )
    if output is not None and output.exists() and not force:
        raise typer.BadParameter(f"{output} is there already. Choose another name, or give --force.", param_hint="-o")
    if name is not None and not name.strip():
        raise typer.BadParameter("The source's name is empty.", param_hint="--name")
    try:
        found = propose(files, name, output)
    except SeveralSystems as error:
        raise typer.BadParameter(error.message, param_hint="FILE") from None
    for note in found.notes:
        print(f"Note: {note}", file=sys.stderr)
    if output is None:
        print(found.text, end="")
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(found.text)
    except FileExistsError:
        raise typer.BadParameter(
            f"{output} is there already. Choose another name, or give --force.", param_hint="-o"
        ) from None
    except OSError as error:
        raise InvalidArguments(f"{output} cannot be written: {error.strerror or error}.") from None
    print(f"{output} is written. Read it, then: whohas load {output} --check")
