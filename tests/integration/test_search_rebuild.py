"""The same snapshot gives the same index, byte by byte, and an index that is made again says whether it is the same."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from factories import many_accounts, publish, stage
from searching import Corpus
from support import ACME
from whohas.errors import NotFound
from whohas.generate import generate
from whohas.ingest import load
from whohas.search import index, indexing
from whohas.search.analyzer import ANALYSER_VERSION
from whohas.search.fields import INDICES
from whohas.search.index import (
    BuildVersions,
    build_index,
    index_versions,
    is_built,
    newest_indexed_snapshot,
    open_index,
    rebuild_index,
    searchable_snapshot,
    write_index,
)
from whohas.search.indexing import IndexResources
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, SOURCES, TABLES, Table
from whohas.warehouse.store import DataFile, Load, Snapshot, TableChange, Warehouse

HR = {"id": "hr", "name": "HR", "authoritative": True}


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    warehouse = Warehouse(tmp_path_factory.mktemp("acme") / "warehouse")
    load(warehouse, [ACME], accept_loss=True)
    return warehouse.snapshot()


@pytest.fixture(scope="module")
def acme_files(acme: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of its index."""
    return files(written(acme, tmp_path_factory.mktemp("written") / "index"))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A generated company of some thousands of people."""
    folder = tmp_path_factory.mktemp("company")
    generate(folder / "data", 3_000)
    warehouse = Warehouse(folder / "warehouse")
    load(warehouse, [folder / "data"], accept_loss=True)
    return warehouse.snapshot()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tables(folder: Path) -> dict[str, bytes]:
    """The Parquet files alone: index.json says of which version of the warehouse's tables they are."""
    return {name: content for name, content in files(folder).items() if name != "index.json"}


def written(snapshot: Snapshot, folder: Path, resources: IndexResources | None = None) -> Path:
    folder.mkdir(parents=True)
    write_index(snapshot, folder, resources=resources)
    return folder


def shuffled(snapshot: Snapshot, root: Path, seed: int) -> Snapshot:
    """A warehouse with the same rows in another order, in other files and other row groups."""
    chance = random.Random(seed)
    with Warehouse(root).load() as under_way:
        changes = [
            TableChange(table, _scattered(under_way, snapshot, table, chance), None) for table in TABLES.values()
        ]
        return under_way.publish(changes, ())


def _scattered(under_way: Load, snapshot: Snapshot, table: Table, chance: random.Random) -> tuple[DataFile, ...]:
    made: list[DataFile] = []
    parts = {file.partition for file in snapshot.files(table)}
    for part in sorted(parts, key=str):
        old = [file.path for file in snapshot.files(table) if file.partition == part]
        rows = pa.concat_tables([pq.read_table(path, columns=table.schema.names).cast(table.schema) for path in old])
        order = list(range(len(rows)))
        chance.shuffle(order)
        rows = rows.take(pa.array(order, pa.int64()))
        cut = chance.randint(0, len(rows))
        for some in (rows.slice(0, cut), rows.slice(cut)):
            path = under_way.new_file_path(table)
            pq.write_table(some, path, row_group_size=chance.choice([7, 100, 1_000, 50_000]))
            made.append(DataFile(path, len(some), part))
    return tuple(made)


@pytest.mark.parametrize("data", ["acme", "company"])
def test_any_number_of_threads_gives_the_same_bytes(request: pytest.FixtureRequest, tmp_path: Path, data: str) -> None:
    snapshot: Snapshot = request.getfixturevalue(data)
    made = [files(written(snapshot, tmp_path / str(n), IndexResources(threads=n))) for n in (1, 2, 4)]
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == len(list(index._elements())) + 2, "a table an element, the access items, and index.json"


def test_progress_rises_to_its_total(acme: Snapshot, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_index(acme, tmp_path, on_progress=lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert {of for _, of in told} == {told[-1][0]}


def many_holders(root: Path, count: int) -> Snapshot:
    """A warehouse with many wide accounts, which a thousand identities hold in no order."""
    (file,) = many_accounts(root, count).files(ACCOUNTS)
    people = [{"id": f"p{n:03}", "name": f"p{n}", "sourceId": "hr"} for n in range(1_000)]
    holders = pa.array([f"p{n * 7919 % 1_000:03}" for n in range(count)])
    rows = pq.read_table(file.path)
    rows = rows.set_column(rows.schema.get_field_index("identityId"), "identityId", holders)
    with Warehouse(root).load() as under_way:
        path = under_way.new_file_path(ACCOUNTS)
        pq.write_table(rows, path)
        changes = [
            TableChange(ACCOUNTS, (DataFile(path, count, "big"),), None),
            TableChange(IDENTITIES, (stage(under_way, IDENTITIES, people, "hr"),), None),
        ]
        return under_way.publish(changes, ("big",))


def test_rows_that_spill_to_disk_give_the_same_bytes(tmp_path: Path) -> None:
    snapshot = many_holders(tmp_path / "warehouse", 100_000)
    spilled: list[int] = []

    def look(*_: int) -> None:
        spilled.append(sum(path.stat().st_size for path in (tmp_path / "little" / "spill").glob("*")))

    (tmp_path / "little").mkdir()
    write_index(snapshot, tmp_path / "little", on_progress=look, resources=IndexResources(memory=60_000_000, threads=1))
    assert max(spilled) > 0
    assert files(tmp_path / "little") == files(written(snapshot, tmp_path / "much"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_in_files_changes_no_byte(
    acme: Snapshot, acme_files: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    other = tables(written(shuffled(acme, tmp_path / "warehouse", seed), tmp_path / "other"))
    assert other == {name: content for name, content in acme_files.items() if name != "index.json"}


def test_rows_in_many_files_give_the_same_bytes(
    company: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_BATCH", 1_000)
    monkeypatch.setattr(indexing, "_PAIRS_ROW_GROUP", 3_000)
    other = shuffled(company, tmp_path / "warehouse", 4)
    made = tables(written(other, tmp_path / "other", IndexResources(threads=4)))
    assert made == tables(written(company, tmp_path / "same", IndexResources(threads=1)))
    groups = pq.read_metadata(tmp_path / "other" / "identities.accounts.parquet")
    sizes = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert len(sizes) > 3 and set(sizes[:-1]) == {1_000}, "however the engine hands rows out"


def test_ids_that_come_twice_leave_no_order_open(tmp_path: Path) -> None:
    people = [
        {"id": "a", "name": name, "sourceId": "hr", "attributes": [("city", [city])]}
        for name, city in (("x", "Bonn"), ("x", "Rome"), ("y", "Bonn"), ("x", "Bonn"), (None, "Bonn"))
    ]
    accounts = [
        {"id": "1", "nativeIdentity": "n", "sourceId": "ad", "identityId": "a", "attributes": [("dept", [dept])]}
        for dept in ("Q", "R", "P", "Q")
    ]
    one = publish(Warehouse(tmp_path / "one"), [HR], accounts, people)
    other = publish(Warehouse(tmp_path / "other"), [HR], accounts[::-1], people[::-1])
    made = written(one, tmp_path / "first")
    assert tables(made) == tables(written(other, tmp_path / "second"))
    assert pq.read_table(made / "identities.parquet")["attributes.city"].to_pylist() == [
        "Bonn", "Bonn", "Rome", "Bonn", "Bonn",
    ]  # fmt: skip
    assert pq.read_table(made / "identities.accounts.parquet")["accountAttributes.dept"].to_pylist() == list("PQQR")


def test_a_snapshot_stays_after_its_tables_were_compacted(
    acme: Snapshot, acme_files: dict[str, bytes], tmp_path: Path
) -> None:
    root = tmp_path / "warehouse"
    shutil.copytree(acme.root, root)
    snapshot = Warehouse(root).snapshot()
    for table in (ACCOUNTS, IDENTITIES):
        delta = DeltaTable(root / table.name)
        compacted = delta.optimize.compact()
        assert compacted["numFilesRemoved"] >= 0
        delta.vacuum(dry_run=False)  # what is younger than a week stays
    assert files(written(snapshot, tmp_path / "after")) == acme_files


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def two_loads(warehouse: Warehouse) -> Snapshot:
    """The first of two snapshots that share no file."""
    first = publish(warehouse, [HR], [], [{"id": "ann", "name": "ann", "sourceId": "hr"}])
    publish(warehouse, [HR], [], [{"id": "bob", "name": "bob", "sourceId": "hr"}])
    return first


def test_a_snapshot_whose_files_were_vacuumed_says_so(warehouse: Warehouse) -> None:
    first = two_loads(warehouse)
    DeltaTable(warehouse.root / "identities").vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(
        NotFound, match=r"snapshot 1 is no longer kept: identities/\w+-\d\.parquet is not there"
    ) as told:
        rebuild_index(warehouse, first)
    assert "`whohas index` indexes the newest data" in told.value.message
    assert [path.name for path in (warehouse.root / "search").iterdir()] == ["build.lock"]
    rebuild_index(warehouse, warehouse.snapshot())


def test_a_snapshot_whose_log_is_gone_says_so(warehouse: Warehouse) -> None:
    first = two_loads(warehouse)
    shutil.rmtree(warehouse.root / "identities" / "_delta_log")
    with pytest.raises(NotFound, match="version 1 of the table identities"):
        rebuild_index(warehouse, first)


def test_an_old_snapshot_is_indexed_as_its_tables_stood(warehouse: Warehouse) -> None:
    first = two_loads(warehouse)
    assert rebuild_index(warehouse, first).previous_versions is None
    folder = warehouse.root / "search" / "000000001"
    assert pq.read_table(folder / "identities.parquet")["id"].to_pylist() == ["ann"]
    assert newest_indexed_snapshot(warehouse) == 1
    assert is_built(first)


def test_an_equal_index_stays_where_it_is(acme: Snapshot, tmp_path: Path) -> None:
    shutil.copytree(acme.root, tmp_path / "warehouse")
    warehouse = Warehouse(tmp_path / "warehouse")
    snapshot = searchable_snapshot(warehouse)
    folder = warehouse.root / "search" / f"{snapshot.number:09}"
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    again = rebuild_index(warehouse, snapshot)
    assert (again.files, again.differing, again.previous_versions) == (
        tuple(sorted(before)),
        (),
        BuildVersions.current(),
    )
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    assert not list(folder.parent.glob("*.part"))


def test_changed_files_are_named_and_replaced(warehouse: Warehouse) -> None:
    snapshot = two_loads(warehouse)
    build_index(warehouse, snapshot)
    folder = warehouse.root / "search" / "000000001"
    right = files(folder)
    (folder / "roles.parquet").write_bytes(right["roles.parquet"][:-1])
    flipped = bytearray(right["identities.parquet"])
    flipped[len(flipped) // 2] ^= 1
    (folder / "identities.parquet").write_bytes(flipped)
    (folder / "index.json").write_text("{")
    (folder / "events.parquet").unlink()
    (folder / "more.parquet").touch()
    changed = files(folder)
    names = ("events.parquet", "identities.parquet", "index.json", "more.parquet", "roles.parquet")
    checked = rebuild_index(warehouse, snapshot, replace=False)
    assert checked.differing == names
    assert checked.files == tuple(sorted(right.keys() | changed.keys()))
    assert "index.json cannot be read" in str(checked.previous_versions)
    assert files(folder) == changed, "a check changes nothing"
    assert rebuild_index(warehouse, snapshot).differing == names
    assert files(folder) == right


def test_a_check_needs_an_index(warehouse: Warehouse) -> None:
    snapshot = two_loads(warehouse)
    with pytest.raises(NotFound, match="has no search index that could be checked: `whohas index --snapshot 1` makes"):
        rebuild_index(warehouse, snapshot, replace=False)


def test_an_index_says_what_it_was_made_with(warehouse: Warehouse) -> None:
    snapshot = two_loads(warehouse)
    assert index_versions(snapshot) is None
    build_index(warehouse, snapshot)
    assert index_versions(snapshot) == open_index(snapshot).versions == BuildVersions.current()
    facts = json.loads((warehouse.root / "search" / "000000001" / "index.json").read_text())
    assert facts["madeWith"]["analyser"] == ANALYSER_VERSION
    assert set(facts["madeWith"]) == {"analyser", "whohas", "duckdb", "pyarrow"}


def _rewrite(folder: Path, made_with: Mapping[str, Any] | None) -> None:
    """An index as another version left it."""
    path = folder / "index.json"
    facts = json.loads(path.read_text())
    del facts["madeWith"]
    path.write_text(json.dumps(facts if made_with is None else {**facts, "madeWith": made_with}))


def test_an_index_of_another_analyser_is_made_again(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    two_loads(warehouse)
    snapshot = searchable_snapshot(warehouse)
    monkeypatch.setattr(index, "ANALYSER_VERSION", ANALYSER_VERSION + 1)
    assert not is_built(snapshot)
    before = index_versions(snapshot)
    assert before is not None and before.analyser == ANALYSER_VERSION
    assert searchable_snapshot(warehouse) == snapshot
    now = index_versions(snapshot)
    assert now is not None and now.analyser == ANALYSER_VERSION + 1


def test_an_index_of_before_is_searched_as_of_analyser_one(warehouse: Warehouse) -> None:
    two_loads(warehouse)
    snapshot = searchable_snapshot(warehouse)
    _rewrite(warehouse.root / "search" / "000000002", None)
    assert open_index(snapshot).versions == BuildVersions(1)
    assert "an earlier version" in str(BuildVersions(1))


def test_files_of_another_version_are_not_linked(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, [{"id": "a", "name": "amy"}], roles=[{"id": "r1", "name": "One"}])
    search = corpus.warehouse.root / "search"

    def next_index() -> int:
        data = tmp_path / "more"
        data.mkdir(exist_ok=True)
        number = corpus.warehouse.snapshot().number + 1
        (data / "roles.ndjson").write_text(json.dumps({"id": f"r{number}", "name": "More"}) + "\n")
        load(corpus.warehouse, [data], accept_loss=True)
        build_index(corpus.warehouse, corpus.warehouse.snapshot())
        return (search / f"{number:09}" / "identities.parquet").stat().st_ino

    first = (search / "000000001" / "identities.parquet").stat().st_ino
    assert next_index() == first
    made_with = json.loads((search / "000000002" / "index.json").read_text())["madeWith"]
    _rewrite(search / "000000002", {**made_with, "duckdb": "0.1"})
    assert next_index() != first


def test_a_folder_under_construction_is_no_index(warehouse: Warehouse) -> None:
    """Its index.json is written before it gets its name."""
    first = two_loads(warehouse)
    build_index(warehouse, first)
    shutil.copytree(warehouse.root / "search" / "000000001", warehouse.root / "search" / "000000002.part")
    assert newest_indexed_snapshot(warehouse) == 1
    build_index(warehouse, warehouse.snapshot())
    assert sorted(path.name for path in (warehouse.root / "search").iterdir() if path.is_dir()) == [
        "000000001",
        "000000002",
    ]


def test_columns_can_be_printed_whatever_attributes_are_called(tmp_path: Path) -> None:
    names = {"new\nline": "1", "bell\x07": "2", r"new\u{a}line": "3", "nb\xa0sp": "4"}
    corpus = Corpus(tmp_path, [{"id": "a", "name": "amy", "attributes": names}])
    fields = corpus.index.element(INDICES["identities"]).fields
    columns = {one.column for name, one in fields.items() if name.startswith("attributes.")}
    assert all(column.isprintable() for column in columns)
    assert len(columns) == 4
    for name, value in names.items():
        (row,) = corpus.search("*", columns=(f"attributes.{name}",))
        assert row == {f"attributes.{name}": value}


@pytest.fixture
def sources(warehouse: Warehouse) -> Snapshot:
    with warehouse.load() as under_way:
        return under_way.publish([TableChange(SOURCES, (stage(under_way, SOURCES, [HR]),), None)], ("hr",))


def test_an_index_without_any_row_is_the_same_again(sources: Snapshot, tmp_path: Path) -> None:
    assert files(written(sources, tmp_path / "one")) == files(written(sources, tmp_path / "other"))
