"""Hints for a search that found nothing."""

from __future__ import annotations

import pytest

from whohas.search.hints import no_hit_hints


@pytest.mark.parametrize(
    ("query", "index", "says"),
    [
        ("APPROVE", "identities", ("*APPROVE*", "@access(APPROVE)")),
        ("name:angus", "identities", ("name:*angus*",)),
        ("NOT lazy AND (status:x OR approve)", "identities", ("status:*x*",)),
        ("attributes.city:Ath", "identities", ("attributes.city:*Ath*",)),
    ],
)
def test_a_word_is_suggested_as_a_part_of_words(query: str, index: str, says: tuple[str, ...]) -> None:
    hints = no_hit_hints(query, index)
    assert len(hints) == len(says)
    assert all(text in hint for text, hint in zip(says, hints, strict=True))


@pytest.mark.parametrize(
    "query", ["*", "*approve*", "isManager:true", "created:2020", '"a b"', "@access(name:APPROVE)"]
)
def test_other_queries_get_no_hint(query: str) -> None:
    assert no_hit_hints(query, "identities") == ()
