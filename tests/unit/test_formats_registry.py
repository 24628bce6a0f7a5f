"""Adding a format is adding one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import whohas.formats
from rendering import extract, file_of
from whohas.engine.statement import ResultColumn
from whohas.errors import InvalidArguments
from whohas.formats.registry import PUBLISHED, find_format, formats

FILE = """
from whohas.formats.base import Format


def write(extract, path, about, options):
    with path.open("w") as file:
        for batch in extract.batches(1000):
            file.writelines("\\t".join(map(str, row.values())) + "\\n" for row in batch.to_pylist())
    return ["Tabs are not quoted."]


FORMATS = (Format("tsv", "text/tab-separated-values", "Tabs between the cells.", write=write),)
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "tsv.py").write_text(FILE)
    monkeypatch.setattr(whohas.formats, "__path__", [*whohas.formats.__path__, str(tmp_path)])
    formats.cache_clear()
    yield
    sys.modules.pop("whohas.formats.tsv", None)
    formats.cache_clear()


def test_a_file_in_the_folder_is_a_format(added: None, tmp_path: Path) -> None:
    rows = extract(tmp_path, (ResultColumn("name", "text"), ResultColumn("n", "integer")), ("ann", 1), ("bob", 2))
    assert find_format("TSV").media_type == "text/tab-separated-values"
    assert file_of(rows, "tsv").read_text() == "ann\t1\nbob\t2\n"


def test_without_the_file_there_is_no_such_format() -> None:
    with pytest.raises(InvalidArguments, match=r"no format 'tsv'\. The formats are: csv, pdf, "):
        find_format("tsv")


def test_published_formats_come_first_with_one_writer_each() -> None:
    assert tuple(formats())[:2] == PUBLISHED
    assert set(formats()) == {"csv", "pdf", "csv.gz", "csv.zst", "html", "json", "ndjson", "parquet", "xlsx"}
    for one in formats().values():
        assert (one.copy is None) != (one.write is None), one.name
        assert one.doc.endswith(".") and one.media_type and one.relative_time > 0
