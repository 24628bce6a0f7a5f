"""Many clauses are merged into few tests: they find what each of them finds by itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chance import chance
from searching import Corpus

SYLLABLES = ["an", "be", "cor", "da", "el", "fi", "go", "hu", "is", "jo", "ka", "lu", "mé", "no", "ow"]
WORDS = ["".join(some) for some in itertools.product(SYLLABLES, SYLLABLES, SYLLABLES[:2])]
COUNTS = (2, 3, 4, 9, 40, 300)
"""Each side of every number at which a search is put in another way."""


def documents() -> list[dict[str, Any]]:
    draw = chance(77)

    def word() -> str:
        return "".join(draw.choices(SYLLABLES, k=draw.randint(1, 4)))

    return [
        {
            "id": WORDS[3 * number],
            "name": f"{word()}.{word()}",
            "displayName": f"{word()} {word()} {word()}",
            "accountCount": number % 7,
            "created": f"2024-01-{1 + number % 28:02}T00:00:00Z",
            "attributes": {"city": word(), "skills": [word() for _ in range(draw.randint(0, 4))]} if number % 5 else {},
            "accounts": [
                {
                    "id": f"{number}-{n}",
                    "name": word(),
                    "nativeIdentity": f"n{n}",
                    "source": {"id": "hr", "name": "HR"},
                    "disabled": n == 1,
                }
                for n in range(draw.randint(0, 3))
            ],
            "access": [{"id": word(), "name": word(), "type": "ROLE"} for _ in range(draw.randint(0, 3))],
        }
        for number in range(150)
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("merging"), documents())


def leaves(kind: str) -> Callable[[int], list[str]]:
    """A number of different clauses of a kind, of which some find something."""

    def made(count: int) -> list[str]:
        draw = chance(count)
        some = draw.sample(WORDS, count)
        return [FORMS[kind].format(w=word, l=word[:-1], r=word[1:], f=word[:2], a=word[-2:]) for word in some]

    return made


FORMS = {
    "word": "displayName:{w}",
    "any": "{w}",
    "phrase": '"{f} {a}"',
    "prefix": "{l}*",
    "suffix": "displayName:*{r}",
    "infix": "name:*{l}*",
    "wildcard": "displayName:{f}*{a}",
    "question": "{l}?",
    "fuzzy": "displayName:{w}~1",
    "fuzzy2": "{w}~2",
    "expression": "displayName:/{f}.*{a}/",
    "range": "displayName:[{w} TO {w}m]",
    "open": "displayName:{{* TO {f}}}",
    "id": "id:{w}",
    "exact": "attributes.city.exact:{w}",
    "exactly": "attributes.skills.exact:{w}",
    "exact wildcard": "attributes.skills.exact:{f}*",
    "exact range": "attributes.skills.exact:[{w} TO {w}m]",
    "exact fuzzy": "attributes.skills.exact:{w}~1",
    "city range": "attributes.city.exact:[{w} TO {w}m}}",
    "accounts": "@accounts(name:{w})",
    "account prefix": "@accounts(name:{f}* AND disabled:true)",
    "access": "@access(name:{w})",
    "access fuzzy": "@access(name:{f}{a}~1)",
    "access not": "@access(NOT name:{f}*)",
}
PATTERNS = ("fuzzy", "fuzzy2", "expression", "exact fuzzy", "access fuzzy")


@pytest.mark.parametrize("kind", FORMS)
def test_any_of_many_finds_what_each_finds(corpus: Corpus, kind: str) -> None:
    alone: dict[str, set[str]] = {}
    for count in COUNTS if kind not in PATTERNS else COUNTS[:-1]:
        clauses = leaves(kind)(count)
        for clause in clauses[:40]:
            alone.setdefault(clause, corpus.ids(clause))
        found = corpus.ids(" OR ".join(clauses))
        assert set().union(*(alone[clause] for clause in clauses[:40])) <= found
        if count <= 40:
            assert found == set().union(*(alone[clause] for clause in clauses))
        assert corpus.ids(f"NOT ({' OR '.join(clauses)})") == corpus.ids("*") - found
    assert found, "the longest finds something"


@pytest.mark.parametrize("kind", ["accounts", "account prefix", "access", "access not"])
def test_all_of_many_objects_need_not_be_one(corpus: Corpus, kind: str) -> None:
    for count in (2, 9, 12):
        # of the words that documents have, so that some of them have many
        words = SYLLABLES[:count]
        clauses = [FORMS[kind].format(w=f"{word}*", f=word) for word in words]
        every = [corpus.ids(clause) for clause in clauses]
        assert corpus.ids(" AND ".join(clauses)) == set.intersection(*every)
        few = [*clauses[:1], *(f"@accounts(id:{number}* OR id:1*)" for number in range(2, 2 + count))]
        assert corpus.ids(" AND ".join(few)) == set.intersection(*map(corpus.ids, few))


def test_all_of_many_objects_are_found(tmp_path: Path) -> None:
    names = [f"right{n}" for n in range(20)]
    corpus = Corpus(
        tmp_path,
        [
            {
                "id": f"{number}",
                "name": f"n{number}",
                "accounts": [
                    {
                        "id": f"{number}{name}",
                        "name": name,
                        "nativeIdentity": name,
                        "source": {"id": "hr", "name": "HR"},
                    }
                    for name in names[:number]
                ],
                "access": [{"id": name, "name": name, "type": "ROLE"} for name in names[:number]],
            }
            for number in range(21)
        ],
    )
    for path in ("accounts", "access"):
        for count in (8, 9, 20):
            query = " AND ".join(f"@{path}(name:{name})" for name in names[:count])
            assert corpus.ids(query) == {str(number) for number in range(count, 21)}
            assert corpus.ids(f"NOT ({query})") == {str(number) for number in range(count)}


@pytest.mark.parametrize("count", [3, 300])
def test_values_may_have_any_character(tmp_path: Path, count: int) -> None:
    odd = [*",;|/~^'\"\\%_", "a,b;c|d/e~f^g", "─", "\u2500\u2501", "new\nline", "tab\t"]
    corpus = Corpus(
        tmp_path,
        [
            {"id": f"{n}", "name": f"x{value}x", "attributes": {"many": [f"y{value}", "z"]}}
            for n, value in enumerate(odd)
        ],
    )
    for n, value in enumerate(odd):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        more = " ".join(f'"q{quoted}{m}"' for m in range(count))
        assert corpus.ids(f'name.exact:("x{quoted}x" {more})') == {str(n)}, value
        assert corpus.ids(f'attributes.many.exact:("y{quoted}" {more})') == {str(n)}, value


def test_numbers_and_dates_are_merged(corpus: Corpus) -> None:
    assert corpus.ids("accountCount:(1 OR 2 OR 3)") == set().union(
        *(corpus.ids(f"accountCount:{n}") for n in (1, 2, 3))
    )
    days = [f"created:2024-01-{day:02}" for day in range(1, 20)]
    assert corpus.ids(" ".join(days)) == set().union(*map(corpus.ids, days))
    assert corpus.ids("NOT accountCount:(1 2)") == corpus.ids("*") - corpus.ids("accountCount:1") - corpus.ids(
        "accountCount:2"
    )
