"""The page on tables describes the files of the search index."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from docs.search_tables import INTRODUCTION, chapters

from support import ACME
from whohas.ingest import load
from whohas.search.index import open_index, write_index
from whohas.warehouse.store import Warehouse

TYPES = {"text": pa.string(), "boolean": pa.bool_(), "integer": pa.int64(), "time": pa.timestamp("us", "UTC")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("acme")
    warehouse = Warehouse(home / "warehouse")
    load(warehouse, [ACME], accept_loss=True)
    folder = warehouse.root / "search" / "000000001"
    folder.mkdir(parents=True)
    write_index(warehouse.snapshot(), folder)
    return home


@pytest.mark.parametrize(
    ("name", "_", "columns"), list(chapters()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_file_has_the_columns_on_the_page(
    home: Path, name: str, _: str, columns: list[tuple[str, str, str, str]]
) -> None:
    schema = pq.read_schema(home / "warehouse" / "search" / "000000001" / f"{name}.parquet")
    maps = tuple(column.removesuffix("*") for column, *_ in columns if column.endswith(".*"))
    expected: dict[str, pa.DataType] = {}
    for column, type, has_words, meaning in columns:
        assert meaning.endswith("."), column
        if column.endswith(".*"):
            continue
        expected[column] = TYPES["text" if type == "words" else type.removesuffix(", several values")]
        if has_words:
            expected[f"{column}:words"] = pa.string()
    found = {field.name: field.type for field in schema if not (maps and field.name.startswith(maps))}
    assert found == expected
    opened = {field.name for field in schema if maps and field.name.startswith(maps)}
    assert {f"{column}:words" for column in opened if not column.endswith(":words")} <= opened


def test_every_file_is_on_the_page(home: Path) -> None:
    index = open_index(Warehouse(home / "warehouse").snapshot())
    files = {name for element in index.elements.values() for name in element.files}
    assert files == {name for name, _, _ in chapters()}
    folder = home / "warehouse" / "search" / "000000001"
    assert files == {path.stem for path in folder.glob("*.parquet")}


def test_the_example_on_the_page_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOHAS_HOME", str(home))
    (block,) = re.findall(r"```python\n(.*?)```", INTRODUCTION, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(block, {})  # noqa: S102
    assert "Angus Oakenshaw" in printed.getvalue()


def test_words_are_kept_as_the_page_says(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "warehouse" / "search" / "000000001", tmp_path / "index")
    rows = pq.read_table(tmp_path / "index" / "identities.parquet").to_pylist()
    (angus,) = [row for row in rows if row["name"] == "angus.oakenshaw"]
    assert angus["displayName:words"] == " angus oakenshaw "
    assert "`' angus oakenshaw '`" in INTRODUCTION
    assert " angus oakenshaw | " in angus[":words"]
    assert [row["num"] for row in rows] == list(range(len(rows)))
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
