"""Merge several rows of one account into one. The rows may differ only in the columns that hold its entitlements.

An example: of the rows `u1,Ann,admin` and `u1,Ann,audit`, where the third column (`groups`) holds entitlements, the
first is kept with the attribute `groups` = [admin, audit], and the second is left out. A row `u1,Anne,audit` is
rejected, because an account has one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest.readers.batches import RecordNumbers
from whohas.ingest.staging import FILE_BITS, Change, Stage, StagedFile, rewrite_staged
from whohas.warehouse.arrow import as_array, replace_column
from whohas.warehouse.schema import ATTRIBUTES

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class SourceRows:
    """How the rows of an input file are compared.

    Attributes:
        key: the file's column that names an account.
        columns: columns of the table in which rows of one account have to be equal, each with the column of the file.
        carriers: attributes that hold entitlements, in which the rows may differ; None if they may differ in all.
    """

    key: str
    columns: Mapping[str, str]
    carriers: frozenset[str] | None


class AccountRowMerger:
    """The rows of a stage that have the key of an earlier row, each either merged into that row or rejected.

    Args:
        connection: DuckDB, after `find_duplicates` with the same files and key, whose tables `twice` and `file_order`
            are read. The tables `again`, `compared` and `merged` belong to this object; a new object replaces them.
        files: the staged files of accounts.
        found: by index of the file, the indexes of rows whose key an earlier row has; the result of `find_duplicates`.
        key: SQL of the key over the files' columns.
        inputs: by number of the input file, how its rows are compared. Rows of other input files are never merged.

    Attributes:
        gone: the origins of all rows whose key an earlier row has, whether they are merged or rejected.
    """

    def __init__(
        self,
        connection: Any,
        files: Sequence[StagedFile],
        found: Mapping[int, RecordNumbers],
        key: str,
        inputs: Mapping[int, SourceRows],
    ) -> None:
        self._connection = connection
        self._inputs = inputs
        self._columns = sorted({ours for rows in inputs.values() for ours in rows.columns})
        origins = [files[place].read_origins()[rows] for place, rows in found.items()]
        self.gone = np.concatenate(origins) if origins else np.empty(0, np.int64)
        self._read(files, found, key)
        self._compare()
        self._merge()

    def merged_origins(self) -> RecordNumbers:
        """Return the origins of the rows that are merged into an earlier row, sorted.

        An origin encodes the file and the record (`staging.origins`). Rejected rows are not included; `gone` has both.
        """
        found = self._connection.sql("SELECT origin FROM compared WHERE same ORDER BY origin").fetchnumpy()
        return np.asarray(found["origin"], dtype=np.int64)

    def apply(self, stage: Stage, drop: Mapping[int, RecordNumbers]) -> None:
        """Rewrite a stage's files: set the merged attributes of kept rows, and drop rows.

        Args:
            stage: of accounts, or of the identities that they make.
            drop: indexes of the rows to drop, by the index of the file in `stage.files`.
        """
        changed = self._connection.sql("SELECT origin FROM merged ORDER BY origin").fetchnumpy()["origin"]
        for place, file in enumerate(stage.files):
            rows = drop.get(place)
            kept = file.read_origins()
            kept = kept if rows is None else np.delete(kept, rows)
            if rows is not None or (len(changed) and np.isin(kept, changed).any()):
                rewrite_staged(file, stage.table, rows, self._change(kept) if len(changed) else None)

    def rejection_reasons(self) -> Iterator[tuple[int, str, str]]:
        """Yield the rejected rows of the input files in `inputs`, in their order.

        Yields:
            The origin, the file's column of the key, and the reason, which names the first difference.
        """
        selected = "".join(
            f", {row}.{quote_identifier(column)} AS {quote_identifier(f'{row}.{column}')}"
            for column in self._columns
            for row in ("a", "h")
        )
        reader = self._connection.sql(
            "SELECT c.origin, a.attributes AS mine, h.attributes AS first, a.file AS file, h.file AS other"
            f"{selected} FROM compared c JOIN again a ON a.seq = c.seq JOIN again h ON h.seq = a.head "
            "WHERE NOT c.same ORDER BY c.seq"
        ).to_arrow_reader(10_000)
        for batch in reader:
            for row in batch.to_pylist():
                rows = self._inputs.get(row["file"])
                if rows is not None:
                    yield row["origin"], rows.key, self._difference(rows, row)

    def _difference(self, rows: SourceRows, row: Mapping[str, Any]) -> str:
        """Return why a row is not merged into the first row of its key.

        Args:
            rows: how rows of its file are compared.
            row: its attributes `mine` and file `file`, those of the first row (`first`, `other`), and each compared
                column of both (`a.<column>` of the row, `h.<column>` of the first).
        """
        same = f"an earlier row has the same {rows.key}"
        if row["file"] != row["other"]:
            return f"{same}, in another file of this source"
        mine, first = dict(row["mine"] or ()), dict(row["first"] or ())
        names = sorted({*mine, *first} - (rows.carriers or set()))
        pairs = [(name, mine.get(name), first.get(name)) for name in names]
        pairs += [(theirs, row[f"a.{ours}"], row[f"h.{ours}"]) for ours, theirs in rows.columns.items()]
        for name, here, there in pairs:
            if here != there:
                return (
                    f"{same}, but {_text(there)} in column {name}, where this one has {_text(here)}; "
                    "if an account may have several, name the column in [accounts.lists]"
                )
        return same

    def _read(self, files: Sequence[StagedFile], found: Mapping[int, RecordNumbers], key: str) -> None:
        """Create the table `again`: all rows whose key occurs several times, with attributes and compared columns.

        Rows are numbered by `seq` = index of the file * 2**40 + row in the file, and `head` is the `seq` of the first
        row of the same key. An example: row 5 of file 0 and row 2 of file 1 are one account. They have the `seq` 5 and
        2**40 + 2, and both have the `head` 5.
        """
        paths = ", ".join(string_literal(str(file.path)) for file in files)
        columns = "".join(f", f.{quote_identifier(c)}" for c in self._columns)
        self._connection.register("numbered", self._numbered(files, found, key, paths))
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE again AS SELECT w.seq, w.origin, w.file, w.head, f.attributes"
            f"{columns} FROM read_parquet([{paths}], filename = true, file_row_number = true) f "
            "JOIN file_order o ON o.path = f.filename "
            "JOIN numbered w ON w.place = o.place AND w.n = f.file_row_number"
        )
        self._connection.unregister("numbered")

    def _numbered(
        self, files: Sequence[StagedFile], found: Mapping[int, RecordNumbers], key: str, paths: str
    ) -> pa.Table:
        """Return the numbers of the rows in `again`, without the wide columns, so that the window function sorts less.

        Returns:
            Columns of int64: `place` (index of the file), `n` (row in it), `seq`, `head`, `origin`, and `file` (number
            of the input file).
        """
        narrow = self._connection.sql(
            "SELECT o.place, f.file_row_number AS n, first_value(o.place) OVER w AS head_place, "
            "first_value(f.file_row_number) OVER w AS head_n "
            f"FROM read_parquet([{paths}], filename = true, file_row_number = true) f "
            f"JOIN file_order o ON o.path = f.filename WHERE hash({key}) IN (SELECT h FROM twice) "
            f"WINDOW w AS (PARTITION BY {key} ORDER BY o.place, f.file_row_number)"
        ).fetchnumpy()
        place, n, head_place, head_n = (
            np.asarray(narrow[name], dtype=np.int64) for name in ("place", "n", "head_place", "head_n")
        )
        origin = np.zeros(len(n), dtype=np.int64)
        for number, file in enumerate(files):
            mine = place == number
            if mine.any():
                origin[mine] = file.read_origins()[n[mine]]
        columns = {"place": place, "n": n, "seq": (place << FILE_BITS) | n, "head": (head_place << FILE_BITS) | head_n}
        columns |= {"origin": origin, "file": origin >> FILE_BITS}
        return pa.table({name: pa.array(values) for name, values in columns.items()})

    def _compare(self) -> None:
        """Create the table `compared`: each row after the first of its key, and `same`, whether it is merged into that.

        It is, if both are from the same input file, which has columns of entitlements, and are equal in all other
        attributes and compared columns.
        """
        arms = " ".join(
            f"WHEN {number} THEN {_rest('a', rows)} IS NOT DISTINCT FROM {_rest('h', rows)}"
            + "".join(
                f" AND a.{quote_identifier(c)} IS NOT DISTINCT FROM h.{quote_identifier(c)}" for c in rows.columns
            )
            for number, rows in self._inputs.items()
            if rows.carriers is None or rows.carriers
        )
        same = f"a.file = h.file AND CASE a.file {arms} ELSE false END" if arms else "false"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE compared AS SELECT a.seq, a.origin, a.head, {same} AS same "
            "FROM again a JOIN again h ON h.seq = a.head WHERE a.seq <> a.head"
        )

    def _merge(self) -> None:
        """Create the table `merged`: by origin, the attributes of first rows with the values of the merged rows.

        The values of an attribute are in the order of rows, and within a row in that of the cell; repeated values are
        left out. An example, where rows 3 and 8 are one account and `groups` holds entitlements::

            row 3  {name: [Ann], groups: [admin, audit]}    texts: (nth 3·2³² + 1, admin), (3·2³² + 2, audit)
            row 8  {name: [Ann], groups: [audit, sales]}    texts: (8·2³² + 1, audit), (8·2³² + 2, sales)
            merged {groups: [admin, audit, sales], name: [Ann]}

        `name` is copied from row 3, because only attributes that hold entitlements are unnested.
        """

        def entries(table: str, negated: str) -> str:
            """Return SQL of the attributes that hold entitlements, or with `NOT ` of all others."""
            arms = " ".join(
                f"WHEN {number} THEN list_filter(map_entries({table}.attributes), "
                f"lambda e: {negated}({_carried('e.key', rows)}))"
                for number, rows in self._inputs.items()
            )
            return f"CASE {table}.file {arms} END" if arms else f"map_entries({table}.attributes)"

        # `nth` orders the values by row, then by position in the cell, in one number that min() can compare.
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE merged AS WITH heads AS (SELECT DISTINCT head FROM compared WHERE same), "
            "members AS ("
            f"  SELECT a.seq, a.head, unnest({entries('a', '')}) AS e FROM again a SEMI JOIN heads h ON h.head = a.seq"
            f"  UNION ALL SELECT a.seq, a.head, unnest({entries('a', '')}) AS e FROM again a "
            "  JOIN compared c ON c.seq = a.seq WHERE c.same"
            "), texts AS ("
            "  SELECT seq::HUGEINT * 4294967296 + generate_subscripts(e.value, 1) AS nth, head, e.key AS key, "
            "    unnest(e.value) AS v FROM members"
            "), firsts AS (SELECT head, key, v, min(nth) AS nth FROM texts GROUP BY head, key, v), "
            "lists AS (SELECT head, key, list(v ORDER BY nth) AS value FROM firsts GROUP BY head, key), "
            "maps AS (SELECT head, list(struct_pack(key := key, value := value)) AS entries FROM lists GROUP BY head) "
            "SELECT a.origin, map_from_entries(list_sort(list_concat("
            f"coalesce({entries('a', 'NOT ')}, []), coalesce(m.entries, [])))) AS attributes "
            "FROM again a SEMI JOIN heads h ON h.head = a.seq LEFT JOIN maps m ON m.head = a.seq ORDER BY a.origin"
        )

    def _change(self, kept: RecordNumbers) -> Change:
        """Return the change that sets merged attributes in a file.

        It must be applied to the batches of one file, once and in order, because it counts the rows that have passed.
        An example, for a batch of 3 rows of which row 1 has merged attributes: `i` is `[1]`, `places` is `[0, 3, 2]`,
        and of the old attributes followed by the merged ones these three are taken.

        Args:
            kept: the origins of the file's rows that are not dropped, in their order.
        """
        start = 0

        def apply(data: pa.Table) -> pa.Table:
            nonlocal start
            mine = kept[start : start + data.num_rows]
            start += data.num_rows
            self._connection.register("changing", pa.table({"origin": mine, "i": np.arange(len(mine), dtype=np.int64)}))
            found = self._connection.sql(
                "SELECT c.i, m.attributes FROM changing c JOIN merged m ON m.origin = c.origin ORDER BY c.i"
            ).to_arrow_table()
            self._connection.unregister("changing")
            if not found.num_rows:
                return data
            old = as_array(data.column("attributes"))
            places = np.arange(len(old), dtype=np.int64)
            places[found.column("i").to_numpy()] = len(old) + np.arange(found.num_rows)
            both = pa.concat_arrays([old, as_array(found.column("attributes").cast(ATTRIBUTES))])
            return replace_column(data, "attributes", both.take(pa.array(places)))

        return apply


def _carried(key: str, rows: SourceRows) -> str:
    """Return SQL for whether rows of one account may differ in an attribute, from SQL of its name."""
    if rows.carriers is None:
        return "true"
    names = ", ".join(map(string_literal, sorted(rows.carriers)))
    return f"{key} IN ({names})" if names else "false"


def _rest(table: str, rows: SourceRows) -> str:
    """Return SQL of the attributes in which rows of one account have to be equal, as a list of map entries."""
    return f"list_filter(map_entries({table}.attributes), lambda e: NOT ({_carried('e.key', rows)}))"


def _text(value: Any) -> str:
    """Return a value as the reason of a rejected row quotes it: at most `_SHOWN` characters."""
    if value is None or value == []:
        return "nothing"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
