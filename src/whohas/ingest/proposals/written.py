"""Write a proposal as TOML text, each line with its reason as a comment."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | bool | int | Sequence[str] | Mapping[str, "Value"]

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_LINE = 100
"""The width of comment lines. A reason stands behind its line if both fit into 20 characters more, else above it."""


@dataclass(frozen=True, slots=True)
class TomlLine:
    """A line of TOML: a key, its value and the reason for it, which becomes a comment."""

    key: str
    value: Value
    why: str = ""


@dataclass(slots=True)
class TomlSection:
    """A TOML table with comments below its header. Without lines, only the comments are written, without the header."""

    name: str
    lines: list[TomlLine] = field(default_factory=list[TomlLine])
    comments: list[str] = field(default_factory=list[str])

    def add(self, key: str, value: Value, why: str = "") -> None:
        """Append a line."""
        self.lines.append(TomlLine(key, value, why))


def named_columns(*sections: TomlSection) -> set[str]:
    """Return the names of the file's columns that are values of lines, alone or as `{ column = … }`."""
    found: set[str] = set()
    for line in (line for section in sections for line in section.lines):
        value = line.value["column"] if isinstance(line.value, Mapping) else line.value
        if isinstance(value, str):
            found.add(value)
    return found


def toml_text(head: Sequence[str], sections: Sequence[TomlSection], tail: Sequence[str]) -> str:
    """Return the sections as TOML text.

    Args:
        head: paragraphs of comments before the sections.
        sections: the sections; those without lines and comments are left out.
        tail: paragraphs of comments after the sections.
    """
    out = [_comment(text) for text in head]
    for section in sections:
        if not section.lines and not section.comments:
            continue
        out.append("")
        if section.lines:
            out.append(f"[{section.name}]")
        out += [_comment(text) for text in section.comments]
        width = min(44, max((len(_assigned(line)) for line in section.lines), default=0))
        for line in section.lines:
            assigned = _assigned(line)
            behind = f"{assigned:<{width}}  # {printable(line.why)}"
            if not line.why:
                out.append(assigned)
            elif len(behind) <= _LINE + 20:
                out.append(behind)
            else:
                out += [_comment(line.why), assigned]
    out += ["", *(_comment(text) for text in tail)]
    return "\n".join(out) + "\n"


def printable(text: str) -> str:
    """Return the text with blanks for line breaks and control characters, which a TOML comment must not contain."""
    return "".join(c if c.isprintable() else " " for c in text)


def toml_value(value: Value) -> str:
    """Return a value in TOML syntax."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # JSON's escapes are valid in TOML, but TOML also requires an escape for DEL (U+007F).
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {toml_value(item)}" for name, item in value.items()) + " }"
    return "[" + ", ".join(toml_value(item) for item in value) + "]"


def _assigned(line: TomlLine) -> str:
    return f"{_key(line.key)} = {toml_value(line.value)}"


def _key(name: str) -> str:
    return name if name and set(name) <= _BARE else toml_value(name)


def _comment(reason: str) -> str:
    lines = textwrap.wrap(printable(reason), _LINE, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(f"# {line}".rstrip() for line in lines)
