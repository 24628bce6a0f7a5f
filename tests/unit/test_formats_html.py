"""A page: every text comes back, nothing of it runs, and what it has no room for is told."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from htmlpage import Page, read_page
from rendering import ABOUT, TYPES, extract, file_of
from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.html import writer

TEXT = (ResultColumn("text", "text"),)
ALL = tuple(ResultColumn(type, type) for type in TYPES)  # type: ignore[arg-type]
EVIL = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}&amp;"


def page(rows: Extract, options: WriteOptions = WriteOptions(), **about: object) -> Page:  # noqa: B008
    return read_page(file_of(rows, "html", options, replace(ABOUT, **about)))  # type: ignore[arg-type]


def test_the_rows_are_a_table_with_times_in_the_zone(tmp_path: Path) -> None:
    time = datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)
    rows = extract(tmp_path, ALL, ("007", True, -42, time, ["a", None, "b; c"]), [None] * 5, ("", False, 1, time, []))
    made = page(rows, WriteOptions(zone="Europe/Berlin"))
    assert made.header == list(TYPES)
    assert made.rows == [
        ["007", "true", "-42", "2026-07-01 12:00:05", "a; b; c"],
        [""] * 5,
        ["", "false", "1", "2026-07-01 12:00:05", ""],
    ]


def test_the_title_block_tells_of_the_run(tmp_path: Path) -> None:
    made = page(extract(tmp_path, TEXT, ["x"], ["y"]), WriteOptions(zone="Asia/Tokyo"))
    assert made.title == made.heading == made.caption == "Accounts"
    assert "All accounts <of> some sources & more." in made.text
    assert made.facts["Run by"] == 'Åsa "the auditor" Öst'
    assert made.facts["Started"] == "2026-03-29 21:30:44 Asia/Tokyo"
    assert (made.facts["Rows"], made.facts["Run"]) == ("2", ABOUT.run)


def test_nothing_of_the_data_is_markup(tmp_path: Path) -> None:
    plain = page(extract(tmp_path, TEXT, ["x"]))
    rows = extract(tmp_path, (ResultColumn(EVIL, "text"), ResultColumn("values", "texts")), (EVIL, [EVIL]), name=EVIL)
    made = page(rows, title=EVIL, description=EVIL, launcher=EVIL, org=EVIL, arguments={EVIL: EVIL})
    assert (made.header, made.rows) == ([EVIL, "values"], [[EVIL, EVIL]])
    assert made.title == made.heading == made.caption == f"{EVIL}: {EVIL}"
    assert made.facts["Organization"] == made.facts["Run by"] == EVIL
    assert made.tags == plain.tags, "no element but ours"


def test_it_loads_and_runs_nothing(tmp_path: Path) -> None:
    path = file_of(extract(tmp_path, TEXT, ["x"]), "html")
    text, made = path.read_text(encoding="utf-8"), read_page(path)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert made.policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not made.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not {"src", "href", "style", "onload"} & made.attributes
    assert "url(" not in style[1] and "@import" not in style[1]


def test_a_screen_reader_finds_the_table(tmp_path: Path) -> None:
    columns = (ResultColumn("name", "text", key=True), ResultColumn("n", "integer"))
    text = file_of(extract(tmp_path, columns, ("a", 1), ("b", 2)), "html").read_text()
    assert '<html lang="en">' in text and "<caption>Accounts</caption>" in text
    assert text.count('<th scope="col">') == 2 and '<tr><th scope="row">a</th><td>1</td></tr>' in text
    assert "tr>:nth-child(2){text-align:right" in text


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_each_text_colour_contrasts_with_its_background(scheme: str) -> None:
    """WCAG 2.2, 1.4.6: a contrast of 7 for all text, which is the level AAA."""
    css = Path(writer.__file__).with_name("page.css").read_text()
    found = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    colours = dict(zip(("light", "dark", "print"), found, strict=True))[scheme]
    for ink, papers in {"ink": ("paper", "head", "zebra", "told"), "quiet": ("paper",)}.items():
        for paper in papers:
            lighter, darker = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= (7 if ink == "ink" else 4.5), (scheme, ink, paper)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    shares = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_report_without_rows_says_so(tmp_path: Path) -> None:
    made = page(extract(tmp_path, ALL))
    assert (made.header, made.rows) == (list(TYPES), [])
    assert "There are no rows." in made.text and made.facts["Rows"] == "0"


@pytest.mark.parametrize("count", [10, 11, 25])
def test_rows_beyond_the_limit_are_counted_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(writer, "MAX_ROWS", 10)
    said: list[int] = []
    rows = extract(tmp_path, TEXT, *[[f"row {n}"] for n in range(count)], on_rows=said.append)
    notes = writer.write(rows, path := tmp_path / "out.html", ABOUT, WriteOptions())
    made = read_page(path)
    assert made.rows == [[f"row {n}"] for n in range(10)] and said == [10]
    more = "1 more is" if count == 11 else f"{count - 10} more are"
    told = (
        f"The HTML page shows the first 10 of {count} rows; {more} not on it. All of them are in every "
        "other format, such as CSV, XLSX and PDF."
    )
    assert notes == ([told] if count > 10 else []) and (told in made.text) == (count > 10)
    assert made.facts["Rows"] == str(count)


def test_long_texts_fill_pages_sooner_without_cutting_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BYTES", 10_000)
    made = page(extract(tmp_path, TEXT, *[["é" * 1_500] for _ in range(9)]))
    assert made.rows == [["é" * 1_500]] * 3
    assert page(extract(tmp_path, TEXT, ["x" * 20_000], ["y"])).rows == [["x" * 20_000]]


def test_the_note_of_a_part_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_ROWS", 1)
    rows = extract(tmp_path, TEXT, ["x"], ["y"], ["z"], name="Identities")
    (note,) = writer.write(rows, tmp_path / "out.html", ABOUT, WriteOptions())
    assert note.startswith("Identities: the HTML page shows the first row of 3 rows; 2 more")


def test_nul_and_halves_of_characters_are_shown(tmp_path: Path) -> None:
    path = file_of(extract(tmp_path, TEXT, ["a\0b\u2400"]), "html", about=replace(ABOUT, launcher="L\ud800\0"))
    text = path.read_text(encoding="utf-8")
    assert '<td>a<abbr title="NUL">\u2400</abbr>b\u2400</td>' in text
    assert "<dd>L\\ud800<abbr" in text and "\0" not in text


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    rows = extract(tmp_path, ALL, ("x", True, 1, datetime(2026, 1, 1, tzinfo=UTC), ["a"]))
    assert file_of(rows, "html").read_bytes() == file_of(rows, "html").read_bytes()
