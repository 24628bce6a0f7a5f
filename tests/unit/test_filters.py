"""Filters of collections: what they mean, and where they are wrong."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from whohas.errors import InvalidArguments
from whohas.runs.filters import MAX_FILTER_CHARACTERS, MAX_NESTING, FilterField, parse_filter, parse_sorters

TASK = sa.table("task", sa.column("name"), sa.column("ended"))
ROWS = [("ann", None), ("bob", "x"), ('say "hi"', "y"), ("back\\slash", None), ("and", "z")]


def never_z(texts: list[str]) -> sa.ColumnElement[bool]:
    if "z" in texts:
        raise ValueError("ended is never z")
    return TASK.c.ended.in_(texts)


FIELDS = {"name": FilterField(TASK.c.name.in_), "ended": FilterField(never_z, is_null=TASK.c.ended.is_(None))}


def found(text: str) -> list[str]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE task (name, ended)")
        for row in ROWS:
            connection.exec_driver_sql("INSERT INTO task VALUES (?, ?)", row)
        return list(connection.execute(sa.select(TASK.c.name).where(parse_filter(text, FIELDS))).scalars())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('name eq "ann"', ["ann"]),
        ('name EQ "ann" OR name eq "bob"', ["ann", "bob"]),
        ('name in ("ann","bob" , "nobody")', ["ann", "bob"]),
        ("ended isnull", ["ann", "back\\slash"]),
        ("not ended isnull", ["bob", 'say "hi"', "and"]),
        ("ended pr", ["bob", 'say "hi"', "and"]),
        ('name ne "ann" and ended isnull', ["back\\slash"]),
        (r'name eq "say \"hi\""', ['say "hi"']),
        (r'name eq "back\\slash"', ["back\\slash"]),
        ('name eq "and"', ["and"]),
        ('name eq "ann" or name eq "bob" and ended isnull', ["ann"]),
        ('(name eq "ann" or name eq "bob") and ended eq "x"', ["bob"]),
        ('  ( ( name eq "ann" ) )  ', ["ann"]),
        ('name eq "\' OR 1=1 --"', []),
    ],
)
def test_a_filter_finds_what_it_says(text: str, names: list[str]) -> None:
    assert found(text) == names


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 1, "empty"),
        ("name", 5, "operator"),
        ("name eq", 8, "a text in double quotes must come here, and it ends"),
        ("name eq ann", 9, "there is ann"),
        ("name eq 'ann'", 9, "double quotes"),
        ('name eq "ann', 9, "no closing quote"),
        ('name eq "a" name eq "b"', 13, "`and`, `or` or the end"),
        ('name eq "a" and', 16, "it ends"),
        ('(name eq "a"', 13, "`)`"),
        ('name eq "a")', 12, "the end"),
        ('nome eq "a"', 1, "there is no field 'nome'; the fields are name, ended"),
        ('name like "a"', 6, "no operator 'like'"),
        ("name isnull", 6, "never null"),
        ("name in ()", 10, "a text"),
        ('name in ("a",)', 14, "a text"),
        ('ended eq "z"', 10, "ended is never z"),
        ('name eq "a" ; drop table task', 13, "has no meaning"),
        ('name eq "a\0"', 9, "NUL"),
        ("(" * 5000, MAX_NESTING + 2, "levels deep"),
        ("not " * 2000, 4 * (MAX_NESTING + 1) + 1, "levels deep"),
        ("name in (" + ",".join(['"x"'] * 501) + ")", 2010, "more than 500"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_place(text: str, at: int, says: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        parse_filter(text[:MAX_FILTER_CHARACTERS], FIELDS)
    assert f"at character {at}:" in refused.value.message
    assert says in refused.value.message


def test_a_filter_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidArguments, match=r"8,001 characters"):
        parse_filter("x" * (MAX_FILTER_CHARACTERS + 1), FIELDS)


@given(st.text(alphabet='()"\\,and or not name ended eq in isnull\0\ud800é', max_size=60))
def test_nonsense_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        parse_filter(text, FIELDS)
    except InvalidArguments as refused:
        assert "filters is wrong at character" in refused.message


def test_sorters_name_fields_once() -> None:
    fields = {"name": TASK.c.name}
    assert [str(one) for one in parse_sorters("-name", fields)] == ["task.name DESC"]
    assert parse_sorters(" ", fields) == []
    for wrong in ("name,-name", "ended", "--name", "name,"):
        with pytest.raises(InvalidArguments, match="sorters"):
            parse_sorters(wrong, fields)
