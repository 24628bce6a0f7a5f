"""Texts on breakdowns that charts of all formats share."""

from __future__ import annotations

from whohas.engine.summary import BreakdownValue
from whohas.plurals import pluralize


def series_label(name: str) -> str:
    """Return the name of a series for people, with a capital letter; `Number` if the categories are not divided."""
    return name[:1].upper() + name[1:] if name else "Number"


def further_note(breakdown: BreakdownValue) -> str:
    """Return a sentence on the categories that a chart leaves out; empty if it shows all."""
    if not breakdown.further:
        return ""
    more = pluralize(breakdown.further, "more category has", "more categories together have")
    return f"The chart shows the {len(breakdown.categories)} largest categories; {more} {sum(breakdown.others):,}."


def describe_breakdown(breakdown: BreakdownValue) -> str:
    """Return a breakdown as a text, for readers who do not see its chart.

    Example: `Accounts by source: AD 120 (enabled 100, disabled 20); HR 7 (enabled 7).`
    """
    texts: list[str] = []
    for category in breakdown.categories:
        numbers = zip(breakdown.series, category.numbers, strict=True)
        parts = ", ".join(f"{name} {number:,}" for name, number in numbers if number)
        texts.append(f"{category.name} {category.total:,}" + (f" ({parts})" if breakdown.divided else ""))
    text = f"{breakdown.label}: {'; '.join(texts)}."
    note = further_note(breakdown)
    return f"{text} {note}" if note else text
