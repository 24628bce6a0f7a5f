"""The SQL that a search export keeps gives its rows with nothing but DuckDB and the files of the search index."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patience import until
from support import ACME, whohas
from whohas.cli.terminal import without_control_characters
from whohas.search.fields import INDICES
from whohas.search.index import write_index
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

SEARCHES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "everything": ("*", "identities", {}),
    "word": ("oakenshaw", "identities", {}),
    "wildcards": ("name:al* OR lastName:oak?nshaw OR email:*shaw*", "identities", {"sort": ["-name"]}),
    "whole values": ("email.exact:*@acme.example AND NOT attributes.city.exact:Athens", "identities", {}),
    "phrase": ('attributes.jobTitle:"chief executive"', "identities", {}),
    "near": ('attributes.jobTitle:"executive chief"~2', "identities", {}),
    "fuzzy": ("lastName:okensha~ OR firstName:anugs~1", "identities", {}),
    "regular expression": ("firstName:/a[bl].+/", "identities", {}),
    "times": ("created:[2021-05||/M TO now/d] AND modified:<now", "identities", {}),
    "numbers": ("accountCount:(>=2 AND <4) AND accessCount:[3 TO *]", "identities", {"sort": ["-accessCount", "name"]}),
    "words between": ("lastName:[oak TO oakzz]", "identities", {}),
    "nested access": (
        "@access(type:ROLE AND name.exact:Finance) AND NOT @access(privileged:true)",
        "identities",
        {"columns": "id,displayName,access.name,accessCount"},
    ),
    "nested accounts": (
        '@accounts(source.name:"Active Directory" AND disabled:true)',
        "identities",
        {"columns": "id,accounts.spread,access.spread", "sort": ["displayName"]},
    ),
    "attributes": (r"attributes.\*:hamburg AND _exists_:manager", "identities", {"columns": "name,attributes.city"}),
    "several values": ("sources.exact:* OR NOT tags.exact:x", "accountactivities", {}),
    "one of several values": ("NOT sources.exact:nosuch", "accountactivities", {"columns": "id,sources"}),
    "lists in lists": (
        "@dimensions(name:* OR NOT @entitlements(name:vault)) OR name:*",
        "roles",
        {"columns": "id,name,entitlements.name,accessProfiles.spread"},
    ),
    "characters that are not printed": ('NOT displayName.exact:"no-break\u00a0space\u001b"', "identities", {}),
    "filters": (
        "*",
        "identities",
        {"filters": {"attributes.department": {"type": "TERMS", "terms": ["Finance"]}, "phone": {"type": "EXISTS"}}},
    ),
    "events": ("status:passed AND created:>2021", "events", {}),
    "no such field": ("nosuch:x OR name:*", "entitlements", {"columns": "id,nope,attribute"}),
}
"""Query, index and further arguments."""


@pytest.fixture(scope="module")
def services(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    home = tmp_path_factory.mktemp("replay") / "home"
    shutil.copytree(acme_home / "warehouse", home / "warehouse")
    with open_services(Settings(home=home)) as opened:
        yield opened


@pytest.fixture(scope="module")
def runs(services: Services) -> dict[str, str]:
    """The ids of the runs of all searches."""
    made: dict[str, str] = {}
    with services.runs.working():
        for name, (query, index, more) in SEARCHES.items():
            arguments = {"query": query, "indices": [index], "selectedFormats": ["PARQUET"], **more}
            made[name] = services.runs.start("SEARCH_EXPORT", arguments, "ann").id
        for id in made.values():
            until(lambda id=id: services.runs.get(id).state.is_over)
    return made


@pytest.fixture(scope="module")
def rebuilt(services: Services, tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Plain DuckDB on an index that was made again somewhere else."""
    folder = tmp_path_factory.mktemp("rebuilt")
    write_index(services.warehouse.snapshot(), folder)
    return plain_duckdb(folder)


def plain_duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    for file in folder.glob("*.parquet"):
        database.execute(f"CREATE VIEW \"{file.stem}\" AS FROM '{file}'")
    return database


def cells(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("name", SEARCHES)
def test_the_kept_sql_gives_the_rows_of_the_file(
    services: Services, runs: dict[str, str], rebuilt: duckdb.DuckDBPyConnection, name: str
) -> None:
    run = services.runs.get(runs[name])
    found, artefact = services.runs.get_artifact(run.id, "parquet")
    with zipfile.ZipFile(services.runs.path(found, artefact)) as archive:
        (entry,) = archive.namelist()
        file = pq.read_table(io.BytesIO(archive.read(entry)))
    assert len(file) == run.rows
    printed = services.runs.record(run).runnable_sql
    assert without_control_characters(printed) == printed, "a terminal shows what a pipe is given"
    assert cells(rebuilt.sql(printed).to_arrow_table()) == cells(file)


def test_every_search_finds_something(services: Services, runs: dict[str, str]) -> None:
    """Else the test above would compare nothing with nothing."""
    rows = {name: services.runs.get(id).rows or 0 for name, id in runs.items()}
    assert min(rows.values()) > 0, rows


def test_the_kept_sql_of_several_indices_runs_as_a_script(
    services: Services, rebuilt: duckdb.DuckDBPyConnection
) -> None:
    names = ("identities", "accessprofiles", "entitlements", "roles", "events", "accountactivities")
    arguments = {"query": "name:a* OR status:*", "selectedFormats": ["PARQUET"]}
    with services.runs.working():
        id = services.runs.start("SEARCH_EXPORT", arguments, "ann").id
        until(lambda: services.runs.get(id).state.is_over)
    run = services.runs.get(id)
    statements = rebuilt.extract_statements(services.runs.record(run).runnable_sql)
    found, artefact = services.runs.get_artifact(run.id, "parquet")
    with zipfile.ZipFile(services.runs.path(found, artefact)) as archive:
        tables = [pq.read_table(io.BytesIO(archive.read(entry))) for entry in archive.namelist()]
    assert len(statements) == len(tables) == len(names)
    for statement, table in zip(statements, tables, strict=True):
        assert cells(rebuilt.sql(statement.query).to_arrow_table()) == cells(table)


def test_another_process_makes_the_same_bytes(own_home: Path, tmp_path: Path) -> None:
    warehouse = Warehouse(own_home / "warehouse")
    shutil.rmtree(warehouse.root / "search")
    done = whohas(own_home, "index", "--snapshot", "1")
    assert (done.returncode, done.stderr) == (0, f"whohas: local installation {own_home}\n")
    assert done.stdout.startswith("Search index of snapshot 1 made again in ")
    assert done.stdout.endswith(" files; none was there before.\n")
    write_index(warehouse.snapshot(1), tmp_path)
    made = {path.name: path.read_bytes() for path in (warehouse.root / "search" / "000000001").iterdir()}
    assert made == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_the_command_says_whether_files_are_equal(own_home: Path) -> None:
    done = whohas(own_home, "index", "--snapshot", "1")
    count = sum(len(index.elements) for index in INDICES.values()) + 2
    assert f"its {count} files are equal, byte by byte, to those that were there.\n" in done.stdout
    assert whohas(own_home, "index", "--check").returncode == 0
    assert whohas(own_home, "index").stdout == "Search index of snapshot 1 is there already.\n"
    path = own_home / "warehouse" / "search" / "000000001" / "roles.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    checked = whohas(own_home, "index", "--snapshot", "1", "--check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert f"1 of {count} files differ from those that were there: roles.parquet. Both were made with whohas" in (
        checked.stderr
    )
    assert checked.stderr.endswith("is damaged, or was changed. It stays as it is.\n")
    assert "The new one is in its place." in whohas(own_home, "index", "--snapshot", "1").stdout
    assert whohas(own_home, "index", "--check").returncode == 0


def test_an_old_index_is_made_again_and_compared(own_home: Path) -> None:
    assert whohas(own_home, "load", "-q", ACME / "roles.ndjson").returncode == 0
    assert "equal, byte by byte" in whohas(own_home, "index", "--snapshot", "1").stdout
    assert "equal, byte by byte" in whohas(own_home, "index", "--snapshot", "2").stdout, "linked files too"
    missing = whohas(own_home, "index", "--snapshot", "3", "-q")
    assert missing.returncode == 1
    assert missing.stderr.startswith("whohas: There is no snapshot 3 with an index: choose one from 1 to 2,")
