"""The pieces of SQL that a search's condition is made of, as sqlglot expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlglot import exp, parse_one

from whohas.search import patterns
from whohas.search.analysis import lower
from whohas.search.index import WORDS
from whohas.search.tree import Range


def literal(text: str) -> exp.Expr:
    """A text, quoted."""
    return exp.Literal.string(text)


def moment(time: datetime) -> exp.Expr:
    """A time of UTC, to the microsecond."""
    return exp.cast(literal(time.isoformat(sep=" ", timespec="microseconds")), "timestamptz")


def table_of(name: str, alias: str) -> exp.Table:
    """A view of the index, named in a statement."""
    return exp.Table(this=exp.to_identifier(name, quoted=True), alias=exp.TableAlias(this=exp.to_identifier(alias)))


def column_of(alias: str, name: str) -> exp.Column:
    """A column of a row in a statement."""
    plain = name.isidentifier() and name.islower()
    return exp.column(exp.to_identifier(name, quoted=not plain), exp.to_identifier(alias))


def together(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """All of them."""
    return conditions[0] if len(conditions) == 1 else exp.and_(*conditions)


def either(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """One of them; equalities of the same column become one IN."""
    values: dict[str, tuple[exp.Expr, list[exp.Expr]]] = {}
    others: list[exp.Expr] = []
    for condition in conditions:
        if isinstance(condition, exp.EQ) and isinstance(condition.expression, exp.Literal):
            values.setdefault(condition.this.sql(), (condition.this, []))[1].append(condition.expression)
        else:
            others.append(condition)
    listed = [column.eq(some[0]) if len(some) == 1 else column.isin(*some) for column, some in values.values()]
    every = [*listed, *others]
    return every[0] if len(every) == 1 else exp.or_(*every)


def negated(condition: exp.Expr) -> exp.Expr:
    """That it does not hold; what is not known does not."""
    parts = condition.walk(prune=lambda part: isinstance(part, exp.Query))
    nullable = any(isinstance(part, exp.Column) and not _never_null(part.name) for part in parts)
    return exp.not_(exp.func("coalesce", condition, exp.false()) if nullable else condition)


def _never_null(column: str) -> bool:
    return column.endswith(WORDS) or column in ("num", "item", "ord")


def there(column: exp.Expr) -> exp.Expr:
    """That a field has a value; empty text is one, as Elasticsearch's `exists` has it."""
    return exp.not_(column.is_(exp.null()))


def contains(place: exp.Expr, text: str) -> exp.Expr:
    """That a text is in another."""
    return exp.Anonymous(this="contains", expressions=[place, literal(text)])


def matches(place: exp.Expr, pattern: str) -> exp.Expr:
    """That a part of a text matches an RE2 pattern."""
    return exp.Anonymous(this="regexp_matches", expressions=[place, literal(pattern)])


Bound = tuple[type[exp.Binary], exp.Expr] | None
"""A comparison and what to compare with; None for an open side."""


def bounds(leaf: Range, fold: Callable[[str], str]) -> tuple[Bound, Bound]:
    """The bounds of a range of texts, each with its sign."""
    low = None if leaf.low is None else (exp.GTE if leaf.low_included else exp.GT, literal(fold(leaf.low)))
    high = None if leaf.high is None else (exp.LTE if leaf.high_included else exp.LT, literal(fold(leaf.high)))
    return low, high


def between(place: exp.Expr, low: Bound, high: Bound) -> exp.Expr:
    """That a value lies between two bounds, at least one of which there is."""
    return together([sign(this=place.copy(), expression=value) for sign, value in filter(None, (low, high))])


def word_like(words: exp.Expr, parts: list[str]) -> exp.Expr:
    """That a word matches a wildcard, whose pieces are those of `patterns.wildcard_parts` in lower case."""
    if any(part[0] == "=" and re.search("[ |]", part) for part in parts):
        return exp.false()
    match parts:
        case [text, "*"] if text[0] == "=":
            return contains(words, " " + text[1:])
        case ["*", text] if text[0] == "=":
            return contains(words, text[1:] + " ")
        case ["*", text, "*"] if text[0] == "=":
            return contains(words, text[1:])
        case _:
            return matches(words, f" {patterns.wildcard(parts)} ")


def word_between(words: exp.Expr, leaf: Range) -> exp.Expr:
    """That a word lies between two others, in the order of code points."""
    return _sql(
        "len(list_filter(string_split(:words, ' '), lambda w: w NOT IN ('', '|') AND :inside)) > 0",
        words=words,
        inside=between(exp.column("w"), *bounds(leaf, lower)),
    )


def near(words: exp.Expr, phrase: list[str], slop: int) -> exp.Expr:
    """That the words of a phrase stand within so many moves of each other, in the same value.

    Source of the rule: Lucene's `SloppyPhraseMatcher`. There is a place `s` so that each word stands at most `slop`
    places behind the one that the phrase gives it when it begins at `s`; the same word twice needs two places.
    """
    conditions: list[exp.Expr] = []
    for word in dict.fromkeys(phrase):
        offsets = [n for n, one in enumerate(phrase) if one == word]
        # Hall's theorem: as the places that each may take are ranges of one length, runs of neighbours are enough
        for size in range(1, len(offsets) + 1):
            for begin in range(len(offsets) - size + 1):
                some = offsets[begin : begin + size]
                within = " OR ".join(f"p BETWEEN s + {n} AND s + {n + slop}" for n in some)
                conditions.append(
                    _sql(
                        f"len(list_filter(range(1, len(l) + 1), lambda p: l[p] = :word AND ({within}))) >= {size}",
                        word=literal(word),
                    )
                )
    near = _sql(
        "len(list_filter(list_transform(string_split(:words, '|'), lambda v: string_split(trim(v), ' ')), "
        f"lambda l: len(list_filter(range({2 - len(phrase)}, len(l) + 1), lambda s: :all)) > 0)) > 0",
        words=words,
        all=together(conditions),
    )
    return exp.and_(*(contains(words, f" {word} ") for word in dict.fromkeys(phrase)), near)


def _sql(template: str, **values: exp.Expr) -> exp.Expr:
    """An expression from SQL of ours, with others in place of its `:name`s."""
    return exp.replace_placeholders(parse_one(template, dialect="duckdb"), **values)
