"""Printed reports with `detail=readable`: labels, what is left out, titles of side-by-side pages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rendering
from content_streams import checked
from printed import Printed, plain_text
from rendering import extract
from verapdf_jars import judged
from whohas.engine.statement import ResultColumn
from whohas.engine.summary import BreakdownValue, Category, FigureValue, RowsSummary
from whohas.formats.base import WriteOptions
from whohas.formats.pdf.layout import ColumnWidths, choose_readable_layout
from whohas.formats.pdf.writer import write

READABLE = WriteOptions(detail="readable")
ID = ResultColumn("id", "text", label="Account id", section="Account", readable="never")
NAME = ResultColumn("displayName", "text", label="Account", section="Account", key=True)
MAIL = ResultColumn("mail", "text", label="Email", section="Attributes")

STATES = ("enabled", "locked", "disabled", "unknown")
SUMMARY = RowsSummary(
    "",
    1100,
    (FigureValue("accounts", "Accounts", 1100), FigureValue("disabled", "Disabled accounts", 84, 1100)),
    (
        BreakdownValue(
            "bySource",
            "Accounts by source",
            STATES,
            (Category("Payroll", (900, 20, 80, 40)), Category("CRM", (40, 0, 4, 0))),
            3,
            (10, 1, 3, 2),
        ),
        BreakdownValue(
            "byAge",
            "Accounts by age",
            ("",),
            (Category("under 30 days", (1000,)), Category("1 to 2 years", (100,))),
            0,
            (0,),
        ),
    ),
)
HOSTILE = ("(a)\\b) (((", "\0\x1b", "\u202egnihsihp", "عمود שלום", "नमस्ते", "x" * 500, "a\nb", "", "👍🏽" * 40)


def made(folder: Path, columns: Sequence[ResultColumn], *rows: Sequence[Any], **fields: Any) -> Path:
    """A readable report."""
    path = folder / "report.pdf"
    folder.mkdir(exist_ok=True)
    some = dataclasses.replace(extract(folder, columns, *rows, group=fields.pop("group", "")), **fields)
    write(some, path, rendering.ABOUT, READABLE)
    return checked(path)


def headers(document: Printed, page: int) -> list[str]:
    return [text for role, text in document.marked(page) if role == "TH"]


def first_page(path: Path) -> list[str]:
    return [re.sub(" +", " ", line).strip() for line in plain_text(path, "-l", "1", "-layout").splitlines()]


# --- columns


def test_headers_are_labels_and_ids_are_left_out(tmp_path: Path) -> None:
    path = made(tmp_path, [ID, NAME, MAIL], ("1", "Ada", "a@acme.example"), ("2", "Bo", None))
    document = Printed(path)
    assert headers(document, 0) == ["Account", "Email"]
    assert list(document.cells([2])) == [["Ada", "a@acme.example"], ["Bo", ""]]
    assert "Ids left out Account id" in first_page(path)


def test_booleans_are_words_and_times_have_seconds(tmp_path: Path) -> None:
    columns = [NAME, ResultColumn("locked", "boolean"), ResultColumn("created", "time"), ResultColumn("note", "text")]
    created = datetime(2026, 7, 1, 10, 0, 5, 123_000, UTC)
    rows = [("Ada", True, created, "true"), ("Bo", False, None, "false"), ("Cy", None, created, None)]
    assert list(Printed(made(tmp_path, columns, *rows)).cells([4])) == [
        ["Ada", "Yes", "2026-07-01 10:00:05", "true"],
        ["Bo", "No", "", "false"],
        ["Cy", "", "2026-07-01 10:00:05", ""],
    ]


def test_empty_columns_are_named_on_the_first_page(tmp_path: Path) -> None:
    path = made(tmp_path, [NAME, MAIL, ResultColumn("city", "text", label="City")], *[("Ada", "", None)] * 400)
    assert headers(Printed(path), 0) == ["Account"]
    assert "Empty, left out Email, City" in first_page(path)


def test_a_readable_report_without_rows_shows_its_columns(tmp_path: Path) -> None:
    path = made(tmp_path, [ID, NAME, MAIL])
    assert "No rows: nothing in this snapshot is what the report asks for." in first_page(path)
    assert "Ids left out Account id" in first_page(path)


def test_figures_are_printed_without_rows(tmp_path: Path) -> None:
    summary = RowsSummary("", 0, (FigureValue("rejected", "Rows rejected at load", 7), FigureValue("a", "None", 0, 0)))
    text = plain_text(made(tmp_path, [NAME], summary=summary), "-raw")
    assert "7\nRows rejected at load" in text
    assert "%" not in text


def test_pages_side_by_side_have_titles(tmp_path: Path) -> None:
    others = [ResultColumn(f"c{n}", "text", label=f"Label {n}", section=f"Section {n // 50}") for n in range(200)]
    rows = [[f"account {r}", *(f"{r}/{n}" for n in range(200))] for r in range(60)]
    path = made(tmp_path, [NAME, *others], *rows)
    document = Printed(path)
    captions = [
        text for page in range(len(document.pages)) for role, text in document.marked(page) if role == "Caption"
    ]
    assert len(captions) > 3
    found = [
        re.fullmatch(r"Part (\d+) of (\d+): columns (\d+) to (\d+) of 201 \((.*)\)", caption) for caption in captions
    ]
    assert [int(match[1]) for match in found if match] == list(range(1, len(captions) + 1))
    assert [int(match[3]) - 1 for match in found[1:] if match] == [int(match[4]) for match in found[:-1] if match]
    assert found[0] is not None
    assert found[0][5].startswith("Account, Section 0")
    assert f"{captions[1]}\n" in plain_text(path, "-raw", "-f", "3", "-l", "3")


def test_a_part_of_a_zip_says_its_name(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    write(extract(tmp_path, [NAME], ("Ada",), name="Identities"), path, rendering.ABOUT, READABLE)
    assert "Accounts: Identities" in first_page(checked(path))


def test_few_columns_are_printed_larger(tmp_path: Path) -> None:
    few = made(tmp_path, [NAME, MAIL], ("Ada", "ada@acme.example"))
    assert b"BT/R 1 Tf 9 0 0 9 " in Printed(few).content(0)


# --- the summary


def alternative_texts(document: Printed) -> list[str]:
    return [element["/Alt"].removeprefix("u:") for element in document.elements("Figure")]


def test_key_figures_are_paragraphs_with_their_share(tmp_path: Path) -> None:
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=SUMMARY))
    paragraphs = [text for role, text in document.marked(0) if role == "P"]
    assert "1,100 Accounts " in paragraphs
    assert "84 Disabled accounts 7.6 % of 1,100" in paragraphs


def test_a_chart_says_its_numbers_in_its_alternative_text(tmp_path: Path) -> None:
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=SUMMARY))
    assert alternative_texts(document) == [
        "Accounts by source, a bar chart. Payroll: 1,040 (900 enabled, 20 locked, 80 disabled, 40 unknown). "
        "CRM: 44 (40 enabled, 4 disabled). 3 more: 16 (10 enabled, 1 locked, 3 disabled, 2 unknown).",
        "Accounts by age, a bar chart. under 30 days: 1,000. 1 to 2 years: 100.",
    ]
    texts = [text for role, text in document.marked(0) if role == "Figure"]
    assert texts == [
        "Accounts by source"
        "enabled / locked / disabled / unknown "
        "Payroll  1,040: 900 / 20 / 80 / 40 "
        "CRM  44: 40 / 0 / 4 / 0 "
        "3 more  16: 10 / 1 / 3 / 2 ",
        "Accounts by ageunder 30 days  1,000 1 to 2 years  100 ",
    ]


def test_a_single_bar_is_printed_as_text(tmp_path: Path) -> None:
    single = dataclasses.replace(SUMMARY.breakdowns[0], categories=(Category("Payroll", (9, 0, 8, 0)),), further=0)
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=dataclasses.replace(SUMMARY, breakdowns=(single,))))
    assert not alternative_texts(document)
    paragraphs = [text for role, text in document.marked(0) if role == "P"]
    assert paragraphs[-2:] == ["Accounts by source", "Payroll: 17 (9 enabled, 8 disabled)"]


def test_the_header_of_numbers_has_one_line() -> None:
    columns = [ResultColumn("n", "integer"), *[MAIL] * 14]
    number = ColumnWidths(header=12.0, longest_part=5.0, cells=np.ones(9))
    text = ColumnWidths(header=12.0, longest_part=5.0, cells=np.full(9, 9.0))
    (panel,) = choose_readable_layout(columns, [number, *[text] * 14], "a4").panels
    assert panel.widths[0] > 11.9 > panel.widths[1]


def test_a_chart_of_one_state_names_it_in_its_legend(tmp_path: Path) -> None:
    one = dataclasses.replace(
        SUMMARY.breakdowns[0],
        series=("enabled",),
        categories=(Category("CRM", (9,)), Category("HR", (2,))),
        further=0,
        others=(0,),
    )
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=dataclasses.replace(SUMMARY, breakdowns=(one,))))
    assert [text for role, text in document.marked(0) if role == "Figure"] == [
        "Accounts by sourceenabled CRM  9 HR  2 "
    ]


def test_the_box_of_a_figure_is_on_the_page(tmp_path: Path) -> None:
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=SUMMARY))
    boxes = [element["/A"]["/BBox"] for element in document.elements("Figure")]
    assert len(boxes) == 2
    assert all(28 <= left < right <= 595.28 - 27.99 and 28 < low < high < 814 for left, low, right, high in boxes)
    assert boxes[0][1] < boxes[1][3]
    assert boxes[0][2] < boxes[1][0]


def test_a_summary_longer_than_a_page_continues_on_the_next(tmp_path: Path) -> None:
    breakdowns = tuple(dataclasses.replace(SUMMARY.breakdowns[0], name=f"{n}") for n in range(30))
    summary = dataclasses.replace(SUMMARY, breakdowns=breakdowns, figures=SUMMARY.figures * 20)
    document = Printed(made(tmp_path, [NAME], *[("Ada",)] * 300, summary=summary))
    assert len(alternative_texts(document)) == 30
    roles = [[role for role, _ in document.marked(page)] for page in range(len(document.pages))]
    assert roles[0].count("Figure") < 30
    assert sum(page.count("Figure") for page in roles) == 30
    assert sum(page.count("TD") for page in roles) == 300


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_category_may_have_any_name(text: str, tmp_path: Path) -> None:
    categories = (Category(text, (3,)), Category("plain", (10**15,)))
    summary = RowsSummary("", 1, (), (BreakdownValue("by", text, ("",), categories, 0, (0,)),))
    document = Printed(made(tmp_path, [NAME], ("Ada",), summary=summary))
    assert len(alternative_texts(document)) == 1
    assert f"plain: {10**15:,}." in alternative_texts(document)[0]


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (made(tmp_path / name, [NAME, MAIL], ("Ada", "x"), summary=SUMMARY).read_bytes() for name in "ab")
    assert first == second


@pytest.mark.engine
def test_verapdf_finds_nothing_in_readable_reports(tmp_path: Path) -> None:
    hostile = tuple(Category(text, (n, 1, 2, 3)) for n, text in enumerate(HOSTILE))
    summary = dataclasses.replace(
        SUMMARY, breakdowns=(*SUMMARY.breakdowns, BreakdownValue("h", HOSTILE[2], STATES, hostile, 1, (1, 1, 1, 1)))
    )
    wide = [NAME, *(ResultColumn(f"c{n}", "text", label=f"Label {n}", section=f"Section {n // 9}") for n in range(60))]
    people = [row for n, text in enumerate(HOSTILE) for row in accounts_of(n, text, 70, text * 50)]
    paths = [
        made(tmp_path / "plain", [ID, NAME, MAIL], *[("1", "Ada", "x")] * 300, summary=summary),
        made(tmp_path / "wide", wide, *[["text"] * 61] * 100, summary=summary),
        made(tmp_path / "empty", [ID, NAME, MAIL], summary=summary),
        made(tmp_path / "groups", GROUPED, *people, group="id"),
    ]
    documents = [(standard, path) for path in paths for standard in ("2a", "ua1")]
    assert judged(*documents) == [f"{standard} PASS" for standard, _ in documents]


# --- groups

PERSON = [
    ResultColumn("id", "text", label="Identity id", section="Identity", readable="never"),
    ResultColumn("displayName", "text", label="Identity", section="Identity", key=True),
    ResultColumn("mail", "text", label="Email", section="Identity"),
    ResultColumn("created", "time", label="Created", section="Identity"),
    ResultColumn("source", "text", label="Source", section="Identity"),
]
ACCOUNT = [
    ResultColumn("account.name", "text", label="Account", section="Account"),
    ResultColumn("account.source", "text", label="Source", section="Account"),
]
GROUPED = [*PERSON, *ACCOUNT]


def accounts_of(number: int, name: str, count: int, mail: str | None = None) -> list[list[Any]]:
    return [[f"{number}", name, mail, None, "HR", f"{name} {n}", f"Source {n}"] for n in range(count)]


def headings(document: Printed) -> list[str]:
    """The title and the other values of each heading, but not of the repeated ones."""
    texts: list[str] = []
    for page in range(len(document.pages)):
        found = [text for role, text in document.marked(page) if role == "TH"]
        texts += found[2:] if not texts else found
    return texts


def test_a_group_without_values_says_so_in_its_heading(tmp_path: Path) -> None:
    access = ResultColumn("account.access", "texts", label="Access", section="Account")
    rows = [
        ["1", "Ann", None, None, None, None, "", None],
        ["2", "Bo", "b@acme.example", None, None, None, None, []],
        ["3", "Cy", None, None, None, None, None, ["Admins"]],
        ["4", "Di", None, None, None, "di", "AD", None],
    ]
    document = Printed(made(tmp_path, [*GROUPED, access], *rows, group="id"))
    found = [text for text in headings(document) if text not in ("Account", "Source", "Access")]
    assert found[-8:] == ["Ann", "No account", "Bo", "Email: b@acme.example  ·  No account", "Cy", "", "Di", ""]


def test_a_group_has_a_heading_and_the_rows_only_the_rest(tmp_path: Path) -> None:
    rows = [*accounts_of(1, "Ada", 2, "a@acme.example"), *accounts_of(2, "Bo", 1)]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    assert headers(document, 0)[:2] == ["Account", "Source"]
    assert headings(document) == ["Ada", "Email: a@acme.example  ·  Source: HR", "Bo", "Source: HR"]
    assert list(document.cells([2])) == [["Ada 0", "Source 0"], ["Ada 1", "Source 1"], ["Bo 0", "Source 0"]]


def test_headings_are_header_cells_over_all_columns(tmp_path: Path) -> None:
    rows = [*accounts_of(1, "Ada", 2), *accounts_of(2, "Bo", 1)]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    spans = [element["/A"] for element in document.elements("TH")]
    both = {"/O": "/Table", "/Scope": "/Both", "/ColSpan": 2}
    assert [span for span in spans if "/ColSpan" in span] == [both, both]
    assert len(document.elements("THead")) == 1
    assert [len(body["/K"]) for body in document.elements("TBody")] == [3, 2]


def test_bookmarks_lead_to_the_headings_by_title(tmp_path: Path) -> None:
    rows = [row for number in range(30) for row in accounts_of(number, f"Person {number}", 9)]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    assert [one["title"] for one in document.outlines] == [f"Person {number}" for number in range(30)]
    for one in document.outlines:
        assert one["title"] in [text for _, text in document.marked(one["destpageposfrom1"] - 1)]


def test_a_group_over_pages_repeats_its_title(tmp_path: Path) -> None:
    rows = [*accounts_of(1, "Ada", 150), *accounts_of(2, "Bo", 1)]
    path = made(tmp_path, GROUPED, *rows, group="id")
    assert len(list(Printed(path).cells([2]))) == 151
    pages = plain_text(path, "-raw").split("\f")[:-1]
    assert len(pages) > 2
    assert [page.count("Ada (continued)") for page in pages] == [0, *[1] * (len(pages) - 1)]
    assert "Bo (continued)" not in "".join(pages)


def test_no_heading_is_the_last_of_its_page(tmp_path: Path) -> None:
    rows = [row for number in range(200) for row in accounts_of(number, f"Person {number}", 1 + number % 3)]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    assert len(document.pages) > 5
    for page in range(len(document.pages)):
        assert [role for role, text in document.marked(page) if text][-1] == "TD"


def test_an_unsorted_group_gets_a_heading_again(tmp_path: Path) -> None:
    rows = [*accounts_of(1, "Ada", 1), *accounts_of(2, "Bo", 1), *accounts_of(1, "Ada", 1)]
    assert headings(Printed(made(tmp_path, GROUPED, *rows, group="id")))[::2] == ["Ada", "Bo", "Ada"]


def test_two_groups_of_one_title_stay_apart(tmp_path: Path) -> None:
    rows = [*accounts_of(1, "Ada", 1), *accounts_of(2, "Ada", 1), *accounts_of(3, "Ada", 1, "a@acme.example")]
    assert headings(Printed(made(tmp_path, GROUPED, *rows, group="id"))) == [
        *("Ada", "Source: HR") * 2, "Ada", "Email: a@acme.example  ·  Source: HR"
    ]  # fmt: skip
    without_id = [row[1:] for row in rows]
    found = headings(Printed(made(tmp_path, GROUPED[1:], *without_id, group="displayName")))
    assert found == ["Ada", "Source: HR", "Ada", "Email: a@acme.example  ·  Source: HR"]


def test_a_group_without_a_title_is_named(tmp_path: Path) -> None:
    rows = [["1", None, None, None, None, "x", "y"], ["2", "", None, None, None, "x", "y"]]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    assert headings(document) == ["(none)", ""] * 2


def test_a_heading_goes_on_within_batches(tmp_path: Path) -> None:
    """The texts of a row group of the file are typeset together; the group of the rows goes on in the next one."""
    document = Printed(made(tmp_path, GROUPED, *accounts_of(1, "Ada", 6000), group="id"))
    assert headings(document) == ["Ada", "Source: HR"]
    assert len(document.outlines) == 1


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_heading_may_have_any_text(text: str, tmp_path: Path) -> None:
    rows = [row for number in range(3) for row in accounts_of(number, f"{text}{number}", 90, text)]
    document = Printed(made(tmp_path, GROUPED, *rows, group="id"))
    titles = headings(document)[::2]
    assert ["".join(sorted(title)) for title in titles] == [
        "".join(sorted(f"{text}{number}".replace("\n", ""))) for number in range(3)
    ]


def test_a_heading_longer_than_a_page_is_printed_whole(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(6000)]
    rows = [*accounts_of(1, " ".join(words), 2, " ".join(words)), *accounts_of(2, "Bo", 2)]
    path = made(tmp_path, GROUPED, *rows, group="id")
    text = plain_text(path, "-raw")
    found = re.findall(r"\bword\d+\b", re.sub(r"^.*… \(continued\)$", "", text, flags=re.M))
    assert found == words * 4
    assert list(Printed(path).cells([2]))[-1] == ["Bo 1", "Source 1"]


def test_a_row_longer_than_a_page_continues_below_the_title(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(20_000))
    path = made(tmp_path, GROUPED, ["1", "Ada", None, None, None, words, "x"], *accounts_of(2, "Bo", 1), group="id")
    assert re.findall(r"\bword\d+\b", plain_text(path, "-raw")) == words.split()
    assert "Ada (continued)" in plain_text(path)


def test_groups_on_pages_side_by_side_have_their_title_on_each(tmp_path: Path) -> None:
    others = [ResultColumn(f"c{n}", "text", label=f"Label {n}", section="Account") for n in range(200)]
    rows = [[str(r // 20), f"Person {r // 20}", "x", *(f"{r}/{n}" for n in range(200))] for r in range(100)]
    path = made(tmp_path, [*PERSON[:3], *others], *rows, group="id")
    document = Printed(path)
    found = [[text for role, text in document.marked(page) if role == "TH"] for page in range(len(document.pages))]
    panels = len(document.elements("Caption"))
    assert panels > 5
    assert sum(texts.count("Person 3") for texts in found) == panels
    assert sum(texts.count("Email: x") for texts in found) == 5


def test_a_table_of_the_group_alone_has_no_headings(tmp_path: Path) -> None:
    document = Printed(made(tmp_path, PERSON[:3], ("1", "Ada", "x"), ("1", "Ada", "x"), group="id"))
    assert list(document.cells([2])) == [["Ada", "x"]] * 2
    assert document.elements("TBody") == []


def test_no_rows_and_one_row_of_a_grouped_report(tmp_path: Path) -> None:
    assert "No rows: nothing in this snapshot is what the report asks for." in first_page(
        made(tmp_path, GROUPED, group="id")
    )
    assert headings(Printed(made(tmp_path, GROUPED, *accounts_of(1, "Ada", 1), group="id"))) == ["Ada", "Source: HR"]


def test_complete_prints_groups_as_before(tmp_path: Path) -> None:
    write(
        extract(tmp_path, GROUPED, *accounts_of(7, "Ada", 2), group="id"),
        path := tmp_path / "c.pdf",
        rendering.ABOUT,
        WriteOptions(),
    )
    document = Printed(checked(path))
    assert headers(document, 0) == [column.name for column in GROUPED]
    assert [one["title"] for one in document.outlines] == ["7"]
