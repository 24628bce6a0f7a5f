"""The parser: trees printed and read back, and texts of every kind."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries import bare, inside_of, printed
from whohas.errors import InvalidArguments
from whohas.search.ast import (
    Clause,
    Fuzzy,
    Group,
    Nested,
    Node,
    Occur,
    Phrase,
    Range,
    Regexp,
    Term,
    Wildcard,
    apply_and,
)
from whohas.search.explain import explain
from whohas.search.parser import parse, unescape

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
plain = st.text("abcxyzé王09.'_@=<>#$%", min_size=1, max_size=8).filter(lambda t: t not in ("AND", "OR", "NOT"))
name = st.none() | st.sampled_from(["name", "attributes.city", "a b", "user:name", "_exists_"])
# Lucene's token of a quoted bound is the longest: in `{* TO "\\"} +"x"` it takes `\"` for an escaped quote and goes on to
# the next one. So no quoted text stands for a bound that ends in a backslash
bound = st.none() | text.filter(lambda t: not t.endswith("\\"))
leaf = (
    st.builds(Term, name, text)
    | st.builds(Phrase, name, text, st.integers(0, 99))
    | st.builds(Wildcard, name, st.builds("{}{}{}".format, plain, st.sampled_from(["*", "?", "*?"]), plain))
    | st.builds(Fuzzy, name, plain, st.sampled_from([None, 0.0, 0.5, 1.0, 2.0]))
    | st.builds(Regexp, name, st.from_regex(r"[a-z.]+(\([a-z]\|[a-z]\))?[a-z]*", fullmatch=True))
    | st.builds(Range, name, bound, bound, st.booleans(), st.booleans())
)


def groups(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    first = st.builds(Clause, st.sampled_from(Occur), inner)
    later = st.builds(Clause, st.sampled_from(Occur), inner, st.booleans())
    group = st.tuples(first, st.lists(later, min_size=1, max_size=4)).map(lambda found: Group((found[0], *found[1])))
    return group | st.builds(Nested, st.sampled_from(["accounts", "access"]), inner)


tree = st.recursive(leaf, groups, max_leaves=12)


@settings(max_examples=400)
@given(tree)
def test_a_tree_that_is_printed_is_read_back(node: Node) -> None:
    query = inside_of(node) if isinstance(node, Group) else printed(node)
    assert bare(parse(query)) == bare(node)
    assert explain(node).count("\n") >= 0


@settings(max_examples=400)
@given(st.text() | st.text("ab:()[]{}\"\\/*?~^+-!&| @ANDORTO'<>=\u3000é", max_size=40))
def test_any_query_is_read_or_refused_at_a_position_inside(query: str) -> None:
    try:
        parse(query)
    except InvalidArguments as error:
        column = int(error.message.split("column ")[1].split(":")[0])
        assert 1 <= column <= len(query) + 1


@pytest.mark.parametrize(
    "query",
    ["(" * 100_000, "a AND " * 50_000, "[" * 100_000, '"' * 99_999, "\\" * 100_001, "/" * 100_000, "a:" * 50_000, "+" * 100_000,
     "@accounts(" * 10_000, "~" * 100_000, "name:(" * 20_000, "*" * 100_000, "a*?" * 30_000, "/\\" * 50_000, '[a TO "' + "\\" * 99_999],
)  # fmt: skip
def test_long_and_odd_queries_never_crash(query: str) -> None:
    started = time.thread_time()
    try:
        parse(query)
    except InvalidArguments as error:
        assert len(error.message) < 600
    assert time.thread_time() - started < 10


def test_many_clauses_are_read_quickly() -> None:
    node = parse(" OR ".join(f"id:{number:032x}" for number in range(5_000)))
    assert isinstance(node, Group)
    assert len(node.clauses) == 5_000


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("a OR b AND c", " ++"),
        ("a AND b OR c", "++ "),
        ("a b", "  "),
        ("a NOT b", " -"),
        ("a AND NOT b", "+-"),
        ("-a AND b", "-+"),
        ("a AND -b AND c", "+-+"),
        ("+a b", "+ "),
        ("a && b || c", "++ "),
        ("a !b", " -"),
    ],
)
def test_and_binds_its_neighbours_as_lucene_does(query: str, counts: str) -> None:
    node = parse(query)
    assert isinstance(node, Group)
    assert "".join(clause.occur or " " for clause in apply_and(node.clauses)) == counts


def test_escapes_are_taken_away() -> None:
    assert unescape(r"\(1\+1\)\=2") == "(1+1)=2"
    assert unescape(r"\u0041\u00e9\ud83d\ude00") == "Aé😀"
    assert unescape(r"\ud83d") == "\ufffd"
    assert unescape("\\\\") == "\\"
    for wrong in ("a\\", "\\u12", "\\u12g4"):
        with pytest.raises(ValueError, match=r"must (stand|follow)"):
            unescape(wrong)


def test_a_tree_can_be_told_in_words() -> None:
    query = 'a OR name:b AND NOT @access(type:role created:{2020 TO *]) "x y"~3 z~ f:/r/ g:*'
    assert explain(parse(query)).split("\n") == [
        "group",
        "  may (changes nothing) any text has 'a'",
        "  must name has 'b'",
        "  must not one object of access, with",
        "    group: one of the optional clauses is enough",
        "      may type has 'role'",
        "      may created is above '2020'",
        "  may (changes nothing) any text has 'x y' within 3 moves",
        "  may (changes nothing) any text has a word near 'z'",
        "  may (changes nothing) f has a word that matches /r/",
        "  may (changes nothing) g exists",
    ]
