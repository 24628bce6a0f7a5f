"""The choice of columns of files for people: which a file shows, under which headings, and which it leaves out and why.

PDF, XLSX and HTML share it, so that all files of a run leave out the same columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, WriteOptions

compute: Any = pyarrow.compute
"""Untyped: `pyarrow.compute` creates its functions at import, so type checkers do not know them."""

_BATCH_ROWS: Final = 1 << 14
"""Number of rows that are read at once in search of a value."""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """The columns of a file for people, as indexes into the columns of its extract.

    Attributes:
        columns: the columns of the extract.
        shown: the columns that the file shows, in their order; at least one if the extract has any.
        ids: the columns that are left out because they are ids.
        empty: the columns that are left out because none of their cells has a value.
        details: the columns that are left out because a reader of a page can do without them; an XLSX has them.
        labels: whether headings are labels; they are technical names if not.
    """

    columns: tuple[ResultColumn, ...]
    shown: tuple[int, ...]
    ids: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()
    details: tuple[int, ...] = ()
    labels: bool = False

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings of the columns that are shown, in their order."""
        return self.headings_of(self.shown)

    def headings_of(self, places: Sequence[int]) -> tuple[str, ...]:
        """Return the headings of some columns that stand together. Where these are labels, no two are equal."""
        chosen = [self.columns[place] for place in places]
        return tuple(column_labels(chosen)) if self.labels else tuple(column.name for column in chosen)

    def nothing_in(self, places: Sequence[int]) -> str:
        """Return what a row of a group says that has no value in some columns, such as `No account` if all of them are
        in the section `Account`."""
        sections = {self.columns[place].section for place in places}
        return f"No {sections.pop().lower()}" if len(sections) == 1 and "" not in sections else "No values"

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Lines for the first page of a file, as label and value: `Ids left out`, `Empty, left out` and `Details left
        out`, each with the headings of those columns. A kind without columns has no line."""
        kinds = (("Ids left out", self.ids), ("Empty, left out", self.empty), ("Details left out", self.details))
        return tuple((label, ", ".join(self.headings_of(places))) for label, places in kinds if places)


def choose_columns(extract: Extract, options: WriteOptions) -> ColumnChoice:
    """Return the columns that a file for people shows.

    With `detail=complete` these are all columns, under their technical names. With `detail=readable`, ids, columns
    without any value and details are left out, except for key columns and those that the caller named. If no column
    would be left, all are shown. Where there are no rows, no column counts as empty.

    Args:
        extract: the rows.
        options: the write options of the run; `labels` is not used.
    """
    columns = extract.rows.columns
    everything = tuple(range(len(columns)))
    if options.detail == "complete":
        return ColumnChoice(columns, everything)
    optional = [place for place, column in enumerate(columns) if not column.key and column.readable != "always"]
    ids = tuple(place for place in optional if columns[place].readable == "never")
    empty = _empty_columns(extract, [place for place in optional if place not in ids])
    details = tuple(place for place in optional if columns[place].readable == "xlsx_only" and place not in empty)
    shown = tuple(place for place in everything if place not in {*ids, *empty, *details})
    if not shown:
        return ColumnChoice(columns, everything, labels=True)
    return ColumnChoice(columns, shown, ids, empty, details, labels=True)


def column_labels(columns: Sequence[ResultColumn]) -> list[str]:
    """Return a label for each column: its own, or its technical name if it has none.

    A label that several columns have, apart from case, is followed by the section in parentheses, or by the technical
    name where their sections are equal too. `Source` in the sections `Identity` and `Account` gives `Source
    (Identity)` and `Source (Account)`.
    """
    labels = [column.label or column.name for column in columns]
    for details in ([column.section for column in columns], [column.name for column in columns]):
        repeated = _repeated(labels)
        labels = [
            f"{column.label or column.name} ({detail})" if label.casefold() in repeated and detail else label
            for label, column, detail in zip(labels, columns, details, strict=True)
        ]
    return labels


def _repeated(labels: Iterable[str]) -> set[str]:
    return {label for label, count in Counter(label.casefold() for label in labels).items() if count > 1}


# --- columns without any value


def _empty_columns(extract: Extract, places: Sequence[int]) -> tuple[int, ...]:
    """Return those of some columns in which each cell is null, an empty text, or a list without any other value.

    The statistics of the Parquet file decide for most columns. The others are read until a value is found.
    """
    from pyarrow import parquet

    if not extract.count or not places:
        return ()
    with parquet.ParquetFile(extract.path) as file:
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        undecided: dict[int, list[int]] = {}
        found: set[int] = set()
        for place in places:
            unknown: list[int] = []
            for number, group in enumerate(groups):
                match _has_value(group.column(place)):
                    case True:
                        found.add(place)
                        break
                    case None:
                        unknown.append(number)
                    case False:
                        pass
            if unknown and place not in found:
                undecided[place] = unknown
        found |= _found_by_reading(file, undecided)
    return tuple(place for place in places if place not in found)


def _has_value(chunk: Any) -> bool | None:
    """Return whether the column chunk of a row group has a value; None if its statistics do not show it."""
    statistics = chunk.statistics if chunk.is_stats_set else None
    if statistics is None:
        return None
    if statistics.has_null_count and statistics.null_count == chunk.num_values:
        return False
    if not statistics.has_min_max:
        return None
    # the empty text is the smallest of all, so that the largest one shows whether there is another
    return statistics.max not in ("", b"")


def _found_by_reading(file: Any, undecided: dict[int, list[int]]) -> set[int]:
    """Return those of some columns that have a value.

    Args:
        file: the Parquet file.
        undecided: each column, with the row groups that may have a value of it.
    """
    found: set[int] = set()
    names: list[str] = file.schema_arrow.names
    for group in sorted({group for groups in undecided.values() for group in groups}):
        sought = [place for place, groups in undecided.items() if group in groups and place not in found]
        if not sought:
            continue
        # a name with a dot also selects columns whose names begin with it, so that each is looked up by its name
        batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[names[place] for place in sought])
        for batch in batches:
            found.update(place for place in sought if place not in found and _any_value(batch.column(names[place])))
            if found.issuperset(sought):
                break
    return found


def _any_value(column: pa.Array) -> bool:
    if pa.types.is_list(column.type):
        column = column.flatten()
    if column.null_count == len(column):
        return False
    if not pa.types.is_string(column.type):
        return True
    return bool(compute.any(compute.not_equal(column, "")).as_py())
