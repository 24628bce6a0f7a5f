"""Build the parts of a search's SQL condition as sqlglot expressions, which quote all names and values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlglot import exp, parse_one


def literal(text: str) -> exp.Expr:
    """Return a text as an SQL string literal."""
    return exp.Literal.string(text)


def timestamp_literal(time: datetime) -> exp.Expr:
    """Return a time in UTC as a `timestamptz` with microseconds."""
    return exp.cast(literal(time.isoformat(sep=" ", timespec="microseconds")), "timestamptz")


def table_expression(name: str, alias: str) -> exp.Table:
    """Return a view of the index under an alias, for a FROM clause."""
    return exp.Table(this=exp.to_identifier(name, quoted=True), alias=exp.TableAlias(this=exp.to_identifier(alias)))


def column_expression(alias: str, name: str) -> exp.Column:
    """Return the column of that name of a table alias, quoted unless it is a lower-case identifier."""
    plain = name.isidentifier() and name.islower()
    return exp.column(exp.to_identifier(name, quoted=not plain), exp.to_identifier(alias), copy=False)


def all_true(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Return the conditions joined by AND; there must be at least one."""
    return conditions[0] if len(conditions) == 1 else exp.and_(*conditions, copy=False)


def any_true(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Return the conditions joined by OR; there must be at least one."""
    return conditions[0] if len(conditions) == 1 else exp.or_(*conditions, copy=False)


def is_present(column: exp.Expr) -> exp.Expr:
    """Return the condition that a column is not null; an empty text is a value, as in Elasticsearch's `exists`."""
    return exp.not_(column.is_(exp.null()))


def contains(column: exp.Expr, text: str) -> exp.Expr:
    """Return the condition that a text column contains a text."""
    return exp.Anonymous(this="contains", expressions=[column, literal(text)])


def matches(column: exp.Expr, pattern: str) -> exp.Expr:
    """Return the condition that some part of a text column matches an RE2 pattern."""
    return exp.Anonymous(this="regexp_matches", expressions=[column, literal(pattern)])


def sloppy_phrase(words: exp.Expr, phrase: list[str], slop: int) -> exp.Expr:
    """Return the condition that one value contains the words of a phrase within `slop` moves: `"a b"~slop`.

    Source of the rule: Lucene's `SloppyPhraseMatcher`. There must be a start position `s` such that the n-th word of
    the phrase (from 0) is at a position from `s + n` to `s + n + slop`. A word that the phrase has twice needs two
    positions. Example: for `"a b"~1`, the value `a x b` has a at 1 and b at 3. With `s = 1`, a may be at 1 to 2 and b
    at 2 to 3, so the value matches. `b a` needs a slop of 2 (`s = 0`: a at 0 to 2, b at 1 to 3).

    Args:
        words: the `:words` column, in which `|` separates the tokens of different values.
        phrase: the tokens of the phrase.
        slop: the number of moves; at least 1.
    """
    offsets_of = {word: [n for n, other in enumerate(phrase) if other == word] for word in phrase}
    conditions = [_word_near_offsets(word, offsets, slop) for word, offsets in offsets_of.items()]
    near = from_template(
        "len(list_filter(list_transform(string_split(:words, '|'), lambda v: string_split(trim(v), ' ')), "
        f"lambda l: len(list_filter(range({2 - len(phrase)}, len(l) + 1), lambda s: :all)) > 0)) > 0",
        words=words,
        all=all_true(conditions),
    )
    return all_true([*(contains(words, f" {word} ") for word in offsets_of), near])


def _word_near_offsets(word: str, offsets: list[int], slop: int) -> exp.Expr:
    """Return the condition that a word is within `slop` positions after `s` plus each of its offsets.

    Each offset needs another position. `s` and the list of tokens `l` are variables of the SQL around it.

    Args:
        offsets: the word's positions in the phrase, from 0, ascending.
    """
    positions = "list_filter(range(1, len(l) + 1), lambda p: l[p] = :word"
    if len(offsets) == 1:
        (n,) = offsets
        return from_template(f"len({positions} AND p BETWEEN s + {n} AND s + {n + slop})) > 0", word=literal(word))
    # All ranges have the same length, so a greedy assignment is right: in ascending order, each position goes to the
    # first offset that has none yet.
    return from_template(
        f"list_reduce({positions}), lambda n, p: n + CASE WHEN p - s - {offsets}[n + 1] BETWEEN 0 AND {slop} "
        f"THEN 1 ELSE 0 END, 0) = {len(offsets)}",
        word=literal(word),
    )


def from_template(template: str, **values: exp.Expr) -> exp.Expr:
    """Parse an SQL template and replace its placeholders such as `:name` by expressions.

    The template must not contain text from a query; such text goes into the values.
    """
    return exp.replace_placeholders(parse_one(template, dialect="duckdb"), **values)
