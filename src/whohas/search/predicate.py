"""A query's tree to the SQL predicate that finds its documents in an index.

Expressions are built with sqlglot, which quotes every name and every value; nothing of a query is pasted into a
statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from sqlglot import exp

from whohas.search import dates, patterns
from whohas.search.analysis import lower, tokens
from whohas.search.conditions import (
    between,
    column_of,
    contains,
    either,
    literal,
    matches,
    moment,
    near,
    negated,
    table_of,
    there,
    together,
    word_between,
    word_like,
)
from whohas.search.fields import Element, Field, Index
from whohas.search.index import WORDS, SearchIndex, view
from whohas.search.lexer import broken
from whohas.search.tree import (
    Fuzzy,
    Group,
    Leaf,
    Nested,
    Node,
    Occur,
    Phrase,
    Range,
    Regexp,
    Term,
    Wildcard,
    bind,
)

_COMPARED: Final = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)
_EXACT: Final = ".exact"
_LONGEST_NEAR: Final = 50


@dataclass(frozen=True, slots=True)
class Options:
    """How a query is to be understood.

    Attributes:
        now: what `now` means in dates.
        zone: the time zone of dates that name none.
        fields: the fields of words that name none; empty for every text field.
        phrases: whether several words of an unquoted value must follow each other (else any of them is enough).
    """

    now: datetime
    zone: tzinfo
    fields: tuple[str, ...] = ()
    phrases: bool = False


@dataclass(slots=True)
class Findings:
    """What was noticed while a query was resolved.

    Attributes:
        unknown: fields that the index has not, each with a hint that may be empty.
        known: those that it has, as they were named.
        remarks: what a reader should know of the query's meaning.
    """

    unknown: dict[str, str] = field(default_factory=dict[str, str])
    known: dict[str, str] = field(default_factory=dict[str, str])
    remarks: dict[str, None] = field(default_factory=dict[str, None])

    def merge(self, other: Findings) -> None:
        self.unknown |= other.unknown
        self.known |= other.known
        self.remarks |= other.remarks


def predicate(query: str, node: Node, index: Index, search: SearchIndex, options: Options) -> tuple[exp.Expr, Findings]:
    """The condition on a row `d` of the index's documents.

    Args:
        query: the text that `node` was read from, for messages.

    Raises:
        InvalidArguments: a value is impossible for its field; the message points at it.
    """
    findings = Findings()
    build = _Builder(query, index, search, options, findings, "", "d", 0)
    found = build.node(node)
    return (exp.false() if found is None else found), findings


@dataclass(frozen=True, slots=True)
class _Builder:
    """Conditions on one element's row.

    Attributes:
        path: of the element; empty for documents.
        alias: of its row in the statement.
        depth: how many elements it lies in.
    """

    query: str
    index: Index
    search: SearchIndex
    options: Options
    findings: Findings
    path: str
    alias: str
    depth: int

    # --- structure

    def node(self, node: Node) -> exp.Expr | None:
        """The condition; None where nothing is left of it after analysis, as Lucene then drops the clause."""
        match node:
            case Group():
                return self._group(node)
            case Nested():
                return self._nested(node)
            case _:
                return self._leaf(node)

    def _group(self, group: Group) -> exp.Expr | None:
        every = [self.node(clause.node) for clause in group.clauses]
        made = [found for found in every if found is not None]
        if not made:
            return None
        kept = bind(group.clauses, lambda number: every[number] is None)
        bound = [(clause.occur, found) for clause, found in zip(kept, made, strict=True)]
        required = [found for occur, found in bound if occur is Occur.MUST]
        optional = [found for occur, found in bound if occur is Occur.SHOULD]
        prohibited = [found for occur, found in bound if occur is Occur.MUST_NOT]
        conditions = list(required)
        if optional and not required:
            conditions.append(either(optional))
        conditions += [negated(found) for found in prohibited]
        return together(conditions)

    def _nested(self, nested: Nested) -> exp.Expr | None:
        names = [f"{self.path}.{nested.path}"] if self.path else []
        element = next(
            (self.index.elements[name] for name in [*names, nested.path] if name in self.index.elements), None
        )
        if element is None or not element.path or (self.path and not element.path.startswith(f"{self.path}.")):
            self._unknown_path(nested)
            return exp.false()
        alias = f"e{self.depth + 1}"
        inner = _Builder(
            self.query, self.index, self.search, self.options, self.findings, element.path, alias, self.depth + 1
        )
        found = inner.node(nested.node)
        if found is None:
            return None
        return self._reaches(element, alias, found)

    def _reaches(self, element: Element, alias: str, condition: exp.Expr) -> exp.Expr:
        """That an element of this row fulfils a condition."""
        name = view(self.index, element.path)
        if element.shared:
            holder = f"h{self.depth + 1}"
            chosen = exp.select(column_of(holder, "num")).from_(table_of(name, holder))
            items = exp.select(column_of(alias, "item")).from_(table_of(f"{name}.items", alias)).where(condition)
            chosen = chosen.where(column_of(holder, "item").isin(query=items))
            return column_of(self.alias, "num").isin(query=chosen)
        if not self.path:
            chosen = exp.select(column_of(alias, "num")).from_(table_of(name, alias)).where(condition)
            return column_of(self.alias, "num").isin(query=chosen)
        # an element of an element: the same document and the same parent
        both = [column_of(alias, "num").eq(column_of(self.alias, "num"))]
        both.append(column_of(alias, "parent").eq(column_of(self.alias, "ord")))
        chosen = exp.select(exp.Literal.number(1)).from_(table_of(name, alias)).where(together([*both, condition]))
        return exp.Exists(this=chosen)

    # --- fields

    def _leaf(self, leaf: Leaf) -> exp.Expr | None:
        if leaf.field == "_exists_":
            if not isinstance(leaf, Term | Phrase):
                raise broken(self.query, leaf.at, "_exists_ must be followed by a field's name")
            return self._exists(leaf.text)
        if leaf.field is None:
            if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
                return exp.true()
            if isinstance(leaf, Term) and leaf.text in ("+", "-", "!"):
                self.findings.remarks[f"A {leaf.text} before a blank means nothing: write it close to its word."] = None
            if not self.options.fields or self.path:
                return self._text(leaf, None, self._column(WORDS))
            found = [self._named(leaf, name) for name in self.options.fields]
            some = [one for one in found if one is not None]
            return either(some) if some else None
        return self._named(leaf, leaf.field)

    def _named(self, leaf: Leaf, name: str) -> exp.Expr | None:
        if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
            return self._exists(name)
        fields = self._fields(name)
        if not fields:
            return exp.false()
        found = [self._on(leaf, one, exact) for one, exact in fields]
        some = [one for one in found if one is not None]
        return either(some) if some else None

    @property
    def _known(self) -> Mapping[str, Field]:
        return self.search.elements[self.index.name, self.path].fields

    def _fields(self, name: str) -> list[tuple[Field, bool]]:
        """The fields that a name means, and whether it means their whole values; none, and noted, if it is unknown."""
        known = self._known
        plain = name.removesuffix(_EXACT)
        if name in known:
            found = [(known[name], False)]
        elif plain in known:
            found = [(known[plain], True)]
        elif "*" in plain:
            exact = plain != name
            found = [(one, exact) for place, one in known.items() if fnmatchcase(place, plain.replace("[", "[[]"))]
            found = [(one, exact) for one, exact in found if one.kind == "text"] or found
        else:
            found = []
        if found:
            shown = f"{len(found)} fields" if len(found) > 1 else f"{found[0][0].name}, {found[0][0].kind}"
            self.findings.known[self._called(name)] = shown + (", whole value" if found[0][1] else "")
        else:
            self.findings.unknown.setdefault(self._called(name), self._hint(name))
        return found

    def _called(self, name: str) -> str:
        return f"@{self.path}({name})" if self.path else name

    def _hint(self, name: str) -> str:
        known = self._known
        first = name.split(".", maxsplit=1)[0]
        inner = f"{self.path}.{first}" if self.path else first
        if inner in self.index.elements:
            rest = name.partition(".")[2] or "…"
            return f"{first} is a list of objects: write @{first}({rest}:…)."
        members = sorted(place for place in known if place.startswith(f"{name}."))
        if members:
            return f"{name} is an object: name one of its fields, as {members[0]}."
        near = get_close_matches(name, known, 1) or [place for place in known if place.casefold() == name.casefold()]
        return f"Did you mean {near[0]}?" if near else ""

    def _unknown_path(self, nested: Nested) -> None:
        called = f"@{nested.path}"
        members = sorted(place for place in self._known if place.startswith(f"{nested.path}."))
        paths = [path.removeprefix(f"{self.path}.") for path in self.index.elements if path and path != self.path]
        hint = (
            f"{nested.path} is an object, not a list of objects: write {members[0]}:…."
            if members
            else f"The lists of {self.index.name} are: {', '.join(paths) or 'none'}."
        )
        self.findings.unknown.setdefault(called, hint)

    # --- leaves

    def _on(self, leaf: Leaf, one: Field, exact: bool) -> exp.Expr | None:
        """A leaf on one field."""
        column = self._column(one.column)
        if isinstance(leaf, Term) and (found := _COMPARED.fullmatch(leaf.text)):
            sign, bound = found.groups()
            low, high = (bound, None) if sign[0] == ">" else (None, bound)
            leaf = Range(leaf.field, low, high, sign == ">=" or low is None, sign == "<=" or high is None, leaf.at)
        if isinstance(leaf, Range) and leaf.low is None and leaf.high is None:
            return there(column)
        match one.kind:
            case "text":
                return (
                    self._whole(leaf, one, column) if exact else self._text(leaf, one, self._column(one.column + WORDS))
                )
            case "id":
                return self._whole(leaf, one, column)
            case "date":
                return self._ordered(leaf, one, column, self._day)
            case "integer":
                return self._ordered(leaf, one, column, self._whole_number)
            case "boolean":
                return self._boolean(leaf, one, column)

    def _text(self, leaf: Leaf, one: Field | None, words: exp.Expr) -> exp.Expr | None:
        """A leaf on the words of a text."""
        match leaf:
            case Term():
                found = tokens(leaf.text)
                if not found:
                    return None
                if self.options.phrases:
                    return contains(words, f" {' '.join(found)} ")
                return either([contains(words, f" {token} ") for token in found])
            case Phrase():
                found = tokens(leaf.text)
                if not found:
                    return None
                if leaf.slop == 0 or len(found) == 1:
                    return contains(words, f" {' '.join(found)} ")
                if len(found) > _LONGEST_NEAR:
                    raise broken(self.query, leaf.at, f"a phrase with ~ may have {_LONGEST_NEAR} words at the most")
                return near(words, found, leaf.slop)
            case Wildcard():
                return word_like(words, [_lowered(part) for part in patterns.wildcard_parts(leaf.pattern)])
            case Fuzzy():
                return self._fuzzy(leaf, words)
            case Regexp():
                return self._regexp(leaf, lower(leaf.pattern), lambda p: matches(words, f" (?:{p}) "))
            case Range():
                return word_between(words, leaf)

    def _fuzzy(self, leaf: Fuzzy, words: exp.Expr) -> exp.Expr:
        text = lower(leaf.text)
        if not text or re.search("[ |]", text):
            return exp.false()
        edits = patterns.fuzzy_edits(text, leaf.edits)
        if edits == 0:
            return contains(words, f" {text} ")
        try:
            return matches(words, f" {patterns.fuzzy(text, edits)} ")
        except ValueError as error:
            raise broken(self.query, leaf.at, str(error)) from None

    def _regexp(
        self, leaf: Regexp, pattern: str, match: Callable[[str], exp.Expr], ends: str = patterns.WORD_ENDS
    ) -> exp.Expr:
        from whohas.engine.duckdb import pattern_fault

        try:
            translated = patterns.regexp(pattern, ends)
        except ValueError as error:
            raise broken(self.query, leaf.at, str(error)) from None
        if (fault := pattern_fault(translated)) is not None:
            raise broken(self.query, leaf.at, f"the regular expression is too large ({fault})")
        return match(translated)

    def _whole(self, leaf: Leaf, one: Field, column: exp.Expr) -> exp.Expr | None:
        """A leaf on a whole value: as it is written for `.exact`, without regard to case for an id."""
        ends = patterns.VALUE_ENDS
        fold: Callable[[str], str] = lower if one.kind == "id" else str
        place = exp.func("lower", column) if one.kind == "id" else column
        if one.many:
            edge = exp.func("chr", exp.Literal.number(31))
            place = exp.func("concat", edge, place, edge)

        def value_matches(pattern: str) -> exp.Expr:
            if one.many:
                return matches(place, f"{ends}(?:{pattern}){ends}")
            return exp.func("regexp_full_match", place, literal(f"(?s:{pattern})"), dialect="duckdb")

        match leaf:
            case Term() | Phrase():
                value = fold(leaf.text)
                return contains(place, f"{ends}{value}{ends}") if one.many else place.eq(literal(value))
            case Wildcard():
                parts = [
                    part if part in "*?" else "=" + fold(part[1:]) for part in patterns.wildcard_parts(leaf.pattern)
                ]
                return value_matches(patterns.wildcard(parts, ends))
            case Fuzzy():
                text = fold(leaf.text)
                try:
                    return value_matches(patterns.fuzzy(text, patterns.fuzzy_edits(text, leaf.edits), ends))
                except ValueError as error:
                    raise broken(self.query, leaf.at, str(error)) from None
            case Regexp():
                return self._regexp(leaf, leaf.pattern, value_matches, ends)
            case Range():
                return between(
                    place,
                    None if leaf.low is None else (exp.GTE if leaf.low_included else exp.GT, literal(fold(leaf.low))),
                    None
                    if leaf.high is None
                    else (exp.LTE if leaf.high_included else exp.LT, literal(fold(leaf.high))),
                )

    def _ordered(self, leaf: Leaf, one: Field, column: exp.Expr, read: _Reader) -> exp.Expr:
        """A leaf on a date or a number: what it covers, or what lies between two bounds."""
        match leaf:
            case Term() | Phrase():
                start, end = read(leaf, one, leaf.text)
                return exp.and_(column >= start, column < end)
            case Range():
                low = None if leaf.low is None else read(leaf, one, leaf.low)[not leaf.low_included]
                high = None if leaf.high is None else read(leaf, one, leaf.high)[leaf.high_included]
                return between(
                    column, None if low is None else (exp.GTE, low), None if high is None else (exp.LT, high)
                )
            case _:
                what = "a time" if one.kind == "date" else "a number"
                raise broken(self.query, leaf.at, f"{one.name} holds {what}: wildcards, ~ and /…/ need a text")

    def _day(self, leaf: Leaf, one: Field, text: str) -> tuple[exp.Expr, exp.Expr]:
        try:
            span = dates.span(text, self.options.now, self.options.zone)
        except dates.DateFault as error:
            raise broken(self.query, leaf.at, f"{one.name} holds a time, and {error}") from None
        return moment(span.start), moment(span.end)

    def _whole_number(self, leaf: Leaf, one: Field, text: str) -> tuple[exp.Expr, exp.Expr]:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", text.strip()):
            raise broken(self.query, leaf.at, f"{one.name} holds a whole number, and {text[:40]!r} is none")
        value = int(text.strip().partition(".")[0])
        return exp.convert(value), exp.convert(value + 1)

    def _boolean(self, leaf: Leaf, one: Field, column: exp.Expr) -> exp.Expr:
        if isinstance(leaf, Term | Phrase) and leaf.text.lower() in ("true", "false"):
            return column.is_(exp.true() if leaf.text.lower() == "true" else exp.false())
        raise broken(self.query, leaf.at, f"{one.name} is true or false")

    def _exists(self, name: str) -> exp.Expr:
        known = self._known
        inner = f"{self.path}.{name}" if self.path else name
        if name not in known and inner in self.index.elements:
            self.findings.known[self._called(name)] = "list of objects"
            return self._reaches(self.index.elements[inner], f"e{self.depth + 1}", exp.true())
        members = [one for place, one in known.items() if place.startswith(f"{name}.")]
        if name not in known and members:
            self.findings.known[self._called(name)] = f"object of {len(members)} fields"
            return either([there(self._column(one.column)) for one in members])
        found = self._fields(name)
        return either([there(self._column(one.column)) for one, _ in found]) if found else exp.false()

    def _column(self, name: str) -> exp.Column:
        return column_of(self.alias, name)


_Reader = Callable[[Leaf, Field, str], tuple[exp.Expr, exp.Expr]]


def _lowered(part: str) -> str:
    return part if part in "*?" else "=" + lower(part[1:])
