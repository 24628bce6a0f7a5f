"""Criteria to SQL: each is tested in time that grows with the rows, and hardly with the number of its like.

A few words are looked for one after another; more become one pattern, since RE2 looks for a thousand texts in the time
of one. Longer lists, and what costs much for each word, are put to the column's words by themselves.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sqlglot import exp

from whohas.search import patterns
from whohas.search.conditions import column_of, contains, either, literal, matches, sql, table_of, together
from whohas.search.criteria import (
    AllOf,
    AnyOf,
    Criterion,
    Form,
    List,
    Member,
    Not,
    Other,
    Part,
    Pattern,
    Place,
    Reach,
    Span,
    any_of,
)
from whohas.search.index import WORDS

_FEW: Final = 3
"""Texts that are looked for one by one, which is easier to read."""
_LONG: Final = 256
"""Members from which on they are put to the words as a list."""
_FEW_NEAR: Final = 4
"""Fuzzy words, and ranges, that are tested against whole texts."""
_FEW_REACHES: Final = 8
"""Objects that a row must have, each looked for by itself."""
_PATTERN_BYTES: Final = 4_096
"""Of one pattern with several texts: from about 10,000 on RE2 lacks room for its tables, and takes 100 times longer."""
_LETTERS: Final = string.ascii_lowercase + string.digits
_SEPARATORS: Final = ",;|/~^"


def lowered(criterion: Criterion) -> exp.Expr:
    """The SQL of a criterion, on the rows that its places name."""
    match criterion:
        case AnyOf(parts):
            return _any(parts)
        case AllOf(parts):
            return _all(parts)
        case Not(part):
            return _negated(part)
        case Reach():
            return _reaches(criterion)
        case Other(found):
            return found.copy()
        case Span():
            return _spans(criterion.place, [criterion])
        case Member(place) if place.form in (Form.VALUE, Form.NUMBER):
            return _listed(_value(place), [criterion.text], place.form is Form.NUMBER)
        case _:
            return _texts(criterion.place, [criterion])


def _negated(part: Criterion) -> exp.Expr:
    found = lowered(part)
    return exp.not_(exp.func("coalesce", found, exp.false()) if _nullable(part) else found, copy=False)


def _nullable(criterion: Criterion) -> bool:
    match criterion:
        case AnyOf(parts) | AllOf(parts):
            return any(map(_nullable, parts))
        case Not() | Reach():
            return False
        case Other(found):
            parts = found.walk(prune=lambda part: isinstance(part, exp.Query))
            return any(isinstance(part, exp.Column) and not _never_null(part.name) for part in parts)
        case _:
            return criterion.place.form is not Form.WORDS


def _never_null(column: str) -> bool:
    return column.endswith(WORDS) or column in ("num", "item", "ord")


# --- groups


def _any(parts: Sequence[Criterion]) -> exp.Expr:
    values: dict[Place, list[str]] = {}
    texts: dict[Place, list[Member | Part | Pattern]] = {}
    spans: dict[Place, list[Span]] = {}
    conditions: list[exp.Expr] = []
    for part in parts:
        match part:
            case Member(place, text) if place.form in (Form.VALUE, Form.NUMBER):
                values.setdefault(place, []).append(text)
            case Member(place) | Part(place) | Pattern(place):
                texts.setdefault(place, []).append(part)
            case Span(place):
                spans.setdefault(place, []).append(part)
            case _:
                conditions.append(lowered(part))
    listed = [_listed(_value(place), some, place.form is Form.NUMBER) for place, some in values.items()]
    listed += [_texts(place, some) for place, some in texts.items()]
    listed += [_spans(place, some) for place, some in spans.items()]
    return either([*listed, *conditions])


def _all(parts: Sequence[Criterion]) -> exp.Expr:
    lists: dict[List, list[Reach]] = {}
    for part in parts:
        if isinstance(part, Reach):
            lists.setdefault(part.list, []).append(part)
    many = {name: reaches for name, reaches in lists.items() if len(reaches) > _FEW_REACHES}
    conditions = [lowered(part) for part in parts if not (isinstance(part, Reach) and part.list in many)]
    return together([*conditions, *(_reaches_all(name, reaches) for name, reaches in many.items())])


# --- lists of objects


def _reaches(reach: Reach) -> exp.Expr:
    """That an object of this row's list meets a criterion."""
    one, condition = reach.list, lowered(reach.criterion)
    number = column_of(one.outer, "num")
    if one.shared:
        items = exp.select(column_of(one.alias, "item")).from_(_items(one)).where(condition, copy=False)
        chosen = exp.select(column_of(_holder(one), "num")).from_(table_of(one.table, _holder(one)))
        return number.isin(query=chosen.where(column_of(_holder(one), "item").isin(query=items)), copy=False)
    chosen = exp.select(column_of(one.alias, "num")).from_(table_of(one.table, one.alias))
    if not one.inner:
        return number.isin(query=chosen.where(condition, copy=False), copy=False)
    # an object of an object: the same document and the same parent
    both = [column_of(one.alias, "num").eq(number)]
    both.append(column_of(one.alias, "parent").eq(column_of(one.outer, "ord")))
    chosen = exp.select(exp.Literal.number(1)).from_(table_of(one.table, one.alias))
    return exp.Exists(this=chosen.where(together([*both, condition]), copy=False))


def _reaches_all(one: List, reaches: Sequence[Reach]) -> exp.Expr:
    """That for each of many criteria an object of this row's list meets it: all of them in one pass, which counts."""
    conditions = [lowered(reach.criterion) for reach in reaches]
    flags = [
        exp.Case(ifs=[exp.If(this=condition, true=exp.convert(number))]) for number, condition in enumerate(conditions)
    ]
    met = sql("unnest(list_filter(:flags, lambda n: n IS NOT NULL))", flags=exp.Array(expressions=flags))
    some = lowered(any_of(reach.criterion for reach in reaches))
    met = exp.alias_(met, "clause", copy=False)
    every = exp.Count(this=exp.Distinct(expressions=[column_of("m", "clause")])).eq(len(reaches))
    if one.shared:
        objects = exp.select(column_of(one.alias, "item"), met, copy=False).from_(_items(one), copy=False)
        objects = objects.where(some, copy=False).subquery("m", copy=False)
        on = column_of("m", "item").eq(column_of(_holder(one), "item"))
        chosen = exp.select(column_of(_holder(one), "num")).from_(table_of(one.table, _holder(one)))
        chosen = chosen.join(objects, on=on, copy=False).group_by(column_of(_holder(one), "num"), copy=False)
        return column_of(one.outer, "num").isin(query=chosen.having(every, copy=False), copy=False)
    keys = ["num", "parent"] if one.inner else ["num"]
    rows = exp.select(*(column_of(one.alias, key) for key in keys), met, copy=False)
    rows = rows.from_(table_of(one.table, one.alias), copy=False).where(some, copy=False).subquery("m", copy=False)
    mine = [column_of("m", key) for key in keys]
    chosen = exp.select(*mine).from_(rows, copy=False).group_by(*mine, copy=False).having(every, copy=False)
    if not one.inner:
        return column_of(one.outer, "num").isin(query=chosen, copy=False)
    row = exp.Tuple(expressions=[column_of(one.outer, "num"), column_of(one.outer, "ord")])
    return row.isin(query=chosen, copy=False)


def _holder(one: List) -> str:
    return f"h{one.alias[1:]}"


def _items(one: List) -> exp.Table:
    return table_of(f"{one.table}.items", one.alias)


# --- whole values


def _value(place: Place) -> exp.Expr:
    column = column_of(place.alias, place.column)
    return exp.func("lower", column) if place.folded else column


def _listed(value: exp.Expr, texts: Sequence[str], numbers: bool = False) -> exp.Expr:
    """That a value is one of several."""
    if len(texts) > _LONG and not numbers:
        return value.isin(query=exp.select(_list(texts)), copy=False)
    known = [exp.Literal.number(text) if numbers else literal(text) for text in texts]
    return value.eq(known[0]) if len(known) == 1 else exp.In(this=value, expressions=known)


def _list(texts: Sequence[str]) -> exp.Expr:
    """Texts as rows, written as one text: thousands of them are read at once."""
    joined = "".join(texts)
    ends = next((c for c in _SEPARATORS if c not in joined), "")
    ends = ends or next(c for c in map(chr, range(0x2500, 0x2600 + len(joined))) if c not in joined)
    return sql("unnest(string_split(:texts, :ends))", texts=literal(ends.join(texts)), ends=literal(ends))


# --- words, and several values


def _whole(place: Place) -> exp.Expr:
    """The text with all words or values: each has its ends on both sides."""
    value = _value(place)
    if place.form is not Form.VALUES:
        return value
    edge = exp.func("chr", exp.Literal.number(31))
    return exp.func("concat", edge, value, edge.copy())


def _ends(place: Place) -> str:
    return " " if place.form is Form.WORDS else patterns.VALUE_ENDS


def _texts(place: Place, asked: Sequence[Member | Part | Pattern]) -> exp.Expr:
    """That one of several words, texts or patterns is in the text."""
    members = [one for one in asked if isinstance(one, Member)]
    near = [one for one in asked if isinstance(one, Pattern) and one.near is not None]
    conditions: list[exp.Expr] = []
    if len(members) > _LONG:
        conditions.append(_has_word(place, lambda word: _listed(word, [one.text for one in members])))
        asked = [one for one in asked if not isinstance(one, Member)]
    if len(near) > _FEW_NEAR and place.form is Form.WORDS:
        conditions.append(_has_word(place, lambda word: word.isin(query=_near_words(place, near), copy=False)))
        asked = [one for one in asked if not (isinstance(one, Pattern) and one.near is not None)]
    plain = [one for one in asked if not isinstance(one, Pattern)]
    if len(asked) == len(plain) <= _FEW and place.form is not Form.VALUE:
        return either([*conditions, *(contains(_whole(place), _found(one)) for one in plain)])
    alone = [one for one in asked if isinstance(one, Pattern) and one.expression]
    shared = [_pattern(one) for one in asked if one not in alone]
    for pattern in [*map(_pattern, alone), *_chunks(shared)]:
        if place.form is Form.VALUE:
            whole = exp.func("regexp_full_match", _whole(place), literal(f"(?s:{pattern})"), dialect="duckdb")
            conditions.append(whole)
        else:
            conditions.append(matches(_whole(place), pattern))
    return either(conditions)


def _found(one: Member | Part) -> str:
    """What the text has where a word, or a part of it, is there."""
    return one.text if isinstance(one, Part) else f"{_ends(one.place)}{one.text}{_ends(one.place)}"


def _pattern(one: Member | Part | Pattern) -> str:
    """The pattern that finds it in the text, or, of a column with one value, is the value."""
    if not isinstance(one, Pattern):
        return patterns.escaped(_found(one))
    ends = "" if one.place.form is Form.VALUE else _ends(one.place)
    return f"{ends}(?:{one.pattern}){ends}" if ends and one.near is None else f"{ends}{one.pattern}{ends}"


def _chunks(found: Iterable[str]) -> list[str]:
    """Alternatives as few patterns, none of them too long."""
    chunks: list[list[str]] = []
    room = 0
    for pattern in found:
        size = len(pattern.encode("utf-8", "surrogatepass"))
        if size > room:
            chunks.append([])
            room = _PATTERN_BYTES
        chunks[-1].append(pattern)
        room -= size
    return ["|".join(chunk) for chunk in chunks]


def _has_word(place: Place, test: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """That a text has a word that passes a test, which is put to the words of all texts of the column."""
    # the text itself is compared, not the row's number: objects of lists have none of their own
    text = exp.alias_(_value(_inside(place)), "t")
    words = exp.alias_(_words(place), "w")
    rows = exp.select(text, words).from_(table_of(place.table, "x")).subquery("y", copy=False)
    found = exp.select(column_of("y", "t")).from_(rows, copy=False).where(test(column_of("y", "w")), copy=False)
    return _value(place).isin(query=found, copy=False)


def _inside(place: Place) -> Place:
    """The column of the same view's rows inside a subquery."""
    return Place(place.table, "x", place.column, place.form, place.folded)


def _words(place: Place) -> exp.Expr:
    ends = literal(" ") if place.form is Form.WORDS else exp.func("chr", exp.Literal.number(31))
    return sql("unnest(string_split(:text, :ends))", text=_value(_inside(place)), ends=ends)


def _vocabulary(place: Place) -> exp.Subquery:
    """Every word or value of a column, once."""
    words = exp.select(exp.alias_(_words(place), "w")).from_(table_of(place.table, "x")).distinct(copy=False)
    if place.form is not Form.WORDS:
        return words.subquery("v", copy=False)
    rows = words.subquery("z", copy=False)
    word = column_of("z", "w")
    return (
        exp.select(word)
        .from_(rows, copy=False)
        .where(sql("z.w NOT IN ('', '|')"), copy=False)
        .subquery("v", copy=False)
    )


def _near_words(place: Place, near: Sequence[Pattern]) -> exp.Select:
    """The words that are near one of several.

    Words differ by at most two letters for an edit and in length by one, which is looked at first: few words are left
    for the patterns.
    """
    bits = " | ".join(f"(contains(v.w, '{letter}')::BIGINT << {bit})" for bit, letter in enumerate(_LETTERS))
    known = exp.select(column_of("v", "w"), sql("length(v.w) AS n"), sql(f"{bits} AS letters"), copy=False)
    known = known.from_(_vocabulary(place), copy=False).subquery("k", copy=False)
    conditions: list[exp.Expr] = []
    for one in near:
        assert one.near is not None
        text, edits = one.near
        letters = sum(1 << bit for bit, letter in enumerate(_LETTERS) if letter in text)
        conditions.append(
            sql(
                f"k.n BETWEEN {len(text) - edits} AND {len(text) + edits} "
                f"AND bit_count(xor(k.letters, {letters})) <= {2 * edits} AND regexp_full_match(k.w, :pattern)",
                pattern=literal(one.pattern),
            )
        )
    return exp.select(column_of("k", "w")).from_(known, copy=False).where(either(conditions), copy=False)


# --- ranges


def _spans(place: Place, spans: Sequence[Span]) -> exp.Expr:
    """That a word or value lies between two bounds of one of several ranges."""
    if place.form in (Form.VALUE, Form.NUMBER):
        return either([_between(_value(place), one) for one in spans])
    if len(spans) > _FEW_NEAR:
        words = either([column_of("y", "w").isin(query=found, copy=False) for found in _spanned(place, spans)])
        return _has_word(place, lambda _: words)
    inside = either([_between(exp.column("w"), one) for one in spans])
    if place.form is Form.WORDS:
        test = "len(list_filter(string_split(:text, ' '), lambda w: w NOT IN ('', '|') AND :inside)) > 0"
    else:
        test = "len(list_filter(string_split(:text, chr(31)), lambda w: :inside)) > 0"
    return sql(test, text=_value(place), inside=exp.paren(inside, copy=False))


def _spanned(place: Place, spans: Sequence[Span]) -> Iterable[exp.Select]:
    """The words in many ranges: a join for those with the same kinds of bounds."""
    kinds: dict[tuple[bool, bool, bool, bool], list[Span]] = {}
    for one in spans:
        kind = (one.low is not None, one.high is not None, one.low_included, one.high_included)
        kinds.setdefault(kind, []).append(one)
    for (low, high, low_included, high_included), some in kinds.items():
        words = exp.select(column_of("v", "w")).from_(_vocabulary(place), copy=False)
        word = column_of("v", "w")
        if not (low and high):  # the widest of them has all others in it
            widest = min(some, key=lambda one: one.low or "") if low else max(some, key=lambda one: one.high or "")
            yield words.where(_between(word, widest), copy=False)
            continue
        rows = [exp.Tuple(expressions=[literal(one.low or ""), literal(one.high or "")]) for one in some]
        alias = exp.TableAlias(this=exp.to_identifier("r"), columns=[exp.to_identifier(c) for c in ("low", "high")])
        bounds = exp.Values(expressions=rows, alias=alias)
        above = (exp.GTE if low_included else exp.GT)(this=word, expression=column_of("r", "low"))
        below = (exp.LTE if high_included else exp.LT)(this=word.copy(), expression=column_of("r", "high"))
        yield words.join(bounds, on=together([above, below]), copy=False)


def _between(value: exp.Expr, span: Span) -> exp.Expr:
    bounds: list[exp.Expr] = []
    if span.low is not None:
        bounds.append((exp.GTE if span.low_included else exp.GT)(this=value.copy(), expression=literal(span.low)))
    if span.high is not None:
        bounds.append((exp.LTE if span.high_included else exp.LT)(this=value.copy(), expression=literal(span.high)))
    return together(bounds)
