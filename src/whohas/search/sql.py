"""Compile criteria to SQL whose run time grows with the rows, but hardly with the number of criteria on one column.

Up to `_FEW` words are searched for one by one. More are joined to one pattern, because RE2 finds any of a thousand
texts about as fast as one. Lists of more than `_LONG` words, and many fuzzy words or ranges, are tested in a subquery
over the column's words (`_contains_word`); fuzzy words and ranges against each distinct word only once (`_vocabulary`).

Conditions, texts and subqueries are sqlglot expressions; patterns (`_pattern`, `_chunks`) are texts in RE2's syntax.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sqlglot import exp

from whohas.search import patterns
from whohas.search.conditions import (
    all_true,
    any_true,
    column_expression,
    contains,
    from_template,
    literal,
    matches,
    table_expression,
)
from whohas.search.criteria import (
    AllOf,
    AnyOf,
    ColumnForm,
    Criterion,
    FieldRef,
    Member,
    NestedList,
    NestedMatch,
    Not,
    Pattern,
    RawCondition,
    Substring,
    ValueRange,
    any_of,
)
from whohas.search.index import WORDS_SUFFIX

_FEW: Final = 3
"""Up to this many texts are searched for one by one, which gives SQL that is easier to read."""
_LONG: Final = 256
"""More values than this are compared with a column's words as a list."""
_FEW_TESTS: Final = 4
"""More fuzzy words, or ranges, than this are tested against the vocabulary instead of each row's text."""
_FEW_REACHES: Final = 8
"""More conditions than this on one list, joined by AND, are tested in a single pass that counts them."""
_PATTERN_BYTES: Final = 4_096
"""The most bytes of a joined pattern. From about 10,000 on, RE2's tables exceed their limit; it is 100 times slower."""
_LETTERS: Final = string.ascii_lowercase + string.digits
_SEPARATORS: Final = ",;|/~^"


def to_sql(criterion: Criterion) -> exp.Expr:
    """Return the SQL condition of a criterion as a sqlglot expression, over the table aliases that its columns name."""
    match criterion:
        case AnyOf(parts):
            return _any(parts)
        case AllOf(parts):
            return _all(parts)
        case Not(part):
            return _not(part)
        case NestedMatch():
            return _has_object(criterion)
        case RawCondition(condition):
            return condition.copy()
        case ValueRange():
            return _in_ranges(criterion.column, [criterion])
        case Member(place) if place.form in (ColumnForm.VALUE, ColumnForm.NUMBER):
            return _equals_any(_value(place), [criterion.text], place.form is ColumnForm.NUMBER)
        case _:
            return _texts(criterion.column, [criterion])


def _not(part: Criterion) -> exp.Expr:
    condition = to_sql(part)
    return exp.not_(exp.func("coalesce", condition, exp.false()) if _nullable(part) else condition, copy=False)


def _nullable(criterion: Criterion) -> bool:
    match criterion:
        case AnyOf(parts) | AllOf(parts):
            return any(map(_nullable, parts))
        case Not() | NestedMatch():
            return False
        case RawCondition(condition):
            parts = condition.walk(prune=lambda part: isinstance(part, exp.Query))
            return any(isinstance(part, exp.Column) and not _never_null(part.name) for part in parts)
        case _:
            return criterion.column.form is not ColumnForm.WORDS


def _never_null(column: str) -> bool:
    return column.endswith(WORDS_SUFFIX) or column in ("num", "item", "ord")


# --- groups


def _any(parts: Sequence[Criterion]) -> exp.Expr:
    values: dict[FieldRef, list[str]] = {}
    texts: dict[FieldRef, list[Member | Substring | Pattern]] = {}
    spans: dict[FieldRef, list[ValueRange]] = {}
    conditions: list[exp.Expr] = []
    for part in parts:
        match part:
            case Member(place, text) if place.form in (ColumnForm.VALUE, ColumnForm.NUMBER):
                values.setdefault(place, []).append(text)
            case Member(place) | Substring(place) | Pattern(place):
                texts.setdefault(place, []).append(part)
            case ValueRange(place):
                spans.setdefault(place, []).append(part)
            case _:
                conditions.append(to_sql(part))
    listed = [_equals_any(_value(place), some, place.form is ColumnForm.NUMBER) for place, some in values.items()]
    listed += [_texts(place, some) for place, some in texts.items()]
    listed += [_in_ranges(place, some) for place, some in spans.items()]
    return any_true([*listed, *conditions])


def _all(parts: Sequence[Criterion]) -> exp.Expr:
    lists: dict[NestedList, list[NestedMatch]] = {}
    for part in parts:
        if isinstance(part, NestedMatch):
            lists.setdefault(part.list, []).append(part)
    many = {name: reaches for name, reaches in lists.items() if len(reaches) > _FEW_REACHES}
    conditions = [to_sql(part) for part in parts if not (isinstance(part, NestedMatch) and part.list in many)]
    return all_true([*conditions, *(_has_all_objects(name, reaches) for name, reaches in many.items())])


# --- lists of objects


def _has_object(reach: NestedMatch) -> exp.Expr:
    """Return the sqlglot condition that at least one object of the row's list meets a criterion."""
    nested, condition = reach.list, to_sql(reach.criterion)
    number = column_expression(nested.outer_alias, "num")
    if nested.shared:
        items = exp.select(column_expression(nested.alias, "item")).from_(_items(nested)).where(condition, copy=False)
        documents = exp.select(column_expression(_holder_alias(nested), "num")).from_(
            table_expression(nested.table, _holder_alias(nested))
        )
        return number.isin(
            query=documents.where(column_expression(_holder_alias(nested), "item").isin(query=items)), copy=False
        )
    documents = exp.select(column_expression(nested.alias, "num")).from_(table_expression(nested.table, nested.alias))
    if not nested.is_nested:
        return number.isin(query=documents.where(condition, copy=False), copy=False)
    # a list in an object of a list: the same document and the same parent
    conditions = [column_expression(nested.alias, "num").eq(number)]
    conditions.append(column_expression(nested.alias, "parent").eq(column_expression(nested.outer_alias, "ord")))
    documents = exp.select(exp.Literal.number(1)).from_(table_expression(nested.table, nested.alias))
    return exp.Exists(this=documents.where(all_true([*conditions, condition]), copy=False))


def _has_all_objects(nested: NestedList, reaches: Sequence[NestedMatch]) -> exp.Expr:
    """Return the sqlglot condition that each of several criteria is met by an object of the row's list.
    The list is read once: each object gives the numbers of the criteria that it meets, and a document matches if it has
    as many different numbers as there are criteria. Example, for `@a(x) AND @a(y)` (numbers 0 and 1): the objects x, z
    and xy of a document give [0], nothing and [0, 1], so the document has 2 different numbers and matches.
    """
    conditions = [to_sql(reach.criterion) for reach in reaches]
    flags = [
        exp.Case(ifs=[exp.If(this=condition, true=exp.convert(number))]) for number, condition in enumerate(conditions)
    ]
    met = from_template("unnest(list_filter(:flags, lambda n: n IS NOT NULL))", flags=exp.Array(expressions=flags))
    any_met = to_sql(any_of(reach.criterion for reach in reaches))
    met = exp.alias_(met, "clause", copy=False)
    all_met = exp.Count(this=exp.Distinct(expressions=[column_expression("m", "clause")])).eq(len(reaches))
    if nested.shared:
        objects = exp.select(column_expression(nested.alias, "item"), met, copy=False).from_(_items(nested), copy=False)
        objects = objects.where(any_met, copy=False).subquery("m", copy=False)
        on = column_expression("m", "item").eq(column_expression(_holder_alias(nested), "item"))
        documents = exp.select(column_expression(_holder_alias(nested), "num")).from_(
            table_expression(nested.table, _holder_alias(nested))
        )
        documents = documents.join(objects, on=on, copy=False).group_by(
            column_expression(_holder_alias(nested), "num"), copy=False
        )
        return column_expression(nested.outer_alias, "num").isin(
            query=documents.having(all_met, copy=False), copy=False
        )
    keys = ["num", "parent"] if nested.is_nested else ["num"]
    rows = exp.select(*(column_expression(nested.alias, key) for key in keys), met, copy=False)
    rows = (
        rows.from_(table_expression(nested.table, nested.alias), copy=False)
        .where(any_met, copy=False)
        .subquery("m", copy=False)
    )
    key_columns = [column_expression("m", key) for key in keys]
    documents = (
        exp.select(*key_columns).from_(rows, copy=False).group_by(*key_columns, copy=False).having(all_met, copy=False)
    )
    if not nested.is_nested:
        return column_expression(nested.outer_alias, "num").isin(query=documents, copy=False)
    row = exp.Tuple(
        expressions=[column_expression(nested.outer_alias, "num"), column_expression(nested.outer_alias, "ord")]
    )
    return row.isin(query=documents, copy=False)


def _holder_alias(nested: NestedList) -> str:
    return f"h{nested.alias[1:]}"


def _items(nested: NestedList) -> exp.Table:
    return table_expression(f"{nested.table}.items", nested.alias)


# --- whole values


def _value(place: FieldRef) -> exp.Expr:
    column = column_expression(place.alias, place.column)
    return exp.func("lower", column) if place.case_insensitive else column


def _equals_any(value: exp.Expr, texts: Sequence[str], numbers: bool = False) -> exp.Expr:
    """Return the condition that a value equals one of several."""
    if len(texts) > _LONG and not numbers:
        return value.isin(query=exp.select(_as_rows(texts)), copy=False)
    literals = [exp.Literal.number(text) if numbers else literal(text) for text in texts]
    return value.eq(literals[0]) if len(literals) == 1 else exp.In(this=value, expressions=literals)


def _as_rows(texts: Sequence[str]) -> exp.Expr:
    """Return texts as rows, split from a single literal, which DuckDB parses faster than thousands of literals.

    Example: `["a", "b"]` gives `unnest(string_split('a,b', ','))`. The separator is a character that no text contains.
    """
    joined = "".join(texts)
    separator = next((c for c in _SEPARATORS if c not in joined), "")
    separator = separator or next(c for c in map(chr, range(0x2500, 0x2600 + len(joined))) if c not in joined)
    return from_template(
        "unnest(string_split(:texts, :ends))", texts=literal(separator.join(texts)), ends=literal(separator)
    )


# --- words, and several values


def _delimited(place: FieldRef) -> exp.Expr:
    """Return the text that has a delimiter before and after each word or value.

    A column of words has blanks already. `VALUE_SEPARATOR` is added at both ends of a column with several values.
    """
    value = _value(place)
    if place.form is not ColumnForm.VALUES:
        return value
    edge = exp.func("chr", exp.Literal.number(31))
    return exp.func("concat", edge, value, edge.copy())


def _delimiter(place: FieldRef) -> str:
    return " " if place.form is ColumnForm.WORDS else patterns.VALUE_DELIMITERS


def _texts(place: FieldRef, criteria: Sequence[Member | Substring | Pattern]) -> exp.Expr:
    """Return the condition that a column contains at least one of several words, substrings or patterns."""
    members = [criterion for criterion in criteria if isinstance(criterion, Member)]
    fuzzy = [criterion for criterion in criteria if isinstance(criterion, Pattern) and criterion.fuzzy is not None]
    conditions: list[exp.Expr] = []
    if len(members) > _LONG:
        conditions.append(
            _contains_word(place, lambda word: _equals_any(word, [criterion.text for criterion in members]))
        )
        criteria = [criterion for criterion in criteria if not isinstance(criterion, Member)]
    if len(fuzzy) > _FEW_TESTS and place.form is ColumnForm.WORDS:
        conditions.append(_contains_word(place, lambda word: word.isin(query=_fuzzy_matches(place, fuzzy), copy=False)))
        criteria = [
            criterion for criterion in criteria if not (isinstance(criterion, Pattern) and criterion.fuzzy is not None)
        ]
    plain = [criterion for criterion in criteria if not isinstance(criterion, Pattern)]
    if len(criteria) == len(plain) <= _FEW and place.form is not ColumnForm.VALUE:
        return any_true([*conditions, *(contains(_delimited(place), _substring(criterion)) for criterion in plain)])
    expressions = [criterion for criterion in criteria if isinstance(criterion, Pattern) and criterion.is_regexp]
    joinable = [_pattern(criterion) for criterion in criteria if criterion not in expressions]
    for pattern in [*map(_pattern, expressions), *_chunks(joinable)]:
        if place.form is ColumnForm.VALUE:
            whole = exp.func("regexp_full_match", _delimited(place), literal(f"(?s:{pattern})"), dialect="duckdb")
            conditions.append(whole)
        else:
            conditions.append(matches(_delimited(place), pattern))
    return any_true(conditions)


def _substring(criterion: Member | Substring) -> str:
    """Return the substring to search for: a word with its delimiters (`" ab "`), or a `Substring` as it is."""
    return (
        criterion.text
        if isinstance(criterion, Substring)
        else f"{_delimiter(criterion.column)}{criterion.text}{_delimiter(criterion.column)}"
    )


def _pattern(criterion: Member | Substring | Pattern) -> str:
    """Return the RE2 pattern that finds a criterion in the text, or matches the whole value of a VALUE column."""
    if not isinstance(criterion, Pattern):
        return patterns.escape_pattern(_substring(criterion))
    delimiter = "" if criterion.column.form is ColumnForm.VALUE else _delimiter(criterion.column)
    return (
        f"{delimiter}(?:{criterion.pattern}){delimiter}"
        if delimiter and criterion.fuzzy is None
        else f"{delimiter}{criterion.pattern}{delimiter}"
    )


def _chunks(parts: Iterable[str]) -> list[str]:
    """Join patterns with `|`, in order, to patterns of about `_PATTERN_BYTES` at most; a longer one stays alone."""
    chunks: list[list[str]] = []
    room = 0
    for pattern in parts:
        size = len(pattern.encode("utf-8", "surrogatepass"))
        if size > room:
            chunks.append([])
            room = _PATTERN_BYTES
        chunks[-1].append(pattern)
        room -= size
    return ["|".join(chunk) for chunk in chunks]


def _contains_word(place: FieldRef, test: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return the condition that a text is among those texts of its column that contain a word that passes a test.

    Args:
        place: the column.
        test: returns the condition on the expression of one word.
    """
    # Texts are compared, not row numbers, because the objects of lists have no row number.
    text = exp.alias_(_value(_in_subquery(place)), "t")
    words = exp.alias_(_words(place), "w")
    rows = exp.select(text, words).from_(table_expression(place.table, "x")).subquery("y", copy=False)
    found = (
        exp.select(column_expression("y", "t"))
        .from_(rows, copy=False)
        .where(test(column_expression("y", "w")), copy=False)
    )
    return _value(place).isin(query=found, copy=False)


def _in_subquery(place: FieldRef) -> FieldRef:
    """Return the same column under the alias `x`, for a subquery over the same view."""
    return FieldRef(place.table, "x", place.column, place.form, place.case_insensitive)


def _words(place: FieldRef) -> exp.Expr:
    delimiter = literal(" ") if place.form is ColumnForm.WORDS else exp.func("chr", exp.Literal.number(31))
    return from_template("unnest(string_split(:text, :ends))", text=_value(_in_subquery(place)), ends=delimiter)


def _vocabulary(place: FieldRef) -> exp.Subquery:
    """Return a subquery `v` of the distinct words or values `w` of a column."""
    words = exp.select(exp.alias_(_words(place), "w")).from_(table_expression(place.table, "x")).distinct(copy=False)
    if place.form is not ColumnForm.WORDS:
        return words.subquery("v", copy=False)
    rows = words.subquery("z", copy=False)
    word = column_expression("z", "w")
    return (
        exp.select(word)
        .from_(rows, copy=False)
        .where(from_template("z.w NOT IN ('', '|')"), copy=False)
        .subquery("v", copy=False)
    )


def _fuzzy_matches(place: FieldRef, fuzzy_words: Sequence[Pattern]) -> exp.Select:
    """Return a SELECT of the words of a column that match one of several fuzzy words.

    An edit changes a word's length by at most one and its set of letters by at most two. These conditions are cheap and
    are tested first, so that few words are left for the patterns. Example: for `roma~1`, only words of 3 to 5
    characters whose letters differ from {a, m, o, r} by at most two are matched against the pattern.

    Args:
        place: the column of words.
        fuzzy_words: the fuzzy words; their `fuzzy` must not be None.
    """
    bits = " | ".join(f"(contains(v.w, '{letter}')::BIGINT << {bit})" for bit, letter in enumerate(_LETTERS))
    words = exp.select(
        column_expression("v", "w"), from_template("length(v.w) AS n"), from_template(f"{bits} AS letters"), copy=False
    )
    words = words.from_(_vocabulary(place), copy=False).subquery("k", copy=False)
    conditions: list[exp.Expr] = []
    for fuzzy in fuzzy_words:
        assert fuzzy.fuzzy is not None
        text, edits = fuzzy.fuzzy
        letters = sum(1 << bit for bit, letter in enumerate(_LETTERS) if letter in text)
        conditions.append(
            from_template(
                f"k.n BETWEEN {len(text) - edits} AND {len(text) + edits} "
                f"AND bit_count(xor(k.letters, {letters})) <= {2 * edits} AND regexp_full_match(k.w, :pattern)",
                pattern=literal(fuzzy.pattern),
            )
        )
    return exp.select(column_expression("k", "w")).from_(words, copy=False).where(any_true(conditions), copy=False)


# --- ranges


def _in_ranges(place: FieldRef, spans: Sequence[ValueRange]) -> exp.Expr:
    """Return the condition that a word or value of a column is in one of several ranges."""
    if place.form in (ColumnForm.VALUE, ColumnForm.NUMBER):
        return any_true([_between(_value(place), span) for span in spans])
    if len(spans) > _FEW_TESTS:
        words = any_true(
            [column_expression("y", "w").isin(query=found, copy=False) for found in _words_in_ranges(place, spans)]
        )
        return _contains_word(place, lambda _: words)
    inside = any_true([_between(exp.column("w"), span) for span in spans])
    if place.form is ColumnForm.WORDS:
        test = "len(list_filter(string_split(:text, ' '), lambda w: w NOT IN ('', '|') AND :inside)) > 0"
    else:
        test = "len(list_filter(string_split(:text, chr(31)), lambda w: :inside)) > 0"
    return from_template(test, text=_value(place), inside=exp.paren(inside, copy=False))


def _words_in_ranges(place: FieldRef, spans: Sequence[ValueRange]) -> Iterable[exp.Select]:
    """Yield SELECTs of the words of a column that are in one of many ranges.

    There is one SELECT, joined with the table of bounds, for all ranges whose bounds are of the same kinds (present or
    open, included or excluded).
    """
    kinds: dict[tuple[bool, bool, bool, bool], list[ValueRange]] = {}
    for span in spans:
        kind = (span.low is not None, span.high is not None, span.low_included, span.high_included)
        kinds.setdefault(kind, []).append(span)
    for (low, high, low_included, high_included), same_kind in kinds.items():
        words = exp.select(column_expression("v", "w")).from_(_vocabulary(place), copy=False)
        word = column_expression("v", "w")
        if not (low and high):  # of ranges open on one side, the widest contains all others
            widest = (
                min(same_kind, key=lambda span: span.low or "")
                if low
                else max(same_kind, key=lambda span: span.high or "")
            )
            yield words.where(_between(word, widest), copy=False)
            continue
        rows = [exp.Tuple(expressions=[literal(span.low or ""), literal(span.high or "")]) for span in same_kind]
        alias = exp.TableAlias(this=exp.to_identifier("r"), columns=[exp.to_identifier(c) for c in ("low", "high")])
        bounds = exp.Values(expressions=rows, alias=alias)
        above = (exp.GTE if low_included else exp.GT)(this=word, expression=column_expression("r", "low"))
        below = (exp.LTE if high_included else exp.LT)(this=word.copy(), expression=column_expression("r", "high"))
        yield words.join(bounds, on=all_true([above, below]), copy=False)


def _between(value: exp.Expr, span: ValueRange) -> exp.Expr:
    bounds: list[exp.Expr] = []
    if span.low is not None:
        bounds.append((exp.GTE if span.low_included else exp.GT)(this=value.copy(), expression=literal(span.low)))
    if span.high is not None:
        bounds.append((exp.LTE if span.high_included else exp.LT)(this=value.copy(), expression=literal(span.high)))
    return all_true(bounds)
