"""What a search may ask for, and what it may not: each limit is told with its place, its number and its setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from searching import Corpus
from whohas.errors import InvalidArguments
from whohas.search.limits import DEFAULT_LIMITS, SearchLimits

FEW = replace(DEFAULT_LIMITS, clauses=10, values=20, patterns=3, columns=5, statement=100_000, notes=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("limits"), [{"id": "1", "name": "anna", "attributes": {"city": "Rome"}}])


def refusal(corpus: Corpus, query: str, limits: SearchLimits = FEW, **more: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        corpus.ask(query, limits=limits, **more)
    return caught.value.message


def clauses(count: int) -> list[str]:
    return [f"name:x{n}*" for n in range(count)]


def test_as_many_clauses_as_the_limit_run(corpus: Corpus) -> None:
    assert corpus.ids(" ".join(clauses(10)), limits=FEW) == set()


@pytest.mark.parametrize("joined", [" ", " OR ", " AND ", " NOT ", " +"])
def test_one_clause_too_many_is_pointed_at(corpus: Corpus, joined: str) -> None:
    message = refusal(corpus, f"name:y{joined}{joined.join(clauses(11))}")
    assert "may have 10 clauses (WHOHAS_SEARCH_CLAUSES)" in message
    line, mark = message.splitlines()[1:]
    assert line[len(mark) - 1 :].startswith("name:x")


def test_equal_clauses_count_once(corpus: Corpus) -> None:
    assert corpus.ids(" ".join(["name:ann*", "name:x?y"] * 500), limits=FEW) == {"1"}


@pytest.mark.parametrize(
    "query", ["name:({})", "name.exact:({})", "id:({})", "{}", "@access(name:({}))", "NOT name:({})"]
)
def test_the_values_of_one_field_are_one_clause(corpus: Corpus, query: str) -> None:
    values = " ".join(f"x{n}" for n in range(20))
    assert corpus.ids(query.format(values), limits=FEW) == ({"1"} if query.startswith("NOT") else set())
    assert "a list of values may have 20 (WHOHAS_SEARCH_VALUES)" in refusal(corpus, query.format(f"{values} more"))


def test_objects_of_one_list_joined_by_or_are_one_clause(corpus: Corpus) -> None:
    assert corpus.ids(" OR ".join(f"@access(name:x{n})" for n in range(20)), limits=FEW) == set()
    assert "may have 10 clauses" in refusal(corpus, " AND ".join(f"@access(name:x{n})" for n in range(11)))


def test_all_groups_together_have_a_limit_too(corpus: Corpus) -> None:
    groups = [f"({' AND '.join(f'name:x{n}y{m}' for m in range(5))})" for n in range(8)]
    assert corpus.ids(" OR ".join(groups), limits=FEW) == set()
    assert "40 clauses in all its groups" in refusal(corpus, " OR ".join([*groups, "(name:a AND name:b)"]))


@pytest.mark.parametrize("pattern", ["name:x{}y~", "name:/x{}.*/", "id:xx{}~1"])
def test_fuzzy_words_and_expressions_have_a_limit(corpus: Corpus, pattern: str) -> None:
    made = [pattern.format(n) for n in range(4)]
    assert corpus.ids(" ".join(made[:3]), limits=FEW) == set()
    message = refusal(corpus, " ".join(made))
    assert "may have 3 fuzzy words and regular expressions (WHOHAS_SEARCH_PATTERNS)" in message
    line, mark = message.splitlines()[1:]
    assert line[len(mark) - 1 :] == made[3]


def test_a_field_with_a_star_counts_as_its_fields(tmp_path: Any) -> None:
    attributes = {f"a{n}": "x" for n in range(30)}
    corpus = Corpus(tmp_path, [{"id": "1", "name": "anna", "attributes": attributes}])
    assert "may have 10 clauses" in refusal(corpus, r"attributes.a\*:ro*")


@pytest.mark.parametrize("name", ["columns", "sort"])
def test_too_many_columns_are_refused(corpus: Corpus, name: str) -> None:
    names = tuple(f"c{n}" for n in range(6))
    message = refusal(corpus, "*", **{name: names})
    assert "names 6" in message and "may name 5 (WHOHAS_SEARCH_COLUMNS)" in message and "'c5'" in message


def test_sql_that_is_too_long_is_refused(corpus: Corpus) -> None:
    limits = replace(DEFAULT_LIMITS, statement=10_000)
    assert "may have 10,000 (WHOHAS_SEARCH_STATEMENT)" in refusal(corpus, f'name:"{"long " * 3000}"', limits)


def test_a_phrase_that_repeats_one_word_is_short_sql(corpus: Corpus) -> None:
    sizes = [len(corpus.ask(f'"{" ".join(["a"] * n)}"~3').statements["identities"].sql) for n in (5, 50)]
    assert sizes[1] < 3 * sizes[0]


def test_of_many_notes_their_number_is_told(corpus: Corpus) -> None:
    notes = corpus.ask("*", columns=tuple(f"c{n}" for n in range(5)), limits=FEW).notes
    assert [note.text for note in notes][2:] == ["There are 3 more notes like these."]


def test_planning_ends_at_its_limit(corpus: Corpus) -> None:
    limits = replace(DEFAULT_LIMITS, plan_seconds=0)
    for query in (" ".join("x" * 1000), "((((" * 20 + "a b " * 100, f"name:({' '.join(f'x{n}' for n in range(1000))})"):
        assert "WHOHAS_SEARCH_PLAN_SECONDS" in refusal(corpus, query, limits)
