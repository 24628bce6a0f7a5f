"""Documents and rows that are too long: told where they are, without being held in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import RowBatch
from whohas.ingest.readers.json import LONGEST, json_batches, ndjson_batches

LONG = "x" * (LONGEST + 1)


def names(batches: Iterator[RowBatch]) -> tuple[list[tuple[int, str]], list[tuple[int, str, int]]]:
    """The lines and ids of documents; and the lines, faults and shown characters of those that were rejected."""
    found: list[tuple[int, str]] = []
    faults: list[tuple[int, str, int]] = []
    for batch in batches:
        texts = batch.data["doc"].to_pylist()
        found += [
            (int(line), json.loads(str(text))["id"]) for line, text in zip(batch.record_numbers, texts, strict=True)
        ]
        faults += [(fault.record_number, fault.reason, len(fault.row_text)) for fault in batch.row_errors]
    return found, faults


@pytest.mark.parametrize("length", [LONGEST, 3 * LONGEST])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_that_is_too_long_is_rejected_alone(tmp_path: Path, length: int, end: str) -> None:
    path = tmp_path / "identities.ndjson"
    path.write_text(f'{{"id":"a"}}\n{{"id":"b","name":"{"x" * length}"}}\n\n{{"id":"c"}}{end}')
    found, faults = names(ndjson_batches(path))
    assert found == [(1, "a"), (4, "c")]
    assert [(line, reason) for line, reason, _ in faults] == [(2, "longer than 16 MiB")]
    assert faults[0][2] < 300, "the list of rejected rows stays small"


def test_a_long_line_at_the_end_is_rejected_too(tmp_path: Path) -> None:
    path = tmp_path / "identities.ndjson"
    path.write_text(f'{{"id":"a"}}\n{{"id":"b","name":"{LONG * 2}"}}')
    found, faults = names(ndjson_batches(path))
    assert (found, [line for line, _, _ in faults]) == ([(1, "a")], [2])


def test_a_line_below_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "identities.ndjson"
    path.write_text(f'{{"id":"a"}}\n{{"id":"b","name":"{"x" * (LONGEST - 100)}"}}\n{{"id":"c"}}\n')
    assert names(ndjson_batches(path)) == ([(1, "a"), (2, "b"), (3, "c")], [])


def test_a_too_long_document_of_an_array_is_named(tmp_path: Path) -> None:
    path = tmp_path / "identities.json"
    path.write_text(f'[{{"id":"a"}},\n{{"id":"b","name":"{LONG * 2}"}}]')
    with pytest.raises(InvalidArguments, match=r"identities\.json, line 2: .* longer than 16 MiB"):
        list(json_batches(path))


def test_strings_with_escapes_across_blocks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "identities.json"
    odd = '\\"{[,]}\\\\' * 700_000
    path.write_text("[" + ",\n".join(f'{{"id":"{n}","name":"{odd}"}}' for n in range(3)) + "]")
    assert names(json_batches(path)) == ([(1, "0"), (2, "1"), (3, "2")], [])
