"""Statements translated for other engines: everything on the allow-list, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from whohas.engine.dialects import FUNCTIONS, NODES, Untranslatable, translate
from whohas.engine.remote import RemoteName, SortKey, TranslatedStatement, rows_statement
from whohas.engine.statement import ResultColumn, Statement

TEXT = ResultColumn("a", "text")


def translated(
    sql: str, columns: tuple[ResultColumn, ...] = (TEXT,), engine: RemoteName = "spark", **more: Any
) -> TranslatedStatement:
    return translate(Statement(sql, columns, **more), engine)


def inner(sql: str, engine: RemoteName = "spark", **more: Any) -> str:
    """The translation of a statement of one text column, without the SELECT around it."""
    found = translated(sql, engine=engine, **more).sql
    begin, end = "SELECT c1 FROM (", ") AS report(c1)"
    assert found.startswith(begin)
    assert found.endswith(end)
    return found.removeprefix(begin).removesuffix(end)


CONDITIONS = (
    "t.a = 'x' AND (t.b <> 'y' OR NOT t.c IS NULL)",
    "t.n BETWEEN 1 AND -2 + 3 - 1",
    "t.n > 1 AND t.n >= 1 AND t.n < 1 AND t.n <= 1 AND t.flag IS TRUE",
    "t.a IN ('x', 'y') AND t.a = $p",
    "t.a IN (SELECT unnest(string_split('x,y', ',')))",
    "(t.a, t.b) IN (SELECT u.a, u.b FROM u)",
    "EXISTS(SELECT 1 FROM u WHERE u.a = t.a)",
    "contains(t.a, 'x') OR regexp_matches(t.a, '[^ |]*x') OR regexp_full_match(t.a, '(?s:x[a-c]{2,3})')",
    "length(trim(lower(t.a))) > 1",
    "t.at >= CAST('2026-01-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)",
    "len(list_filter(string_split(t.a, chr(31)), lambda w: w <> 'x')) > 0",
    "list_reduce(list_filter(range(1, len([1, 2]) + 1), lambda p: [0, 1][p] = 1), lambda n, p: n + p, 0) = 2",
    "len(list_filter(list_transform(string_split(t.a, '|'), lambda v: string_split(v, ' ')), lambda l: len(l) > 1)) > 0",
    "bit_count(xor(contains(t.a, 'a')::BIGINT << 3 | 5, 7)) <= 4",
    "t.attributes['city'] IS NOT NULL",
    "regexp_matches(chr(31) || t.a || chr(31), 'x')",
)
STATEMENTS = (
    "SELECT CASE WHEN t.a = 'x' THEN 'y' ELSE concat(t.a, 'z', chr(31)) END FROM t",
    "SELECT coalesce(nullif(t.a, ''), NULL, CAST(NULL AS VARCHAR)) FROM t",
    "WITH w AS (SELECT t.a, count(*) AS n, count(*) FILTER (WHERE t.flag) AS f, bool_or(t.flag) AS o, min(t.b) AS m "
    "FROM t GROUP BY t.a HAVING count(DISTINCT t.b) = 1) SELECT w.a FROM w LEFT JOIN t ON t.a = w.a",
    "SELECT i.* FROM (SELECT DISTINCT t.a FROM t) AS i",
    "SELECT list(t.a ORDER BY t.a) FROM t",
    "SELECT list_sort(list(DISTINCT t.a)) FROM t GROUP BY t.b",
    "SELECT t.a FROM t JOIN (VALUES ('a', 'b')) AS r(low, high) ON t.a > r.low UNION ALL SELECT u.a FROM u",
    "SELECT t.a FROM t ORDER BY t.b DESC, t.c",
    *(f"SELECT t.a FROM t WHERE {condition}" for condition in CONDITIONS),
)


@pytest.mark.parametrize("engine", ["spark", "trino"])
@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_of_listed_syntax_is_translated(sql: str, engine: RemoteName) -> None:
    found = translated(sql, engine=engine, parameters={"p": "it's"})
    assert isinstance(sqlglot.parse_one(found.sql, read=engine), exp.Select)


def test_the_statements_above_have_everything_listed() -> None:
    nodes = [node for sql in STATEMENTS for node in sqlglot.parse_one(sql, read="duckdb").walk()]
    assert {type(node) for node in nodes} - {exp.Anonymous} == set(NODES)
    assert {node.name.upper() for node in nodes if isinstance(node, exp.Anonymous)} == set(FUNCTIONS)


@given(st.recursive(st.sampled_from(CONDITIONS), lambda parts: st.tuples(parts, st.sampled_from(["AND", "OR"]), parts)))
def test_conditions_of_listed_syntax_are_translated_together(tree: Any) -> None:
    def joined(part: Any) -> str:
        return part if isinstance(part, str) else f"({joined(part[0])}) {part[1]} (NOT ({joined(part[2])}))"

    found = translated(f"SELECT t.a FROM t WHERE {joined(tree)}", parameters={"p": "x"})
    assert isinstance(sqlglot.parse_one(found.sql, read="spark"), exp.Select)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("strftime(t.at, '%Y')", "the function time_to_str"),
        ("nosuch(t.a)", "the function nosuch"),
        ("list_reduce(t.l, lambda n, p: n + p)", "the function list_reduce"),
        ("t.n / 2", "DIV"),
        ("t.n // 2", "INTDIV"),
        ("t.n * 2", "MUL"),
        ("t.a || 'x'", "DPIPE"),
        ("chr(31) || t.a", "DPIPE"),
        ("chr(31) || t.a || 'x'", "DPIPE"),
        ("chr(31) || lower(t.a) || chr(31)", "DPIPE"),
        ("t.a LIKE 'x%'", "LIKE"),
        ("t.a ILIKE 'x%'", "ILIKE"),
        ("t.a COLLATE NOCASE", "the function collate"),
        ("t.n::VARCHAR", "the cast CAST(t.n AS TEXT)"),
        ("t.a::DECIMAL(10, 2)", "the type DECIMAL(10, 2)"),
        ("t.a::DOUBLE", "the type DOUBLE"),
        ("'1 May'::TIMESTAMPTZ", "the cast CAST('1 May' AS TIMESTAMPTZ)"),
        ("list(t.a)", "a list whose order is not that of its values"),
        ("list(t.a ORDER BY t.b)", "a list whose order is not that of its values"),
        ("list(t.a ORDER BY t.a DESC)", "a list whose order is not that of its values"),
        ("list_sort(t.l, 'ASC', 'NULLS FIRST')", "list_sort with nulls first"),
        ("t.l[1]", "the index t.l[1]"),
        ("t.l[1:2]", "the index t.l[1:2]"),
        ("string_split(t.a, t.b)", "string_split at a text that is empty or not constant"),
        ("string_split(t.a, '')", "string_split at a text that is empty or not constant"),
        ("chr(t.n)", "chr of a number that is not constant"),
        ("regexp_matches(t.a, t.b)", "a regular expression that is not constant"),
        ("regexp_matches(t.a, '\\d+')", "the regular expression \\d+"),
        ("regexp_matches(t.a, '(?i)x')", "the regular expression (?i)x"),
        ("regexp_matches(t.a, 'a*+')", "the regular expression a*+"),
        ("regexp_matches(t.a, '[a&&b]')", "the regular expression [a&&b]"),
        ("regexp_matches(t.a, '[[:alpha:]]')", "the regular expression [[:alpha:]]"),
        ("row_number() OVER ()", "the syntax WINDOW"),
        ("max(t.a)", "the function max"),
        ("sum(t.n)", "the function sum"),
        ("trim(t.a, 'x')", "the function trim with expression"),
    ],
)
def test_what_is_not_listed_is_refused_by_name(expression: str, what: str) -> None:
    with pytest.raises(Untranslatable) as error:
        translated(f"SELECT {expression} FROM t")
    assert what in error.value.message
    assert error.value.message.startswith("This report cannot run on Spark: its statement has ")
    assert error.value.message.endswith("Run it on DuckDB (`--engine duckdb`).")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT t.a FROM t LIMIT 1", "limit"),
        ("SELECT t.a FROM t QUALIFY t.b", "qualify"),
        ("SELECT t.a FROM t USING SAMPLE 10%", "sample"),
        ("SELECT t.a FROM (SELECT u.a FROM u ORDER BY u.a) AS t", "ORDER BY in a subquery"),
        ("SELECT t.a FROM t ORDER BY t.a NULLS FIRST", "NULLS FIRST"),
        ("SELECT t.a FROM t ORDER BY 1", "ORDER BY 1"),
        ("SELECT t.a FROM t GROUP BY t.a ORDER BY t.a", "ORDER BY of grouped rows"),
        ("SELECT t.a FROM t GROUP BY ALL", "all"),
        ("SELECT unnest(t.l), unnest(t.m) FROM t", "several lists that one SELECT unnests"),
        ("SELECT t.a FROM t ASOF JOIN u ON t.a >= u.a", "method"),
        ("SELECT t.a FROM other.t", "db"),
        ("SELECT * EXCLUDE (b) FROM t", "except"),
        ("DELETE FROM t", "a statement that is no query"),
        ("SELECT 1; SELECT 2", "a statement that is no query"),
        ("SELECT a FROM t WHERE (", "cannot be read to translate it for Spark"),
    ],
)
def test_clauses_that_are_not_listed_are_refused(sql: str, what: str) -> None:
    with pytest.raises(Untranslatable) as error:
        translated(sql)
    assert what in error.value.message


def test_a_refusal_names_the_engine() -> None:
    with pytest.raises(Untranslatable, match=r"^This report cannot run on Trino: .* does not translate for Trino, "):
        translated("SELECT upper(t.a) FROM t", engine="trino")


@pytest.mark.parametrize(
    ("duckdb", "trino"),
    [
        ("list(t.a ORDER BY t.a)", "ARRAY_AGG(t.a ORDER BY t.a)"),
        ("list_sort(list(DISTINCT t.a))", "ARRAY_SORT(ARRAY_AGG(DISTINCT t.a))"),
        ("contains(t.a, 'x')", "(STRPOS(t.a, 'x') > 0)"),
        ("len(list_filter(string_split(t.a, ','), lambda w: w <> 'x'))", "CARDINALITY(FILTER(SPLIT(t.a, ','), w -> w <> 'x'))"),
        ("length(t.a)", "LENGTH(t.a)"),
        ("t.l[t.n]", "ELEMENT_AT(t.l, t.n)"),
        ("range(1, t.n)", "FILTER(SEQUENCE(1, GREATEST(1, t.n)), x -> x < (t.n))"),
        ("list_reduce(t.l, lambda n, p: n + p, 0)", "REDUCE(t.l, CAST(0 AS BIGINT), (n, p) -> n + p, state -> state)"),
        ("bit_count(t.n)", "BIT_COUNT(t.n, 64)"),
        ("NOT t.flag IS TRUE", "NOT (t.flag IS NOT DISTINCT FROM TRUE)"),
        ("concat(t.a, t.b)", "CONCAT(COALESCE(CAST(t.a AS VARCHAR), ''), COALESCE(CAST(t.b AS VARCHAR), ''))"),
        ("regexp_full_match(t.a, 'x+')", r"REGEXP_LIKE(t.a, '\A(?:x+)\z')"),
        (r"regexp_matches(t.a, '[^\x00-\x{10FFFF}]')", r"REGEXP_LIKE(t.a, '[^\s\S]')"),
        (
            "t.at > CAST('2026-01-01 00:00:00.000001+00:00' AS TIMESTAMPTZ)",
            "t.at > CAST('2026-01-01 00:00:00.000001 UTC' AS TIMESTAMP(6) WITH TIME ZONE)",
        ),
        ("t.at > $at", "t.at > CAST('2026-01-02 00:00:00.000000 UTC' AS TIMESTAMP(6) WITH TIME ZONE)"),
        ("t.a IN (SELECT unnest(t.l))", "t.a IN (SELECT unnested.value AS value FROM UNNEST(t.l) AS unnested(value))"),
        (
            "t.a IN (SELECT DISTINCT unnest(u.l) AS w FROM u)",
            't.a IN (SELECT DISTINCT unnested.w AS w FROM "u" CROSS JOIN UNNEST(u.l) AS unnested(w))',
        ),
        (
            "(t.a, t.b) IN (SELECT u.a, u.b FROM u)",
            'ROW(t.a, t.b) IN (SELECT ROW(v1, v2) FROM (SELECT u.a, u.b FROM "u") AS found(v1, v2))',
        ),
    ],
)  # fmt: skip
def test_what_trino_has_otherwise_is_rewritten(duckdb: str, trino: str) -> None:
    found = inner(f"SELECT {duckdb} FROM t", engine="trino", parameters={"at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert found == f'SELECT {trino} FROM "t"'


@pytest.mark.parametrize("engine", ["spark", "trino"])
def test_the_same_spaces_are_trimmed(engine: RemoteName) -> None:
    found = inner("SELECT trim(t.a) FROM t", engine=engine)
    assert found.startswith("SELECT TRIM(BOTH ' \u00a0\u1680\u2000")
    assert "\u3000' FROM t.a)" in found


def test_times_of_trino_stay_as_they_are() -> None:
    assert translated("SELECT t.at FROM t", (ResultColumn("at", "time"),), "trino").sql.startswith(
        "SELECT c1 AS c1 FROM ("
    )


def test_a_promised_order_must_be_named() -> None:
    with pytest.raises(Untranslatable, match="an order that its SQL does not name"):
        translated("SELECT t.a FROM t", ordered=True)


def test_the_order_becomes_columns() -> None:
    found = translated("SELECT t.a FROM t ORDER BY t.b DESC, t.c", ordered=True)
    assert found.order == (SortKey("k1", descending=True), SortKey("k2"))
    assert found.sql == "SELECT c1, k1, k2 FROM (SELECT t.a, t.b AS k1, t.c AS k2 FROM `t`) AS report(c1, k1, k2)"


def test_the_order_of_a_scan_becomes_columns() -> None:
    found = translated("SELECT t.a FROM t", ordered=True, scan_order=("t.num",))
    assert found.order == (SortKey("k1"),)
    assert "t.num AS k1" in found.sql


def test_tables_are_named_without_dots() -> None:
    found = translated('WITH w AS (SELECT 1 AS a) SELECT w.a FROM w JOIN "identities.access.items" AS i ON i.a = w.a')
    assert found.tables == ("identities.access.items",)
    assert "`identities__access__items` AS i" in found.sql


def test_times_become_microseconds() -> None:
    found = translated("SELECT t.a, t.at FROM t", (TEXT, ResultColumn("at", "time")))
    assert found.sql.startswith("SELECT c1, UNIX_MICROS(c2) AS c2 FROM (")


def test_lists_keep_nulls_and_order() -> None:
    assert inner("SELECT list(t.a ORDER BY t.a) FROM t GROUP BY t.b") == (
        "SELECT ARRAY_SORT(TRANSFORM(COLLECT_LIST(NAMED_STRUCT('v', t.a)), e -> e.v)) FROM `t` GROUP BY t.b"
    )


def test_a_list_of_no_rows_is_null() -> None:
    assert "CASE WHEN COUNT(1) > 0 THEN ARRAY_SORT(" in inner("SELECT list_sort(list(t.a)) FROM t")


def test_values_of_parameters_are_literals() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    sql = "SELECT t.a FROM t WHERE t.a = $text AND t.n = $number AND t.b = $flag AND t.at = $at AND t.c = $none"
    values = {"text": "it's \\ ${x}", "number": 7, "flag": True, "at": at, "none": None}
    assert inner(sql, parameters=values).endswith(
        "WHERE t.a = 'it\\'s \\\\ ${x}' AND t.n = 7 AND t.b = TRUE "
        "AND t.at = CAST('2026-01-02 00:00:00.000000+00:00' AS TIMESTAMP) AND t.c = NULL"
    )


def test_rows_are_read_in_the_order_of_their_keys(tmp_path: Any) -> None:
    (tmp_path / "part-1.parquet").touch()
    found = rows_statement(tmp_path, (TEXT, ResultColumn("at", "time")), (SortKey("k1", descending=True),))
    assert found == (
        "SELECT c1::VARCHAR AS c1, make_timestamptz(c2::BIGINT) AS c2 "
        f"FROM read_parquet(['{tmp_path}/part-1.parquet']) ORDER BY k1 DESC NULLS LAST"
    )


def test_an_engine_that_wrote_no_file_found_no_rows(tmp_path: Any) -> None:
    assert rows_statement(tmp_path, (TEXT,), ()) == 'SELECT c1::VARCHAR AS c1 FROM (SELECT NULL AS "c1") WHERE false'
