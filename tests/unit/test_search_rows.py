"""What a search export has in its rows: columns, lists that are spread, order."""

from __future__ import annotations

from typing import Any

import pytest

from searching import Corpus
from whohas.errors import InvalidArguments

IDENTITIES: list[dict[str, Any]] = [
    {
        "id": "b", "name": "bea", "displayName": "Zoe", "created": "2020-01-02T03:04:05.678Z", "tags": ["x", "y"],
        "attributes": {"city": "Oslo", "skills": ["sql", "go"], "name": "inner"},
        "accounts": [
            {"id": "a2", "accountId": "n2", "name": "two", "source": {"id": "s1", "name": "SAP"}, "disabled": True,
             "accountAttributes": {"title": "Boss"}},
            {"id": "a1", "accountId": "n1", "name": "one", "source": {"id": "s1", "name": "SAP"}, "disabled": False},
        ],
        "access": [
            {"id": "x1", "type": "ROLE", "name": "Sales", "displayName": "Sales"},
            {"id": "x2", "type": "ENTITLEMENT", "name": "Read", "displayName": "Read", "source": {"name": "SAP"}},
        ],
        "apps": [{"id": "p1", "name": "Mail"}],
        "owns": [{"sources": [{"id": "s1", "name": "SAP"}], "roles": [{"id": "r1", "name": "Boss"}]}],
    },
    {"id": "a", "name": "amy", "displayName": "amy", "created": "2021-01-01T00:00:00Z", "attributes": {"city": "Bonn"}},
    {"id": "c", "name": "cyd", "displayName": "Amy", "access": [
        {"id": "x1", "type": "ROLE", "name": "Sales", "displayName": "Sales"}]},
    {"id": "d", "name": "dot"},
]  # fmt: skip
ROLES = [
    {"id": "r1", "name": "One", "dimensions": [
        {"id": "d1", "name": "North", "entitlements": [{"id": "t1", "name": "N1"}, {"id": "t2", "name": "N2"}]},
        {"id": "d2", "name": "South", "entitlements": [{"id": "t3", "name": "S1"}]}]},
    {"id": "r2", "name": "Two", "accessProfiles": [{"id": "p2", "name": "B"}, {"id": "p1", "name": "A"}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("export"), IDENTITIES, roles=ROLES)


def table(
    corpus: Corpus, columns: str, query: str = "*", index: str = "identities", **more: Any
) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in corpus.search(query, index, columns=tuple(columns.split(",")), **more)]


def test_rows_are_ordered_by_id_and_columns_as_asked(corpus: Corpus) -> None:
    assert table(corpus, "name,id,attributes.city,created") == [
        ("amy", "a", "Bonn", "2021-01-01T00:00:00Z"),
        ("bea", "b", "Oslo", "2020-01-02T03:04:05Z"),
        ("cyd", "c", None, None),
        ("dot", "d", None, None),
    ]


def test_without_columns_an_index_shows_its_own(corpus: Corpus) -> None:
    (row,) = corpus.search("id:b")
    assert list(row)[:4] == ["id", "name", "displayName", "firstName"]
    assert row["accountCount"] == 2
    assert row["accessCount"] == 2


def test_several_values_stay_several(corpus: Corpus) -> None:
    assert table(corpus, "tags,attributes.skills", "id:b") == [(["x", "y"], ["sql", "go"])]


def test_a_list_without_spread_gives_all_values_sorted(corpus: Corpus) -> None:
    assert table(corpus, "id,accounts.name,access.type,accounts.accountAttributes.title") == [
        ("a", None, None, None),
        ("b", ["one", "two"], ["ENTITLEMENT", "ROLE"], ["Boss"]),
        ("c", None, ["ROLE"], None),
        ("d", None, None, None),
    ]


def test_a_spread_gives_a_row_an_object_and_loses_nobody(corpus: Corpus) -> None:
    rows = corpus.search("*", columns=("id", "accounts.spread"))
    assert list(rows[0]) == [
        "id", "accounts.id", "accounts.name", "accounts.accountId", "accounts.source.name", "accounts.source.type",
        "accounts.disabled", "accounts.locked", "accounts.privileged", "accounts.manuallyCorrelated",
        "accounts.passwordLastSet", "accounts.created",
    ]  # fmt: skip
    assert [(row["id"], row["accounts.id"], row["accounts.disabled"]) for row in rows] == [
        ("a", None, None), ("b", "a1", False), ("b", "a2", True), ("c", None, None), ("d", None, None),
    ]  # fmt: skip


def test_a_spread_list_has_the_columns_of_its_objects(corpus: Corpus) -> None:
    rows = corpus.search("id:b", columns=("accounts.accountAttributes.title", "accounts.spread"))
    assert [(row["accounts.id"], row["accounts.accountAttributes.title"]) for row in rows] == [
        ("a1", None),
        ("a2", "Boss"),
    ]


def test_several_spreads_give_each_object_a_row_of_its_own(corpus: Corpus) -> None:
    rows = corpus.search("*", columns=("id", "access.spread", "accounts.spread", "apps.spread"))
    assert [(row["id"], row["access.name"], row["accounts.name"], row["apps.name"]) for row in rows] == [
        ("a", None, None, None),
        ("b", "Sales", None, None),
        ("b", "Read", None, None),
        ("b", None, "one", None),
        ("b", None, "two", None),
        ("b", None, None, "Mail"),
        ("c", "Sales", None, None),
        ("d", None, None, None),
    ]


def test_what_is_owned_spreads_too(corpus: Corpus) -> None:
    assert table(corpus, "id,owns.spread", "id:b") == [("b", "ROLE", "r1", "Boss"), ("b", "SOURCE", "s1", "SAP")]
    assert table(corpus, "owns.sources.name", "@owns(sources.name:sap)") == [(["SAP"],)]


def test_objects_that_lie_in_a_list_keep_their_order(corpus: Corpus) -> None:
    rows = corpus.search("*", "roles", columns=("name", "accessProfiles.spread"))
    assert [(row["name"], row["accessProfiles.name"]) for row in rows] == [("One", None), ("Two", "B"), ("Two", "A")]
    rows = corpus.search("id:r1", "roles", columns=("dimensions.entitlements.spread",))
    assert [row["dimensions.entitlements.name"] for row in rows] == ["N1", "N2", "S1"]
    rows = corpus.search("id:r1", "roles", columns=("dimensions.spread", "dimensions.entitlements.name"))
    assert [row["dimensions.name"] for row in rows] == ["North", "South"]


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        (("displayName",), "cbad"),  # by code point, upper case first; nulls last
        (("-displayName",), "dabc"),
        (("+created",), "bacd"),
        (("-created",), "abcd"),
        (("-id",), "dcba"),
        (("attributes.city", "-id"), "abdc"),
        (("accountCount", "-name"), "dcab"),
        (("displayName.exact",), "cbad"),
    ],
)
def test_rows_sort_with_nulls_last_then_by_id(corpus: Corpus, sort: tuple[str, ...], ids: str) -> None:
    found = [row["id"] for row in corpus.search("id:(a b c d)", columns=("id",), sort=sort)]
    assert "".join(found) == ids


def test_a_missing_column_is_empty_and_gets_a_note(corpus: Corpus) -> None:
    answer = corpus.ask("id:a", columns=("id", "attributes.nope", "apps.pread"), sort=("nope",))
    assert corpus.rows(answer.statements["identities"]) == [{"id": "a", "attributes.nope": None, "apps.pread": None}]
    assert [note.text for note in answer.notes] == [
        "There is no column attributes.nope in the index identities: it stays empty.",
        "There is no column apps.pread in the index identities: it stays empty.",
        "There is no field nope in the index identities to sort by: it is passed over.",
    ]


def test_a_spread_of_nothing_is_told(corpus: Corpus) -> None:
    answer = corpus.ask("id:a", columns=("id", "roles.spread"))
    (note,) = answer.notes
    assert "There is no column roles.spread" in note.text
    assert "accounts.spread, access.spread" in note.text
    assert corpus.rows(answer.statements["identities"]) == [{"id": "a"}]


def test_the_statement_is_one_that_an_auditor_can_read(corpus: Corpus) -> None:
    statement = corpus.ask("name:amy AND NOT @access(type:ROLE)", columns=("id",)).statements["identities"]
    assert statement.sql == (
        'SELECT\n  d.id AS "id"\nFROM "identities" AS d\nWHERE\n'
        "  CONTAINS(d.\"name:words\", ' amy ')\n"
        "  AND NOT d.num IN (\n    SELECT\n      h1.num\n"
        '    FROM "identities.access" AS h1\n    WHERE\n      h1.item IN (\n        SELECT\n          e1.item\n'
        '        FROM "identities.access.items" AS e1\n        WHERE\n'
        "          CONTAINS(e1.\"type:words\", ' role ')\n      )\n  )\nORDER BY\n  d.num ASC"
    )
    plain = corpus.ask("name:amy", columns=("id",)).statements["identities"]
    assert plain.sql.endswith("WHERE\n  CONTAINS(d.\"name:words\", ' amy ')")
    assert plain.ordered
    assert sorted(statement.files) == ["identities", "identities.access", "identities.access.items"]


def test_nothing_of_a_query_becomes_sql(corpus: Corpus) -> None:
    for text in (r"'\ OR\ 1=1\ --", r"\"\;DROP\ TABLE\ identities\;", "$source", "{zz}", ":words", "%s", "\\x00"):
        for query in (f"name:{text}", f"name.exact:{text}*", f'"{text}"'):
            try:
                assert corpus.ids(query) == set()
            except Exception as error:
                assert "The query breaks" in str(error), (query, error)
    assert corpus.ids("id:(a b c d)") == {"a", "b", "c", "d"}
    for query in ("name.exact:a\0", "name:a*\0b*", "@accounts(name.exact:\0)"):
        with pytest.raises(InvalidArguments):
            corpus.ids(query)
    hostile = 'x" FROM identities; --'
    answer = corpus.ask("*", columns=(hostile, f"attributes.{hostile}"), sort=(hostile,))
    assert len(corpus.rows(answer.statements["identities"])) == 4
