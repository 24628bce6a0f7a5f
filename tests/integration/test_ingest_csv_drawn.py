"""CSV files that are drawn: both parsers of CSV read the same, and what writers of CSV write is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from csvfiles import read
from whohas.errors import InvalidArguments
from whohas.ingest.readers.csv import CsvReader
from whohas.ingest.readers.csv_stream import CsvDialect, unwrap_text_formula

CELLS = st.text(st.sampled_from('ab"\\,;\n\r \té='), max_size=6)


SLOW_OR_SHARED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@given(st.lists(st.text(st.sampled_from('ab"\\,\n\r é='), max_size=14), min_size=1, max_size=9))
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW_OR_SHARED)
@example(['"a"b,c\n', 'a"b\n,"c,\n"'])
@example(['a,"b\r\n\rc",d\r', '"x""y"'])
def test_both_parsers_read_the_same_cells_and_lines(tmp_path: Path, pieces: list[str]) -> None:
    """Compares with Python's csv module, for any text: good, odd or broken."""
    text = "uid,name\n" + "".join(pieces)
    wanted: list[tuple[int, list[str]]] = []
    lines = list(io.StringIO(text, newline=""))
    taken = 0

    def counted() -> object:
        nonlocal taken
        for line in lines:
            taken += 1
            yield line

    before = 0
    for cells in csv.reader(counted(), delimiter=","):  # type: ignore[arg-type]
        row = [unwrap_text_formula(cell) for cell in cells]
        kept = row[:2] if not any(map(str.strip, row[2:])) else row
        if any(cell.strip(" \t\n\r") for cell in row) and len(kept) == 2 and kept != ["uid", "name"]:
            wanted.append((before + 1, kept))
        before = taken
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8", newline="")
    file = CsvReader(path, CsvDialect(delimiter=","))
    found: list[tuple[int, list[str]]] = []
    try:
        for batch in file.read_batches():
            for record, *cells in zip(
                batch.record_numbers.tolist(), *(c.to_pylist() for c in batch.data.columns), strict=True
            ):
                found.append((record, cells))
    except InvalidArguments as error:
        assert "never ends" in str(error)
        with pytest.raises(csv.Error):
            list(csv.reader(lines, strict=True))
        return
    assert [(file.line_of(record), cells) for record, cells in found] == wanted


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8), st.sampled_from([",", ";"]))
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_OR_SHARED)
def test_what_csv_writers_write_is_read_without_notes(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["uid", "name"], *([f"x{place}", row[1]] for place, row in enumerate(rows))])
    file, found = read(tmp_path, out.getvalue(), delimiter=delimiter)
    assert [row for _, row in found] == [[f"x{place}", row[1]] for place, row in enumerate(rows)]
    assert file.notes() == []
