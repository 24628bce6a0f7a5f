"""The summaries of the reports, on a company of four whose figures are counted by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories import publish, report_plan, report_summary
from whohas.engine.summary import (
    NO_VALUE,
    Breakdown,
    Category,
    FigureValue,
    KeyFigure,
    RowsSummary,
    SummaryDefinition,
    breakdown_value,
)
from whohas.reports.registry import all_reports
from whohas.warehouse.store import Snapshot, Warehouse

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SOURCES = [
    {"id": "hr", "name": "People", "authoritative": True, "accountAttributes": [], "loaded": NOON},
    {"id": "ad", "name": "Directory", "authoritative": False, "accountAttributes": ["mail"], "loaded": NOON},
]
IDENTITIES = [
    {"id": "1", "name": "anna", "displayName": "Anna Ek", "sourceId": "hr", "managerName": "dora", "created": NOON},
    {"id": "2", "name": "boris", "displayName": "Boris Ek", "sourceId": "hr", "lifecycleState": "terminated"},
    {"id": "3", "name": "carla", "created": NOON - timedelta(days=100)},
    {"id": "4", "name": "dora", "sourceId": "hr", "identityProfileId": "p", "processingState": "ERROR",
     "processingStage": "Refresh", "processingRetryCount": 2, "processingMessage": "No email"},
]  # fmt: skip
ACCOUNTS = [
    {"id": "h1", "sourceId": "hr", "identityId": "1", "correlated": True},
    {"id": "h4", "sourceId": "hr", "identityId": "4", "correlated": True, "disabled": True},
    {"id": "d1", "sourceId": "ad", "identityId": "1", "correlated": True, "disabled": False,
     "modified": NOON - timedelta(days=400), "created": NOON - timedelta(days=800), "privileged": True},
    {"id": "d2", "sourceId": "ad", "identityId": "2", "correlated": True, "disabled": False, "locked": True,
     "modified": NOON - timedelta(days=1)},
    {"id": "d3", "sourceId": "ad", "correlated": False, "disabled": True, "created": NOON + timedelta(days=1)},
]  # fmt: skip
ENTITLEMENTS = [{"id": "e1", "name": "Admins", "sourceId": "ad"}, {"id": "e2", "name": "Readers", "sourceId": "ad"}]
GRANTED = [
    {"accountId": "d1", "entitlementId": "e1", "sourceId": "ad"},
    {"accountId": "d1", "entitlementId": "e2", "sourceId": "ad"},
    {"accountId": "d2", "entitlementId": "e2", "sourceId": "ad"},
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    accounts = [{"nativeIdentity": row["id"], "name": row["id"], "attributes": []} | row for row in ACCOUNTS]
    return publish(
        Warehouse(tmp_path_factory.mktemp("warehouse")),
        SOURCES,
        accounts,
        IDENTITIES,
        profiles=[{"id": "p", "name": "Staff", "authoritativeSourceId": "hr"}],
        entitlements=ENTITLEMENTS,
        granted=GRANTED,
    )


def figures(summary: RowsSummary) -> dict[str, tuple[int, int | None]]:
    return {figure.name: (figure.value, figure.of) for figure in summary.figures}


def categories(summary: RowsSummary, name: str) -> dict[str, dict[str, int]]:
    (found,) = (breakdown for breakdown in summary.breakdowns if breakdown.name == name)
    return {row.name: dict(zip(found.series, row.numbers, strict=True)) for row in found.rows}


def test_accounts_summary_counts_states_and_ages(snapshot: Snapshot, tmp_path: Path) -> None:
    summary = report_summary(snapshot, tmp_path, "ACCOUNTS", {"application": "ad"}, NOON)
    assert (summary.rows, figures(summary)) == (
        3,
        {
            "accounts": (3, None),
            "correlated": (2, 3),
            "disabled": (1, 3),
            "locked": (1, 1),
            "privileged": (1, 1),
            "stale": (1, 2),
            "withEntitlements": (2, 3),
            "rejected": (0, None),
        },
    )
    assert categories(summary, "accountsBySource") == {"Directory": {"enabled": 1, "locked": 1, "disabled": 1}}
    assert categories(summary, "byCreated") == {
        "in the future": {"": 1}, "2 years or more": {"": 1}, "no date": {"": 1},
    }  # fmt: skip


def test_identities_summary_counts_what_the_filter_left_out(snapshot: Snapshot, tmp_path: Path) -> None:
    summary = report_summary(snapshot, tmp_path, "IDENTITIES", {"correlatedOnly": True}, NOON)
    assert figures(summary) == {
        "identities": (2, None),
        "correlated": (2, 2),
        "withoutManager": (1, 2),
        "withoutAccounts": (0, 2),
        "filteredOut": (2, 4),
        "rejected": (0, None),
    }
    everyone = report_summary(snapshot, tmp_path, "IDENTITIES", {}, NOON)
    assert categories(everyone, "bySource") == {"People": {"": 3}, NO_VALUE: {"": 1}}
    assert categories(everyone, "byAccounts") == {"0": {"": 1}, "1": {"": 2}, "2": {"": 1}}


def test_details_summary_counts_persons_once(snapshot: Snapshot, tmp_path: Path) -> None:
    summary = report_summary(snapshot, tmp_path, "IDENTITIES_DETAILS", {}, NOON)
    assert summary.rows == 5
    assert figures(summary) == {
        "identities": (4, None),
        "correlated": (2, 4),
        "withoutManager": (3, 4),
        "withoutAccounts": (1, 4),
        "accounts": (4, None),
        "disabled": (1, 3),
        "locked": (1, 1),
        "privileged": (1, 1),
        "rejected": (0, None),
    }
    assert categories(summary, "holdersByEntitlement") == {"Readers": {"": 2}, "Admins": {"": 1}}
    assert categories(summary, "accountsBySource") == {
        "Directory": {"enabled": 1, "locked": 1, "disabled": 0, "unknown": 0},
        "People": {"enabled": 0, "locked": 0, "disabled": 1, "unknown": 1},
    }


def test_breakdowns_without_any_value_are_left_out(snapshot: Snapshot, tmp_path: Path) -> None:
    failed = report_summary(snapshot, tmp_path, "IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "hr"}, NOON)
    assert [breakdown.name for breakdown in failed.breakdowns] == ["byStage", "byMessage", "byProfile"]
    people = report_summary(snapshot, tmp_path, "ACCOUNTS", {"application": "hr"}, NOON)
    assert [breakdown.name for breakdown in people.breakdowns] == ["accountsBySource"], "no account has a date"


def test_orphans_are_summarized_by_age_and_source(snapshot: Snapshot, tmp_path: Path) -> None:
    summary = report_summary(snapshot, tmp_path, "ORPHAN_IDENTITIES", {}, NOON)
    assert figures(summary) == {"identities": (2, None), "withAccounts": (1, 2), "rejected": (0, None)}
    assert categories(summary, "byAge") == {"90 to 179 days": {"": 1}, "no date": {"": 1}}
    assert categories(summary, "bySource") == {"Directory": {"": 1}, NO_VALUE: {"": 1}}


def test_uncorrelated_accounts_and_errors_are_summarized(snapshot: Snapshot, tmp_path: Path) -> None:
    accounts = report_summary(snapshot, tmp_path, "UNCORRELATED_ACCOUNTS", {}, NOON)
    assert categories(accounts, "accountsBySource") == {"Directory": {"disabled": 1}}
    arguments = {"authoritativeSource": "hr"}
    errors = report_summary(snapshot, tmp_path, "IDENTITY_PROFILE_IDENTITY_ERROR", arguments, NOON)
    assert figures(errors) == {"identities": (1, None), "retried": (1, 1), "rejected": (0, None)}
    assert categories(errors, "byMessage") == {"No email": {"": 1}}


@pytest.mark.parametrize("report_type", ["ACCOUNTS", "IDENTITIES", "IDENTITIES_DETAILS", "ORPHAN_IDENTITIES"])
def test_each_figure_reads_only_the_columns_it_names(snapshot: Snapshot, tmp_path: Path, report_type: str) -> None:
    arguments = {"application": "ad"} if report_type == "ACCOUNTS" else {}
    (statement,) = report_plan(snapshot, report_type, arguments, NOON).statements
    whole = report_summary(snapshot, tmp_path, report_type, arguments, NOON)
    for item in (*statement.summary.figures, *statement.summary.breakdowns):
        if not item.columns:
            continue
        named = {**arguments, "columns": list(item.columns)}
        alone = report_summary(snapshot, tmp_path, report_type, named, NOON)
        assert (item.name in figures(whole)) == (item.name in figures(alone))
        assert isinstance(item, KeyFigure) or any(item.name == found.name for found in alone.breakdowns)
        assert {name: value for name, value in figures(whole).items() if name in figures(alone)} == figures(alone)


def test_what_the_data_does_not_say_is_no_zero(tmp_path: Path) -> None:
    accounts = [
        {"id": "x", "nativeIdentity": "x", "name": "x", "sourceId": "ad", "correlated": False, "attributes": []}
    ]
    silent = publish(Warehouse(tmp_path / "warehouse"), SOURCES, accounts)
    summary = report_summary(silent, tmp_path, "UNCORRELATED_ACCOUNTS", {}, NOON)
    assert figures(summary) == {"accounts": (1, None), "rejected": (0, None)}
    assert categories(summary, "accountsBySource") == {"Directory": {"unknown": 1}}


def test_a_report_of_no_rows_has_figures_of_nothing(tmp_path: Path) -> None:
    empty = publish(Warehouse(tmp_path / "warehouse"), SOURCES)
    summary = report_summary(empty, tmp_path, "ORPHAN_IDENTITIES", {}, NOON)
    assert summary == RowsSummary(
        "",
        0,
        (
            FigureValue("identities", "Orphan identities", 0),
            FigureValue("withAccounts", "With accounts", 0, 0),
            FigureValue("rejected", "Rows rejected at load", 0),
        ),
    )
    assert summary.figures[1].percent is None


def test_more_than_ten_categories_are_added_up() -> None:
    definition = Breakdown("b", "B", "", "", (), ("on", "off"))
    counted = [(f"c{n:02}", series, n) for n in range(1, 13) for series in ("on", "off")]
    value = breakdown_value(definition, [*counted, (None, "on", 99), ("  ", "on", 1)])
    assert value.categories[0] == Category(NO_VALUE, (100, 0))
    assert [row.name for row in value.rows] == [NO_VALUE, *(f"c{n:02}" for n in range(12, 3, -1)), "3 more"]
    assert (value.further, value.others, value.rows[-1].total) == (3, (6, 6), 12)


def test_definitions_and_summaries_survive_json(snapshot: Snapshot, tmp_path: Path) -> None:
    for report_type in all_reports():
        if report_type == "SEARCH_EXPORT":
            continue
        arguments = {"application": "ad", "authoritativeSource": "hr"}
        (statement,) = report_plan(snapshot, report_type, arguments, NOON).statements
        assert SummaryDefinition.from_json(json.loads(json.dumps(statement.summary.to_json()))) == statement.summary
        summary = report_summary(snapshot, tmp_path, report_type, arguments, NOON)
        assert RowsSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
