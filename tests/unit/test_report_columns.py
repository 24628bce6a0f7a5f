"""The argument `columns`: what a run has that names its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import parquet

from factories import publish, report_plan, report_rows
from rendering import ABOUT
from whohas.engine.statement import columns_from_json, columns_to_json, row_order
from whohas.errors import InvalidArguments
from whohas.formats.base import RowsQuery, WriteOptions
from whohas.formats.parquet import extract_statement
from whohas.labels import label_of
from whohas.runs.plans import RunPlan
from whohas.warehouse.store import Snapshot, Warehouse

SOURCES = [
    {"id": "ad", "name": "Directory", "accountAttributes": ["City", "city", "a,b", 'quo"te'], "authoritative": False}
]
ATTRIBUTES = [("City", ["Upper"]), ("city", ["lower"]), ("a,b", ["comma"]), ('quo"te', ["quoted"])]
ACCOUNTS = [
    {"id": f"x{n}", "nativeIdentity": f"x{n}", "name": f"x{n}", "sourceId": "ad", "attributes": ATTRIBUTES,
     "correlated": False}
    for n in range(3)
]  # fmt: skip


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return publish(Warehouse(tmp_path_factory.mktemp("warehouse")), SOURCES, ACCOUNTS)


def rows(snapshot: Snapshot, folder: Path, columns: Any, report_type: str = "ACCOUNTS") -> list[dict[str, str]]:
    return report_rows(snapshot, folder, report_type, {"application": "ad", "columns": columns})


def test_the_file_has_the_named_columns_in_their_order(snapshot: Snapshot, tmp_path: Path) -> None:
    found = rows(snapshot, tmp_path, "sourceName, name,name")
    assert [list(row.items()) for row in found] == [[("sourceName", "Directory"), ("name", f"x{n}")] for n in range(3)]


def test_columns_whose_names_differ_by_case_stay_apart(snapshot: Snapshot, tmp_path: Path) -> None:
    found = rows(snapshot, tmp_path, ["city", "City", "a,b", 'quo"te'])
    assert found[0] == {"city": "lower", "City": "Upper", "a,b": "comma", 'quo"te': "quoted"}


def test_an_unknown_name_is_an_empty_column_and_a_message(snapshot: Snapshot, tmp_path: Path) -> None:
    plan = report_plan(snapshot, "ACCOUNTS", {"application": "ad", "columns": "name,sourceNam"})
    assert [(message.level.value, message.key, message.text) for message in plan.messages] == [
        (
            "WARN",
            "columns.unknown",
            "There is no column sourceNam in ACCOUNTS: it stays empty. Did you mean sourceName?",
        )
    ]
    assert rows(snapshot, tmp_path, "name,sourceNam")[0] == {"name": "x0", "sourceNam": ""}


def test_the_columns_are_part_of_the_identity_of_a_run(snapshot: Snapshot) -> None:
    def normalised(columns: Any) -> Any:
        plan = report_plan(snapshot, "ACCOUNTS", {"application": "ad", "columns": columns})
        return plan.arguments.get("columns")

    assert normalised("name , id") == normalised(["name", "id", "name"]) == "name,id"
    assert normalised(["a,b"]) == ["a,b"] != normalised("a,b")
    assert normalised(None) is normalised("") is normalised([]) is None


@pytest.mark.parametrize("columns", [1, {"name": True}, ["name", None], [["name"]]])
def test_what_is_no_list_of_names_is_refused(snapshot: Snapshot, columns: Any) -> None:
    with pytest.raises(InvalidArguments, match="columns of ACCOUNTS must be a text with commas"):
        report_plan(snapshot, "ACCOUNTS", {"application": "ad", "columns": columns})


def test_too_many_columns_are_refused(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidArguments, match="WHOHAS_SEARCH_COLUMNS"):
        report_plan(snapshot, "IDENTITIES", {"columns": [f"c{n}" for n in range(100_000)]})


def test_readable_files_show_every_named_column(snapshot: Snapshot) -> None:
    (statement,) = report_plan(snapshot, "IDENTITIES", {"columns": "id,name"}).statements
    assert [(column.name, column.readable) for column in statement.columns] == [("id", "always"), ("name", "always")]


def test_rows_are_sorted_by_group_and_within_it(snapshot: Snapshot) -> None:
    def order(report_type: str, columns: str | None = None) -> tuple[str, ...]:
        (statement,) = report_plan(snapshot, report_type, {"columns": columns}).statements
        return row_order(statement.columns, statement.group, statement.order)

    accounts = ("account.source.name", "account.name", "account.id")
    assert order("IDENTITIES_DETAILS") == ("displayName", "id", *accounts)
    assert order("UNCORRELATED_ACCOUNTS") == ("sourceName", "sourceId", "name", "id")
    assert order("UNCORRELATED_ACCOUNTS", "id,name,sourceName") == ("sourceName", "name", "id")
    assert order("UNCORRELATED_ACCOUNTS", "name") == order("IDENTITIES") == ()


def test_rows_without_their_id_are_sorted_by_all_columns(snapshot: Snapshot) -> None:
    arguments = {"columns": "disabled,name,sourceName,loaded"}
    (statement,) = report_plan(snapshot, "UNCORRELATED_ACCOUNTS", arguments).statements
    found = row_order(statement.columns, statement.group, statement.order)
    assert found == ("sourceName", "name", "disabled", "loaded")


def test_an_extract_has_one_order_of_rows(snapshot: Snapshot, tmp_path: Path) -> None:
    (statement,) = report_plan(
        snapshot, "IDENTITIES_DETAILS", {"columns": "id,displayName,account.source.name,account.name,account.id"}
    ).statements
    rows = [["1", "Ann", "AD", f"a{n % 3}", f"{n}"] for n in range(50)] + [["2", "Ann", None, None, None]]
    tables = list[list[dict[str, Any]]]()
    for some in (rows, rows[::-1], sorted(rows, key=lambda row: str(row[-1])[::-1])):
        values = ", ".join(f"({', '.join('NULL' if cell is None else repr(cell) for cell in row)})" for row in some)
        query = RowsQuery(f"SELECT * FROM (VALUES {values})", statement.columns, "", statement.group, statement.order)
        duckdb.sql(extract_statement(query, tmp_path / "rows.parquet", ABOUT))
        tables.append(parquet.read_table(tmp_path / "rows.parquet").to_pylist())
    assert tables[0] == tables[1] == tables[2]
    assert [row["account.name"] for row in tables[0]] == [*sorted(f"a{n % 3}" for n in range(50)), None]


def test_a_plan_keeps_the_order_and_one_of_before_has_none(snapshot: Snapshot) -> None:
    plan = RunPlan.of(report_plan(snapshot, "IDENTITIES_DETAILS", {}), snapshot, WriteOptions())
    document = json.loads(json.dumps(plan.to_json()))
    assert RunPlan.from_json(document) == plan
    del document["parts"][0]["order"]
    assert [part.statement.order for part in RunPlan.from_json(document).parts] == [()]


def test_columns_survive_json_and_those_of_before_are_read(snapshot: Snapshot) -> None:
    (statement,) = report_plan(snapshot, "IDENTITIES", {}).statements
    document = columns_to_json(statement.columns)
    assert columns_from_json(document) == statement.columns
    assert set(document["columns"][0]) == {"name", "type", "doc", "key", "single"}
    del document["display"]
    assert {(column.label, column.section, column.readable) for column in columns_from_json(document)} == {
        ("", "", "unless_empty")
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("displayName", "Display name"), ("source.name", "Source name"), ("attributes.city", "City"), ("id", "Id"),
        ("attributes", "Attributes"), ("accountCount", "Account count"), ("access.spread", "Access spread"),
    ],
)  # fmt: skip
def test_a_label_has_the_words_of_the_name(name: str, label: str) -> None:
    assert label_of(name) == label
