"""What holds between the reports over any company."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import publish, report_rows
from whohas.reports.base import ReportRequest
from whohas.reports.registry import find_report
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.store import Snapshot, Warehouse

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PROFILES = [{"id": f"p{n}", "name": f"Profile {n}", "authoritativeSourceId": f"s{n}"} for n in range(2)]


@st.composite
def companies(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Sources of which none, some or all are authoritative; identities with an error or not; accounts of somebody,
    of nobody, and of identities that are gone."""
    sources = [
        {"id": f"s{n}", "name": f"Source {n}", "authoritative": draw(st.booleans()), "accountAttributes": []}
        for n in range(draw(st.integers(1, 4)))
    ]
    ids = [f"i{n}" for n in range(draw(st.integers(0, 6)))]
    identities = [
        {
            "id": id,
            "name": f"name {id}",
            "sourceId": draw(st.sampled_from([*(source["id"] for source in sources), None])),
            "identityProfileId": draw(st.sampled_from(["p0", "p1", None])),
            "processingState": draw(st.sampled_from(["ERROR", "OK", None])),
        }
        for id in ids
    ]
    holders = st.sampled_from([*ids, None, "gone"]) if ids else st.sampled_from([None, "gone"])
    accounts: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 10))):
        holder = draw(holders)
        accounts.append(
            {
                "id": f"a{number}",
                "nativeIdentity": f"a{number}",
                "name": f"a{number}",
                "sourceId": draw(st.sampled_from(sources))["id"],
                "identityId": holder,
                "correlated": holder is not None,
                "attributes": [],
            }
        )
    return {"sources": sources, "identities": identities, "accounts": accounts}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(companies())
def test_the_reports_of_a_company_agree(company: dict[str, list[dict[str, Any]]]) -> None:
    with TemporaryDirectory() as folder:
        snapshot = publish(Warehouse(Path(folder) / "warehouse"), **company, profiles=PROFILES)

        def ids(report_type: str, column: str = "id", **arguments: Any) -> Counter[str]:
            return Counter(row[column] for row in report_rows(snapshot, Path(folder), report_type, arguments))

        everybody, correlated, orphans = (
            ids("IDENTITIES"),
            ids("IDENTITIES", correlatedOnly=True),
            ids("ORPHAN_IDENTITIES"),
        )
        assert correlated + orphans == everybody == Counter(one["id"] for one in company["identities"])

        by_source = [
            report_rows(snapshot, Path(folder), "ACCOUNTS", {"application": one["id"]}) for one in company["sources"]
        ]
        accounts = [row for rows in by_source for row in rows]
        held = Counter(row["id"] for row in accounts if row["correlated"] == "true")
        assert held + ids("UNCORRELATED_ACCOUNTS") == Counter(row["id"] for row in accounts)
        assert Counter(row["id"] for row in accounts) == Counter(one["id"] for one in company["accounts"])

        details = Counter(
            (row["id"], row["account.id"]) for row in report_rows(snapshot, Path(folder), "IDENTITIES_DETAILS", {})
        )
        pairs = Counter((one["identityId"], one["id"]) for one in company["accounts"] if one["identityId"] in everybody)
        alone = set(everybody) - {one["identityId"] for one in company["accounts"]}
        assert details == pairs + Counter((id, "") for id in alone)

        on_profile = {one["id"]: one["authoritativeSourceId"] for one in PROFILES}
        for source in company["sources"]:
            failed = Counter(
                one["id"]
                for one in company["identities"]
                if one["processingState"] == "ERROR"
                and (on_profile.get(one["identityProfileId"] or "") or one["sourceId"]) == source["id"]
            )
            assert ids("IDENTITY_PROFILE_IDENTITY_ERROR", authoritativeSource=source["id"]) == failed


def old_sources(*days: int | None) -> list[dict[str, Any]]:
    return [
        {"id": f"s{n}", "name": f"Source {n}", "authoritative": True, "accountAttributes": [],
         "loaded": None if age is None else NOW - timedelta(days=age)}
        for n, age in enumerate(days)
    ]  # fmt: skip


def messages(snapshot: Snapshot, report_type: str, **arguments: Any) -> list[tuple[str, str]]:
    report = find_report(report_type, arguments)
    plan = report.make_plan(ReportRequest(report_type, arguments, NOW), read_catalog(snapshot))
    return [(message.key, message.text) for message in plan.messages]


@pytest.mark.parametrize(
    "report_type", ["IDENTITIES", "IDENTITIES_DETAILS", "ORPHAN_IDENTITIES", "UNCORRELATED_ACCOUNTS"]
)
def test_sources_that_were_not_loaded_for_a_year_are_named(tmp_path: Path, report_type: str) -> None:
    snapshot = publish(Warehouse(tmp_path / "warehouse"), old_sources(364, 365, None, 800, 0))
    ((key, text),) = messages(snapshot, report_type)
    assert key == "source.stale"
    assert "Source 3 (last loaded on 2024-09-14), Source 1 (last loaded on 2025-11-23)." in text
    many = publish(Warehouse(tmp_path / "many"), old_sources(400, 401, 402, 403, 404))
    ((_, text),) = messages(many, report_type)
    assert text.count("last loaded") == 3
    assert "and 2 more" in text


@pytest.mark.parametrize(
    ("report_type", "argument"),
    [("ACCOUNTS", "application"), ("IDENTITY_PROFILE_IDENTITY_ERROR", "authoritativeSource")],
)
def test_a_report_on_one_source_tells_of_that_one_alone(tmp_path: Path, report_type: str, argument: str) -> None:
    snapshot = publish(Warehouse(tmp_path / "warehouse"), old_sources(400, 10))
    assert "Source 0" in messages(snapshot, report_type, **{argument: "s0"})[0][1]
    assert messages(snapshot, report_type, **{argument: "s1"}) == []


def test_fresh_sources_need_no_word(tmp_path: Path) -> None:
    snapshot = publish(Warehouse(tmp_path / "warehouse"), old_sources(1, None, 364))
    assert messages(snapshot, "IDENTITIES") == []
