"""Templates of JSON documents that are filled from columns of text, one line for each document.

A template is made from a shape: a dictionary as for `json.dumps`, with slots for values that differ between lines. The
lines are joined from fixed and varying pieces by `zip` and `join`, so that no Python code runs for each document.

Example: the shape `{"id": TextSlot("id"), "big": True}` with the column `id` = ["a", "b"] gives the lines
`{"id":"a","big":true}` and `{"id":"b","big":true}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from types import MappingProxyType
from typing import cast

Columns = Mapping[str, Sequence[str]]
"""The values of each column by its name, one for each document of a chunk."""


@dataclass(frozen=True, slots=True)
class TextSlot:
    """A slot for a JSON string. The column has it escaped, without the quotes."""

    column: str


@dataclass(frozen=True, slots=True)
class ValueSlot:
    """A slot for any JSON value; as the only element of a list: for all its elements, separated by commas."""

    column: str


@dataclass(frozen=True, slots=True)
class MembersSlot:
    """A slot for object members that only some documents have.

    The column has `,"key":value` for each member, or an empty text. The slot must not be the first in its object; its
    own key in the shape is not written.
    """

    column: str


@dataclass(frozen=True, slots=True)
class EncodedSlot:
    """A slot like `ValueSlot` whose column has bytes in UTF-8: for large values that repeat, encoded once."""

    column: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template of a document: runs of text with slots, and between the runs the slots of type `EncodedSlot`.

    Attributes:
        runs: the runs, one more than `between`.
        encoded_columns: the name of the column of each `EncodedSlot` slot.
    """

    runs: tuple[_Run, ...]
    encoded_columns: tuple[str, ...]

    @classmethod
    def of(cls, shape: Mapping[str, object]) -> Template:
        """Return the template of a shape."""
        runs: list[tuple[list[str], list[str]]] = [([""], [])]
        between: list[str] = []
        for piece in _pieces(shape):
            fixed, slots = runs[-1]
            match piece:
                case str():
                    fixed[-1] += piece
                case EncodedSlot():
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
        """Return the documents as lines in UTF-8, without line breaks.

        Args:
            columns: the columns of text.
            where: write only the documents for which this is true; None for all.
            encoded: the columns of `EncodedSlot` slots.
        """
        first, *others = (run.lines(columns, where) for run in self.runs)
        if not others:
            return first
        parts: list[Iterable[bytes]] = [first]
        for name, run in zip(self.encoded_columns, others, strict=True):
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


def _pieces(shape: object) -> Iterator[str | ValueSlot | MembersSlot | EncodedSlot]:
    match shape:
        case TextSlot(column):
            yield '"'
            yield ValueSlot(column)
            yield '"'
        case ValueSlot() | MembersSlot() | EncodedSlot():
            yield shape
        case dict():
            yield "{"
            for index, (key, value) in enumerate(cast("dict[str, object]", shape).items()):
                if not isinstance(value, MembersSlot):
                    yield ("," if index else "") + compact_json(key) + ":"
                yield from _pieces(value)
            yield "}"
        case list():
            yield "["
            for index, value in enumerate(cast("list[object]", shape)):
                yield "," if index else ""
                yield from _pieces(value)
            yield "]"
        case _:
            yield compact_json(shape)


def compact_json(value: object) -> str:
    """Return a value as compact JSON; letters outside ASCII are not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_escaped(text: str) -> str:
    """Return a text as it is written between the quotes of a JSON string."""
    return compact_json(text)[1:-1]
