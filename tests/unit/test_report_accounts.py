"""How the ACCOUNTS report reads its arguments, and what its rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factories import publish, report_plan, report_rows
from whohas import reports
from whohas.errors import InvalidArguments, MissingArgument
from whohas.reports.accounts import MAX_COLUMNS
from whohas.warehouse.store import Snapshot, Warehouse

SOURCES = [
    {"id": "ad", "name": "Active Directory", "accountAttributes": ["Mail", "mail", "memberOf", "name"]},
    {"id": "crm1", "name": "CRM", "accountAttributes": []},
    {"id": "crm2", "name": "CRM", "accountAttributes": []},
]
ACCOUNTS = [
    {"id": "a1", "nativeIdentity": "CN=1", "name": "one", "sourceId": "ad", "identityId": "i1", "correlated": True,
     "attributes": [("mail", ["a@x"]), ("memberOf", ["G1", "G2"]), ("name", ["inner"])]},
    {"id": "a2", "nativeIdentity": "CN=2", "name": "two", "sourceId": "ad", "identityName": "Known Elsewhere",
     "correlated": False, "attributes": [("Mail", ["B@x"])]},
    {"id": "c1", "nativeIdentity": "c", "name": "c", "sourceId": "crm1", "correlated": False, "attributes": []},
]  # fmt: skip
IDENTITIES = [{"id": "i1", "name": "laura", "displayName": "Laura Peeters", "sourceId": "hr"}]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return publish(Warehouse(tmp_path_factory.mktemp("warehouse")), SOURCES, ACCOUNTS, IDENTITIES)


def plan(snapshot: Snapshot, **arguments: Any) -> reports.Plan:
    return report_plan(snapshot, "ACCOUNTS", arguments)


def rows(snapshot: Snapshot, folder: Path, **arguments: Any) -> list[dict[str, str]]:
    return report_rows(snapshot, folder, "ACCOUNTS", arguments)


def test_application_and_name_of_the_same_source_are_normalised(snapshot: Snapshot) -> None:
    wanted = {"application": "ad", "sourceName": "Active Directory"}
    assert plan(snapshot, application="ad").arguments == wanted
    assert plan(snapshot, sourceName="Active Directory").arguments == wanted
    assert plan(snapshot, application="ad", sourceName="Active Directory").arguments == wanted


def test_application_decides_where_two_sources_have_one_name(snapshot: Snapshot) -> None:
    assert plan(snapshot, application="crm2", sourceName="CRM").arguments["application"] == "crm2"
    with pytest.raises(InvalidArguments, match="crm1, crm2"):
        plan(snapshot, sourceName="CRM")


def test_a_source_name_that_contradicts_application_is_refused(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidArguments, match=r"'ad' is the source 'Active Directory', but sourceName says 'CRM'"):
        plan(snapshot, application="ad", sourceName="CRM")


def test_an_unknown_source_is_refused_with_the_nearest_name(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidArguments, match=r"Did you mean 'Active Directory' \(ad\)"):
        plan(snapshot, sourceName="active directry")
    with pytest.raises(
        InvalidArguments, match=r"no source with the id 'zzz'.*The sources are: Active Directory, CRM, CRM"
    ):
        plan(snapshot, application="zzz")


def test_an_empty_warehouse_says_that_nothing_was_loaded(tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match="No data has been loaded"):
        plan(Warehouse(tmp_path).snapshot(), application="ad")


@pytest.mark.parametrize("value", [1, True, ["ad"], {"id": "ad"}])
def test_an_argument_of_the_wrong_type_is_refused(snapshot: Snapshot, value: object) -> None:
    with pytest.raises(InvalidArguments, match="application of ACCOUNTS must be a text"):
        plan(snapshot, application=value)


@pytest.mark.parametrize(
    "arguments", [{}, {"application": None}, {"application": "", "sourceName": ""}, {"sourceName": None}]
)
def test_a_start_without_a_source_is_refused(snapshot: Snapshot, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="ACCOUNTS needs the argument application or sourceName"):
        plan(snapshot, **arguments)


def test_fixed_columns_come_first_then_the_attributes_by_name(snapshot: Snapshot) -> None:
    names = [column.name for column in plan(snapshot, application="ad").statement.columns]
    assert names == [
        "id", "nativeIdentity", "name", "sourceId", "sourceName", "identityId", "identityName", "correlated",
        "manuallyCorrelated", "disabled", "locked", "privileged", "hasEntitlements", "created", "modified",
        "Mail", "mail", "memberOf", "attributes.name",
    ]  # fmt: skip


def test_rows_are_the_accounts_of_that_source_with_their_identities(snapshot: Snapshot, tmp_path: Path) -> None:
    first, second = rows(snapshot, tmp_path, application="ad")
    assert (first["id"], first["identityId"], first["identityName"]) == ("a1", "i1", "Laura Peeters")
    assert (first["mail"], first["Mail"], first["memberOf"], first["attributes.name"]) == (
        "a@x",
        "",
        "G1;G2",
        "inner",
    )
    assert (second["id"], second["identityName"], second["correlated"]) == ("a2", "Known Elsewhere", "false")
    assert (second["Mail"], second["sourceName"]) == ("B@x", "Active Directory")


def test_a_source_without_accounts_gives_a_header_alone(snapshot: Snapshot, tmp_path: Path) -> None:
    assert rows(snapshot, tmp_path, application="crm2") == []


@pytest.mark.parametrize("report_type", ["accounts", "NOPE", "", None, 3, ["ACCOUNTS"]])
def test_an_unknown_report_type_names_the_ones_there_are(report_type: object) -> None:
    with pytest.raises(InvalidArguments, match="IDENTITY_PROFILE_IDENTITY_ERROR"):
        reports.find_report(report_type, {})


@pytest.mark.parametrize(
    ("report_type", "name"),
    [("SEARCH_EXPORT", "query"), ("IDENTITY_PROFILE_IDENTITY_ERROR", "authoritativeSource")],
)
def test_a_missing_argument_is_named_without_a_way_to_give_it(report_type: str, name: str) -> None:
    with pytest.raises(MissingArgument, match=f"^{report_type} needs the argument {name}[^.]*[.]$"):
        reports.find_report(report_type, {"correlatedOnly": False})


def test_too_many_attributes_are_refused_with_both_numbers(tmp_path: Path) -> None:
    names = [f"a{n}" for n in range(MAX_COLUMNS)]
    sources = [
        {"id": id, "name": id, "accountAttributes": names[:count]}
        for id, count in (("wide", MAX_COLUMNS - 15), ("wider", MAX_COLUMNS - 14))
    ]
    snapshot = publish(Warehouse(tmp_path), sources)
    assert len(plan(snapshot, application="wide").statements[0].columns) == MAX_COLUMNS
    with pytest.raises(InvalidArguments, match=r"'wider' have 16,370 attributes.* 16,385 columns.* 16,384 at most"):
        plan(snapshot, application="wider")
