"""The tables as other engines read them: no file has a column of another type than its table, and the rows are the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import report_rows, stage
from sparks import sail_server
from support import ACME
from whohas.ingest import load
from whohas.ingest.staging import ParquetWriter
from whohas.warehouse.schema import ACCOUNTS, SOURCES, TABLES
from whohas.warehouse.store import DataFile, TableChange, Warehouse

HR = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
attributes = ["apps", "city", "groups"]
[accounts.columns]
nativeIdentity = "id"
name = "name"
"""
LEDGER = HR.replace("HR", "Ledger").replace("hr.csv", "ledger.csv").replace("authoritative = true\n", "")
LISTS = '[accounts.lists]\napps = ";"\ngroups = ";"\n'


def files(table: Path) -> list[Path]:
    """Return the files of the newest version of a table, by its Delta log."""
    return [table / name for name in DeltaTable(table).get_add_actions(flatten=True).column("path").to_pylist()]


def other_types(table: Path) -> list[tuple[str, str, str, str]]:
    """Return where a file has a column of another type than its table: file, column, and both types.

    A column that the table has not must have one type in all files that have it.
    """
    types = {field.name: field.type for field in pa.schema(DeltaTable(table).schema().to_arrow())}
    found: list[tuple[str, str, str, str]] = []
    for path in files(table):
        for field in pq.read_schema(path):
            expected = types.setdefault(field.name, field.type)
            if expected != field.type:
                found.append((path.name, field.name, str(expected), str(field.type)))
    return found


def tables(warehouse: Path) -> list[Path]:
    """Return the folders of the warehouse's tables."""
    return [warehouse / name for name in sorted(TABLES) if (warehouse / name / "_delta_log").is_dir()]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of examples/acme and two sources whose attributes have one value here and several there."""
    folder = tmp_path_factory.mktemp("tables")
    shutil.copytree(ACME, folder / "acme")
    (folder / "hr.csv").write_text("id,name,apps,city,groups\n1,Ann,mail,Rome,all\n2,Bob,mail,,staff\n")
    (folder / "hr.toml").write_text(HR)
    (folder / "ledger.csv").write_text("id,name,apps,city,groups\nL1,ann,post;read,Rome,a;b\nL2,bob,read,Bonn,b\n")
    (folder / "ledger.toml").write_text(LEDGER + LISTS)
    root = folder / "warehouse"
    load(Warehouse(root), [folder / "acme"])
    load(Warehouse(root), [folder / "hr.toml", folder / "ledger.toml"])
    return root


def test_every_file_has_the_types_of_its_table(warehouse: Path) -> None:
    checked = tables(warehouse)
    assert len(checked) > 10
    for table in checked:
        assert other_types(table) == [], table.name
        assert pa.schema(DeltaTable(table).schema().to_arrow()).equals(TABLES[table.name].schema)
    shredded = [name for path in files(warehouse / "accounts") for name in pq.read_schema(path).names]
    assert "shredded_text_0" in shredded and "shredded_list_0" in shredded


def test_other_types_finds_a_differing_file(tmp_path: Path) -> None:
    with Warehouse(tmp_path).load() as loading:
        staged = [stage(loading, SOURCES, [{"id": "s"}]), stage(loading, SOURCES, [{"id": "t"}])]
        wrong = pq.read_table(staged[0].path)
        wrong = wrong.set_column(0, "id", pa.array([["s"]])).append_column("more", pa.array(["text"]))
        pq.write_table(wrong, staged[0].path)
        other = pq.read_table(staged[1].path).append_column("more", pa.array([1]))
        pq.write_table(other, staged[1].path)
        loading.publish([TableChange(SOURCES, tuple(staged), None)], ())
    assert sorted(name for _, name, _, _ in other_types(tmp_path / "sources")) == ["id", "more"]


Attributes = list[tuple[str, list[str | None]]]
rows = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["apps", "city", "groups"]), st.lists(st.sampled_from(["a", "b", None]), max_size=2)),
        max_size=3,
        unique_by=lambda entry: entry[0],
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["hr", "ledger", "sap"]), rows), min_size=1, max_size=5))
def test_types_hold_whatever_is_loaded_in_which_order(loads: list[tuple[str, list[Attributes]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warehouse = Warehouse(folder / "warehouse")
        now: dict[str, list[Attributes]] = {}
        for source, accounts in loads:
            now[source] = accounts
            _replace(warehouse, source, accounts, sorted(now))
            assert other_types(folder / "warehouse" / "accounts") == []
        table = DeltaTable(folder / "warehouse" / "accounts").to_pyarrow_table()
        columns = (table[name].to_pylist() for name in ("sourceId", "id", "attributes"))
        read = sorted(zip(*columns, strict=True))
        assert read == sorted((source, str(n), row) for source in now for n, row in enumerate(now[source]))
        for source, accounts in now.items():
            made = report_rows(warehouse.snapshot(), folder, "ACCOUNTS", {"sourceName": source})
            for cells, row in zip(sorted(made, key=lambda cells: cells["id"]), accounts, strict=True):
                for attribute in ("apps", "city", "groups"):
                    values = dict(row).get(attribute, [])
                    assert cells[attribute] == ";".join(value for value in values if value is not None)


def _replace(warehouse: Warehouse, source: str, accounts: Sequence[Attributes], sources: Sequence[str]) -> None:
    """Load the accounts of a source, in two batches, as a load of whohas writes them."""
    described = [{"id": name, "name": name, "accountAttributes": ["apps", "city", "groups"]} for name in sources]
    data = pa.Table.from_pylist(
        [
            {"id": str(n), "nativeIdentity": str(n), "sourceId": source, "attributes": row}
            for n, row in enumerate(accounts)
        ],
        ACCOUNTS.schema,
    )
    with warehouse.load() as loading:
        path = loading.new_file_path(ACCOUNTS)
        with closing(ParquetWriter(path, ACCOUNTS)) as file:
            file.write(data[:1])
            file.write(data[1:])
        changes = [
            TableChange(SOURCES, (stage(loading, SOURCES, described),), None),
            TableChange(ACCOUNTS, (DataFile(path, len(data), source),), frozenset([source])),
        ]
        loading.publish(changes, (source,))


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session of Spark Connect with Sail, an engine that reads Delta Lake and Parquet by code of its own."""
    from pyspark.sql import SparkSession

    with sail_server(tmp_path_factory.mktemp("sail")) as address:
        session = SparkSession.builder.remote(address).getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        yield session
        session.stop()


def _sorted(table: pa.Table, names: list[str], partition: str | None) -> list[str]:
    """Return the rows as texts, sorted. An empty partition value is null, as the Delta protocol has it."""
    return sorted(
        str({name: None if name == partition and value == "" else value for name, value in row.items()})
        for row in table.select(names).to_pylist()
    )


@pytest.mark.parametrize("way", ["delta", "parquet"])
def test_sail_reads_the_rows_of_every_table(warehouse: Path, sail: Any, way: str) -> None:
    for table in tables(warehouse):
        ours = DeltaTable(table).to_pyarrow_table()
        frame = (
            sail.read.format("delta").load(str(table))
            if way == "delta"
            else sail.read.option("mergeSchema", "true").parquet(*map(str, files(table)))
        )
        names, partition = ours.column_names, TABLES[table.name].partition
        assert _sorted(frame.toArrow(), names, partition) == _sorted(ours, names, partition), table.name
