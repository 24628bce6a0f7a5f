"""Completion of queries: what the text before the cursor is about."""

from __future__ import annotations

import pytest

from whohas.search.completion import QueryCursor, find_cursor, value_suggestions
from whohas.search.fields import INDICES


@pytest.mark.parametrize(
    ("before", "path", "field", "text"),
    [
        ("", "", "", ""),
        ("na", "", "", "na"),
        ("a AND -na", "", "", "na"),
        ("name:", "", "name", ""),
        ("name:ad", "", "name", "ad"),
        ("name:ada na", "", "", "na"),
        ('name:"ada l', "", "name", '"ada l'),
        ('name:"ada" AND na', "", "", "na"),
        (r'name:"a\"b', "", "name", r'"a\"b'),
        (r"name:a\ b", "", "name", r"a\ b"),
        ("city:(Athens OR ham", "", "city", "ham"),
        ("city:(Athens OR Berlin) na", "", "", "na"),
        ("@accounts(source.na", "accounts", "", "source.na"),
        ("@accounts(disabled:true AND source.name:act", "accounts", "source.name", "act"),
        ("@accounts(disabled:true) AND na", "", "", "na"),
        ("@nosuch(na", "", "", "na"),
        ("(@access(type:ro", "access", "type", "ro"),
        ("))) na", "", "", "na"),
        ("created:[2020 TO n", "", "created", "n"),
        (r"attributes.a\:b:x", "", "attributes.a:b", "x"),
        ("\\", "", "", "\\"),
    ],
)
def test_cursor_is_found(before: str, path: str, field: str, text: str) -> None:
    assert find_cursor(before, INDICES["identities"]) == QueryCursor(path, field, text)


def test_lists_in_lists_have_whole_paths() -> None:
    found = find_cursor("@approvals(@comments(na", INDICES["accountactivities"])
    assert found.path == "approvals.comments"


def test_values_are_quoted_only_where_needed() -> None:
    def texts(typed: str, *values: str) -> list[str]:
        cursor = QueryCursor("", "x", typed)
        return [one.text for one in value_suggestions(cursor, [(value, 1) for value in values])]

    assert texts("", "plain", "two words", 'a "b" \\', "AND", "a:b", "-x") == [
        "plain",
        '"two words"',
        '"a \\"b\\" \\\\"',
        '"AND"',
        '"a:b"',
        '"-x"',
    ]
    assert texts('"two', "plain", "two words") == ['"two words"']
    assert texts("wor", "sword", "two words", "work") == ["work", '"two words"', "sword"]
