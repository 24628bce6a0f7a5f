"""Headings of groups in a readable report, such as a person above the rows of the person's accounts.

A heading has the title of the group in bold, and below it the other values that all its rows share, as `Label: value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whohas.engine.statement import ResultColumn, group_title
from whohas.formats.display import compute, display_texts
from whohas.formats.pdf.typesetter import ShapedColumn, Typesetter
from whohas.formats.readable import ColumnChoice

_NO_TITLE = "(none)"
_CONTINUED = " (continued)"
_BETWEEN = "  ·  "


def heading_places(choice: ColumnChoice, group: str) -> tuple[int, ...]:
    """Return the columns of the headings, as indexes into the columns of the extract, that of the title first.

    They are the columns of the section of the group column. None if there are no groups, or if no other column is
    shown.

    Args:
        choice: the columns that the file shows.
        group: the name of the column that identifies a group; empty for no groups.
    """
    names = [column.name for column in choice.columns]
    title = group_title(choice.columns, group)
    if not title or names.index(title) not in choice.shown:
        return ()
    first = names.index(title)
    section = choice.columns[first].section
    others = (place for place in choice.shown if section and choice.columns[place].section == section)
    places = tuple(dict.fromkeys((first, *others)))
    return places if len(places) < len(choice.shown) else ()


@dataclass(frozen=True, slots=True)
class Headings:
    """The headings of the groups that begin in a batch.

    Attributes:
        rows: the first row of each group, as indexes into the batch.
        names: the titles as texts.
        titles: the titles, typeset.
        facts: the other values, typeset; a heading without any has no lines.
        continued: the titles for the next page, if a group continues there.
    """

    rows: np.ndarray
    names: Sequence[str]
    titles: ShapedColumn
    facts: ShapedColumn
    continued: ShapedColumn


@dataclass(frozen=True, slots=True)
class HeadingPieces:
    """Headings, of which those with very many lines are divided into several pieces.

    Attributes:
        headings: the heading that each piece belongs to, as an index.
        first: whether each piece is the first of its heading.
        titles: the cells of the titles; `title_lines` has their number of lines.
        facts: the cells of the other values; `fact_lines` has their number of lines, 0 for none.
    """

    headings: np.ndarray
    first: np.ndarray
    titles: pa.BinaryArray
    title_lines: np.ndarray
    facts: pa.BinaryArray
    fact_lines: np.ndarray

    @property
    def lines(self) -> np.ndarray:
        """The number of lines of each piece."""
        return self.title_lines + self.fact_lines


def heading_pieces(headings: Headings, most: int, setter: Typesetter) -> HeadingPieces:
    """Return the pieces of headings, none of which has more than `most` lines.

    Example: with at most 30 lines, a title of one line and values of 70 lines become pieces of 1, 30, 30 and 10 lines.
    """
    title_lines, fact_lines = _lines(headings.titles), _lines(headings.facts)
    count = len(headings.rows)
    if not count or int((title_lines + fact_lines).max()) <= most:
        numbers = np.arange(count)
        cells = headings.titles.cells, headings.facts.cells
        return HeadingPieces(numbers, np.ones(count, bool), cells[0], title_lines, cells[1], fact_lines)
    pieces: list[tuple[int, bool, bytes, int, bytes, int]] = []
    for number, (title, fact) in enumerate(
        zip(headings.titles.cells.to_pylist(), headings.facts.cells.to_pylist(), strict=True)
    ):
        of_title, of_facts = int(title_lines[number]), int(fact_lines[number])
        if of_title + of_facts <= most:
            pieces.append((number, True, title, of_title, fact, of_facts))
            continue
        for place, (cell, lines) in enumerate(_divided(title, of_title, most, setter)):
            pieces.append((number, not place, cell, lines, b"", 0))
        pieces += [(number, False, b"", 0, cell, lines) for cell, lines in _divided(fact, of_facts, most, setter)]
    numbers, first, titles, title_counts, facts, fact_counts = zip(*pieces, strict=True)
    return HeadingPieces(
        np.array(numbers),
        np.array(first),
        pa.array(titles, pa.binary()),
        np.array(title_counts),
        pa.array(facts, pa.binary()),
        np.array(fact_counts),
    )


def _divided(cell: bytes, count: int, most: int, setter: Typesetter) -> list[tuple[bytes, int]]:
    """Return a cell of `count` lines in pieces of at most `most` lines, each with its number of lines."""
    if count <= most:
        return [(cell, count)] if count else []
    lines = setter.split_cell(cell)
    pieces = (lines[start : start + most] for start in range(0, count, most))
    return [(setter.join_lines(some), len(some)) for some in pieces]


class HeadingTypesetter:
    """Finds where groups begin, batch after batch, and typesets their headings.

    A group begins wherever a value of its heading or of its group column changes, so that no row stands below a heading
    with other values, even if the rows are not sorted.

    Args:
        columns: the columns of the heading, named by their labels, that of the title first.
        places: the index of each of them in a batch, behind those of the columns of the rows.
        group: the index of the group column in a batch.
        zone: the IANA time zone of times.
        room: maximum width of a line, in thousandths of an em.
        nothing: what a heading says if the first row of its group has no value, such as `No account`.
    """

    def __init__(
        self,
        columns: Sequence[ResultColumn],
        places: Sequence[int],
        group: int,
        zone: str,
        room: int,
        bold: Typesetter,
        regular: Typesetter,
        nothing: str,
    ) -> None:
        self._nothing = nothing
        self._columns = list(zip(columns, places, strict=True))
        self._compared = tuple(dict.fromkeys((*places, group)))
        self._zone, self._room = zone, room
        self._bold, self._regular = bold, regular
        self._last: list[object] | None = None

    def typeset(self, batch: pa.RecordBatch) -> Headings:
        """Return the headings of the groups that begin in a batch; at least one row is needed."""
        rows = self._beginnings(batch)
        taken = pa.array(rows)
        texts = [
            display_texts(batch.column(place).take(taken), column.type, self._zone, readable=True)
            for column, place in self._columns
        ]
        names = compute.if_else(compute.equal(texts[0], ""), _NO_TITLE, texts[0])
        facts = self._facts([*texts[1:], self._without_values(batch, taken)])
        shaped = self._regular.shape(facts, self._room)
        lines = np.where(np.asarray(compute.equal(facts, "")), 0, _lines(shaped))
        titles = self._bold.shape(names, self._room)
        return Headings(rows, names.to_pylist(), titles, ShapedColumn(shaped.cells, lines), self._continued(names))

    def _without_values(self, batch: pa.RecordBatch, rows: pa.Array) -> pa.StringArray:
        """Return `nothing` for each of some rows that has no value in any column, and an empty text for others."""
        empty = np.ones(len(rows), bool)
        for place in range(self._columns[0][1]):
            if not empty.any():
                break
            column = batch.column(place).take(rows)
            found = column.is_valid()
            if pa.types.is_list(column.type):
                found = compute.greater(compute.list_value_length(column), 0).fill_null(False)
            elif pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
                found = compute.not_equal(column.cast(pa.string()), "").fill_null(False)
            empty &= ~np.asarray(found)
        return compute.if_else(pa.array(empty), self._nothing, "")

    def _facts(self, texts: Sequence[pa.StringArray]) -> pa.StringArray:
        """Return the values of each heading after its title; empty ones are left out. The last ones have no label."""
        labels = [*(f"{column.name}: " for column, _ in self._columns[1:]), ""]
        labelled = [
            compute.if_else(
                compute.equal(values, ""),
                "",
                compute.binary_join_element_wise(f"{_BETWEEN}{label}", values, ""),
            )
            for label, values in zip(labels, texts, strict=True)
        ]
        return compute.utf8_slice_codeunits(compute.binary_join_element_wise(*labelled, ""), len(_BETWEEN))

    def _continued(self, names: pa.StringArray) -> ShapedColumn:
        shaper, suffix = self._bold.shaper, _CONTINUED
        texts = compute.binary_join_element_wise(names, suffix, "")
        several = compute.match_substring_regex(names, "[[:cntrl:]\u0085\u2028\u2029]")
        wide = np.flatnonzero((self._bold.widths(texts) > self._room) | np.asarray(several))
        if wide.size:
            cut = texts.to_pylist()
            room = self._room - shaper.width(suffix)
            for place in wide.tolist():
                cut[place] = shaper.truncated(names[place].as_py(), room) + suffix
            texts = pa.array(cut, pa.string())
        return self._bold.shape(texts, self._room)

    def _beginnings(self, batch: pa.RecordBatch) -> np.ndarray:
        count = batch.num_rows
        begins = np.zeros(count, bool)
        last: list[object] = []
        first: list[object] = []
        for place in self._compared:
            column = batch.column(place)
            first.append(column[0].as_py())
            last.append(column[count - 1].as_py())
            begins[1:] |= _changes(column)
        begins[0] = first != self._last
        self._last = last
        return np.flatnonzero(begins)


def _changes(column: pa.Array) -> np.ndarray:
    """Return a boolean for each row but the first: whether its value differs from that of the row before it."""
    if isinstance(column, pa.DictionaryArray):
        column = column.indices
    elif pa.types.is_list(column.type):
        column = display_texts(column, "texts", "UTC")
    this, before = column.slice(1), column.slice(0, len(column) - 1)
    changes = np.asarray(compute.not_equal(this, before).fill_null(False))
    if column.null_count:
        changes = changes | (np.asarray(this.is_null()) != np.asarray(before.is_null()))
    return changes


def _lines(shaped: ShapedColumn) -> np.ndarray:
    return np.ones(len(shaped.cells), np.int64) if shaped.lines is None else shaped.lines
