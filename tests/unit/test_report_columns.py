"""The argument `columns`: what a run has that names its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factories import publish, report_plan, report_rows
from whohas.engine.statement import columns_from_json, columns_to_json, group_order
from whohas.errors import InvalidArguments
from whohas.labels import label_of
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


def test_groups_are_sorted_by_their_title(snapshot: Snapshot) -> None:
    def order(report_type: str, columns: str | None = None) -> tuple[str, ...]:
        (statement,) = report_plan(snapshot, report_type, {"columns": columns}).statements
        return group_order(statement.columns, statement.group)

    assert order("IDENTITIES_DETAILS") == ("displayName", "id")
    assert order("UNCORRELATED_ACCOUNTS") == ("sourceName", "sourceId")
    assert order("UNCORRELATED_ACCOUNTS", "name,sourceName") == ("sourceName",)
    assert order("UNCORRELATED_ACCOUNTS", "name") == order("IDENTITIES") == ()


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
