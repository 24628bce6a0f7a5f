"""`whohas completion`: print the script by which a shell completes commands, options and values.

The scripts for zsh and fish are Typer's own. bash breaks words at `=`, and replaces only the part behind it::

    whohas run ACCOUNTS --arg sourceName=Act      COMP_WORDS: … --arg, sourceName, =, Act
                                                  whohas is asked for the word sourceName=Act
                                                  it answers sourceName=Active Directory
                                                  bash gets Active\\ Directory in place of Act
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Annotated

import typer

_PROGRAM = "whohas"
VARIABLE = "_WHOHAS_COMPLETE"
"""The environment variable by which the script of a shell asks this program for completions."""


_BASH = """\
_whohas_completion() {
    local IFS=$'\\n' word=${COMP_WORDS[COMP_CWORD]} i
    mapfile -t COMPREPLY < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD VARIABLE=complete_bash "$1")
    if [[ $word == = || ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then
        COMPREPLY=( "${COMPREPLY[@]#*=}" )
    fi
    for i in "${!COMPREPLY[@]}"; do
        if [[ -z ${COMPREPLY[i]} ]]; then
            unset "COMPREPLY[i]"
        elif [[ $word != [\\"\\']* && ${COMPREPLY[i]} == *[^[:alnum:]_.,:=/@%+-]* ]]; then
            printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}"
        fi
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2> /dev/null  # fails where a function calls this one
    fi
}
complete -o default -F _whohas_completion whohas
""".replace("VARIABLE", VARIABLE)


class Shell(StrEnum):
    """A shell for which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]
) -> None:
    """Print the script that makes a shell complete commands, options, reports, arguments, sources, runs and profiles.

    bash: add `source <(whohas completion bash)` to ~/.bashrc. zsh: add `source <(whohas completion zsh)` to ~/.zshrc,
    below compinit. fish: write the script to ~/.config/fish/completions/whohas.fish.

    Examples:
        whohas completion bash
        whohas completion zsh
        whohas completion fish
    """
    from typer.completion import shell_complete

    if shell is Shell.BASH:
        print(_BASH, end="")
        return
    _register_shells()
    shell_complete(context.find_root().command, {}, _PROGRAM, VARIABLE, f"source_{shell}")


def prepare_completion() -> None:
    """Register Typer's shells if a shell asks for completions; otherwise do nothing."""
    if os.environ.get(VARIABLE):
        if os.environ[VARIABLE] == "complete_bash":
            _join_words(os.environ)
        _register_shells()


def _join_words(environ: MutableMapping[str, str]) -> None:
    """Join the words that bash broke at `=` in the variables COMP_WORDS, one word a line, and COMP_CWORD."""
    words, current = environ.get("COMP_WORDS", "").split("\n"), int(environ.get("COMP_CWORD", 0))
    joined: list[str] = []
    position = 0
    for number, word in enumerate(words):
        follows = number >= 2 and words[number - 1] == "="
        # `--arg name=`: bash also breaks before the `=`; a word that begins the command line is kept
        if joined and number >= 2 and (word == "=" or follows):
            joined[-1] += word
        else:
            joined.append(word)
        if number == current:
            position = len(joined) - 1
    environ["COMP_WORDS"], environ["COMP_CWORD"] = "\n".join(joined), str(position)


def _register_shells() -> None:
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()  # registers them, as `add_completion` of an app would, without its two options
