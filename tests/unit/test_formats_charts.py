"""Charts as SVG: bars to scale, texts for readers who do not see them, and no markup of the data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rendering import BY_STATE, BY_VALUE
from whohas.engine.summary import BreakdownValue, Category
from whohas.formats import charts
from whohas.formats.breakdowns import describe_breakdown
from whohas.formats.charts import chart_style, chart_svg

EVIL = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"


def drawn(breakdown: BreakdownValue) -> ElementTree.Element:
    return ElementTree.fromstring(chart_svg(breakdown, "c"))  # noqa: S314 - our own


def texts(svg: ElementTree.Element) -> list[str]:
    return [item.text or "" for item in svg.iter("text")]


def test_each_category_has_name_total_and_bar() -> None:
    svg = drawn(BY_VALUE)
    assert texts(svg) == [text for n in range(10) for text in (f"Type {n}", str(100 - n))]
    bars = [rect.attrib["width"] for rect in svg.iter("rect") if "bar" in rect.attrib["class"]]
    assert bars == [f"{100 - n}%" for n in range(10)]


def test_series_are_stacked_and_told_apart_without_colour() -> None:
    svg = drawn(BY_STATE)
    bars = [rect.attrib for rect in svg.findall("g/rect") if rect.attrib["class"] != "track"]
    assert [(bar["x"], bar["width"]) for bar in bars] == [("0%", "90%"), ("90%", "10%"), ("0%", "15%"), ("15%", "5%")]
    patterns = {pattern.attrib["id"] for pattern in svg.iter("pattern")}
    assert [bar.get("fill") for bar in bars] == [None, "url(#c-2)"] * 2 and patterns == {"c-2"}
    assert texts(svg)[:2] == ["Enabled", "Disabled"], "the legend"


def test_a_single_series_with_a_name_is_in_the_legend() -> None:
    one = replace(BY_STATE, series=("enabled",), categories=(Category("a", (3,)), Category("b", (1,))))
    assert texts(drawn(one))[0] == "Enabled"
    assert describe_breakdown(one) == "Accounts by source and state: a 3 (enabled 3); b 1 (enabled 1)."


def test_a_series_without_a_number_has_no_bar() -> None:
    breakdown = replace(BY_STATE, categories=(Category("a", (0, 3)),))
    assert len([rect for rect in drawn(breakdown).findall("g/rect") if rect.attrib["class"] != "track"]) == 1


def test_a_screen_reader_gets_title_and_numbers() -> None:
    svg = drawn(BY_STATE)
    assert svg.attrib["role"] == "img"
    by_id = {item.attrib["id"]: item.text for item in svg.iter() if "id" in item.attrib}
    assert [by_id[name] for name in svg.attrib["aria-labelledby"].split()] == [
        BY_STATE.label, describe_breakdown(BY_STATE)
    ]  # fmt: skip


def test_a_description_has_all_numbers_and_what_is_left_out() -> None:
    assert describe_breakdown(BY_STATE).startswith(
        "Accounts by source and state: Active Directory 1,000 (enabled 900, disabled 100); "
    )
    assert describe_breakdown(BY_VALUE).endswith(
        "Type 9 91. The chart shows the 10 largest categories; 7 more categories together have 12."
    )


@pytest.mark.parametrize("text", [EVIL, "a\0b\r\n", "half \ud800", "\u202etxt"])
def test_nothing_of_the_data_is_markup(text: str) -> None:
    breakdown = BreakdownValue(text, text, (text, "b"), (Category(text, (1, 2)),), 0, (0, 0))
    svg = drawn(breakdown) if "\0" not in text else None
    tags = set(re.findall(r"<(\w+)", chart_svg(breakdown, "c")))
    assert tags == {"svg", "title", "desc", "defs", "pattern", "rect", "text", "g"}
    assert "\0" not in chart_svg(breakdown, "c")
    if svg is not None and text == EVIL:
        assert svg.find("title").text == EVIL  # type: ignore[union-attr]


def test_a_long_name_is_shortened_and_whole_in_its_tooltip() -> None:
    svg = drawn(replace(BY_VALUE, categories=(Category("x" * 100, (1,)),)))
    assert texts(svg)[0] == "x" * 41 + "…"
    assert svg.find("g/title").text == "x" * 100 + ": 1"  # type: ignore[union-attr]


def test_a_breakdown_of_zeros_or_nothing_is_drawn() -> None:
    assert not drawn(replace(BY_VALUE, categories=())).findall("g")
    assert not drawn(replace(BY_VALUE, categories=(Category("a", (0,)),))).findall("g/rect[@class='bar series-1']")


def test_more_series_than_colours_repeat_them() -> None:
    many = charts.MAX_SERIES + 2
    svg = drawn(BreakdownValue("n", "N", tuple("abcdefgh"), (Category("x", (1,) * many),), 0, (0,) * many))
    patterns = {f"url(#{pattern.attrib['id']})" for pattern in svg.iter("pattern")}
    assert {rect.attrib["fill"] for rect in svg.iter("rect") if "fill" in rect.attrib} == patterns


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_bars_contrast_with_the_page(scheme: int) -> None:
    """WCAG 2.2, 1.4.11: a contrast of 3 for what is needed to understand a picture, and 7 for its texts."""
    blocks = re.findall(r":root \{(.*?)\}", chart_style(), re.DOTALL)
    colours = dict(re.findall(r"--chart-(\w+): (#\w+)", blocks[scheme]))
    assert _contrast(colours["ink"], colours["paper"]) >= 7
    for number in range(1, charts.MAX_SERIES + 1):
        assert _contrast(colours[str(number)], colours["paper"]) >= 3, number
        assert _contrast(colours[str(number)], colours["track"]) >= 3, number


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    shares = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_style_sheet_loads_nothing() -> None:
    assert "url(" not in chart_style() and "@import" not in chart_style()
    assert Path(charts.__file__).with_name("charts.css").read_text() == chart_style()
