"""Help of commands: examples that can be run, options that all commands share, and pages that are there."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from whohas.cli import app
from whohas.cli.commands import DefaultGroup
from whohas.cli.docs import pages

ROOT = Path(__file__).parents[2]
LISTS = ("runs", "holds", "sweep", "search", "show", "replay", "load", "docs")
"""Commands that print a list or an object, besides those named `list`, `show`, `status` and `verify` of groups."""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in command.commands.items():
        if getattr(one, "commands", None):
            yield from commands(one, (*path, name))
        else:
            yield (*path, name), one


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_examples_of_itself(path: tuple[str, ...]) -> None:
    examples = COMMANDS[path].examples
    assert examples
    shown = [shlex.split(example)[1 : 1 + len(path)] for example in examples]
    group = path == ("reports", "show") or path == ("reports", "list")
    assert all(words == list(path) or group for words in shown), examples


@pytest.mark.parametrize(
    "example", [example for command in COMMANDS.values() for example in command.examples], ids=lambda example: example
)
def test_each_example_parses(example: str) -> None:
    program, *words = shlex.split(example)
    command = get_command(app)
    while getattr(command, "commands", None):
        if isinstance(command, DefaultGroup) and (not words or words[0] not in command.commands):
            words = ["show" if words else "list", *words]
        command = command.commands[words.pop(0)]
    context = command.make_context(program, words)  # fails for an unknown option, or a value of another type
    assert not context.args


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_ends_with_the_examples(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    before, _, examples = shown.output.partition("Examples:\n")
    assert tuple(line.strip() for line in examples.strip().splitlines()) == COMMANDS[path].examples
    assert "Examples" not in before and "Options" in before


@pytest.mark.parametrize("path", [(), ("schedule",), *COMMANDS], ids=" ".join)
def test_the_short_option_prints_the_same_help(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(app, [*path, option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)


@pytest.mark.parametrize(
    "path",
    [path for path in COMMANDS if path[-1] in ("list", "show", "status", "verify") or path[0] in LISTS],
    ids=" ".join,
)
def test_lists_and_objects_have_an_output_format(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"]).output
    assert "-o, --output <table|json|csv>" in shown


NO_INSTALLATION = {("generate",), ("map",), ("docs",), ("completion",)}


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - NO_INSTALLATION), ids=" ".join)
def test_each_command_knows_the_options_of_installations(path: tuple[str, ...]) -> None:
    options = {name for one in COMMANDS[path].params for name in one.opts}
    assert {"--server", "--profile", "--local", "--quiet", "-q"} <= options


def texts() -> Iterator[tuple[str, str]]:
    """Yield each text of the sources that is no docstring, with its place."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text())
        expressions = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in expressions:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_no_message_names_a_file_of_the_repository() -> None:
    assert not [place for place, text in texts() if re.search(r"\bdocs/[\w./-]+\.md|(?<!\w)how-to/", text)]


@pytest.mark.parametrize("page", sorted(pages()))
def test_each_page_has_a_title_and_no_settings_of_the_site(page: str) -> None:
    text = CliRunner().invoke(app, ["docs", page]).output
    title = text.splitlines()[0]
    assert title.startswith("# ")
    listed = CliRunner().invoke(app, ["docs", "-o", "csv"]).output
    assert title.removeprefix("# ") in listed.replace('"', "")


def test_pages_that_messages_name_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"whohas docs ([a-z-]+)", sources))
    assert {"load", "own-data"} <= named
    assert named <= pages().keys()
