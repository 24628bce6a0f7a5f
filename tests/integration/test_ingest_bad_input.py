"""Bad input to a load: what is wrong as a whole loads nothing, a bad row is told and kept, the others load."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intake import BADGES, Rig
from whohas.errors import InvalidArguments


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def rejects(rig: Rig) -> list[dict[str, object]]:
    """The rows of the rejects file of the last load."""
    path = rig.report.rejects
    assert path is not None
    return [json.loads(line) for line in path.read_text().splitlines()]


WHOLE_FILE_FAULTS = {
    "a path that is not there": ({}, ["nothing.csv"], "no file or folder"),
    "a folder with nothing in it": ({".hidden": "x"}, ["."], "nothing to load"),
    "an empty CSV file": ({"accounts.csv": ""}, ["."], "is empty"),
    "an empty NDJSON file": ({"accounts.ndjson": ""}, ["."], "is empty"),
    "a CSV file of empty lines": ({"accounts.csv": "\n,,\n;;\n"}, ["."], "no header"),
    "a CSV file of blank lines": ({"accounts.csv": "\n  \n"}, ["."], "is empty"),
    "a column named twice": ({"accounts.csv": "sourceName,name,name\nAD,1,2\n"}, ["."], "'name' more than once"),
    "columns of which none is known": ({"accounts.csv": "foo,bar\n1,2\n"}, ["."], "no column is known"),
    "unknown columns of a table without attributes": (
        {"roles.csv": "id,name,descriptoin\n1,2,3\n"},
        ["."],
        "did you mean 'description'",
    ),
    "accounts of nobody knows which source": ({"accounts.csv": "nativeIdentity\n1\n"}, ["."], "sourceId or sourceName"),
    "a file whose name says nothing": ({"people.csv": "a,b\n1,2\n"}, ["people.csv"], "cannot be told what"),
    "a file of another kind": ({"accounts.docx": "PK"}, ["accounts.docx"], "no file that can be loaded"),
    "a workbook that is none": ({"accounts.xlsx": "PK"}, ["accounts.xlsx"], "is no XLSX file"),
    "a workbook of an old kind": ({"accounts.xls": "x"}, ["accounts.xls"], "save the sheet as .xlsx".capitalize()),
    "a quoted cell that never ends": (
        {"accounts.csv": 'sourceName,nativeIdentity\nAD,1\nAD,"2\nAD,3\nAD,4\n'},
        ["."],
        "line 3: a quoted cell",
    ),
    "a Parquet file that is none": ({"accounts.parquet": "not parquet at all"}, ["."], "is not a Parquet file"),
    "a JSON file that is none": ({"accounts.json": "hello"}, ["."], "is no JSON"),
    "a JSON array that is cut off": ({"accounts.json": '[{"id": "1"}, {"id": '}, ["."], "ends in the middle"),
    "a JSON document that is broken": ({"accounts.json": '{"id": "1",\n "x" }'}, ["."], "line 2"),
    "a mapping that is no TOML": ({"m.toml": "[source\n"}, ["."], "is no TOML"),
    "a mapping with a number without end": ({"m.toml": f"[csv]\nskip = {'9' * 5_000}\n"}, ["."], "thousands of digits"),
    "a mapping of lists in lists": ({"m.toml": f"x = {'[' * 20_000}\n"}, ["."], "nested too deep"),
    "a JSON document of lists in lists": ({"accounts.json": '{"a": ' + "[" * 200_000}, ["."], "nested too deep"),
    "a mapping without a source": ({"m.toml": "[accounts]\n"}, ["."], "either name"),
    "a mapping that names no file": ({"m.toml": '[source]\nname = "X"\n'}, ["."], "names no file"),
    "a mapping of a file that is not there": (
        {"m.toml": '[source]\nname = "X"\n[accounts]\nfile = "a.csv"\n'},
        ["."],
        "no such file",
    ),
    "a mapping that names no column": (
        {"m.toml": '[source]\nname = "X"\n[accounts]\nfile = "a.csv"\n', "a.csv": "a\n1\n"},
        ["."],
        "does not say which column is nativeIdentity",
    ),
    "a mapping with an unknown key": (
        {"m.toml": '[source]\nname = "X"\nauthorative = true\n', "a.csv": "a\n1\n"},
        ["."],
        "did you mean 'authoritative'",
    ),
    "a mapping of an unknown column": (
        {
            "m.toml": '[source]\nname = "X"\n[accounts]\nfile = "a.csv"\ncolumns = { nativeIdentity = "Bage No" }\n',
            "a.csv": "Badge No,Name\n1,2\n",
        },
        ["."],
        "did you mean 'Badge No'",
    ),
    "a correlation by what accounts do not keep": (
        {
            "m.toml": '[source]\nname = "X"\n[accounts]\nfile = "a.csv"\nattributes = []\ncolumns = { nativeIdentity = "a" }\n'
            '[correlation]\naccount = "b"\nidentity = "email"\n',
            "a.csv": "a,b\n1,2\n",
        },
        ["."],
        "not kept with the accounts",
    ),
    "one source name with two ids": (
        {"accounts.csv": "sourceId,sourceName,nativeIdentity\n1,AD,a\n2,AD,b\n"},
        ["."],
        "two ids",
    ),
    "one source id with two names": (
        {"accounts.csv": "sourceId,sourceName,nativeIdentity\n1,AD,a\n1,LDAP,b\n"},
        ["."],
        "two names",
    ),
}


@pytest.mark.parametrize("name", WHOLE_FILE_FAULTS)
def test_an_error_of_a_whole_file_stops_the_load(rig: Rig, name: str) -> None:
    files, paths, message = WHOLE_FILE_FAULTS[name]
    rig.write(**{"kept.txt": "x"})
    for file, text in files.items():
        (rig.data / file).write_text(text)
    (rig.data / "kept.txt").unlink()
    with pytest.raises(InvalidArguments, match=message.replace("(", r"\(")):
        rig.load(*paths)
    assert rig.warehouse.snapshot().number == 0
    assert not list(rig.warehouse.root.rglob("*.parquet"))


def test_a_gzip_file_that_is_cut_off_is_told(rig: Rig) -> None:
    whole = gzip.compress(b"sourceName,nativeIdentity\n" + b"AD,12345\n" * 10_000)
    (rig.data / "accounts.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidArguments, match="not a whole gzip"):
        rig.load(".")


def test_numbers_without_end_and_deep_lists_spoil_no_other_document(rig: Rig) -> None:
    good = '{"sourceName": "AD", "nativeIdentity": "1"}'
    long = '{"sourceName": "AD", "nativeIdentity": "2", "attributes": {"x": ' + "9" * 5_000 + "}}"
    deep = '{"sourceName": "AD", "nativeIdentity": "3", "attributes": {"x": ' + "[" * 5_000 + "]" * 5_000 + "}}"
    rig.write(**{"accounts.json": "\n".join((deep, long, good)) + "\n"})
    rig.load(".")
    assert "1" in {row["nativeIdentity"] for row in rig.rows("accounts")}
    assert all(r.line < 3 for r in rig.report.rejections)


def test_a_document_with_an_unending_number_is_read_or_rejected(rig: Rig) -> None:
    document = '{"sourceName": "AD", "nativeIdentity": "1", "attributes": {"x": ' + "9" * 5_000 + "}}"
    rig.write(**{"accounts.json": document})
    rig.load(".")
    assert len(rig.rows("accounts")) + rig.report.rejected == 1


def test_binary_data_called_csv_is_told(rig: Rig) -> None:
    (rig.data / "accounts.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe")
    with pytest.raises(InvalidArguments, match=r"no CSV file in UTF-8"):
        rig.load(".")


def test_bad_cells_are_rejected_with_line_column_and_reason(rig: Rig) -> None:
    rig.write(
        **{
            "accounts.csv": "sourceName,nativeIdentity,disabled,created,id\n"
            "AD,good,true,2024-01-01,\n"
            "AD,,false,,\n"
            "AD,maybe,maybe,,\n"
            "AD,when,,01/02/2024,\n"
            f"AD,long,,,{'x' * 129}\n"
            ",nosource,,,\n"
        }
    )
    rig.load(".")
    assert [(row["nativeIdentity"], row["disabled"], row["created"]) for row in rig.rows("accounts")[1:]] == [
        ("maybe", None, None), ("when", None, None),
    ]  # fmt: skip
    assert [(r.line, r.column) for r in rig.report.rejections] == [(3, "nativeIdentity"), (6, "id"), (7, "sourceId")]
    assert [(r.line, r.column) for r in rig.report.emptied_cells] == [(4, "disabled"), (5, "created")]
    assert (rig.report.rejected, rig.report.emptied, rig.report.files[0].emptied) == (3, 2, 2)
    assert "'maybe' is neither true nor false" in str(rig.report.emptied_cells[0])
    assert rejects(rig)[1] == {
        "file": str(rig.data / "accounts.csv"), "line": 4, "column": "disabled",
        "reason": "'maybe' is neither true nor false; for other words set true and false in a mapping's [values]",
        "value": "maybe", "row": "AD,maybe,maybe,,",
    }  # fmt: skip


def test_a_bad_integer_becomes_null(rig: Rig) -> None:
    rig.write(**{"identity_profiles.csv": "id,name,priority\n1,a,10\n2,b,1.5\n3,c,ten\n"})
    rig.load(".")
    assert [(row["id"], row["priority"]) for row in rig.rows("identity_profiles")] == [
        ("1", 10),
        ("2", None),
        ("3", None),
    ]
    assert [r.line for r in rig.report.emptied_cells] == [3, 4]


def test_several_bad_cells_of_a_row_are_all_reported(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity,disabled,created,locked\nAD,1,maybe,soon,true\n"})
    rig.load(".")
    (account,) = rig.rows("accounts")
    assert (account["disabled"], account["created"], account["locked"]) == (None, None, True)
    assert [r.column for r in rig.report.emptied_cells] == ["disabled", "created"]


def test_a_bad_reference_becomes_null_and_the_row_stays(rig: Rig) -> None:
    rig.write(**{"accounts.csv": f"sourceName,nativeIdentity,identityId,correlated\nAD,1,{'x' * 129},perhaps\n"})
    rig.load(".")
    (account,) = rig.rows("accounts")
    assert (account["identityId"], account["correlated"]) == (None, False)
    assert [r.column for r in rig.report.emptied_cells] == ["identityId", "correlated"]


def test_a_cell_of_account_and_identity_is_reported_once(rig: Rig) -> None:
    mapping = BADGES.replace('name = "Badges"', 'name = "Badges"\nauthoritative = true')
    columns = 'created = "Since"\n'
    rig.write(
        **{"badges.toml": f"{mapping}{columns}[identities.columns]\n{columns}", "badges.csv": "No,Name,Since\n1,x,?\n"}
    )
    rig.load(".")
    assert (rig.report.emptied, rig.report.rejected) == (1, 0)
    assert rig.rows("identities")[0]["created"] is None


def test_a_bad_cell_of_a_nested_account_keeps_the_account(rig: Rig) -> None:
    account = (
        '{"id": "a", "source": {"id": "s", "name": "AD"}, "accountId": "1", "created": "soon", "disabled": {"x": 1}}'
    )
    rig.write(**{"identities.ndjson": f'{{"id": "1", "name": "x", "accounts": [{account}]}}'})
    rig.load(".")
    assert rig.account("1")["created"] is None
    assert [r.column for r in rig.report.emptied_cells] == ["accounts.created", "accounts.disabled"]


def test_a_single_object_counts_as_a_list_of_one(rig: Rig) -> None:
    account = '{"id": "a", "source": {"id": "s", "name": "AD"}, "accountId": "1"}'
    access = '{"type": "ROLE", "name": "R"}'
    rig.write(**{"identities.ndjson": f'{{"id": "1", "name": "x", "accounts": {account}, "access": {access}}}'})
    assert (rig.load(".").rejected, rig.report.emptied) == (0, 0)
    assert rig.account("1")["identityId"] == "1"
    assert [row["name"] for row in rig.rows("identity_access")] == ["R"]


@pytest.mark.parametrize("name", ["manager", "access", "accounts", "lifecycleState"])
def test_a_single_value_in_place_of_an_object_is_reported(rig: Rig, name: str) -> None:
    rig.write(
        **{"identities.ndjson": f'{{"id": "1", "name": "x", "{name}": "2"}}\n{{"id": "2", "name": "y", "{name}": ""}}'}
    )
    rig.load(".")
    assert [(r.line, r.column, r.reason) for r in rig.report.emptied_cells] == [
        (1, name, "'2' is a single value instead of an object")
    ]
    assert len(rig.rows("identities")) == 2


def test_a_native_identity_of_blanks_is_none(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity,name\nAD,1,x\nAD,  ,y\nAD, 2,z\n"})
    rig.load(".")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["1", " 2"]
    assert [(r.line, r.column) for r in rig.report.rejections] == [(3, "nativeIdentity")]


def test_attributes_that_are_no_object_become_null(rig: Rig) -> None:
    rig.write(**{"accounts.csv": 'sourceName,nativeIdentity,attributes\nAD,1,"[1]"\nAD,2,"{""a"": ""b""}"\nAD,3,{\n'})
    rig.load(".")
    assert [row["attributes"] or [] for row in rig.rows("accounts")] == [[], [("a", ["b"])], []]
    assert [r.line for r in rig.report.emptied_cells] == [2, 4]


def test_rows_of_wrong_length_are_rejected_and_blank_lines_skipped(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\nAD\n\nAD,2,3\nAD,4\n"})
    rig.load(".")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["1", "4"]
    assert [(r.line, r.reason) for r in rig.report.rejections] == [
        (3, "1 cell instead of 2"), (5, "3 cells instead of 2"),
    ]  # fmt: skip


def test_lines_are_physical_ones_where_cells_hold_line_breaks(rig: Rig) -> None:
    rig.write(**{"accounts.csv": 'sourceName,nativeIdentity,note\nAD,1,"two\nlines"\nAD,,x\n"AD",2,"a\n\nb"\nAD,3\n'})
    rig.load(".")
    assert [row["attributes"] for row in rig.rows("accounts")] == [[("note", ["two\nlines"])], [("note", ["a\n\nb"])]]
    assert [r.line for r in rig.report.rejections] == [4, 8]


def test_a_cell_of_invalid_utf8_becomes_null(rig: Rig) -> None:
    (rig.data / "accounts.csv").write_bytes(
        b"sourceName,nativeIdentity,name\nAD,1,ok\nAD,2,J\xf6rg\nAD,3,\xc3\xa9\nAD,\xff,x\n"
    )
    rig.load(".")
    assert [(row["nativeIdentity"], row["name"]) for row in rig.rows("accounts")] == [
        ("1", "ok"),
        ("2", None),
        ("3", "é"),
    ]
    assert [(r.line, r.column) for r in rig.report.emptied_cells] == [(3, "name"), (5, "nativeIdentity")]
    assert [(r.line, r.column) for r in rig.report.rejections] == [(5, "nativeIdentity")]
    assert "J\\xf6rg" in str(rejects(rig)[0]["row"])


def test_bad_json_lines_are_rejected(rig: Rig) -> None:
    lines = [
        '{"nativeIdentity": "1", "sourceName": "AD"}', "{broken", "[1]", "", '{"sourceName": "AD"}',
        '{"nativeIdentity": {"a": 1}, "sourceName": "AD"}', '{"nativeIdentity": "2", "sourceName": "AD", "disabled": "x"}',
        '{"nativeIdentity": "3", "sourceName": "AD", "disabled": "true"}',
    ]  # fmt: skip
    rig.write(**{"accounts.ndjson": "\n".join(lines)})
    rig.load(".")
    assert [(row["nativeIdentity"], row["disabled"]) for row in rig.rows("accounts")] == [
        ("1", None), ("2", None), ("3", True),
    ]  # fmt: skip
    assert [(r.line, r.column) for r in rig.report.rejections] == [
        (2, ""), (3, ""), (5, "nativeIdentity"), (6, "nativeIdentity"),
    ]  # fmt: skip
    assert [(r.line, r.column) for r in rig.report.emptied_cells] == [(7, "disabled")]
    assert rejects(rig)[0]["row"] == "{broken"


def test_a_bad_array_element_is_rejected_with_its_line(rig: Rig) -> None:
    rig.write(
        **{
            "accounts.json": '[\n {"nativeIdentity": "1", "sourceName": "AD"},\n {"sourceName":\n "AD"},\n 7,\n'
            ' {"nativeIdentity": "2", "sourceName": "AD", "name": "a],{"}\n]\n'
        }
    )
    rig.load(".")
    assert [(row["nativeIdentity"], row["name"]) for row in rig.rows("accounts")] == [("1", None), ("2", "a],{")]
    assert [r.line for r in rig.report.rejections] == [3, 5]


def test_the_first_of_duplicates_counts_and_the_others_are_rejected(rig: Rig) -> None:
    rig.write(
        **{
            "accounts-1.csv": "sourceName,nativeIdentity,name\nAD,1,first\nLDAP,1,other\nAD,2,x\nAD,1,second\n",
            "accounts-2.csv": "sourceName,nativeIdentity,name\nAD,2,third\nAD,3,y\n",
        }
    )
    rig.load(".")
    assert [(row["sourceName"], row["name"]) for row in rig.rows("accounts")] == [
        ("AD", "first"), ("AD", "x"), ("AD", "y"), ("LDAP", "other"),
    ]  # fmt: skip
    assert [(Path(r.file).name, r.line) for r in rig.report.rejections] == [
        ("accounts-1.csv", 5),
        ("accounts-2.csv", 2),
    ]


def test_duplicates_with_different_ids_are_found_by_native_identity(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "id,sourceName,nativeIdentity\na,AD,1\nb,AD,1\na,AD,2\n"})
    rig.load(".")
    assert [row["id"] for row in rig.rows("accounts")] == ["a"]
    assert rig.report.rejected == 2


def test_a_strict_load_stops_and_loads_nothing(rig: Rig) -> None:
    rig.write(**{"accounts.csv": 'sourceName,nativeIdentity,note\nAD,1,"a\nb"\nAD,,x\n'})
    with pytest.raises(InvalidArguments, match="line 4, column nativeIdentity"):
        rig.load(".", strict=True)
    assert rig.warehouse.snapshot().number == 0


def test_a_strict_load_of_good_rows_loads_them(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
    assert rig.load(".", strict=True).snapshot == 1


def test_a_check_writes_nothing_and_says_what_would_happen(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity,shoe\nAD,1,42\nAD,,43\n"})
    report = rig.load(".", check=True)
    assert not rig.home.exists()
    assert report.snapshot is None and report.rejects is None
    assert (report.rejected, report.sources[0].after, report.unknown) == (1, 1, {"accounts.csv": ("shoe",)})


def test_a_header_alone_is_a_source_without_accounts(rig: Rig) -> None:
    rig.write(**{"badges.csv": "No,Name\n1,x\n", "badges.toml": BADGES})
    rig.load(".")
    rig.write(**{"badges.csv": "No,Name\n"})
    report = rig.load(".")
    assert rig.rows("accounts") == []
    assert rig.rows("sources")[0]["accountAttributes"] == ["Name", "No"]
    assert "now without any" in " ".join(report.warnings)


def test_a_mapping_of_json_is_refused(rig: Rig) -> None:
    rig.write(**{"badges.json": "[]", "badges.toml": BADGES.replace("badges.csv", "badges.json")})
    with pytest.raises(InvalidArguments, match="a mapping is for CSV, XLSX and Parquet"):
        rig.load(".")


def test_a_parquet_file_with_a_bad_row_tells_its_number(rig: Rig) -> None:
    table = pa.table({"sourceName": ["AD", "AD"], "nativeIdentity": ["1", None], "size": [1, 2]})
    pq.write_table(table, rig.data / "accounts.parquet")
    rig.load(".")
    assert [r.line for r in rig.report.rejections] == [2]
    assert json.loads(str(rejects(rig)[0]["row"])) == {"sourceName": "AD", "nativeIdentity": "", "size": "2"}


def test_many_rejected_rows_are_all_kept(rig: Rig) -> None:
    rows = "".join(f"AD,{'' if i % 2 else i}\n" for i in range(1, 3001))
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\n" + rows})
    rig.load(".")
    assert rig.report.rejected == len(rejects(rig)) == 1500
    assert len(rig.report.rejections) == 20
