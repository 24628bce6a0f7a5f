"""Translate the planned statement of a report from DuckDB's SQL to that of another engine.

sqlglot parses and prints; what it would translate wrongly is rewritten here. The rule is an allow-list: each kind of
syntax node, with the arguments that it may have, is listed together with how it is translated. A statement with
anything else is refused before the run starts. Differences that an engine reports by an error, such as a function
that does not take a list, are not checked here; differences that would change rows in silence are:

- `list(x ORDER BY x)` loses its order and its nulls in Spark's COLLECT_LIST, which gives `[]` and not null for no rows.
- `range(3, 1)` is empty, but Spark's SEQUENCE then counts down.
- `concat` skips nulls, Spark's does not; `chr` is limited to 256 characters there.
- `lower` maps each character alone; Spark lower-cases a Greek sigma at the end of a word otherwise.
- `l[p]` counts from 1, Spark from 0. `string_split` splits at a text, Spark's SPLIT at a regular expression.
- A regular expression is of RE2; only the syntax that RE2, Java and Rust read alike is accepted (`_SAFE_PATTERN`).
- `lower` also knows letters that Unicode got after version 14, which DuckDB does not.
- `CAST(x AS VARCHAR)` prints times otherwise, so only casts of constants and of conditions are translated.
- `x IS TRUE` is false for null; sqlglot writes only `x` for Trino, so that `NOT x IS TRUE` would be null.
- `trim` removes all spaces of Unicode, but no tabs. Spark's removes only blanks, Trino's also tabs and line breaks.
- Trino's `TIMESTAMP WITH TIME ZONE` has milliseconds unless it says that it has more.
- Trino's regular expressions do not have `\\x{10FFFF}`.

The order of the rows is left to whohas: instead of sorting, the engine returns the values to sort by as more columns,
so that texts and nulls are ordered exactly as DuckDB orders them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from whohas.engine.remote import ENGINE_TITLES, RemoteName, SortKey, TranslatedStatement, engine_table_name
from whohas.engine.statement import ResultColumn, Statement
from whohas.errors import InvalidArguments


class Untranslatable(InvalidArguments):
    """A statement has something that is not translated for an engine."""


def translate(statement: Statement, engine: RemoteName) -> TranslatedStatement:
    """Translate a statement.

    Args:
        statement: the statement as planned, on the documented tables.
        engine: the engine, which is named in messages and whose SQL is written.

    Raises:
        Untranslatable: it contains something that is not on the allow-list; the message names it.
    """
    try:
        parsed = sqlglot.parse(statement.sql, read="duckdb")
    except SqlglotError as error:
        raise Untranslatable(
            f"The statement of this report cannot be read to translate it for {ENGINE_TITLES[engine]}: "
            f"{str(error).splitlines()[0]} {_REMEDY}"
        ) from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Select | exp.Union):
        raise _refusal("a statement that is no query", engine)
    query = parsed[0]
    for node in query.walk():
        _check(node, engine)
    order = _take_order(query, statement, engine)
    tables = tuple(dict.fromkeys(_warehouse_tables(query)))
    query = _rewritten(query, statement.parameters, engine)
    return TranslatedStatement(_numbered(query, statement.columns, order, engine).sql(engine), tables, order)


_REMEDY: Final = "Run it on DuckDB (`--engine duckdb`)."


def _refusal(what: str, engine: RemoteName) -> Untranslatable:
    return Untranslatable(
        f"This report cannot run on {ENGINE_TITLES[engine]}: its statement has {what}, which whohas does not translate "
        f"for {ENGINE_TITLES[engine]}, because its rows could differ. {_REMEDY}"
    )


# --- the allow-list


def _args(names: str = "") -> frozenset[str]:
    return frozenset(names.split())


_BINARY: Final = _args("this expression")

NODES: Final[Mapping[type[exp.Expr], frozenset[str]]] = {
    # queries
    exp.Select: _args("expressions from_ joins where group having order with_ distinct"),
    exp.Union: _args("this expression"),
    exp.From: _args("this"),
    exp.Join: _args("this side on"),
    exp.Where: _args("this"),
    exp.Group: _args("expressions"),
    exp.Having: _args("this"),
    exp.Order: _args("this expressions"),
    exp.Ordered: _args("this desc"),
    exp.Distinct: _args("expressions"),
    exp.With: _args("expressions"),
    exp.CTE: _args("this alias"),
    exp.Subquery: _args("this alias"),
    exp.Table: _args("this alias"),
    exp.TableAlias: _args("this columns"),
    exp.Values: _args("expressions alias"),
    exp.Tuple: _args("expressions"),
    # names and constants
    exp.Identifier: _args("this quoted"),
    exp.Column: _args("this table"),
    exp.Star: _args(),
    exp.Alias: _args("this alias"),
    exp.Literal: _args("this is_string"),
    exp.Boolean: _args("this"),
    exp.Null: _args(),
    exp.Placeholder: _args("this"),
    exp.Paren: _args("this"),
    exp.Neg: _args("this"),
    # conditions
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: _args("this"),
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.Between: _args("this low high"),
    exp.Is: _BINARY,
    exp.In: _args("this expressions query"),
    exp.Exists: _args("this"),
    exp.Case: _args("ifs default"),
    exp.If: _args("this true"),
    exp.Coalesce: _args("this expressions"),
    exp.Nullif: _BINARY,
    # aggregates
    exp.Count: _args("this big_int"),
    exp.Filter: _BINARY,
    exp.LogicalOr: _args("this"),
    exp.Min: _args("this"),
    exp.ArrayAgg: _args("this"),
    # numbers
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.BitwiseOr: _BINARY,
    exp.BitwiseXor: _BINARY,
    exp.BitwiseLeftShift: _BINARY,
    # texts
    exp.Contains: _BINARY,
    exp.Length: _args("this"),
    exp.Lower: _args("this"),
    exp.Trim: _args("this"),
    exp.Chr: _args("expressions"),
    exp.Concat: _args("expressions safe coalesce"),
    exp.DPipe: _args("this expression safe"),
    exp.Split: _args("this expression"),
    exp.RegexpLike: _BINARY,
    exp.RegexpFullMatch: _BINARY,
    # lists
    exp.Array: _args("expressions"),
    exp.ArrayFilter: _BINARY,
    exp.ArraySort: _args("this nulls_first"),
    exp.Transform: _BINARY,
    exp.Lambda: _args("this expressions"),
    exp.GenerateSeries: _args("start end is_end_exclusive"),
    exp.Bracket: _args("this expressions"),
    exp.Explode: _args("this"),
    # types
    exp.Cast: _args("this to"),
    exp.DataType: _args("this expressions nested"),
}
"""Each kind of syntax node that a statement may have, and the arguments that it may have."""

FUNCTIONS: Final[Mapping[str, int]] = {"LIST_REDUCE": 3, "BIT_COUNT": 1}
"""Functions that sqlglot knows no node for, each with its number of arguments."""

TYPES: Final = frozenset(
    {exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.BIGINT, exp.DType.BOOLEAN, exp.DType.TIMESTAMPTZ, exp.DType.ARRAY}
)
"""The types that a cast may name."""


def _check(node: exp.Expr, engine: RemoteName) -> None:
    """Raise `Untranslatable` unless a node is on the allow-list."""
    if isinstance(node, exp.Anonymous):
        if FUNCTIONS.get(node.name.upper()) != len(node.expressions):
            raise _refusal(f"the function {node.name.lower()}", engine)
        return
    allowed = NODES.get(type(node))
    if allowed is None:
        raise _refusal(_described(node), engine)
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, [], ""):
            raise _refusal(f"{_described(node)} with {name.strip('_').replace('_', ' ')}", engine)
    if (check := _CHECKS.get(type(node))) is not None and (what := check(node)):
        raise _refusal(what, engine)


def _described(node: exp.Expr) -> str:
    """Return how a message names a node: by its name in SQL where it is a function."""
    if isinstance(node, exp.Func):
        return f"the function {node.sql_name().lower()}"
    return f"the syntax {type(node).__name__.upper()} ({node.sql('duckdb')[:60]})"


def _check_cast(cast: exp.Cast) -> str:
    if cast.to.this not in TYPES:
        return f"the type {cast.to.sql('duckdb')}"
    value, type = cast.this, cast.to.this
    if isinstance(value, exp.Null):
        return ""
    if type is exp.DType.TIMESTAMPTZ and _is_text(value) and _TIME.fullmatch(value.name):
        return ""
    if type is exp.DType.BIGINT and isinstance(value, exp.Contains):
        return ""
    return f"the cast {cast.sql('duckdb')[:60]}"


_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00")
"""A time as searches write it. Engines read other forms of times differently."""

_CLASS_CHARACTER: Final = r"(?:[^\[\]\\^&~-]|\\[^A-Za-z0-9])"
_SAFE_PATTERN: Final = re.compile(
    rf"""(?:
        [^\\^$.|?*+(){{}}\[\]]                          # a character that stands for itself
      | \\[^A-Za-z0-9]                                  # an escaped one
      | \[\^?(?:{_CLASS_CHARACTER}(?:-{_CLASS_CHARACTER}|\\-)?)+\]   # a class of characters, without nested ones
      | \[\^\\x00-\\x\{{10FFFF\}}\]                     # no character at all
      | \(\?: | \(\?s: | \) | \|
      | [*+?] (?![*+?])  | \{{\d+(?:,\d*)?\}} (?![*+?]) # greedy repetition; Java reads a second + as "possessive"
    )*""",
    re.VERBOSE | re.DOTALL,
)
"""Regular expressions that RE2, Java's and Rust's engines read alike."""


def _check_pattern(match: exp.Expr) -> str:
    pattern = _constant(match.expression)
    if pattern is None:
        return "a regular expression that is not constant"
    return "" if _SAFE_PATTERN.fullmatch(pattern) else f"the regular expression {pattern[:60]}"


def _check_list(aggregate: exp.ArrayAgg) -> str:
    """Return what is wrong with `list(…)`: it must be sorted by its own values."""
    value = aggregate.this
    if isinstance(value, exp.Order):
        (key, *more) = value.expressions
        if not more and key.this == value.this and not key.args.get("desc") and not key.args.get("nulls_first"):
            return ""
    elif isinstance(aggregate.parent, exp.ArraySort) and (
        not isinstance(value, exp.Distinct) or len(value.expressions) == 1
    ):
        return ""
    return "a list whose order is not that of its values"


def _check_sort(sort: exp.ArraySort) -> str:
    nulls_first = sort.args.get("nulls_first")
    return "" if nulls_first is None or nulls_first == exp.false() else "list_sort with nulls first"


def _check_separator(split: exp.Split) -> str:
    return "" if _constant(split.expression) else "string_split at a text that is empty or not constant"


def _check_index(bracket: exp.Bracket) -> str:
    (key, *more) = bracket.expressions
    if more or isinstance(key, exp.Slice) or (isinstance(key, exp.Literal) and not key.is_string):
        return f"the index {bracket.sql('duckdb')[:60]}"
    return ""


def _check_pipe(pipe: exp.DPipe) -> str:
    """Return what is wrong with `||`: only `chr(31) || d.tags || chr(31)`, a column of several texts, is translated.

    Values of other types would be converted to text, which engines do in different ways.
    """
    inner = pipe if isinstance(pipe.parent, exp.DPipe) else pipe.this
    packed = isinstance(inner, exp.DPipe) and isinstance(inner.expression, exp.Column)
    ends = [inner.this] if pipe is inner else [inner.this, pipe.expression]
    return "" if packed and all(_constant(end) == "\x1f" for end in ends) else _described(pipe)


def _check_is(condition: exp.Is) -> str:
    return "" if isinstance(condition.expression, exp.Null | exp.Boolean) else f"{condition.sql('duckdb')[:60]}"


def _check_chr(chr: exp.Chr) -> str:
    return "" if _constant(chr) is not None else "chr of a number that is not constant"


def _check_select(select: exp.Select) -> str:
    found = [column for column in select.expressions if isinstance(column.unalias(), exp.Explode)]
    return "several lists that one SELECT unnests" if len(found) > 1 else ""


def _check_order(order: exp.Order) -> str:
    inside_list = isinstance(order.parent, exp.ArrayAgg)
    return "" if inside_list or (order.parent and order.parent.parent is None) else "ORDER BY in a subquery"


def _check_ordered(ordered: exp.Ordered) -> str:
    return "NULLS FIRST" if ordered.args.get("nulls_first") else ""


_CHECKS: Final[Mapping[type[exp.Expr], Callable[[Any], str]]] = {
    exp.Select: _check_select,
    exp.Cast: _check_cast,
    exp.RegexpLike: _check_pattern,
    exp.RegexpFullMatch: _check_pattern,
    exp.ArrayAgg: _check_list,
    exp.ArraySort: _check_sort,
    exp.Split: _check_separator,
    exp.Bracket: _check_index,
    exp.DPipe: _check_pipe,
    exp.Is: _check_is,
    exp.Chr: _check_chr,
    exp.Order: _check_order,
    exp.Ordered: _check_ordered,
}
"""Further conditions on a node: each returns what is not translated, for the message, or an empty text."""


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _constant(node: exp.Expr) -> str | None:
    """Return the text of a constant, such as `'a'`, `chr(31)` or `concat('a', chr(31))`; None for anything else."""
    if _is_text(node):
        return node.name
    if isinstance(node, exp.Chr):
        (code, *more) = node.expressions
        if more or not isinstance(code, exp.Literal) or not code.name.isdecimal() or not 0 < int(code.name) < 0xD800:
            return None
        return chr(int(code.name))
    if isinstance(node, exp.Concat):
        parts = [_constant(part) for part in node.expressions]
        known = [part for part in parts if part is not None]
        return "".join(known) if len(known) == len(parts) else None
    return None


# --- rewriting


def _take_order(query: exp.Expr, statement: Statement, engine: RemoteName) -> tuple[SortKey, ...]:
    """Remove the order of a query, and return it as keys that are added to its columns as k1, k2, …

    A statement that is `ordered` without ORDER BY is in the order of `Statement.scan_order`.
    """
    order: exp.Order | None = query.args.get("order")
    wanted: list[exp.Ordered] = order.expressions if order is not None else []
    if order is None and statement.ordered:
        columns = [exp.maybe_parse(sql, dialect="duckdb") for sql in statement.scan_order]
        wanted = [exp.Ordered(this=column) for column in columns]
        if not wanted:
            raise _refusal("an order that its SQL does not name", engine)
    if not wanted:
        return ()
    if not isinstance(query, exp.Select) or query.args.get("distinct") or query.args.get("group"):
        raise _refusal("ORDER BY of grouped rows", engine)
    for number, key in enumerate(wanted, 1):
        if not isinstance(key.this, exp.Column) or not key.this.table:
            raise _refusal(f"ORDER BY {key.this.sql('duckdb')[:60]}", engine)
        query.select(exp.alias_(key.this.copy(), f"k{number}"), copy=False)
    query.set("order", None)
    return tuple(SortKey(f"k{number}", bool(key.args.get("desc"))) for number, key in enumerate(wanted, 1))


def _warehouse_tables(query: exp.Expr) -> list[str]:
    """Return the names of the tables of a query, without those that it defines itself by WITH."""
    defined = {cte.alias.casefold() for cte in query.find_all(exp.CTE)}
    return [table.name for table in query.find_all(exp.Table) if table.name.casefold() not in defined]


def _numbered(
    query: exp.Expr, columns: tuple[ResultColumn, ...], order: tuple[SortKey, ...], engine: RemoteName
) -> exp.Select:
    """Return a query with the columns c1, c2, … and the keys of the order. Times become what `_TIMES` says, because
    engines write times to files in different ways."""
    places = [f"c{number}" for number in range(1, len(columns) + 1)]
    cells = [
        exp.alias_(_TIMES[engine](exp.column(place)), place) if column.type == "time" else exp.column(place)
        for place, column in zip(places, columns, strict=True)
    ]
    keys = [key.column for key in order]
    names = [exp.to_identifier(name) for name in (*places, *keys)]
    alias = exp.TableAlias(this=exp.to_identifier("report"), columns=names)
    rows = exp.Subquery(this=query, alias=alias)
    return exp.select(*cells, *(exp.column(key) for key in keys)).from_(rows, copy=False)


def _rewritten(query: exp.Expr, parameters: Mapping[str, Any], engine: RemoteName) -> exp.Expr:
    """Return a query whose nodes are replaced by those that `engine` has for the same values.

    Nodes are replaced from the leaves up, so that a rewrite sees its arguments rewritten; whether a value is a list is
    found out before, in the query as it was parsed.
    """
    lists = {id(node) for node in query.find_all(exp.Length) if _is_list(node.this)}
    rewrites = _REWRITES[engine]
    for node in sorted(query.walk(), key=lambda node: -node.depth):
        if isinstance(node, exp.Placeholder):
            new: exp.Expr | None = _parameter(node, parameters, engine)
        elif isinstance(node, exp.Length) and id(node) in lists:
            new = _call(_ARRAY_LENGTH[engine], node.this)
        elif (constant := _constant(node)) is not None and not _is_text(node):
            new = exp.Literal.string(constant)
        elif isinstance(node, exp.Table):
            new, name = None, engine_table_name(node.name)
            if name != node.name and not node.alias:
                node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name, quoted=True)))
            node.set("this", exp.to_identifier(name, quoted=True))
        elif isinstance(node, exp.Ordered):
            new = None
        else:
            rewrite = rewrites.get(type(node))
            new = rewrite(node) if rewrite is not None else None
        if new is not None and new is not node:
            node.replace(new)
    return query


def _parameter(placeholder: exp.Placeholder, parameters: Mapping[str, Any], engine: RemoteName) -> exp.Expr:
    """Return the value of a named parameter as a literal."""
    value = parameters[placeholder.name]
    match value:
        case None:
            return exp.null()
        case bool() | int() | str():
            return exp.convert(value)
        case datetime():
            text = value.isoformat(sep=" ", timespec="microseconds")
            cast = exp.cast(exp.Literal.string(text), "timestamptz", dialect="duckdb")
            rewrite = _REWRITES[engine].get(exp.Cast)
            return rewrite(cast) if rewrite is not None else cast
        case _:
            raise _refusal(f"a parameter of the type {type(value).__name__}", engine)


_LISTS: Final = (exp.ArrayFilter, exp.ArraySort, exp.ArrayAgg, exp.Array, exp.Split, exp.Transform, exp.GenerateSeries)


def _is_list(value: exp.Expr) -> bool:
    """Return whether an expression gives a list, for `length`, which takes texts and lists.

    A variable of a lambda is a list if the elements of the list that it runs over are. Example: in
    `list_filter(list_transform(a, lambda v: string_split(v, ' ')), lambda l: length(l) > 1)`, `l` is a list and `v` is
    not.
    """
    if isinstance(value, _LISTS):
        return True
    if not isinstance(value, exp.Identifier | exp.Column):
        return False
    node: exp.Expr | None = value
    while node is not None:
        if isinstance(node, exp.Lambda) and value.name in [variable.name for variable in node.expressions]:
            return node.parent is not None and _has_lists(node.parent.this)
        node = node.parent
    return False


def _has_lists(value: exp.Expr) -> bool:
    """Return whether the elements of a list are lists."""
    return isinstance(value, exp.Transform) and _is_list(value.expression.this)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _spark_list(aggregate: exp.ArrayAgg) -> exp.Expr:
    """Return the sorted list of values in Spark, with nulls last, and null for no rows.

    COLLECT_LIST leaves nulls out, so the values are packed into structs.
    """
    value, distinct = aggregate.this, False
    if isinstance(value, exp.Order):
        value = value.this
    elif isinstance(value, exp.Distinct):
        (value,), distinct = value.expressions, True
    packed = _call("COLLECT_LIST", _call("NAMED_STRUCT", exp.Literal.string("v"), value.copy()))
    unpacked = exp.Dot.build([exp.to_identifier("e"), exp.to_identifier("v")])
    element = exp.Lambda(this=unpacked, expressions=[exp.to_identifier("e")])
    values = _call("TRANSFORM", packed, element)
    found = _call("ARRAY_SORT", _call("ARRAY_DISTINCT", values) if distinct else values)
    query = aggregate.find_ancestor(exp.Select)
    if query is not None and query.args.get("group"):
        return found
    return exp.Case(ifs=[exp.If(this=exp.Count(this=exp.Literal.number(1)) > 0, true=found)])


def _spark_sort(sort: exp.ArraySort) -> exp.Expr:
    values = sort.this
    is_sorted = isinstance(values, exp.Case) or (isinstance(values, exp.Anonymous) and values.name == "ARRAY_SORT")
    return values if is_sorted else _call("ARRAY_SORT", values)


def _range(series: exp.GenerateSeries) -> exp.Expr:
    """Return the integers from a start to an end, which is excluded; none where the end is not greater.

    SEQUENCE includes its end and counts down where the end is smaller, so that it is widened and filtered.
    """
    start, end = series.args["start"], series.args["end"]
    variable = exp.to_identifier("x")
    widened = _call("SEQUENCE", start.copy(), _call("GREATEST", start.copy(), end.copy()))
    below = exp.Lambda(this=exp.LT(this=variable, expression=exp.paren(end.copy())), expressions=[variable.copy()])
    return _call("FILTER", widened, below)


def _spark_split(split: exp.Split) -> exp.Expr:
    separator = _constant(split.expression) or ""
    return _call("SPLIT", split.this, exp.Literal.string(_literal_pattern(separator)))


def _literal_pattern(text: str) -> str:
    """Return a regular expression for a text, which Java's and Rust's engines read alike."""
    return "".join(f"\\{c}" if c in r".^$|?*+()[]{}\\-&~#/" else c for c in text)


def _spark_lower(lower: exp.Lower) -> exp.Expr:
    """Return the text in lower case, each character by itself: Spark writes a sigma at the end of a word, and İ,
    differently, so these two are replaced before."""
    characters, replacements = (exp.Literal.string(text) for text in ("\u03a3\u0130", "\u03c3i"))
    return _call("LOWER", _call("TRANSLATE", lower.this, characters, replacements))


def _full_match(match: exp.RegexpFullMatch) -> exp.Expr:
    pattern = _constant(match.expression) or ""
    return exp.RegexpLike(this=match.this, expression=exp.Literal.string(f"\\A(?:{pattern})\\z"))


def _spark_reduce(function: exp.Anonymous) -> exp.Expr:
    """Return `list_reduce(list, lambda, start)` with Spark's order of arguments."""
    values, step, start = function.expressions
    return _call("REDUCE", values, start, step)


_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""The characters that DuckDB's `trim` removes."""


def _trim(trim: exp.Trim) -> exp.Expr:
    return exp.Trim(this=trim.this, expression=exp.Literal.string(_SPACES), position="BOTH")


_NO_CHARACTER: Final = r"[^\x00-\x{10FFFF}]"


def _trino_pattern(match: exp.RegexpLike | exp.RegexpFullMatch) -> exp.Expr:
    """Return the match of a regular expression that both of Trino's libraries, Joni and RE2J, read."""
    pattern = (_constant(match.expression) or "").replace(_NO_CHARACTER, r"[^\s\S]")
    match.set("expression", exp.Literal.string(pattern))
    return _full_match(match) if isinstance(match, exp.RegexpFullMatch) else match


def _trino_function(function: exp.Anonymous) -> exp.Expr:
    """Return `list_reduce` with Trino's order of arguments and its last step, and `bit_count` with its width."""
    if function.name.upper() == "BIT_COUNT":
        return _call("BIT_COUNT", function.expressions[0], exp.Literal.number(64))
    if function.name.upper() == "LIST_REDUCE":
        values, step, start = function.expressions
        state = exp.to_identifier("state")
        return _call(
            "REDUCE", values, exp.cast(start, "bigint"), step, exp.Lambda(this=state, expressions=[state.copy()])
        )
    return function


def _trino_cast(cast: exp.Cast) -> exp.Expr:
    """Return a cast to a time that keeps microseconds."""
    if cast.to.this is not exp.DType.TIMESTAMPTZ:
        return cast
    text = cast.this
    if _is_text(text):
        text = exp.Literal.string(text.name.removesuffix("+00:00") + " UTC")
    return exp.cast(text, exp.DataType.build("TIMESTAMP(6) WITH TIME ZONE", dialect="trino"))


def _trino_is(condition: exp.Is) -> exp.Expr:
    if isinstance(condition.expression, exp.Boolean):
        return exp.paren(exp.NullSafeEQ(this=condition.this, expression=condition.expression))
    return condition


def _trino_in(condition: exp.In) -> exp.Expr:
    """Return a condition whose subquery has one column, a row, where several columns are compared.

    Example: `(a, b) IN (SELECT u.a, u.b FROM u)` becomes
    `ROW(a, b) IN (SELECT ROW(v1, v2) FROM (SELECT u.a, u.b FROM u) AS found(v1, v2))`.
    """
    query = condition.args.get("query")
    if query is None or not isinstance(condition.this, exp.Tuple):
        return condition
    names = [exp.to_identifier(f"v{number}") for number in range(1, len(condition.this.expressions) + 1)]
    alias = exp.TableAlias(this=exp.to_identifier("found"), columns=names)
    rows = exp.Subquery(this=query.this if isinstance(query, exp.Subquery) else query, alias=alias)
    row = _call("ROW", *(exp.column(name.copy()) for name in names))
    found = exp.Subquery(this=exp.select(row).from_(rows, copy=False))
    return exp.In(this=_call("ROW", *condition.this.expressions), query=found)


def _trino_select(select: exp.Select) -> exp.Expr:
    """Return a query that unnests a list in FROM instead of in its columns.

    Example: `SELECT t.a, unnest(t.l) AS w FROM t` becomes
    `SELECT t.a, unnested.w FROM t CROSS JOIN UNNEST(t.l) AS unnested(w)`.
    """
    column = next((column for column in select.expressions if isinstance(column.unalias(), exp.Explode)), None)
    if column is None:
        return select
    table, name = exp.to_identifier("unnested"), exp.to_identifier(column.alias or "value")
    rows = exp.Unnest(expressions=[column.unalias().this], alias=exp.TableAlias(this=table, columns=[name]))
    column.replace(exp.alias_(exp.column(name.copy(), table.copy()), name.copy()))
    if select.args.get("from_") is None:
        select.from_(rows, copy=False)
    else:
        select.join(rows, join_type="cross", copy=False)
    return select


_TIMES: Final[Mapping[RemoteName, Callable[[exp.Expr], exp.Expr]]] = {
    "spark": lambda time: _call("UNIX_MICROS", time),
    "trino": lambda time: time,
}
"""For each engine the form of times in its result: microseconds since 1970; of Trino, texts of its protocol."""

_ARRAY_LENGTH: Final[Mapping[RemoteName, str]] = {"spark": "ARRAY_SIZE", "trino": "CARDINALITY"}
"""For each engine the function that gives the length of a list."""

_REWRITES: Final[Mapping[RemoteName, Mapping[type[exp.Expr], Callable[[Any], exp.Expr]]]] = {
    "spark": {
        exp.ArrayAgg: _spark_list,
        exp.ArraySort: _spark_sort,
        exp.GenerateSeries: _range,
        exp.Split: _spark_split,
        exp.Lower: _spark_lower,
        exp.Trim: _trim,
        exp.RegexpFullMatch: _full_match,
        exp.Bracket: lambda bracket: _call("TRY_ELEMENT_AT", bracket.this, bracket.expressions[0]),
        exp.Anonymous: lambda function: _spark_reduce(function) if function.name.upper() == "LIST_REDUCE" else function,
    },
    "trino": {
        exp.Select: _trino_select,
        exp.In: _trino_in,
        exp.Is: _trino_is,
        exp.Cast: _trino_cast,
        exp.Contains: lambda contains: exp.paren(_call("STRPOS", contains.this, contains.expression) > 0),
        exp.Trim: _trim,
        exp.RegexpLike: _trino_pattern,
        exp.RegexpFullMatch: _trino_pattern,
        exp.ArraySort: lambda sort: _call("ARRAY_SORT", sort.this),
        exp.GenerateSeries: _range,
        exp.Bracket: lambda bracket: _call("ELEMENT_AT", bracket.this, bracket.expressions[0]),
        exp.Anonymous: _trino_function,
    },
}
