"""CSV files as they come: marks, preambles, separators, encodings, quotes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from csvfiles import read
from intake import Rig
from whohas.errors import InvalidArguments
from whohas.ingest.readers import csv as csv_files
from whohas.ingest.readers.csv import CsvReader
from whohas.ingest.readers.csv_stream import CsvDialect

MAPPING = '[source]\nname = "HR"\n[accounts]\nfile = "in.csv"\n[accounts.columns]\nnativeIdentity = "uid"\n'


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


GOOD = [(2, ["1", "Ann"]), (3, ["2", "Bob"])]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("uid,name\n1,Ann\n2,Bob\n", [2, 3]),
        ("uid,name\n1,Ann\n2,Bob", [2, 3]),
        ("uid,name\r\n1,Ann\r\n2,Bob\r\n", [2, 3]),
        ("uid,name\r1,Ann\r2,Bob\r", [2, 3]),
        ("\ufeffuid,name\n1,Ann\n2,Bob\n", [2, 3]),
        ("\ufeff\ufeffuid,name\n1,Ann\n2,Bob\n", [2, 3]),
        ("#TYPE System.Data.Row\r\n\"uid\",\"name\"\r\n\"1\",\"Ann\"\r\n\"2\",\"Bob\"\r\n", [3, 4]),
        ("sep=|\r\nuid|name\r\n1|Ann\r\n2|Bob\r\n", [3, 4]),
        ("\ufeffsep=;\nuid;name\n1;Ann\n2;Bob\n", [3, 4]),
        ("\n  \n,,\nuid,name\n1,Ann\n\n   \n,\n , \n2,Bob\n  ", [5, 10]),
        ("uid,name,\n1,Ann,\n2,Bob,\n", [2, 3]),
        ("uid,name,\n1,Ann\n2,Bob,\n", [2, 3]),
        ("uid,name\n1,Ann,,\n2,Bob,,\n", [2, 3]),
        ("uid,name\n1,Ann\n2,Bob,\n", [2, 3]),
        ('="uid",name\n="1",Ann\n"=""2""",Bob\n', [2, 3]),
        ("uid\tname\n1\tAnn\n2\tBob\n", [2, 3]),
        ("uid,name\n1,Ann\n\ufeffuid,name\n2,Bob\n", [2, 4]),
        ("uid,name\n1,Ann\n\ufeff2,Bob\n", [2, 3]),
        ('uid,name\n1,Ann\n\ufeff"uid","name"\n"2","Bob"\n', [2, 4]),
    ],
)  # fmt: skip
def test_the_same_rows_are_read_however_they_are_written(tmp_path: Path, text: str, lines: list[int]) -> None:
    file, rows = read(tmp_path, text)
    assert file.header == ["uid", "name"]
    assert rows == list(zip(lines, (["1", "Ann"], ["2", "Bob"]), strict=True))


def test_short_rows_end_in_empty_cells_by_mapping(tmp_path: Path) -> None:
    text = "uid,name,town\n1,Ann\n2\n3,Bob,Ulm\n4,Cy,Bonn,\n"
    rows = [(2, ["1", "Ann", ""]), (3, ["2", "", ""]), (4, ["3", "Bob", "Ulm"]), (5, ["4", "Cy", "Bonn"])]
    assert read(tmp_path, text, allow_short_rows=True)[1] == rows


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "uid,name\n1,Jörg\n".encode(encoding))[1] == [(2, ["1", "Jörg"])]


@pytest.mark.parametrize(
    ("text", "dialect", "rows"),
    [
        ("Report\nof, today\nuid,name\n1,Ann\n", {"skip_lines": 2}, [(4, ["1", "Ann"])]),
        ("uid,name\n1,Ann\n2,Bob\nTotal: 2\n\nend,,,\n \n", {"footer_records": 2}, GOOD),
        ("uid,name\n1,Ann\nTotal,2\n", {"footer_records": 1}, GOOD[:1]),
        ("uid,name\nTotal,0\n", {"footer_records": 3}, []),
        ("# made\nuid,name\n#1,x\n1,Ann\n# \"quoted\n2,Bob\n# end", {"comment": "#"}, [(4, ["1", "Ann"]), (6, ["2", "Bob"])]),
        ('uid,name\n1,"two\n# lines"\n#x\n2,b#c\n', {"comment": "#"}, [(2, ["1", "two\n# lines"]), (5, ["2", "b#c"])]),
        ('uid,name\n1,"a \\"b\\", c"\n2,"C:\\\\dir\\\\"\n', {"escape": "\\"}, [(2, ["1", 'a "b", c']), (3, ["2", "C:\\dir\\"])]),
        ('uid,name\n1,C:\\dir\n2,"\\n ""x"""\n', {"escape": "\\"}, [(2, ["1", "C:\\dir"]), (3, ["2", '\\n "x"'])]),
        ('uid,name\n"C:\\dir\\",x\n', {}, [(2, ["C:\\dir\\", "x"])]),
        ('uid,name\n1,5" disk\n2,"a ""b"""\n', {}, [(2, ["1", '5" disk']), (3, ["2", 'a "b"'])]),
        ("uid;name\n1;Ann\n", {"delimiter": ";"}, [(2, ["1", "Ann"])]),
        ("uid,name\n1,J\xf6rg\n".encode("cp1252"), {"encoding": "windows-1252"}, [(2, ["1", "Jörg"])]),
        ("uid,name\n1,Ann\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, [(2, ["1", "Ann"])]),
    ],
)  # fmt: skip
def test_keys_say_how_a_file_is_written(
    tmp_path: Path, text: str | bytes, dialect: dict[str, object], rows: list[tuple[int, list[str]]]
) -> None:
    file, found = read(tmp_path, text, **dialect)
    assert file.header == ["uid", "name"]
    assert found == rows


@pytest.mark.parametrize("size", [16, 17, 18, 19, 23, 64])
def test_keys_work_across_the_borders_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    text = "u,n\n" + '"\\"a\\\\","é\n#b"\n#x "\n\ufeffc,d""\n' * 9
    monkeypatch.setattr(csv_files, "_BLOCK", size)
    _, rows = read(tmp_path, text, comment="#", escape="\\")
    assert [row for _, row in rows] == [['"a\\', "é\n#b"], ["c", 'd""']] * 9


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("uid;Name, first;Mail\n1;Doe, Jane;j@x.example\n", ["uid", "Name, first", "Mail"]),
        ('uid;"Name, first, title";b\n1;"Doe, Jane, Dr.";x\n', ["uid", "Name, first, title", "b"]),
        ("uid,groups\n1,a;b;c\n2,d;e;f\n", ["uid", "groups"]),
        ("uid,a;b,c\n1,2,3\n", ["uid", "a;b", "c"]),
        ("uid|a,b|c\n1|2|3\n1|2,2|3\n", ["uid", "a,b", "c"]),
        ("uid\n1\n2\n", ["uid"]),
        ("uid, name\n", ["uid", " name"]),
    ],
)
def test_the_first_rows_show_what_separates_cells(tmp_path: Path, text: str, header: list[str]) -> None:
    assert read(tmp_path, text)[0].header == header


def test_the_separator_is_the_one_that_yields_mapped_columns(rig: Rig) -> None:
    rig.write(**{"in.csv": "uid;Name, first, second\n1;Doe, Jane, A.\n", "m.toml": MAPPING})
    rig.load(".")
    assert rig.account("1")["attributes"] == [("Name, first, second", ["Doe, Jane, A."]), ("uid", ["1"])]


def test_a_header_without_line_end_is_a_header(rig: Rig) -> None:
    rig.write(**{"in.csv": "uid,name,groups", "m.toml": MAPPING})
    alone = rig.load(".").warnings
    rig.write(**{"in.csv": "uid,name,groups\n"})
    assert alone == rig.load(".").warnings
    assert "in.csv has no accounts: the source is now without any. Load a file that has them." in " ".join(
        alone
    ).replace("source 'HR'", "source")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("uid,name,\n1,Ann,x\n2,Bob,\n3,C,y\n", "column 3 has no name in the header and was passed over with 2 values"),
        ("uid,,name\n1,x,Ann\n", "column 2 has no name in the header and was passed over with 1 value."),
        ("uid,name\n1,Ann\n\ufeff2,Bob\n", "line 3: a byte order mark inside the file"),
        ("uid,name\n1,Ann\nuid,name\n2,Bob\n", "the header stands again in 1 later row"),
        ('uid,name\n="001",Ann\n', '1 cell written as ="…"'),
        ('uid,name\n1,Ann\n2,"a"b\n', "line 3: a quote ends before its cell does (1 cell like this)"),
        ('uid,name\n1,"a\\"b"\n', "csv.escape"),
        ("uid,name\n1,A\0nn\n", "line 2: the file holds NUL bytes (1)"),
        ("uid,name\n1,Ann\nTotal: 1\nend\n", "the last 2 lines have fewer cells than the header"),
    ],
)
def test_what_is_passed_over_is_noted(rig: Rig, text: str, note: str) -> None:
    rig.write(**{"in.csv": text, "m.toml": MAPPING})
    rig.load(".")
    assert any(note in warning for warning in rig.report.warnings), rig.report.warnings


def test_good_files_have_no_notes(tmp_path: Path) -> None:
    text = 'uid,name\n1,"a ""b"" c"\n\n2,"=x\n\ufeffy"\n3,5" disk\nDN,"CN=""q"""\n'
    file, rows = read(tmp_path, text)
    assert file.notes() == []
    assert [row for _, row in rows] == [["1", 'a "b" c'], ["2", "=x\n\ufeffy"], ["3", '5" disk'], ["DN", 'CN="q"']]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Users of today\nmade by x\nuid,name\n1,Ann\n", "the header is line 3, .* skip = 2"),
        ("Users;;\n\nuid;name;x\n1;Ann;y\n", "the header is line 3, .* skip = 2"),
        ("Users\nid,name\n1,Ann\n2,Bob\n3,Cid\n", "If the header is line 2, set .* skip = 1"),
        ("uid,name\n1,Jörg\n".encode("utf-16-le"), 'looks like UTF-16: .* encoding = "utf-16-le"'),
        ("uid,name\n1,Jörg\n".encode("utf-16-be"), 'looks like UTF-16: .* encoding = "utf-16-be"'),
        ("uid,Größe\n1,2\n".encode("cp1252"), r"line 1 cannot be read .*Gr\\\\xf6.* encoding = \"windows-1252\""),
        ("\ufeff", "is empty"),
        ("\ufeff\n", "is empty"),
    ],
)
def test_errors_name_the_key_to_set(rig: Rig, text: str | bytes, key: str) -> None:
    rig.write(**{"m.toml": MAPPING})
    (rig.data / "in.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidArguments, match=key):
        rig.load(".")


def test_undecodable_bytes_are_errors_with_their_line(rig: Rig) -> None:
    rig.write(**{"m.toml": MAPPING + '[csv]\nencoding = "windows-1252"\n'})
    (rig.data / "in.csv").write_bytes(b"uid,name\n1,Ann\n2,\x81\n")
    with pytest.raises(InvalidArguments, match=r"line 3: it is not cp1252 .*81 after .*csv\.encoding"):
        rig.load(".")
    rig.write(**{"m.toml": MAPPING})
    (rig.data / "in.csv").write_bytes(b"uid,name\n1,Ann\n2,J\xf6rg\n3\xff\n")
    rig.load(".")
    assert [(r.line, r.column) for r in rig.report.rejections] == [(4, "")]
    assert [(r.line, r.column) for r in rig.report.emptied_cells] == [(3, "name")]
    assert "windows-1252" in rig.report.emptied_cells[0].reason


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('delimiter = "§"', "csv.delimiter is not one character"),
        ("skip = -1", "csv.skip is no number"),
        ("footer = true", "csv.footer is no number"),
        ("short = 1", "csv.short is neither true nor false"),
        ('encoding = "rot13"', "is not known"),
        ('encoding = "nothing"', "is not known"),
        ('escape = "ab"', "csv.escape is not one character"),
        ('comment = "\\""', "csv.comment begins with a quote"),
        ("skip = 9", "csv.skip is 9"),
    ],
)
def test_wrong_keys_are_refused(rig: Rig, keys: str, fault: str) -> None:
    rig.write(**{"in.csv": "uid\n1\n", "m.toml": f"{MAPPING}[csv]\n{keys}\n"})
    with pytest.raises(InvalidArguments, match=fault):
        rig.load(".")


def test_a_mapping_may_begin_with_a_byte_order_mark(rig: Rig) -> None:
    rig.write(**{"in.csv": "uid,name\n1,Ann\n", "m.toml": "\ufeff" + MAPPING})
    rig.load("m.toml")
    assert rig.account("1")


@pytest.mark.parametrize(
    ("data", "message"),
    [(MAPPING.encode("utf-16"), "is UTF-16"), (b'[source]\nname = "J\xf6rg"', "line 2 is not UTF-8")],
)
def test_a_mapping_in_another_encoding_is_named(rig: Rig, data: bytes, message: str) -> None:
    (rig.data / "m.toml").write_bytes(data)
    with pytest.raises(InvalidArguments, match=message):
        rig.load("m.toml")


def test_a_mapped_file_of_any_ending_is_not_passed_over(rig: Rig) -> None:
    rig.write(**{"in.dat": "uid\n1\n", "other.dat": "x", "m.toml": MAPPING.replace("in.csv", "in.dat")})
    rig.load(".")
    assert [text for text in rig.report.warnings if "passed over" in text] == [
        f"{rig.data / 'other.dat'} was passed over: no mapping names it, and files that end in .dat are read only where one does."
    ]


def test_a_quoted_header_may_hold_line_breaks(tmp_path: Path) -> None:
    file, rows = read(tmp_path, '"uid","full\nname"\n1,"a\nb"\n2,c\n')
    assert (file.header, rows) == (["uid", "full\nname"], [(3, ["1", "a\nb"]), (5, ["2", "c"])])


@pytest.mark.parametrize("text", ['uid,n\n5" x,1\n2,"never\n3,4\n', 'uid,n\n1,"a"b\n2,"never\n', 'uid,n\n1,"x'])
def test_a_quote_that_never_ends_is_found_behind_others(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArguments, match="a quoted cell that begins here never ends"):
        read(tmp_path, text)


def test_a_hundred_thousand_columns_are_read_at_once(tmp_path: Path) -> None:
    names = [f"column {number}" for number in range(100_000)]
    path = tmp_path / "in.csv"
    path.write_text(",".join(names) + "\n")
    started = time.process_time()
    assert CsvReader(path, CsvDialect()).header == names
    assert time.process_time() - started < 10
