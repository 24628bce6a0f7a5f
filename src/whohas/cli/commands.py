"""Groups of commands whose `--help` ends with examples, which are the section `Examples:` of a command's docstring."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_HEADING = "\n\nExamples:\n"


class Command(TyperCommand):
    """A command that prints its examples, one a line as they can be copied, below its options.

    Attributes:
        examples: the examples, each beginning with `whohas`.
    """

    def __init__(self, name: str | None, *, help: str | None = None, **more: Any) -> None:
        text, _, examples = (help or "").partition(_HEADING)
        super().__init__(name, help=text, **more)
        self.examples = tuple(textwrap.dedent(examples).strip().splitlines())

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and then the examples."""
        super().format_help(ctx, formatter)
        if not self.examples:
            return
        lines = "".join(f"  {example}\n" for example in self.examples)
        if self.rich_markup_mode is None:
            formatter.write(f"\nExamples:\n{lines}")
        else:  # Typer has printed the help already, and boxes would break long examples
            print(f" Examples:\n{textwrap.indent(lines, ' ')}")


class DefaultGroup(TyperGroup):
    """A group with the default subcommands `list` and `show`.

    Without a subcommand it is `list`; a first word that names no subcommand is the argument of `show`::

        whohas reports -o json     # whohas reports list -o json
        whohas reports ACCOUNTS    # whohas reports show ACCOUNTS
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line after the name of the group."""
        if not ctx.resilient_parsing:  # the shell completes the words as they are
            if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
                args = ["list", *args]
            elif not args[0].startswith("-") and args[0] not in self.commands:
                args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the completions of a word: subcommands and arguments of `show`."""
        found = super().shell_complete(ctx, incomplete)
        for parameter in self.commands["show"].params:
            if parameter.param_type_name == "argument":
                found += parameter.shell_complete(ctx, incomplete)
        return found


class Commands(typer.Typer):
    """A group of commands with examples."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that registers a function as a command; see `typer.Typer.command`."""
        options.setdefault("cls", Command)
        return super().command(name, **options)
