"""`whohas generate`: write test data, the files of a fictional organization."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from whohas.cli.terminal import console, is_terminal
from whohas.errors import InvalidArguments


def generate(
    folder: Annotated[Path, typer.Argument(help="The folder for the files; created if it is missing.")],
    identities: Annotated[int, typer.Option(help="How many people the organization has.")] = 300,
    seed: Annotated[int, typer.Option(help="Chooses the organization: the same seed, the same files.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Write a fictional organization: identities, accounts, access, events, and a CSV export to map.

    Examples:
        whohas generate acme
        whohas generate large --identities 100000 --seed 7
    """
    if identities < 1:
        raise InvalidArguments(f"--identities must be at least 1, not {identities}")
    if seed < 0:
        raise InvalidArguments(f"--seed must be at least 0, not {seed}")
    if folder.exists() and not folder.is_dir():
        raise InvalidArguments(f"{folder} is a file; name a folder")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise InvalidArguments(f"{folder} is not empty; name another folder, or give --force to write into it")

    from whohas import generate as organization

    with _progress(identities) as progress:
        summary = organization.generate(folder, identities, seed, progress)
    for name, count in summary.rows():
        typer.echo(f"{count:>12,}  {name}")
    for source in summary.by_source:
        typer.echo(f"{source.accounts:>12,}  accounts of {source.name}, {source.uncorrelated:,} of them uncorrelated")


@contextmanager
def _progress(total: int) -> Generator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not is_terminal(stderr=True)) as bar:
        task = bar.add_task("identities", total=total)
        yield lambda done: bar.update(task, completed=done)
