"""Lists and objects as a table, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from whohas.cli import printing, terminal
from whohas.cli.options import OutputFormat, output_format
from whohas.cli.printing import Column, print_list, print_object
from whohas.cli.values import describe_arguments
from whohas.errors import WrongUsage


@dataclass
class Thing:
    id: str
    name: str
    count: int | None = None
    active: bool = True
    at: datetime | None = None
    tags: tuple[str, ...] = ()
    note: str = ""


COLUMNS: tuple[Column[Thing], ...] = (
    Column("id", "Thing", lambda thing: thing.id, is_id=True, is_key=True),
    Column("name", "Name", lambda thing: thing.name, is_key=True),
    Column("count", "Count", lambda thing: thing.count),
    Column("active", "Active", lambda thing: thing.active),
    Column("at", "At", lambda thing: thing.at),
    Column("tags", "Tags", lambda thing: thing.tags),
    Column("note", "Note", lambda thing: thing.note),
    Column("exact", "Exact", lambda thing: {"id": thing.id}, is_exact=True),
)
THINGS = [
    Thing("0123456789abcdef", 'a, "b"', 1234, True, datetime(2026, 11, 29, 13, 5, tzinfo=UTC), ("x", "y")),
    Thing("fedcba9876543210", "=2+2\nnext", None, False),
]


def printed(capsys: pytest.CaptureFixture[str], output: OutputFormat, things: list[Thing] = THINGS) -> str:
    print_list(output, things, COLUMNS, empty="Nothing yet.", zone="Europe/Berlin")
    return capsys.readouterr().out


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    for module in (printing, terminal):
        monkeypatch.setattr(module, "is_terminal", lambda **_: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")


def test_a_table_has_values_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    head, first, second = printed(capsys, OutputFormat.TABLE).splitlines()
    assert head.split("  ")[0] == "Thing" and "At (Europe/Berlin)" in head
    assert "Note" not in head, "a column without any value is left out"
    assert "Exact" not in head
    assert first.split() == ["0123456789abcdef", "a,", '"b"', "1,234", "yes", "2026-11-29", "14:05:00", "x,", "y"]
    assert second.split() == ["fedcba9876543210", "=2+2", "next", "no"]


def test_csv_is_exact_and_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = csv.DictReader(io.StringIO(printed(capsys, OutputFormat.CSV), newline=""))
    assert first == {
        "id": "0123456789abcdef", "name": 'a, "b"', "count": "1234", "active": "true", "at": "2026-11-29T13:05:00.000Z",
        "tags": "x;y", "note": "", "exact": '{"id": "0123456789abcdef"}',
    }  # fmt: skip
    assert (second["name"], second["count"], second["at"], second["active"]) == ("=2+2\nnext", "", "", "false")


def test_json_has_typed_values_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, OutputFormat.JSON)
    first, second = json.loads(text)
    assert text.count("\n") == 1
    assert (first["count"], first["at"], first["tags"]) == (1234, "2026-11-29T13:05:00.000Z", ["x", "y"])
    assert (second["count"], second["active"], second["exact"]) == (None, False, {"id": "fedcba9876543210"})


def test_an_empty_list_is_empty_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, OutputFormat.TABLE, []) == "Nothing yet.\n"
    assert printed(capsys, OutputFormat.JSON, []) == "[]\n"
    assert printed(capsys, OutputFormat.CSV, []) == "id,name,count,active,at,tags,note,exact\n"


@pytest.mark.parametrize(("width", "has", "lacks"), [(80, "Tags", ""), (56, "At", "Tags"), (40, "Active", "At")])
def test_a_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, has: str, lacks: str
) -> None:
    on_a_terminal(monkeypatch, width)
    print_list(OutputFormat.TABLE, THINGS, COLUMNS, empty="", zone="Europe/Berlin")
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert shown.err == "" if not lacks else lacks in shown.err and "-o csv" in shown.err
    assert all(len(line) <= width for line in lines)
    assert has in lines[0] and (not lacks or lacks not in lines[0])
    assert lines[1].split()[0] == "01234567", "a terminal shows the beginning of an id"


def test_json_is_indented_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, 80)
    assert '\n    "id": "0123456789abcdef"' in printed(capsys, OutputFormat.JSON)


def test_an_object_is_a_line_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_object(OutputFormat.TABLE, THINGS[0], COLUMNS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Thing:  0123456789abcdef" and "At:     2026-11-29 13:05:00" in lines and lines[-1] == "Note:"
    print_object(OutputFormat.JSON, THINGS[0], COLUMNS, to_api=lambda thing: {"api": thing.name})
    assert json.loads(capsys.readouterr().out) == {"api": 'a, "b"'}


def test_the_older_json_option_still_works() -> None:
    assert output_format(OutputFormat.TABLE, True) is OutputFormat.JSON
    assert output_format(OutputFormat.CSV, False) is OutputFormat.CSV
    with pytest.raises(WrongUsage, match="exclude each other"):
        output_format(OutputFormat.CSV, True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"application": "7", "sourceName": "Payroll"}, "source name: Payroll"),
        ({"application": "7", "correlatedOnly": True}, "source: Payroll; correlated only: yes"),
        ({"authoritativeSource": "8"}, "authoritative source: 8"),
        ({}, ""),
    ],
)
def test_arguments_name_sources_instead_of_ids(arguments: dict[str, object], text: str) -> None:
    assert describe_arguments(arguments, lambda id: {"7": "Payroll"}.get(id, id)) == text
