"""Tables for Trino, and its rows as they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from whohas.engine import trino
from whohas.engine.remote import EngineAddress, RemoteTable
from whohas.errors import WhohasError
from whohas.settings import Settings

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        (":words", pa.string()),
        ("num", pa.int64()),
        ("flag", pa.bool_()),
        ("at", pa.timestamp("us", "UTC")),
        ("tags", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.list_(pa.string()))),
        ("owner", pa.struct([("id", pa.string()), ("at", pa.timestamp("us", "UTC"))])),
    ]
)


def row(at: datetime | None) -> dict[str, object]:
    return {
        "id": "a", ":words": " a ", "num": 1, "flag": True, "at": at, "tags": ["x", None],
        "attributes": [("city", ["Rome"])], "owner": {"id": "o", "at": at},
    }  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row(datetime(2026, 1, 2, 3, 4, 5, 6, UTC)), row(None)], SCHEMA), path)
    return path


def table(*files: Path, columns: tuple[tuple[str, str], ...] = ()) -> RemoteTable:
    return RemoteTable("rows", "", None, columns, tuple(map(str, files)))


def test_linked_files_are_a_delta_table(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "table"
    trino._write_delta_table(folder, trino._fields_of(table(file)), [file])  # pyright: ignore[reportPrivateUsage]
    (found,) = DeltaTable(folder).file_uris()
    assert Path(found).samefile(file)
    assert [field.name for field in DeltaTable(folder).schema().fields] == SCHEMA.names
    metadata = json.loads((folder / "_delta_log" / f"{0:020}.json").read_text().splitlines()[1])["metaData"]
    types = {field["name"]: field["type"] for field in json.loads(metadata["schemaString"])["fields"]}
    assert types["at"] == "timestamp_ntz"
    assert types["attributes"]["valueType"] == {"type": "array", "elementType": "string", "containsNull": True}


def test_columns_beyond_the_table_are_left_out(file: Path) -> None:
    fields = trino._fields_of(table(file, columns=(("id", "VARCHAR"), ("num", "BIGINT"), ("new", "VARCHAR"))))  # pyright: ignore[reportPrivateUsage]
    assert [field.name for field in fields] == ["id", "num"]


def test_a_type_that_trino_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WhohasError, match="a column of the type decimal"):
        trino._write_delta_table(tmp_path / "table", [pa.field("x", pa.decimal128(9))], [])  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("sql", "found"), [("SELECT at FROM rows", True), ('SELECT "at" FROM rows', True), ("SELECT id FROM rows", False)]
)
def test_microseconds_of_named_columns_are_noticed(file: Path, sql: str, found: bool) -> None:
    assert trino._has_microseconds(table(file), sql) is found  # pyright: ignore[reportPrivateUsage]


def test_milliseconds_need_no_link(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row(datetime(2026, 1, 2, 3, 4, 5, 6000, UTC))], SCHEMA), path)
    assert not trino._has_microseconds(table(path), "SELECT at FROM rows")  # pyright: ignore[reportPrivateUsage]


def test_rows_are_written_with_their_types(tmp_path: Path) -> None:
    columns = [
        ("c1", "varchar(3)"), ("c2", "bigint"), ("c3", "boolean"), ("c4", "array(varchar)"),
        ("c5", "timestamp(3) with time zone"), ("c6", "timestamp(6) with time zone"), ("c7", "unknown"),
    ]  # fmt: skip
    path = tmp_path / "rows.parquet"
    writer = trino._RowsWriter(path, [{"name": name, "type": type} for name, type in columns])  # pyright: ignore[reportPrivateUsage]
    writer.write([["é", 7, True, ["a", None], "0001-01-01 00:00:00.000 UTC", "9999-12-31 23:59:59.999999 UTC", None]])
    writer.write([])
    writer.write([[None] * 7])
    writer.close()
    first, second = pq.read_table(path).to_pylist()
    assert list(first.values()) == ["é", 7, True, ["a", None], -62135596800000000, 253402300799999999, None]
    assert set(second.values()) == {None}


def test_an_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WhohasError, match="a column of the type json"):
        trino._RowsWriter(tmp_path / "rows.parquet", [{"name": "c1", "type": "json"}])  # pyright: ignore[reportPrivateUsage]


def test_secrets_are_in_no_representation() -> None:
    shown = repr(EngineAddress("trino", "https://x@y/a/b", "hidden", "", "", "", password="concealed"))
    assert "hidden" not in shown
    assert "concealed" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "trino.acme.example:8080",
        "http://trino.acme.example/lake/whohas",
        "http://whohas@trino.acme.example/lake",
        "http://whohas@trino.acme.example/lake/whohas/more",
        "http://whohas@trino.acme.example:port/lake/whohas",
        "http://whohas@trino.acme.example/lake/whohas?x=1",
    ],
)
def test_an_incomplete_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="it must name a user, a server, a catalog and a schema"):
        Settings(trino_url=url)


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="set it as WHOHAS_TRINO_PASSWORD"):
        Settings(trino_url="https://whohas:secret@trino.acme.example/lake/whohas")


@pytest.mark.parametrize("secret", ["trino_token", "trino_password"])
def test_secrets_are_never_sent_unencrypted(secret: str) -> None:
    with pytest.raises(ValueError, match=f"{secret} is set, and trino_url begins with http"):
        Settings.model_validate({"trino_url": "http://whohas@trino.acme.example/lake/whohas", secret: "x"})


def test_a_token_and_a_password_are_refused() -> None:
    with pytest.raises(ValueError, match="trino_token and trino_password are both set"):
        Settings.model_validate({"trino_token": "x", "trino_password": "y"})


def test_trino_as_the_default_needs_an_address() -> None:
    with pytest.raises(ValueError, match="set WHOHAS_TRINO_URL too"):
        Settings(engine="trino")
