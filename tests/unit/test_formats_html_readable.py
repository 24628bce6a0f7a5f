"""A readable page: key figures and charts on top, labels as headings, sections and groups."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from htmlpage import Page, read_page
from rendering import ABOUT, BY_STATE, BY_VALUE, FIGURES, SUMMARY, extract, file_of
from whohas.engine.statement import ResultColumn
from whohas.engine.summary import BreakdownValue, Category, FigureValue, RowsSummary
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.html import writer

READABLE = WriteOptions(detail="readable")
EVIL = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}&amp;"
PEOPLE = (
    ResultColumn("id", "text", label="Identity id", section="Identity", readable="never"),
    ResultColumn("name", "text", label="User name", section="Identity"),
    ResultColumn("displayName", "text", key=True, label="Name", section="Identity"),
    ResultColumn("phone", "text", label="Phone", section="Identity"),
    ResultColumn("account.name", "text", label="Account", section="Account"),
    ResultColumn("account.disabled", "boolean", label="Disabled", section="Account"),
)
ROWS = [
    ("1", "ann", "Ann Lee", None, "ann", True),
    ("1", "ann", "Ann Lee", None, "a.lee", False),
    ("2", "bob", "Bob Ray", None, None, None),
    ("3", "bob2", "Bob Ray", None, "bob", None),
]


def text_of(rows: Extract, **about: Any) -> str:
    return file_of(rows, "html", READABLE, replace(ABOUT, **about)).read_text(encoding="utf-8")


def page(rows: Extract, **about: Any) -> Page:
    return read_page(file_of(rows, "html", READABLE, replace(ABOUT, **about)))


def people(folder: Path, group: str = "id", **changes: Any) -> Extract:
    return extract(folder, PEOPLE, *ROWS, group=group, **changes)


def test_key_figures_are_on_top_with_their_shares(tmp_path: Path) -> None:
    made = page(people(tmp_path, summary=SUMMARY))
    assert made.facts["Accounts"] == "1,200"
    assert made.facts["Disabled accounts"] == "150 of 1,200 12.5 %"
    assert made.facts["Enabled, unchanged for 180 days"] == "0 of 0", "no share of nothing"
    assert made.text.index("Key figures") < made.text.index("Breakdowns") < made.text.index("Rows\n")


def test_each_breakdown_is_a_figure_with_chart_and_numbers(tmp_path: Path) -> None:
    text = text_of(people(tmp_path, summary=SUMMARY))
    assert text.count("<figure>") == text.count("<figcaption>") == text.count('<svg class="chart" role="img"') == 2
    made = page(people(tmp_path, summary=SUMMARY))
    assert made.numbers[:2] == [["Active Directory", "900", "100", "1,000"], ["=1+1 <b>&amp;\"'", "150", "50", "200"]]
    assert made.numbers[-1] == ["7 more", "12"]
    assert "The chart shows the 10 largest categories; 7 more categories together have 12." in made.text


def test_a_single_bar_is_a_table_without_a_chart(tmp_path: Path) -> None:
    single = replace(BY_STATE, categories=BY_STATE.categories[:1])
    rows = people(tmp_path, summary=replace(SUMMARY, breakdowns=(single,)))
    text = text_of(rows)
    assert text.startswith("<!doctype html>")
    assert "<figure>" in text and "<svg" not in text and "<details>" not in text
    assert page(rows).numbers == [["Active Directory", "900", "100", "1,000"]]


def test_ids_of_elements_are_unique_and_referred_to(tmp_path: Path) -> None:
    text = text_of(people(tmp_path, summary=SUMMARY))
    ids = re.findall(r' id="([^"]*)"', text)
    referred = {name for names in re.findall(r'aria-labelledby="([^"]*)"', text) for name in names.split()}
    assert len(ids) == len(set(ids)) and referred <= {*ids}
    assert {*re.findall(r"url\(#([^)]*)\)", text)} <= {*ids}


def test_labels_are_headings_and_technical_names_their_titles(tmp_path: Path) -> None:
    rows = extract(tmp_path, PEOPLE, *ROWS)
    assert page(rows).header == ["User name", "Name", "Account", "Disabled"]
    assert '<th scope="col" title="account.name">Account</th>' in text_of(rows)


def test_ids_and_empty_columns_are_left_out_and_listed(tmp_path: Path) -> None:
    made = page(extract(tmp_path, PEOPLE, *ROWS))
    assert made.rows[0] == ["ann", "Ann Lee", "ann", "Yes"]
    assert made.facts["Ids left out"] == "Identity id" and made.facts["Empty, left out"] == "Phone"


def test_sections_are_headings_of_their_columns(tmp_path: Path) -> None:
    columns = (*PEOPLE, ResultColumn("note", "text"))
    rows = extract(tmp_path, columns, *[(*row, "x") for row in ROWS])
    text, made = text_of(rows), page(rows)
    assert made.sections == ["Identity", "Account"]
    assert re.findall(r'<colgroup span="(\d+)">', text) == ["2", "2", "1"]
    assert '<th scope="colgroup" colspan="2">Account</th><td colspan="1"></td></tr>' in text


def test_a_single_section_has_no_heading(tmp_path: Path) -> None:
    made = page(extract(tmp_path, PEOPLE[:3], *[row[:3] for row in ROWS]))
    assert made.sections == [] and "colgroup" not in made.tags


def test_groups_have_a_heading_and_the_other_columns_below(tmp_path: Path) -> None:
    rows = people(tmp_path)
    text, made = text_of(rows), page(rows)
    assert made.header == ["Account", "Disabled"] and made.sections == []
    assert made.rows == [
        ["Ann Lee User name: ann"],
        ["ann", "Yes"],
        ["a.lee", "No"],
        ["Bob Ray User name: bob"],
        ["No account"],
        ["Bob Ray User name: bob2"],
        ["bob", ""],
    ]
    assert text.count("<tbody>") == 3 == text.count('<tr class="group"><th scope="rowgroup" colspan="2">')


@pytest.mark.parametrize("group", ["displayName", "id"])
def test_people_with_one_title_and_other_values_are_apart(tmp_path: Path, group: str) -> None:
    named = [replace(column, readable="always") for column in PEOPLE[1:]]
    rows = extract(tmp_path, named, *[row[1:] for row in ROWS], group=group)
    assert text_of(rows).count('scope="rowgroup"') == (3 if group == "displayName" else 0), "id is no column here"


def test_a_group_without_a_title_is_named_so(tmp_path: Path) -> None:
    rows = extract(tmp_path, PEOPLE, ("1", None, None, None, "x", True), group="id")
    assert page(rows).rows[0] == ["(none)"]


def test_rows_without_other_columns_are_not_grouped(tmp_path: Path) -> None:
    rows = extract(tmp_path, PEOPLE[:3], *[row[:3] for row in ROWS], group="id")
    assert "rowgroup" not in text_of(rows) and len(page(rows).rows) == len(ROWS)


def test_rows_beyond_the_limit_are_not_shown_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_ROWS", 2)
    said: list[int] = []
    made = page(people(tmp_path, on_rows=said.append))
    assert made.rows == [["Ann Lee User name: ann"], ["ann", "Yes"], ["a.lee", "No"]] and said == [2]
    assert "The HTML page shows the first 2 of 4 rows; 2 more are not on it." in made.text


def test_a_report_without_rows_says_so(tmp_path: Path) -> None:
    rows = extract(tmp_path, PEOPLE, group="id", summary=RowsSummary("", 0, FIGURES))
    made = page(rows)
    assert made.rows == [] and made.header == ["Account", "Disabled"] and "There are no rows." in made.text
    assert "Breakdowns" not in made.text


def test_a_run_without_a_summary_has_rows_alone(tmp_path: Path) -> None:
    made = page(people(tmp_path))
    assert "Key figures" not in made.text and "svg" not in made.tags and made.rows


def test_nothing_of_the_data_is_markup(tmp_path: Path) -> None:
    columns = [replace(column, label=EVIL, section=EVIL, name=f"{EVIL}{n}") for n, column in enumerate(PEOPLE)]
    breakdown = BreakdownValue(EVIL, EVIL, (EVIL, "b"), (Category(EVIL, (1, 2)),), 0, (0, 0))
    summary = RowsSummary("", 4, (FigureValue(EVIL, EVIL, 1, 2),), (breakdown,))
    plain = page(people(tmp_path, summary=replace(SUMMARY, breakdowns=(BY_STATE,))))
    for group in ("", f"{EVIL}0"):
        rows = extract(tmp_path, columns, *[[EVIL] * 5 + [True]] * 2, name=EVIL, group=group, summary=summary)
        made = page(rows, title=EVIL, description=EVIL, launcher=EVIL)
        assert made.tags - {"colgroup"} <= plain.tags, "no element but ours"
        assert not {"onerror", "src"} & made.attributes
        assert made.numbers == [[EVIL, "1", "2", "3"]]


def test_it_loads_and_runs_nothing(tmp_path: Path) -> None:
    text, made = text_of(people(tmp_path, summary=SUMMARY)), page(people(tmp_path, summary=SUMMARY))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert made.policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not made.tags & {"script", "link", "img", "iframe", "object", "form", "base", "image", "use", "a"}
    assert not {"src", "href", "style", "onload"} & made.attributes
    assert "url(" not in style[1] and "@import" not in style[1]


def test_columns_of_numbers_are_aligned_only_in_rows(tmp_path: Path) -> None:
    columns = (ResultColumn("n", "integer", label="N"), ResultColumn("t", "text", label="T"))
    text = text_of(extract(tmp_path, columns, (1, "x"), summary=replace(SUMMARY, breakdowns=(BY_VALUE,))))
    assert ".rows tbody tr:not(.group)>:nth-child(1){text-align:right;white-space:nowrap}" in text


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    rows = people(tmp_path, summary=SUMMARY)
    assert text_of(rows) == text_of(rows)


def test_a_complete_page_has_no_summary(tmp_path: Path) -> None:
    made = read_page(file_of(people(tmp_path, summary=SUMMARY), "html"))
    assert made.header == [column.name for column in PEOPLE] and len(made.rows) == len(ROWS)
    assert not {"svg", "section", "figure"} & made.tags
