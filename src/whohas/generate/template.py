"""Documents as templates: the shape is written once, and every line is filled in from columns.

A shape is a dictionary as `json.dumps` takes it, with slots where the values differ from line to line. Lines
are made by joining fixed and filled pieces, so no Python code runs for a single document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from types import MappingProxyType
from typing import cast

Columns = Mapping[str, Sequence[str]]
"""A column's name to its values, one for each number of the chunk."""


@dataclass(frozen=True, slots=True)
class Text:
    """A slot for text: the column holds it escaped, without its quotes."""

    column: str


@dataclass(frozen=True, slots=True)
class Value:
    """A slot for any JSON value; alone in a list: for its elements, separated by commas."""

    column: str


@dataclass(frozen=True, slots=True)
class Members:
    """A slot for members that only some documents have: each with a comma before it, or nothing.

    It cannot come first in its object; its key in the shape does not matter.
    """

    column: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """As `Value`, where the column is UTF-8 already: for large values that repeat."""

    column: str


@dataclass(frozen=True, slots=True)
class Template:
    """A shape made ready: runs of text with slots, and between them the slots for what is encoded already."""

    runs: tuple[_Run, ...]
    between: tuple[str, ...]

    @classmethod
    def of(cls, shape: Mapping[str, object]) -> Template:
        runs: list[tuple[list[str], list[str]]] = [([""], [])]
        between: list[str] = []
        for piece in _pieces(shape):
            fixed, slots = runs[-1]
            match piece:
                case str():
                    fixed[-1] += piece
                case Encoded():
                    between.append(piece.column)
                    runs.append(([""], []))
                case _:
                    slots.append(piece.column)
                    fixed.append("")
        return cls(tuple(_Run(tuple(fixed), tuple(slots)) for fixed, slots in runs), tuple(between))

    def lines(
        self,
        columns: Columns,
        where: Sequence[bool] | None = None,
        encoded: Mapping[str, Sequence[bytes]] = MappingProxyType({}),
    ) -> Iterator[bytes]:
        """One document for each value, or for those at which `where` is true."""
        first, *others = (run.lines(columns, where) for run in self.runs)
        if not others:
            return first
        parts: list[Iterable[bytes]] = [first]
        for name, run in zip(self.between, others, strict=True):
            parts += [encoded[name] if where is None else compress(encoded[name], where), run]
        return map(b"".join, zip(*parts, strict=True))


@dataclass(frozen=True, slots=True)
class _Run:
    """Text with slots.

    Attributes:
        fixed: the text before, between and after the slots.
        columns: the column of each slot, in order.
    """

    fixed: tuple[str, ...]
    columns: tuple[str, ...]

    def lines(self, columns: Columns, where: Sequence[bool] | None) -> Iterator[bytes]:
        pieces: list[Iterable[str]] = []
        for before, name in zip(self.fixed, self.columns, strict=False):
            pieces += [repeat(before), columns[name]]
        rows: Iterable[tuple[str, ...]] = zip(*pieces, repeat(self.fixed[-1]), strict=False)
        return map(str.encode, map("".join, rows if where is None else compress(rows, where)))


def _pieces(shape: object) -> Iterator[str | Value | Members | Encoded]:
    match shape:
        case Text(column):
            yield '"'
            yield Value(column)
            yield '"'
        case Value() | Members() | Encoded():
            yield shape
        case dict():
            yield "{"
            for place, (key, value) in enumerate(cast("dict[str, object]", shape).items()):
                if not isinstance(value, Members):
                    yield ("," if place else "") + encoded(key) + ":"
                yield from _pieces(value)
            yield "}"
        case list():
            yield "["
            for place, value in enumerate(cast("list[object]", shape)):
                yield "," if place else ""
                yield from _pieces(value)
            yield "]"
        case _:
            yield encoded(shape)


def encoded(value: object) -> str:
    """A value as compact JSON, in its own script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def escaped(text: str) -> str:
    """Text as it stands between the quotes of a JSON string."""
    return encoded(text)[1:-1]
