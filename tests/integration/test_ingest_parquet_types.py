"""Parquet at load and `map`: each value of each type is kept as its exact text, or the file is refused in a sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whohas.engine.duckdb import connect_duckdb
from whohas.errors import InvalidArguments
from whohas.ingest.proposals.sample import read_sample
from whohas.ingest.readers.parquet import ParquetReader


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect_duckdb(384_000_000, 2, tmp_path / "spill") as found:
        yield found


def numbers(values: list[int | None], type: pa.DataType) -> pa.Array:
    return pa.array(values, pa.int64()).cast(type)


_SCALED = pa.decimal256(76, 20)
_MILLISECONDS = pa.timestamp("ms")
_NESTED = pa.struct([("d", pa.decimal128(38, 9)), ("f", pa.float64()), ("n", pa.decimal256(50, 1))])

TEXTS: dict[str, tuple[pa.Array, list[str]]] = {
    "decimal32": (pa.array([Decimal("1.20"), None], pa.decimal32(9, 2)), ["1.20", ""]),
    "decimal64": (pa.array([Decimal("-0.0001")], pa.decimal64(18, 4)), ["-0.0001"]),
    "decimal128": (pa.array([Decimal("9" * 28 + ".0000000001")], pa.decimal128(38, 10)), ["9" * 28 + ".0000000001"]),
    "decimal256": (
        pa.array([Decimal("1e55"), Decimal(0)], _SCALED),
        ["1" + "0" * 55 + "." + "0" * 20, "0." + "0" * 20],
    ),
    "float16": (pa.array(np.array([1.5, np.nan, -np.inf, -0.0], np.float16)), ["1.5", "nan", "-inf", "-0.0"]),
    "float32": (pa.array([0.1, 1e-45], pa.float32()), ["0.1", "1e-45"]),
    "float64": (pa.array([0.1, float("inf"), 5e-324]), ["0.1", "inf", "5e-324"]),
    "unsigned": (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    "time in nanoseconds": (numbers([1, None], pa.time64("ns")), ["00:00:00.000000001", ""]),
    "time outside a day": (pa.array([-5, 86_400_000_000]).view(pa.time64("us")), ["-5 us", "24:00:00"]),
    "duration": (numbers([1, -90_061 * 10**9, None], pa.duration("ns")), ["00:00:00.000000001", "-25:01:01", ""]),
    "longest duration": (numbers([2**63 - 1], pa.duration("ns")), ["2562047:47:16.854775807"]),
    "timestamp in nanoseconds": (numbers([1], pa.timestamp("ns", "UTC")), ["1970-01-01 00:00:00.000000001+00"]),
    "timestamp in a zone": (numbers([0], pa.timestamp("us", "Europe/Berlin")), ["1970-01-01 00:00:00+00"]),
    "timestamp in no zone": (numbers([0], pa.timestamp("us", "Nowhere/Bad")), ["1970-01-01 00:00:00+00"]),
    "timestamp beyond microseconds": (numbers([2**63 - 1], _MILLISECONDS), ["292278994-08-17 07:12:55.807"]),
    "timestamp of year 12000": (numbers([316_516_000_000_000], _MILLISECONDS), ["11999-12-29 15:06:40"]),
    "date": (pa.array([dt.date(2024, 2, 29)]), ["2024-02-29"]),
    "text": (pa.array(["ä\0b", "", None]), ["ä\0b", "", ""]),
    "large text": (pa.array(["ä"], pa.large_string()), ["ä"]),
    "text view": (pa.array(["longer than twelve bytes"], pa.string_view()), ["longer than twelve bytes"]),
    "bytes": (pa.array([b"a\\\x00\xff", "ä".encode()]), ["a\\x5C\\x00\\xFF", "\\xC3\\xA4"]),
    "bytes of a size": (pa.array([b"\x01ab"], pa.binary(3)), ["\\x01ab"]),
    "uuid": (pa.array([b"\0" * 15 + b"\5"], pa.uuid()), ["00000000-0000-0000-0000-000000000005"]),
    "dictionary": (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", ""]),
    "list": (pa.array([["a"], [], None, [None]]), ['["a"]', "[]", "", "[null]"]),
    "list view": (pa.array([["a"]], pa.list_view(pa.string())), ['["a"]']),
    "list of a size": (pa.array([["a", "b"], None], pa.list_(pa.string(), 2)), ['["a","b"]', ""]),
    "list of floats": (pa.array([[0.5, float("nan")], None]), ['["0.5","NaN"]', ""]),
    "list of decimals": (pa.array([[Decimal("1.1")]], pa.list_(pa.decimal256(50, 1))), ['["1.1"]']),
    "list of durations": (pa.array([[dt.timedelta(seconds=1)]], pa.list_(pa.duration("ns"))), ['["00:00:01"]']),
    "map": (pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())), ['{"a":1}', "", "{}"]),
    "struct": (
        pa.array([{"d": Decimal("12345678901234567890.123456789"), "f": 0.5, "n": Decimal("0.1")}, None], _NESTED),
        ['{"d":"12345678901234567890.123456789","f":0.5,"n":"0.1"}', ""],
    ),
    "nothing": (pa.nulls(2), ["", ""]),
    "boolean": (pa.array([True, False, None]), ["true", "false", ""]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_values_of_each_type_are_exact_texts(tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    values, texts = TEXTS[name]
    pq.write_table(pa.table({"v": values}), tmp_path / "f.parquet")
    found = [
        text for b in ParquetReader(tmp_path / "f.parquet", connection).batches() for text in b.data[0].to_pylist()
    ]
    assert found == texts


@pytest.mark.parametrize("name", [name for name in TEXTS if not name.startswith("list")])
def test_map_shows_values_as_a_load_has_them(tmp_path: Path, name: str) -> None:
    values, texts = TEXTS[name]
    pq.write_table(pa.table({"v": values}), tmp_path / "f.parquet")
    assert read_sample(tmp_path / "f.parquet").rows[0].to_pylist() == [text or None for text in texts]


def test_old_times_beyond_nanoseconds_keep_their_century(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    times = [dt.datetime(1601, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 5)]
    data = pa.table({"v": times, "l": [[time] for time in times]})
    pq.write_table(data, tmp_path / "f.parquet", use_deprecated_int96_timestamps=True)
    (batch,) = ParquetReader(tmp_path / "f.parquet", connection).batches()
    assert batch.data[0].to_pylist() == ["1601-01-01 00:00:00", "2024-01-01 00:00:00.000005"]
    assert batch.data[1].to_pylist() == ['["1601-01-01 00:00:00"]', '["2024-01-01 00:00:00.000005"]']


def test_the_engines_interval_is_a_period(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"COPY (SELECT INTERVAL '1 month 2 days 3.5 seconds' AS v) TO '{tmp_path}/f.parquet'")
    (batch,) = ParquetReader(tmp_path / "f.parquet", connection).batches()
    assert batch.data[0].to_pylist() == ["P1M2DT3.500S"]


def test_text_that_is_no_utf8_becomes_a_fault(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    wrong = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"]).buffers())
    pq.write_table(pa.table({"id": ["1", "2"], "v": wrong}), tmp_path / "f.parquet")
    (batch,) = ParquetReader(tmp_path / "f.parquet", connection).batches()
    assert batch.data[1].to_pylist() == ["", "ok"]
    assert [(f.record_number, f.column, f.cell_text) for f in batch.row_errors] == [(1, "v", "\\xff\\xfe")]


def test_a_separator_within_a_joined_list_is_refused(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    pq.write_table(pa.table({"v": [["a\x1fb"]]}), tmp_path / "f.parquet")
    with pytest.raises(InvalidArguments, match=r"column 'v'.*U\+001F"):
        list(ParquetReader(tmp_path / "f.parquet", connection).batches(frozenset({"v"})))


def _variant(connection: Any, path: Path) -> None:
    connection.execute(f"COPY (SELECT {{'a': 1}}::VARIANT AS v) TO '{path}'")


def _map_of_one_key(_: Any, path: Path) -> None:
    pq.write_table(pa.table({"v": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))}), path)


def _no_columns(_: Any, path: Path) -> None:
    pq.write_table(pa.table({}), path)


def _cut(_: Any, path: Path) -> None:
    pq.write_table(pa.table({"v": ["a"]}), path)
    path.write_bytes(path.read_bytes()[:-20])


def _long_footer(_: Any, path: Path) -> None:
    pq.write_table(pa.table({"v": ["a"]}), path)
    path.write_bytes(path.read_bytes()[:-8] + b"\xff\xff\xff\xff" + b"PAR1")


def _changed(_: Any, path: Path) -> None:
    table = pa.table({"v": ["x" * 500] * 3000})
    pq.write_table(table, path, write_page_checksum=True, use_dictionary=False, compression="none")
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


def _large_page(_: Any, path: Path) -> None:
    table = pa.table({"id": ["1"] * 150, "v": ["b" * 3_000_000] * 150})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, data_page_size=1 << 30)


def _long_row(_: Any, path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "v": ["b" * (17 << 20)]}), path, compression="zstd")


def _large_list(_: Any, path: Path) -> None:
    ends = pa.array([0, 100_000_000], pa.int32())
    values = pa.ListArray.from_arrays(ends, pa.array(np.zeros(100_000_000, np.int8)))
    pq.write_table(pa.table({"v": values}), path, compression="zstd")


REFUSED = {
    "a variant": (_variant, "'v' is of the type VARIANT"),
    "a map with one key twice": (_map_of_one_key, "'v' is a map, and a row of it has one key twice"),
    "no columns": (_no_columns, "has no columns"),
    "a file that is cut off": (_cut, "is not a Parquet file"),
    "a footer that claims more than the file": (_long_footer, "is not a Parquet file"),
    "a page whose checksum is wrong": (_changed, "CRC checksum verification failed"),
    "a page of 450 MB in 20 kB": (_large_page, r"memory than the .*MiB of a load.*smaller pages"),
    "a row of 17 MiB": (_long_row, "up to 17 MiB together, and up to 16 MiB"),
    "a list of a hundred million numbers": (_large_list, "memory"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    make, message = REFUSED[name]
    path = tmp_path / "f.parquet"
    make(connection, path)
    with pytest.raises(InvalidArguments, match=message) as load:
        list(ParquetReader(path, connection).batches())
    with pytest.raises(InvalidArguments, match=message):
        read_sample(path)
    assert str(path) in load.value.message


def test_texts_repeated_by_a_dictionary_are_read_in_small_batches(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), pa.array(["b" * 900_000]))
    pq.write_table(pa.table({"id": [str(n) for n in range(300)], "v": repeated}), tmp_path / "f.parquet")
    assert (tmp_path / "f.parquet").stat().st_size < 1 << 20
    sizes = [batch.data.num_rows for batch in ParquetReader(tmp_path / "f.parquet", connection).batches()]
    assert sum(sizes) == 300
    assert max(sizes) < 80


def test_names_like_patterns_and_of_no_encoding_are_opened(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    for name in (b"[a]*?.parquet", b"two\nlines.parquet", b"\xff\xfe.parquet", b"it's.parquet"):
        path = Path(tmp_path) / Path(name.decode(errors="surrogateescape"))
        pq.write_table(pa.table({"v": ["x"]}), tmp_path / "plain.parquet")
        (tmp_path / "plain.parquet").rename(path)
        (batch,) = ParquetReader(path, connection).batches()
        assert batch.data[0].to_pylist() == ["x"]
