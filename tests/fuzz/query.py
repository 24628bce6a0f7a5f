"""Queries: a printed tree is read back, what it finds is what a naive evaluation finds, and any text is read or refused."""

from __future__ import annotations

import atexit
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured, single
from queries import bare, inside_of, printed
from searching import Corpus
from whohas.errors import InvalidArguments
from whohas.search.ast import Clause, Fuzzy, Group, Leaf, Nested, Node, Occur, Phrase, Range, Regexp, Term, Wildcard
from whohas.search.explain import explain
from whohas.search.fields import INDICES
from whohas.search.parser import parse

_WORDS = ("a", "b", "ab", "ba", "abc", "bca", "aab", "x1", "7", "07", "data", "date")
_VALUES = ("a", "a b", "ab ba abc", "Data A", "x1 7", "", "abc-bca", "07", "B", "a b a")
_FIELDS = ("name", "description", "owner.name", "tags")


def _documents() -> list[dict[str, Any]]:
    chance = random.Random(7)
    documents: list[dict[str, Any]] = []
    for number in range(60):
        document: dict[str, Any] = {"id": f"r{number}", "name": chance.choice([value for value in _VALUES if value])}
        if chance.random() < 0.7:
            document["description"] = chance.choice(_VALUES)
        if chance.random() < 0.6:
            document["owner"] = {"id": f"o{number % 3}", "name": chance.choice([value for value in _VALUES if value])}
        if chance.random() < 0.5:
            document["tags"] = chance.sample(_VALUES, chance.randint(1, 3))
        if chance.random() < 0.7:
            document["enabled"] = chance.random() < 0.5
        if chance.random() < 0.7:
            document["created"] = f"{chance.randint(2019, 2023)}-0{chance.randint(1, 9)}-15T10:00:00Z"
        document["entitlements"] = [
            {
                "id": f"e{part}",
                "name": chance.choice(_VALUES),
                "description": chance.choice(_VALUES),
                "privileged": chance.random() < 0.4,
            }
            for part in range(chance.randint(0, 3))
        ]
        documents.append(document)
    return documents


DOCUMENTS = _documents()


@cache
def _corpus() -> Corpus:
    folder = Path(tempfile.mkdtemp(prefix="whohas-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Corpus(folder, roles=DOCUMENTS)


Values = dict[str, list[str]]


@dataclass(frozen=True)
class Row:
    """A document or an object in it, as a query sees it.

    Attributes:
        texts: values by field.
        ids: what words without a field find too.
        flag: the field that is true or false.
        year: of the date, and its month.
        objects: those of the list.
    """

    texts: Values
    ids: tuple[str, ...]
    flag: tuple[str, bool | None]
    created: datetime | None
    objects: tuple[Row, ...]


def _row(document: dict[str, Any]) -> Row:
    texts: Values = {
        "name": [document["name"]],
        "description": [document["description"]] if "description" in document else [],
        "owner.name": [document["owner"]["name"]] if "owner" in document else [],
        "tags": document.get("tags", []),
    }
    objects = tuple(
        Row(
            {"name": [one["name"]], "description": [one["description"]]},
            (one["id"],),
            ("privileged", one["privileged"]),
            None,
            (),
        )
        for one in document["entitlements"]
    )
    created = datetime.fromisoformat(document["created"]) if "created" in document else None
    owner = (document["owner"]["id"], "IDENTITY") if "owner" in document else ()
    return Row(texts, (document["id"], *owner), ("enabled", document.get("enabled")), created, objects)


_ROWS = {document["id"]: _row(document) for document in DOCUMENTS}


def words(value: str) -> list[str]:
    """The words of a value of this corpus."""
    return re.findall(r"[a-z0-9]+", value.lower())


Truth = bool | None


def holds(node: Node, row: Row) -> Truth:
    """Return whether a row fulfils a query; None where the query has no word."""
    match node:
        case Group():
            return _group(node, row)
        case Nested():
            found = [holds(node.node, one) for one in row.objects]
            if holds(node.node, Row({}, (), ("privileged", None), None, ())) is None:
                return None
            return any(found)
        case _:
            return _leaf(node, row)


def _group(group: Group, row: Row) -> Truth:
    """Lucene's `addClause`, clause by clause, and then its boolean query."""
    clauses: list[tuple[Occur, bool]] = []
    for clause in group.clauses:
        found = holds(clause.node, row)
        if clause.joined_by_and and clauses and clauses[-1][0] is not Occur.MUST_NOT:
            clauses[-1] = (Occur.MUST, clauses[-1][1])
        if found is None:
            continue
        occur = Occur.MUST if clause.joined_by_and and clause.occur is Occur.SHOULD else clause.occur
        clauses.append((occur, found))
    if not clauses:
        return None
    by = {occur: [found for each, found in clauses if each is occur] for occur in Occur}
    if any(by[Occur.MUST_NOT]) or not all(by[Occur.MUST]):
        return False
    return any(by[Occur.SHOULD]) if by[Occur.SHOULD] and not by[Occur.MUST] else True


def _leaf(leaf: Leaf, row: Row) -> Truth:
    if leaf.field is None:
        values = [value for found in row.texts.values() for value in found]
        return _in_words(leaf, [words(value) for value in (*values, *row.ids)])
    if leaf.field == "_exists_":
        assert isinstance(leaf, Term)
        if leaf.text == "entitlements":
            return bool(row.objects)
        return row.created is not None if leaf.text == "created" else bool(row.texts.get(leaf.text))
    if leaf.field == row.flag[0]:
        assert isinstance(leaf, Term)
        return row.flag[1] is (leaf.text == "true")
    if leaf.field == "created":
        return _in_time(leaf, row.created)
    plain = leaf.field.removesuffix(".exact")
    if plain not in _FIELDS:
        return False
    values = row.texts.get(plain, [])
    if plain == leaf.field:
        return _in_words(leaf, [words(value) for value in values])
    return _in_values(leaf, values)


def _in_words(leaf: Leaf, values: list[list[str]]) -> Truth:
    every = [word for value in values for word in value]
    match leaf:
        case Term():
            wanted = words(leaf.text)
            return any(word in every for word in wanted) if wanted else None
        case Phrase():
            wanted = words(leaf.text)
            if not wanted:
                return None
            return any(value[at : at + len(wanted)] == wanted for value in values for at in range(len(value)))
        case _:
            return any(_matches(leaf, word, str.lower) for word in every)


def _in_values(leaf: Leaf, values: list[str]) -> bool:
    if isinstance(leaf, Term | Phrase):
        return leaf.text in values
    return any(_matches(leaf, value, str) for value in values)


def _matches(leaf: Leaf, word: str, fold: Callable[[str], str]) -> bool:
    match leaf:
        case Wildcard():
            return _like(fold(leaf.pattern), word)
        case Fuzzy():
            text = fold(leaf.text)
            most = (0 if len(text) < 3 else 1 if len(text) < 6 else 2) if leaf.edits is None else int(leaf.edits)
            return _distance(text, word) <= most
        case Regexp():
            return re.fullmatch(fold(leaf.pattern), word) is not None
        case Range():
            low, high = (None if bound is None else fold(bound) for bound in (leaf.low, leaf.high))
            above = low is None or word > low or (leaf.low_included and word == low)
            return above and (high is None or word < high or (leaf.high_included and word == high))
        case _:
            raise AssertionError(leaf)


def _like(pattern: str, word: str) -> bool:
    if not pattern:
        return not word
    if pattern[0] == "*":
        return any(_like(pattern[1:], word[at:]) for at in range(len(word) + 1))
    return bool(word) and pattern[0] in ("?", word[0]) and _like(pattern[1:], word[1:])


def _distance(one: str, other: str) -> int:
    """Edits between two words, a swap of neighbours being one, no part being edited twice."""
    rows = [[max(i, j) if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (one[i - 1] != other[j - 1]))
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


def _in_time(leaf: Leaf, time: datetime | None) -> bool:
    """Years and months alone: a bound covers all of its time."""
    if time is None:
        return False

    def at(text: str) -> int:  # -1, 0 or 1: before it, in it, after it
        own = (time.year, time.month)[: 1 + text.count("-")]
        wanted = tuple(map(int, text.split("-")))
        return (own > wanted) - (own < wanted)

    if isinstance(leaf, Term | Phrase):
        return at(leaf.text) == 0
    assert isinstance(leaf, Range)
    above = leaf.low is None or at(leaf.low) > 0 or (leaf.low_included and at(leaf.low) == 0)
    return above and (leaf.high is None or at(leaf.high) < 0 or (leaf.high_included and at(leaf.high) == 0))


_word = st.sampled_from(_WORDS) | st.sampled_from(("A", "Ab", "DATA", "zz", "nothing"))
_two = st.lists(_word, min_size=1, max_size=3).map(" ".join) | st.sampled_from(_VALUES)
_pattern = st.lists(st.sampled_from(("*", "?", "a", "b", "7", "dat")), min_size=2, max_size=5).map("".join).filter(
    lambda text: ("*" in text or "?" in text) and set(text) != {"*"}
)  # fmt: skip
_regexp = st.sampled_from(("a.*", "[ab]+", "(ab|ba)c?", "x[0-9]", ".{2,3}", "[^a]+", "dat(a|e)", "a?b*", "abc", ".+7"))
_bound = st.none() | _word


def _words_leaves(names: st.SearchStrategy[str | None]) -> st.SearchStrategy[Leaf]:
    return st.one_of(
        st.builds(Term, names, _word), st.builds(Term, names, st.sampled_from(("a b", "abc-bca", "--", "Data A"))),
        st.builds(Phrase, names, _two), st.builds(Wildcard, names, _pattern),
        st.builds(Fuzzy, names, _word, st.sampled_from((None, 1.0, 2.0))), st.builds(Regexp, names, _regexp),
        st.builds(Range, names, _bound, _bound, st.booleans(), st.booleans()).filter(lambda one: one.low or one.high),
    )  # fmt: skip


_moment = st.sampled_from(("2019", "2020", "2021", "2022", "2023", "2020-03", "2021-09", "2022-01"))
_own = st.sampled_from(_FIELDS) | st.sampled_from(_FIELDS).map(lambda name: f"{name}.exact")
_inner = st.sampled_from(("name", "description", "name.exact", "description.exact"))
_leaf_nodes = st.one_of(
    _words_leaves(st.none()), _words_leaves(_own), _words_leaves(_own), _words_leaves(st.just("no.such")),
    st.builds(Term, st.just("enabled"), st.sampled_from(("true", "false"))),
    st.builds(Term, st.just("_exists_"), st.sampled_from((*_FIELDS, "created", "entitlements"))),
    st.builds(Term, st.just("created"), _moment),
    st.builds(Range, st.just("created"), st.none() | _moment, _moment, st.booleans(), st.booleans()),
)  # fmt: skip
_inner_leaf = st.one_of(
    _words_leaves(st.none()), _words_leaves(_inner), _words_leaves(_inner),
    st.builds(Term, st.just("privileged"), st.sampled_from(("true", "false"))),
)  # fmt: skip


def _grouped(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    first = st.builds(Clause, st.sampled_from(Occur), inner)
    later = st.builds(Clause, st.sampled_from(Occur), inner, st.booleans())
    return st.tuples(first, st.lists(later, min_size=1, max_size=4)).map(lambda found: Group((found[0], *found[1])))


_nested = st.builds(Nested, st.just("entitlements"), st.recursive(_inner_leaf, _grouped, max_leaves=4))
TREES = st.recursive(_leaf_nodes | _nested, _grouped, max_leaves=10)


def text_of(node: Node) -> str:
    return inside_of(node) if isinstance(node, Group) else printed(node)


def _check_tree(node: Node) -> bool:
    query = text_of(node)
    assert bare(measured(len(query), parse, query)) == bare(node), query
    assert explain(node)
    found = measured(len(query), _corpus().ids, query, "roles")
    wanted = {id for id, row in _ROWS.items() if holds(node, row)}
    assert found == wanted, f"{query}\nmissing {sorted(wanted - found)}, too much {sorted(found - wanted)}"
    return True


_PIECES = (
    *"abc1:()[]{}\"\\/*?~^+-!&|@'<>=. \t", "AND", " OR ", "NOT ", "&&", "||", " TO ", "name:", "@entitlements(", "\\u0041",
    "/x/", '"a b"', "[a TO b]", "{* TO b}", "~2", "^3", "\u00e9", "\u738b", "\U0001f600", "\u3000", "created:", "now-7d/d",
    "2020-13-45", "9" * 400, "~" + "9" * 400, "^" + "9" * 50, "a" * 300, "_exists_:", "*:*", "\\ud800", "\ud83d", "\0", "||+1M/M",
    "entitlementCount:", ">=", "enabled:", "true", ".exact:", "name.\\*:", "/[a-", "/(a|", "{2,3}", "{99999}", "/a*", "*" * 40,
    "/" + "(" * 120, "(" * 120, "?" * 50, "@dimensions(", "@entitlements(name:", "id:", "tags:", "no.such:", '"a b"~3', "'; --", "%",
    "created:[2020 TO ", "created:99999999999999", "created:now+999999999y", "+00:99", "T25:61",
)  # fmt: skip


def _check_text(query: str) -> bool:
    """Plan a text in two indices, and run what comes of it over the roles."""
    try:
        node = measured(len(query), parse, query)
        explain(node)
        other = list(INDICES)[len(query) % len(INDICES)]
        statements = [measured(len(query), _corpus().ask, query, name).statements[name] for name in (other, "roles")]
    except InvalidArguments as error:
        place = re.match(r"The query breaks at column ([0-9,]+)", error.message)
        assert place is not None or "(WHOHAS_SEARCH_" in error.message, error.message
        if place is not None:
            assert 1 <= int(place[1].replace(",", "")) <= len(query) + 1
        return False
    if len(query) < 2_000:
        _corpus().rows(statements[-1])
    return True


def checks() -> tuple[Check, ...]:
    """Return trees that are evaluated, and texts."""
    return single(TREES, _check_tree), fuzzed(TREES.map(text_of), _PIECES, _check_text, 6_000)
