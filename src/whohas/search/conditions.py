"""The pieces of SQL that a search's condition is made of, as sqlglot expressions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlglot import exp, parse_one


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
    return exp.column(exp.to_identifier(name, quoted=not plain), exp.to_identifier(alias), copy=False)


def together(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """All of them."""
    return conditions[0] if len(conditions) == 1 else exp.and_(*conditions, copy=False)


def either(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """One of them."""
    return conditions[0] if len(conditions) == 1 else exp.or_(*conditions, copy=False)


def there(column: exp.Expr) -> exp.Expr:
    """That a field has a value; empty text is one, as Elasticsearch's `exists` has it."""
    return exp.not_(column.is_(exp.null()))


def contains(place: exp.Expr, text: str) -> exp.Expr:
    """That a text is in another."""
    return exp.Anonymous(this="contains", expressions=[place, literal(text)])


def matches(place: exp.Expr, pattern: str) -> exp.Expr:
    """That a part of a text matches an RE2 pattern."""
    return exp.Anonymous(this="regexp_matches", expressions=[place, literal(pattern)])


def near(words: exp.Expr, phrase: list[str], slop: int) -> exp.Expr:
    """That the words of a phrase stand within so many moves of each other, in the same value.

    Source of the rule: Lucene's `SloppyPhraseMatcher`. There is a place `s` so that each word stands at most `slop`
    places behind the one that the phrase gives it when it begins at `s`; the same word twice needs two places.
    """
    places = {word: [n for n, one in enumerate(phrase) if one == word] for word in phrase}
    conditions = [_stands(word, offsets, slop) for word, offsets in places.items()]
    near = sql(
        "len(list_filter(list_transform(string_split(:words, '|'), lambda v: string_split(trim(v), ' ')), "
        f"lambda l: len(list_filter(range({2 - len(phrase)}, len(l) + 1), lambda s: :all)) > 0)) > 0",
        words=words,
        all=together(conditions),
    )
    return together([*(contains(words, f" {word} ") for word in places), near])


def _stands(word: str, offsets: list[int], slop: int) -> exp.Expr:
    """That a word stands near all of its offsets from `s`, each time in another place of the list `l`."""
    places = "list_filter(range(1, len(l) + 1), lambda p: l[p] = :word"
    if len(offsets) == 1:
        (n,) = offsets
        return sql(f"len({places} AND p BETWEEN s + {n} AND s + {n + slop})) > 0", word=literal(word))
    # all ranges are of one length, so that in order each place may be given to the first offset that has none yet
    return sql(
        f"list_reduce({places}), lambda n, p: n + CASE WHEN p - s - {offsets}[n + 1] BETWEEN 0 AND {slop} "
        f"THEN 1 ELSE 0 END, 0) = {len(offsets)}",
        word=literal(word),
    )


def sql(template: str, **values: exp.Expr) -> exp.Expr:
    """An expression from SQL of ours, with others in place of its `:name`s."""
    return exp.replace_placeholders(parse_one(template, dialect="duckdb"), **values)
