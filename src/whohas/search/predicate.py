"""A query's tree to the SQL predicate that finds its documents in an index.

Expressions are built with sqlglot, which quotes every name and every value; nothing of a query is pasted into a
statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from sqlglot import exp

from whohas.search import dates, patterns
from whohas.search.analyzer import lower, tokens
from whohas.search.ast import (
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
from whohas.search.conditions import column_of, moment, near, there, together
from whohas.search.criteria import (
    EVERY,
    NOTHING,
    Count,
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
    all_of,
    any_of,
)
from whohas.search.fields import Element, Field, Index
from whohas.search.index import WORDS, SearchIndex, view
from whohas.search.lexer import broken
from whohas.search.sql import lowered

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


def predicate(
    query: str, node: Node, index: Index, search: SearchIndex, options: Options, count: Count, step: Callable[[], None]
) -> tuple[exp.Expr, Findings]:
    """The condition on a row `d` of the index's documents.

    Args:
        query: the text that `node` was read from, for messages.
        count: counts its clauses with those of the other queries of the search.
        step: called for each node, and for each field of a leaf.

    Raises:
        InvalidArguments: a value is impossible for its field, or it has more clauses than a search may have; the
            message points at it.
    """
    findings = Findings()
    expressions: list[tuple[str, int]] = []
    criterion = _Builder(query, index, search, options, findings, expressions, step, "", "d", 0).node(node)
    if criterion is None:
        return exp.false(), findings
    count.add(query, criterion)
    _check(query, expressions)
    return lowered(criterion), findings


def _check(query: str, expressions: list[tuple[str, int]]) -> None:
    from whohas.engine.duckdb import pattern_fault

    fault = pattern_fault([pattern for pattern, _ in expressions])
    if fault is not None:
        number, reason = fault
        raise broken(query, expressions[number][1], f"the regular expression is too large ({reason})")


@dataclass(frozen=True, slots=True)
class _Builder:
    """Criteria on one element's row.

    Attributes:
        expressions: patterns of the user's own, each with its place in the query; the engine is asked about them later.
        path: of the element; empty for documents.
        alias: of its row in the statement.
        depth: how many elements it lies in.
    """

    query: str
    index: Index
    search: SearchIndex
    options: Options
    findings: Findings
    expressions: list[tuple[str, int]]
    step: Callable[[], None]
    path: str
    alias: str
    depth: int

    # --- structure

    def node(self, node: Node) -> Criterion | None:
        """The criterion; None where nothing is left of it after analysis, as Lucene then drops the clause."""
        self.step()
        match node:
            case Group():
                return self._group(node)
            case Nested():
                return self._nested(node)
            case _:
                return self._leaf(node)

    def _group(self, group: Group) -> Criterion | None:
        every = [self.node(clause.node) for clause in group.clauses]
        made = [found for found in every if found is not None]
        if not made:
            return None
        kept = bind(group.clauses, lambda number: every[number] is None)
        bound = [(clause.occur, found) for clause, found in zip(kept, made, strict=True)]
        required = [found for occur, found in bound if occur is Occur.MUST]
        optional = [found for occur, found in bound if occur is Occur.SHOULD]
        prohibited = [found for occur, found in bound if occur is Occur.MUST_NOT]
        criteria = list(required)
        if optional and not required:
            criteria.append(any_of(optional))
        if prohibited:
            criteria.append(Not(any_of(prohibited)))
        return all_of(criteria)

    def _nested(self, nested: Nested) -> Criterion | None:
        names = [f"{self.path}.{nested.path}"] if self.path else []
        element = next(
            (self.index.elements[name] for name in [*names, nested.path] if name in self.index.elements), None
        )
        if element is None or not element.path or (self.path and not element.path.startswith(f"{self.path}.")):
            self._unknown_path(nested)
            return NOTHING
        inner = replace(self, path=element.path, alias=f"e{self.depth + 1}", depth=self.depth + 1)
        found = inner.node(nested.node)
        return None if found is None else self._reaches(element, found, nested.at)

    def _reaches(self, element: Element, criterion: Criterion, at: int) -> Criterion:
        """That an object of this row's list meets a criterion."""
        name = view(self.index, element.path)
        return Reach(List(name, element.shared, self.alias, f"e{self.depth + 1}", bool(self.path)), criterion, at)

    # --- fields

    def _leaf(self, leaf: Leaf) -> Criterion | None:
        if leaf.field == "_exists_":
            if not isinstance(leaf, Term | Phrase):
                raise broken(self.query, leaf.at, "_exists_ must be followed by a field's name")
            return self._exists(leaf.text, leaf.at)
        if leaf.field is None:
            if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
                return EVERY
            if isinstance(leaf, Term) and leaf.text in ("+", "-", "!"):
                self.findings.remarks[f"A {leaf.text} before a blank means nothing: write it close to its word."] = None
            if not self.options.fields or self.path:
                return self._text(leaf, WORDS)
            found = [self._named(leaf, name) for name in self.options.fields]
            some = [one for one in found if one is not None]
            return any_of(some) if some else None
        return self._named(leaf, leaf.field)

    def _named(self, leaf: Leaf, name: str) -> Criterion | None:
        if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
            return self._exists(name, leaf.at)
        fields = self._fields(name)
        if not fields:
            return NOTHING
        found = [self._on(leaf, one, exact) for one, exact in fields]
        some = [one for one in found if one is not None]
        return any_of(some) if some else None

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

    def _on(self, leaf: Leaf, one: Field, exact: bool) -> Criterion | None:
        """A leaf on one field."""
        self.step()
        if isinstance(leaf, Term) and (found := _COMPARED.fullmatch(leaf.text)):
            sign, bound = found.groups()
            low, high = (bound, None) if sign[0] == ">" else (None, bound)
            leaf = Range(leaf.field, low, high, sign == ">=" or low is None, sign == "<=" or high is None, leaf.at)
        if isinstance(leaf, Range) and leaf.low is None and leaf.high is None:
            return Other(there(self._column(one.column)), leaf.at)
        match one.kind:
            case "text":
                return self._whole(leaf, one) if exact else self._text(leaf, one.column + WORDS)
            case "id":
                return self._whole(leaf, one)
            case "date":
                return self._day(leaf, one)
            case "integer":
                return self._number(leaf, one)
            case "boolean":
                return self._boolean(leaf, one)

    def _place(self, column: str, form: Form, folded: bool = False) -> Place:
        name = view(self.index, self.path)
        shared = self.path and self.index.elements[self.path].shared
        return Place(f"{name}.items" if shared else name, self.alias, column, form, folded)

    def _text(self, leaf: Leaf, column: str) -> Criterion | None:
        """A leaf on the words of a text."""
        place, at = self._place(column, Form.WORDS), leaf.at
        match leaf:
            case Term():
                found = tokens(leaf.text)
                if not found:
                    return None
                if self.options.phrases and len(found) > 1:
                    return Part(place, f" {' '.join(found)} ", at)
                return any_of(Member(place, token, at) for token in found)
            case Phrase():
                found = tokens(leaf.text)
                if not found:
                    return None
                if len(found) == 1:
                    return Member(place, found[0], at)
                if leaf.slop == 0:
                    return Part(place, f" {' '.join(found)} ", at)
                if len(found) > _LONGEST_NEAR:
                    raise broken(self.query, at, f"a phrase with ~ may have {_LONGEST_NEAR} words at the most")
                return Other(near(self._column(column), found, leaf.slop), at)
            case Wildcard():
                return self._like(place, [_lowered(part) for part in patterns.wildcard_parts(leaf.pattern)], at)
            case Fuzzy():
                text = lower(leaf.text)
                return NOTHING if not text or re.search("[ |]", text) else self._near(leaf, place, text)
            case Regexp():
                return self._expression(leaf, place, lower(leaf.pattern))
            case Range():
                return self._span(leaf, place, lower)

    def _like(self, place: Place, parts: list[str], at: int) -> Criterion:
        """That a word matches a wildcard, whose pieces are those of `patterns.wildcard_parts` in lower case."""
        if any(part[0] == "=" and re.search("[ |]", part) for part in parts):
            return NOTHING
        match parts:
            case [text, "*"] if text[0] == "=":
                return Part(place, " " + text[1:], at)
            case ["*", text] if text[0] == "=":
                return Part(place, text[1:] + " ", at)
            case ["*", text, "*"] if text[0] == "=":
                return Part(place, text[1:], at)
            case _:
                return Pattern(place, patterns.wildcard(parts), at)

    def _near(self, leaf: Fuzzy, place: Place, text: str) -> Criterion:
        edits = patterns.fuzzy_edits(text, leaf.edits)
        if edits == 0:
            return Member(place, text, leaf.at)
        ends = patterns.WORD_ENDS if place.form is Form.WORDS else patterns.VALUE_ENDS
        try:
            return Pattern(place, patterns.fuzzy(text, edits, ends), leaf.at, near=(text, edits))
        except ValueError as error:
            raise broken(self.query, leaf.at, str(error)) from None

    def _expression(self, leaf: Regexp, place: Place, pattern: str) -> Criterion:
        ends = patterns.WORD_ENDS if place.form is Form.WORDS else patterns.VALUE_ENDS
        try:
            translated = patterns.regexp(pattern, ends)
        except ValueError as error:
            raise broken(self.query, leaf.at, str(error)) from None
        self.expressions.append((translated, leaf.at))
        return Pattern(place, translated, leaf.at, expression=True)

    def _span(self, leaf: Range, place: Place, fold: Callable[[str], str]) -> Criterion:
        low, high = (None if bound is None else fold(bound) for bound in (leaf.low, leaf.high))
        return Span(place, low, high, leaf.low_included, leaf.high_included, leaf.at)

    def _whole(self, leaf: Leaf, one: Field) -> Criterion | None:
        """A leaf on a whole value: as it is written for `.exact`, without regard to case for an id."""
        fold: Callable[[str], str] = lower if one.kind == "id" else str
        place = self._place(one.column, Form.VALUES if one.many else Form.VALUE, one.kind == "id")
        match leaf:
            case Term() | Phrase():
                return Member(place, fold(leaf.text), leaf.at)
            case Wildcard():
                parts = [
                    part if part in "*?" else "=" + fold(part[1:]) for part in patterns.wildcard_parts(leaf.pattern)
                ]
                return Pattern(place, patterns.wildcard(parts, patterns.VALUE_ENDS), leaf.at)
            case Fuzzy():
                return self._near(leaf, place, fold(leaf.text))
            case Regexp():
                return self._expression(leaf, place, leaf.pattern)
            case Range():
                return self._span(leaf, place, fold)

    def _day(self, leaf: Leaf, one: Field) -> Criterion:
        def read(text: str) -> tuple[exp.Expr, exp.Expr]:
            try:
                span = dates.span(text, self.options.now, self.options.zone)
            except dates.DateFault as error:
                raise broken(self.query, leaf.at, f"{one.name} holds a time, and {error}") from None
            return moment(span.start), moment(span.end)

        if isinstance(leaf, Term | Phrase):
            start, end = read(leaf.text)
            column = self._column(one.column)
            return Other(exp.and_(column >= start, column < end), leaf.at)
        return self._within(leaf, one, read, "a time")

    def _number(self, leaf: Leaf, one: Field) -> Criterion:
        def value(text: str) -> int:
            if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", text.strip()):
                raise broken(self.query, leaf.at, f"{one.name} holds a whole number, and {text[:40]!r} is none")
            return int(text.strip().partition(".")[0])

        if isinstance(leaf, Term | Phrase):
            return Member(self._place(one.column, Form.NUMBER), str(value(leaf.text)), leaf.at)
        return self._within(
            leaf, one, lambda text: (exp.convert(value(text)), exp.convert(value(text) + 1)), "a number"
        )

    def _within(self, leaf: Leaf, one: Field, read: Callable[[str], tuple[exp.Expr, exp.Expr]], what: str) -> Criterion:
        """A leaf on a date or a number: what lies between two bounds, each of which covers a span of values.

        Args:
            read: gives where the span of a bound begins, and where it has ended.
        """
        if not isinstance(leaf, Range):
            raise broken(self.query, leaf.at, f"{one.name} holds {what}: wildcards, ~ and /…/ need a text")
        column = self._column(one.column)
        bounds: list[exp.Expr] = []
        if leaf.low is not None:
            bounds.append(column >= read(leaf.low)[not leaf.low_included])
        if leaf.high is not None:
            bounds.append(column < read(leaf.high)[leaf.high_included])
        return Other(together(bounds), leaf.at)

    def _boolean(self, leaf: Leaf, one: Field) -> Criterion:
        if isinstance(leaf, Term | Phrase) and leaf.text.lower() in ("true", "false"):
            wanted = exp.true() if leaf.text.lower() == "true" else exp.false()
            return Other(self._column(one.column).is_(wanted), leaf.at)
        raise broken(self.query, leaf.at, f"{one.name} is true or false")

    def _exists(self, name: str, at: int) -> Criterion:
        known = self._known
        inner = f"{self.path}.{name}" if self.path else name
        if name not in known and inner in self.index.elements:
            self.findings.known[self._called(name)] = "list of objects"
            return self._reaches(self.index.elements[inner], EVERY, at)
        members = [one for place, one in known.items() if place.startswith(f"{name}.")]
        if name not in known and members:
            self.findings.known[self._called(name)] = f"object of {len(members)} fields"
        else:
            members = [one for one, _ in self._fields(name)]
        return any_of(Other(there(self._column(one.column)), at) for one in members) if members else NOTHING

    def _column(self, name: str) -> exp.Column:
        return column_of(self.alias, name)


def _lowered(part: str) -> str:
    return part if part in "*?" else "=" + lower(part[1:])
