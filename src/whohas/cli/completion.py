"""`whohas completion`: print the script by which a shell completes commands, options and values; it is Typer's own."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

_PROGRAM = "whohas"
VARIABLE = "_WHOHAS_COMPLETE"
"""The environment variable by which the script of a shell asks this program for completions."""


class Shell(StrEnum):
    """A shell for which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]
) -> None:
    """Print the script that makes a shell complete commands, options, reports, formats and profiles.

    bash: add `source <(whohas completion bash)` to ~/.bashrc. zsh: add `source <(whohas completion zsh)` to ~/.zshrc,
    below compinit. fish: write the script to ~/.config/fish/completions/whohas.fish.

    Examples:
        whohas completion bash
        whohas completion zsh
        whohas completion fish
    """
    from typer.completion import shell_complete

    _register_shells()
    shell_complete(context.find_root().command, {}, _PROGRAM, VARIABLE, f"source_{shell}")


def prepare_completion() -> None:
    """Register Typer's shells if a shell asks for completions; otherwise do nothing."""
    if os.environ.get(VARIABLE):
        _register_shells()


def _register_shells() -> None:
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()  # registers them, as `add_completion` of an app would, without its two options
