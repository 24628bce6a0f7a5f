"""Resolve a query's syntax tree against the fields of an index, and return the SQL condition on its documents.

Texts of the query are analysed here as the index's texts were. Expressions are built with sqlglot, which quotes every
name and every value; no text of a query is concatenated into SQL.
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
from whohas.search.analyzer import lower_case, tokenize
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
    apply_and,
)
from whohas.search.conditions import all_true, column_expression, is_present, sloppy_phrase, timestamp_literal
from whohas.search.criteria import (
    MATCH_ALL,
    MATCH_NONE,
    ClauseCount,
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
    all_of,
    any_of,
)
from whohas.search.fields import Element, Index, IndexField
from whohas.search.index import WORDS_SUFFIX, SearchIndex, view_name
from whohas.search.lexer import syntax_error
from whohas.search.sql import to_sql

_COMPARISON: Final = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)
_EXACT: Final = ".exact"
_MAX_SLOPPY_WORDS: Final = 50
"""The most words of a phrase with a slop, `"a b"~2`."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How the words and dates of a query are interpreted.

    Attributes:
        now: the time that `now` stands for in dates.
        zone: the time zone of dates that are written without one.
        fields: the fields in which words without a field name are searched; empty for every text field.
        phrases: whether the words of an unquoted value must be adjacent and in order; otherwise any of them matches.
    """

    now: datetime
    zone: tzinfo
    fields: tuple[str, ...] = ()
    phrases: bool = False


@dataclass(slots=True)
class Diagnostics:
    """The result of resolving the names in a query, for warnings and for `whohas search --explain`.

    Attributes:
        unknown_fields: the fields that the index does not have, as written, each with a hint, which may be empty.
        known_fields: the fields that it has, as written, each with a description such as `created, date`.
        warnings: warnings about the query's meaning, as keys in the order in which they arose.
    """

    unknown_fields: dict[str, str] = field(default_factory=dict[str, str])
    known_fields: dict[str, str] = field(default_factory=dict[str, str])
    warnings: dict[str, None] = field(default_factory=dict[str, None])

    def merge(self, other: Diagnostics) -> None:
        self.unknown_fields |= other.unknown_fields
        self.known_fields |= other.known_fields
        self.warnings |= other.warnings


def query_condition(
    query: str,
    node: Node,
    index: Index,
    search: SearchIndex,
    options: QueryOptions,
    count: ClauseCount,
    step: Callable[[], None],
) -> tuple[exp.Expr, Diagnostics]:
    """Return the condition of a query as a sqlglot expression, and what was found out about its fields.

    A query without any token, such as `name:"!"`, matches no document.

    Args:
        query: the text that `node` was parsed from, for messages.
        node: the syntax tree.
        index: the index to search, whose documents have the alias `d` in the statement.
        search: the search index of a snapshot.
        options: how words and dates are interpreted.
        count: counts the clauses of all queries of the search.
        step: called for each node, and for each field of a leaf; it may raise an error to abort.

    Raises:
        InvalidArguments: a value does not fit its field, or the search has too many clauses; the message points at it.
    """
    findings = Diagnostics()
    expressions: list[tuple[str, int]] = []
    criterion = _Builder(query, index, search, options, findings, expressions, step, "", "d", 0).node(node)
    if criterion is None:
        return exp.false(), findings
    count.add(query, criterion)
    _check(query, expressions)
    return to_sql(criterion), findings


def _check(query: str, expressions: list[tuple[str, int]]) -> None:
    """Check that the engine accepts the regular expressions of a query.

    Args:
        query: the text, for messages.
        expressions: each RE2 pattern with its position in the query.

    Raises:
        InvalidArguments: one is too large to run.
    """
    from whohas.engine.duckdb import first_invalid_pattern

    fault = first_invalid_pattern([pattern for pattern, _ in expressions])
    if fault is not None:
        number, reason = fault
        raise syntax_error(
            query, expressions[number][1], f"the regular expression is too large ({reason}): write a shorter one"
        )


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes criteria on one row: of the documents, or of the objects of a list.

    Attributes:
        query: the text, for messages.
        index: the index to search.
        search: the search index of a snapshot.
        options: how words and dates are interpreted.
        findings: collects the known and unknown fields.
        expressions: collects the user's regular expressions as RE2 patterns, each with its position in the query;
            `_check` tests them later, all at once.
        step: called for each node, and for each field of a leaf.
        path: the path of the list; empty for the documents.
        alias: the alias of the row in the statement.
        depth: the number of lists that the row is nested in; 0 for the documents.
    """

    query: str
    index: Index
    search: SearchIndex
    options: QueryOptions
    findings: Diagnostics
    expressions: list[tuple[str, int]]
    step: Callable[[], None]
    path: str
    alias: str
    depth: int

    # --- structure

    def node(self, node: Node) -> Criterion | None:
        """Return the criterion of a node; None if analysis leaves no token of it, so that Lucene drops the clause."""
        self.step()
        match node:
            case Group():
                return self._group(node)
            case Nested():
                return self._nested(node)
            case _:
                return self._leaf(node)

    def _group(self, group: Group) -> Criterion | None:
        found_criteria = [self.node(clause.node) for clause in group.clauses]
        present = [criterion for criterion in found_criteria if criterion is not None]
        if not present:
            return None
        bound_clauses = apply_and(group.clauses, lambda number: found_criteria[number] is None)
        bound = [(clause.occur, criterion) for clause, criterion in zip(bound_clauses, present, strict=True)]
        required = [criterion for occur, criterion in bound if occur is Occur.MUST]
        optional = [criterion for occur, criterion in bound if occur is Occur.SHOULD]
        prohibited = [criterion for occur, criterion in bound if occur is Occur.MUST_NOT]
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
            return MATCH_NONE
        inner = replace(self, path=element.path, alias=f"e{self.depth + 1}", depth=self.depth + 1)
        found = inner.node(nested.node)
        return None if found is None else self._reaches(element, found, nested.at)

    def _reaches(self, element: Element, criterion: Criterion, at: int) -> Criterion:
        """Return the criterion that at least one object of a list of this row meets `criterion`."""
        name = view_name(self.index, element.path)
        return NestedMatch(
            NestedList(name, element.shared, self.alias, f"e{self.depth + 1}", bool(self.path)), criterion, at
        )

    # --- fields

    def _leaf(self, leaf: Leaf) -> Criterion | None:
        if leaf.field == "_exists_":
            if not isinstance(leaf, Term | Phrase):
                raise syntax_error(
                    self.query, leaf.at, "_exists_ must be followed by the name of a field, as in _exists_:manager.name"
                )
            return self._exists(leaf.text, leaf.at)
        if leaf.field is None:
            if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
                return MATCH_ALL
            if isinstance(leaf, Term) and leaf.text in ("+", "-", "!"):
                self.findings.warnings[
                    f"A {leaf.text} before a blank means nothing: write it directly before its word."
                ] = None
            if not self.options.fields or self.path:
                return self._words_criterion(leaf, WORDS_SUFFIX)
            found = [self._named_leaf(leaf, name) for name in self.options.fields]
            criteria = [criterion for criterion in found if criterion is not None]
            return any_of(criteria) if criteria else None
        return self._named_leaf(leaf, leaf.field)

    def _named_leaf(self, leaf: Leaf, name: str) -> Criterion | None:
        if isinstance(leaf, Wildcard) and set(leaf.pattern) == {"*"}:
            return self._exists(name, leaf.at)
        fields = self._fields(name)
        if not fields:
            return MATCH_NONE
        found = [self._field_criterion(leaf, field, exact) for field, exact in fields]
        criteria = [criterion for criterion in found if criterion is not None]
        return any_of(criteria) if criteria else None

    @property
    def _element_fields(self) -> Mapping[str, IndexField]:
        return self.search.elements[self.index.name, self.path].fields

    def _fields(self, name: str) -> list[tuple[IndexField, bool]]:
        """Return the fields that a name stands for, each with whether whole values are meant (`.exact`).

        A name may contain `*`: then it stands for all matching text fields, or if there are none, all matching fields.
        Known names are recorded in the findings; an unknown one is too, and gives an empty list.
        """
        known = self._element_fields
        plain = name.removesuffix(_EXACT)
        if name in known:
            found = [(known[name], False)]
        elif plain in known:
            found = [(known[plain], True)]
        elif "*" in plain:
            exact = plain != name
            found = [
                (field, exact)
                for field_name, field in known.items()
                if fnmatchcase(field_name, plain.replace("[", "[[]"))
            ]
            found = [(field, exact) for field, exact in found if field.kind == "text"] or found
        else:
            found = []
        if found:
            shown = f"{len(found)} fields" if len(found) > 1 else f"{found[0][0].name}, {found[0][0].kind}"
            self.findings.known_fields[self._as_written(name)] = shown + (", whole value" if found[0][1] else "")
        else:
            self.findings.unknown_fields.setdefault(self._as_written(name), self._hint(name))
        return found

    def _as_written(self, name: str) -> str:
        return f"@{self.path}({name})" if self.path else name

    def _hint(self, name: str) -> str:
        known = self._element_fields
        first = name.split(".", maxsplit=1)[0]
        inner = f"{self.path}.{first}" if self.path else first
        if inner in self.index.elements:
            rest = name.partition(".")[2] or "…"
            return f"{first} is a list of objects: write @{first}({rest}:…)."
        members = sorted(field_name for field_name in known if field_name.startswith(f"{name}."))
        if members:
            return f"{name} is an object: name one of its fields, as {members[0]}."
        similar = get_close_matches(name, known, 1) or [
            field_name for field_name in known if field_name.casefold() == name.casefold()
        ]
        return f"Did you mean {similar[0]}?" if similar else ""

    def _unknown_path(self, nested: Nested) -> None:
        written = f"@{nested.path}"
        members = sorted(field_name for field_name in self._element_fields if field_name.startswith(f"{nested.path}."))
        paths = [path.removeprefix(f"{self.path}.") for path in self.index.elements if path and path != self.path]
        hint = (
            f"{nested.path} is an object, not a list of objects: write {members[0]}:…."
            if members
            else f"The lists of {self.index.name} are: {', '.join(paths) or 'none'}."
        )
        self.findings.unknown_fields.setdefault(written, hint)

    # --- leaves

    def _field_criterion(self, leaf: Leaf, field: IndexField, exact: bool) -> Criterion | None:
        """Return the criterion of a leaf on one field.

        Args:
            leaf: the leaf; a term such as `>5` becomes a range.
            field: the field.
            exact: whether a text is compared as a whole value, not by its words.
        """
        self.step()
        if isinstance(leaf, Term) and (found := _COMPARISON.fullmatch(leaf.text)):
            sign, bound = found.groups()
            low, high = (bound, None) if sign[0] == ">" else (None, bound)
            leaf = Range(leaf.field, low, high, sign == ">=" or low is None, sign == "<=" or high is None, leaf.at)
        if isinstance(leaf, Range) and leaf.low is None and leaf.high is None:
            return RawCondition(is_present(self._column(field.column)), leaf.at)
        match field.kind:
            case "text":
                return (
                    self._value_criterion(leaf, field)
                    if exact
                    else self._words_criterion(leaf, field.column + WORDS_SUFFIX)
                )
            case "id":
                return self._value_criterion(leaf, field)
            case "date":
                return self._date_criterion(leaf, field)
            case "integer":
                return self._number_criterion(leaf, field)
            case "boolean":
                return self._boolean_criterion(leaf, field)

    def _place(self, column: str, form: ColumnForm, folded: bool = False) -> FieldRef:
        name = view_name(self.index, self.path)
        shared = self.path and self.index.elements[self.path].shared
        return FieldRef(f"{name}.items" if shared else name, self.alias, column, form, folded)

    def _words_criterion(self, leaf: Leaf, column: str) -> Criterion | None:
        """Return the criterion of a leaf on a column of words.

        None for a term or a phrase without a token, whose clause is then dropped, as Lucene does.

        Raises:
            InvalidArguments: a phrase with ~ has too many words.
        """
        place, at = self._place(column, ColumnForm.WORDS), leaf.at
        match leaf:
            case Term():
                found = tokenize(leaf.text)
                if not found:
                    return None
                if self.options.phrases and len(found) > 1:
                    return Substring(place, f" {' '.join(found)} ", at)
                return any_of(Member(place, token, at) for token in found)
            case Phrase():
                found = tokenize(leaf.text)
                if not found:
                    return None
                if len(found) == 1:
                    return Member(place, found[0], at)
                if leaf.slop == 0:
                    return Substring(place, f" {' '.join(found)} ", at)
                if len(found) > _MAX_SLOPPY_WORDS:
                    raise syntax_error(
                        self.query, at, f"a phrase with ~ may have {_MAX_SLOPPY_WORDS} words at the most"
                    )
                return RawCondition(sloppy_phrase(self._column(column), found, leaf.slop), at)
            case Wildcard():
                return self._wildcard_criterion(
                    place, [_lower_part(part) for part in patterns.split_wildcard(leaf.pattern)], at
                )
            case Fuzzy():
                text = lower_case(leaf.text)
                return MATCH_NONE if not text or re.search("[ |]", text) else self._fuzzy_criterion(leaf, place, text)
            case Regexp():
                return self._regexp_criterion(leaf, place, lower_case(leaf.pattern))
            case Range():
                return self._range_criterion(leaf, place, lower_case)

    def _wildcard_criterion(self, place: FieldRef, parts: list[str], at: int) -> Criterion:
        """Return the criterion that a word matches a wildcard: a substring if possible, or else a pattern.

        Example: `ab*` is the substring `" ab"` of a column of words, `*b` is `"b "`, `*b*` is `"b"`, `a*b` a pattern.

        Args:
            place: the column of words.
            parts: the wildcard's parts as `patterns.split_wildcard` returns them, in lower case.
            at: the position of the leaf in the query.
        """
        if any(part[0] == "=" and re.search("[ |]", part) for part in parts):
            return MATCH_NONE
        match parts:
            case [text, "*"] if text[0] == "=":
                return Substring(place, " " + text[1:], at)
            case ["*", text] if text[0] == "=":
                return Substring(place, text[1:] + " ", at)
            case ["*", text, "*"] if text[0] == "=":
                return Substring(place, text[1:], at)
            case _:
                return Pattern(place, patterns.wildcard_pattern(parts), at)

    def _fuzzy_criterion(self, leaf: Fuzzy, place: FieldRef, text: str) -> Criterion:
        edits = patterns.max_edits(text, leaf.edits)
        if edits == 0:
            return Member(place, text, leaf.at)
        ends = patterns.WORD_DELIMITERS if place.form is ColumnForm.WORDS else patterns.VALUE_DELIMITERS
        try:
            return Pattern(place, patterns.fuzzy_pattern(text, edits, ends), leaf.at, fuzzy=(text, edits))
        except ValueError as error:
            raise syntax_error(self.query, leaf.at, str(error)) from None

    def _regexp_criterion(self, leaf: Regexp, place: FieldRef, pattern: str) -> Criterion:
        ends = patterns.WORD_DELIMITERS if place.form is ColumnForm.WORDS else patterns.VALUE_DELIMITERS
        try:
            translated = patterns.regexp_pattern(pattern, ends)
        except ValueError as error:
            raise syntax_error(self.query, leaf.at, str(error)) from None
        self.expressions.append((translated, leaf.at))
        return Pattern(place, translated, leaf.at, is_regexp=True)

    def _range_criterion(self, leaf: Range, place: FieldRef, fold: Callable[[str], str]) -> Criterion:
        low, high = (None if bound is None else fold(bound) for bound in (leaf.low, leaf.high))
        return ValueRange(place, low, high, leaf.low_included, leaf.high_included, leaf.at)

    def _value_criterion(self, leaf: Leaf, field: IndexField) -> Criterion | None:
        """Return the criterion of a leaf on whole values: case-insensitive for an id, case-sensitive for `.exact`."""
        fold: Callable[[str], str] = lower_case if field.kind == "id" else str
        place = self._place(
            field.column, ColumnForm.VALUES if field.multi_valued else ColumnForm.VALUE, field.kind == "id"
        )
        match leaf:
            case Term() | Phrase():
                return Member(place, fold(leaf.text), leaf.at)
            case Wildcard():
                parts = [
                    part if part in "*?" else "=" + fold(part[1:]) for part in patterns.split_wildcard(leaf.pattern)
                ]
                return Pattern(place, patterns.wildcard_pattern(parts, patterns.VALUE_DELIMITERS), leaf.at)
            case Fuzzy():
                return self._fuzzy_criterion(leaf, place, fold(leaf.text))
            case Regexp():
                return self._regexp_criterion(leaf, place, leaf.pattern)
            case Range():
                return self._range_criterion(leaf, place, fold)

    def _date_criterion(self, leaf: Leaf, field: IndexField) -> Criterion:
        def read(text: str) -> tuple[exp.Expr, exp.Expr]:
            try:
                span = dates.parse_date(text, self.options.now, self.options.zone)
            except dates.DateError as error:
                raise syntax_error(self.query, leaf.at, f"{field.name} holds a time, and {error}") from None
            return timestamp_literal(span.start), timestamp_literal(span.end)

        if isinstance(leaf, Term | Phrase):
            start, end = read(leaf.text)
            column = self._column(field.column)
            return RawCondition(exp.and_(column >= start, column < end), leaf.at)
        return self._span_criterion(leaf, field, read, "a time")

    def _number_criterion(self, leaf: Leaf, field: IndexField) -> Criterion:
        def value(text: str) -> int:
            if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", text.strip()):
                raise syntax_error(self.query, leaf.at, f"{field.name} holds a whole number, and {text[:40]!r} is none")
            return int(text.strip().partition(".")[0])

        if isinstance(leaf, Term | Phrase):
            return Member(self._place(field.column, ColumnForm.NUMBER), str(value(leaf.text)), leaf.at)
        return self._span_criterion(
            leaf, field, lambda text: (exp.convert(value(text)), exp.convert(value(text) + 1)), "a number"
        )

    def _span_criterion(
        self, leaf: Leaf, field: IndexField, read: Callable[[str], tuple[exp.Expr, exp.Expr]], kind: str
    ) -> Criterion:
        """Return the criterion of a range on a date or a number, whose bounds each stand for a span of values.

        Example: for `[2017 TO 2018}`, the lower bound is the start of 2017 (included), the upper one the start of 2018.
        For `{2017 TO 2018]`, they are the end of 2017 and the end of 2018.

        Args:
            leaf: the leaf, which must be a range.
            field: the field.
            read: returns the start and the end (excluded) of the span that a bound stands for.
            kind: the field's kind with its article, for messages.

        Raises:
            InvalidArguments: the leaf is a wildcard, fuzzy word or regular expression.
        """
        if not isinstance(leaf, Range):
            raise syntax_error(
                self.query, leaf.at, f"{field.name} holds {kind}: wildcards, ~ and /…/ need a text field"
            )
        column = self._column(field.column)
        bounds: list[exp.Expr] = []
        if leaf.low is not None:
            bounds.append(column >= read(leaf.low)[not leaf.low_included])
        if leaf.high is not None:
            bounds.append(column < read(leaf.high)[leaf.high_included])
        return RawCondition(all_true(bounds), leaf.at)

    def _boolean_criterion(self, leaf: Leaf, field: IndexField) -> Criterion:
        if isinstance(leaf, Term | Phrase) and leaf.text.lower() in ("true", "false"):
            wanted = exp.true() if leaf.text.lower() == "true" else exp.false()
            return RawCondition(self._column(field.column).is_(wanted), leaf.at)
        raise syntax_error(self.query, leaf.at, f"{field.name} is true or false: write one of them")

    def _exists(self, name: str, at: int) -> Criterion:
        known = self._element_fields
        inner = f"{self.path}.{name}" if self.path else name
        if name not in known and inner in self.index.elements:
            self.findings.known_fields[self._as_written(name)] = "list of objects"
            return self._reaches(self.index.elements[inner], MATCH_ALL, at)
        members = [field for field_name, field in known.items() if field_name.startswith(f"{name}.")]
        if name not in known and members:
            self.findings.known_fields[self._as_written(name)] = f"object of {len(members)} fields"
        else:
            members = [field for field, _ in self._fields(name)]
        return (
            any_of(RawCondition(is_present(self._column(field.column)), at) for field in members)
            if members
            else MATCH_NONE
        )

    def _column(self, name: str) -> exp.Column:
        return column_expression(self.alias, name)


def _lower_part(part: str) -> str:
    return part if part in "*?" else "=" + lower_case(part[1:])
