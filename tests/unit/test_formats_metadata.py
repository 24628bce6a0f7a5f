"""What files for people say about their run: titles, and the facts that leave out what says nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rendering import ABOUT
from whohas.defaults import DEFAULT_ORG
from whohas.formats.metadata import ABOUT_FILES, for_readers, readable_metadata_lines
from whohas.runs.output_options import FILE_ARGUMENTS


def facts(org: str = "acme", **arguments: Any) -> dict[str, str]:
    about = for_readers(replace(ABOUT, arguments=arguments, org=org))
    return dict(readable_metadata_lines(about, 1_200, "Asia/Tokyo"))


def test_the_title_names_the_source_of_a_report() -> None:
    about = replace(ABOUT, arguments={"application": "7", "sourceName": "Payroll"})
    assert for_readers(about).title == "Accounts: Payroll"
    assert for_readers(ABOUT).title == "Accounts"


def test_the_title_names_the_part_of_a_zip() -> None:
    assert for_readers(ABOUT, "Identities").title == "Accounts: Identities"


def test_a_named_source_is_shown_without_its_id() -> None:
    assert facts(application="7", sourceName="Payroll")["Source"] == "Payroll"
    assert "7" not in facts(application="7", sourceName="Payroll").values()
    assert facts(application="7")["Application"] == "7", "of an earlier version, which did not keep the name"


def test_arguments_on_files_and_false_flags_are_left_out() -> None:
    shown = facts(**dict.fromkeys(ABOUT_FILES, "x"), correlatedOnly=False, columns=["name", "email"])
    assert shown["Chosen columns"] == "name, email"
    assert set(shown) == {
        "Report type", "Organization", "Chosen columns", "Run by", "Started", "Snapshot", "Time zone", "Rows", "Run"
    }  # fmt: skip
    assert facts(correlatedOnly=True)["Correlated only"] == "yes"


def test_all_arguments_on_files_are_known_as_such() -> None:
    assert set(FILE_ARGUMENTS) - {"engine"} == ABOUT_FILES


@pytest.mark.parametrize("org", ["", DEFAULT_ORG])
def test_an_organization_that_was_not_set_is_left_out(org: str) -> None:
    assert "Organization" not in facts(org=org)


def test_the_time_zone_is_said_once() -> None:
    shown = facts()
    assert shown["Started"] == "2026-03-29 21:30:44"
    assert [label for label, value in shown.items() if "Asia/Tokyo" in value] == ["Time zone"]


def test_a_fact_on_lost_data_is_kept() -> None:
    lost = replace(ABOUT, gaps="Left out when the data was loaded: HR: 1 row rejected.")
    assert dict(readable_metadata_lines(for_readers(lost), 1, "UTC"))["Data"] == lost.gaps
