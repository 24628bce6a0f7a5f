"""Commands, options and settings that the documentation names are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from whohas.cli import app
from whohas.cli.commands import DefaultGroup
from whohas.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "adr" not in path.parts)]
NO_SETTINGS = {"WHOHAS_CONFIG"}
"""Variables that are read before the settings."""
_COMMAND = r"(?:^(?:\w+=\S+ )*|(?:&&|;) |/bin/|exec whohas )whohas +(?=[a-z-])(.*)"
"""A command at the start of a line, after variables, another command or a path, or in a container."""


def lines(page: str) -> Iterator[tuple[str, bool]]:
    """Yield each line of the blocks of a page, and each span of code; and whether it is of a block."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").partition(" #")[0], True
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)):
        yield span, False


def commands(page: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the words after `whohas` of each command of a page, and whether it is of a block."""
    for line, in_block in lines(page):
        if not (found := re.search(_COMMAND, line)):
            continue
        # what follows a pipe or is redirected is no argument
        try:
            words = shlex.split(re.split(r" (?:\||&&|\d?>|<|;)", found[1])[0])
        except ValueError:
            continue
        yield words, in_block


@cache
def program() -> Any:
    return get_command(app)


def fault(words: list[str], in_block: bool) -> str:
    """Return what is wrong with a command, or nothing."""
    command, words = program(), list(words)
    while words and getattr(command, "commands", None) and not words[0].startswith("-"):
        if words[0] not in command.commands and isinstance(command, DefaultGroup):
            command = command.commands["show"]
            break
        if words[0] not in command.commands:
            return f"there is no command {words[0]}"
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if getattr(command, "commands", None) and in_block and not words and not isinstance(command, DefaultGroup):
        return "a command of the group is missing"
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in {*options, "--help"}]
    return f"unknown options: {unknown}" if unknown else ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_options_of_a_page_exist(path: Path) -> None:
    found = [(words, fault(words, in_block)) for words, in_block in commands(path.read_text())]
    assert not [(" ".join(words), text) for words, text in found if text]


def test_the_pages_have_many_commands() -> None:
    assert sum(1 for path in PAGES for _ in commands(path.read_text())) > 150


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_of_a_page_exist(path: Path) -> None:
    known = {f"WHOHAS_{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    assert set(re.findall(r"\bWHOHAS_[A-Z_]+[A-Z]\b", path.read_text())) <= known


def test_a_command_that_is_not_there_is_found() -> None:
    assert fault(["report", "list"], True) and fault(["run", "ACCOUNTS", "--nothing"], False)
    assert fault(["schedule"], True) and not fault(["schedule"], False)
    assert not fault(["reports"], True) and not fault(["reports", "ACCOUNTS"], True)
    assert not fault(["run", "ACCOUNTS", "--arg", "sourceName=x", "-o", "a.csv"], True)
