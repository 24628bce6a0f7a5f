"""Compressed input that unpacks to far more than it has: refused in a sentence, or read in bounded memory."""

from __future__ import annotations

import gzip
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intake import Rig
from whohas.errors import InvalidArguments
from whohas.ingest.discover import discover_inputs
from whohas.ingest.proposals.sample import read_sample
from whohas.ingest.readers import xlsx
from whohas.ingest.readers.batches import RowBatch
from whohas.ingest.readers.csv_stream import CsvDialect
from whohas.ingest.readers.open_file import DeclaredFormat, open_file
from whohas.warehouse.schema import ACCOUNTS

_BOOK = (
    '<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{}</sheets>'
    "</workbook>"
)
_SHEET = '<sheet name="S{0}" sheetId="{0}" r:id="r{0}"/>'
_RELATION = (
    '<Relationship Id="r{0}" Target="{1}" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>'
)
_ROOT = (
    '<Relationships><Relationship Id="r" Target="xl/workbook.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
_ROW = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>id</t></is></c></row>'
_DATA = "<worksheet><sheetData>{}</sheetData></worksheet>"


def workbook(path: Path, sheets: int = 1, target: str = "worksheets/sheet{}.xml", **parts: str) -> zipfile.ZipFile:
    """A workbook with some sheets, still open; parts are named with _ for a slash."""
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    numbers = range(1, sheets + 1)
    archive.writestr("_rels/.rels", _ROOT)
    archive.writestr("xl/workbook.xml", _BOOK.format("".join(map(_SHEET.format, numbers))))
    relations = "".join(_RELATION.format(n, target.format(n)) for n in numbers)
    archive.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{relations}</Relationships>")
    for name, text in parts.items():
        archive.writestr(f"xl/{name.replace('__', '/')}.xml", text)
    return archive


def _blocks(archive: zipfile.ZipFile, name: str, block: bytes, times: int) -> None:
    with archive.open(name, "w") as part:
        for _ in range(times):
            part.write(block)


def _large_sheet(path: Path) -> None:
    with workbook(path) as archive:
        _blocks(archive, "xl/worksheets/sheet1.xml", b" " * (1 << 20), 9)


def _large_sheet_of_another_name(path: Path) -> None:
    with workbook(path, target="media/sheet{}.bin") as archive:
        _blocks(archive, "xl/media/sheet1.bin", b" " * (1 << 20), 9)


def _repeated_texts(path: Path) -> None:
    cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 201))
    texts = f"<sst><si><t>{'x' * 100_000}</t></si></sst>"
    workbook(path, worksheets__sheet1=_DATA.format(cells), sharedStrings=texts).close()


def _large_styles(path: Path) -> None:
    with workbook(path, worksheets__sheet1=_DATA.format(_ROW.format(1))) as archive:
        archive.writestr("xl/styles.xml", f"<styleSheet>{'<a/>' * (1 << 19)}</styleSheet>")


def _many_sheets(path: Path) -> None:
    workbook(path, sheets=60).close()


def _one_part_for_two_sheets(path: Path) -> None:
    workbook(path, sheets=2, target="worksheets/sheet1.xml", worksheets__sheet1=_DATA.format(_ROW.format(1))).close()


def _long_row(path: Path) -> None:
    with workbook(path) as archive, archive.open("xl/worksheets/sheet1.xml", "w") as part:
        part.write(b"<worksheet><sheetData><row>")
        for _ in range(4):
            part.write(b"<c/>" * (1 << 18))


def _entities(path: Path) -> None:
    names = [f'<!ENTITY a{n} "{f"&a{n - 1};" * 20}">' for n in range(1, 12)]
    document = f'<!DOCTYPE x [<!ENTITY a0 "lol">{"".join(names)}]><workbook><sheets>&a11;</sheets></workbook>'
    with workbook(path, worksheets__sheet1=_DATA.format(_ROW.format(1))):
        pass
    with zipfile.ZipFile(path.with_suffix(".new"), "w") as archive, zipfile.ZipFile(path) as old:
        for name in old.namelist():
            archive.writestr(name, document if name == "xl/workbook.xml" else old.read(name))
    path.with_suffix(".new").rename(path)


def _part_twice(path: Path) -> None:
    with workbook(path, worksheets__sheet1=_DATA.format(_ROW.format(1))) as archive, pytest.warns(UserWarning):
        archive.writestr("xl/worksheets/sheet1.xml", _DATA.format(""))


def _checksum(path: Path) -> None:
    with workbook(path) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", _DATA.format(_ROW.format(1)), zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"<t>id</t>", b"<t>ix</t>"))


WORKBOOKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a large sheet": (_large_sheet, "unpacks to 9 MiB, and up to 8 MiB"),
    "a sheet of another name": (_large_sheet_of_another_name, "unpacks to 9 MiB, and up to 8 MiB"),
    "a long text in many cells": (_repeated_texts, "texts of the sheet 'S1' take 1. MiB, and up to 8 MiB"),
    "styles of 2 MiB": (_large_styles, "xl/styles.xml unpacks to 2 MiB, and up to 1 MiB"),
    "many sheets": (_many_sheets, "60 sheets, and up to 50"),
    "two sheets of one part": (_one_part_for_two_sheets, "two of its sheets are one part"),
    "a row of 4 MiB": (_long_row, "a row of a sheet has more than 2 MiB"),
    "entities within entities": (_entities, "no XLSX file, or a damaged one"),
    "a part twice": (_part_twice, "two parts named 'xl/worksheets/sheet1.xml'"),
    "a wrong checksum": (_checksum, "Bad CRC-32"),
}


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_workbook_that_floods_memory_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, size in {"_LARGEST": 8 << 20, "_LARGEST_WHOLE": 1 << 20, "_LONGEST_ROW": 2 << 20, "_SHEETS": 50}.items():
        monkeypatch.setattr(xlsx, limit, size)
    make, message = WORKBOOKS[name]
    path = tmp_path / "accounts.xlsx"
    make(path)
    with pytest.raises(InvalidArguments, match=message):
        open_file(path, "xlsx", ACCOUNTS, None)
    with pytest.raises(InvalidArguments, match=message):
        read_sample(path)


def test_one_long_text_does_not_reject_a_workbook(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>{int(n == 9)}</v></c></row>' for n in range(1, 40_001))
    texts = f"<sst><si><t>id</t></si><si><t>{'x' * 32_000}</t></si></sst>"
    path = tmp_path / "accounts.xlsx"
    with workbook(path, worksheets__sheet1=_DATA.format(rows), sharedStrings=texts) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    assert open_file(path, "xlsx", ACCOUNTS, None).header == ["id"]


def _gz(path: Path, *members: tuple[bytes, int]) -> Path:
    with gzip.open(path, "wb", 1) as file:
        for block, times in members:
            for _ in range(times):
                file.write(block)
    return path


@pytest.mark.parametrize("comment", [None, "#"])
def test_a_line_without_an_end_is_refused_unread(tmp_path: Path, comment: str | None) -> None:
    path = _gz(tmp_path / "accounts.csv.gz", (b"a" * (1 << 20), 64))
    with pytest.raises(InvalidArguments, match="header is longer than 4 MiB"):
        open_file(path, "csv", ACCOUNTS, None, DeclaredFormat(CsvDialect(comment=comment)))


@pytest.mark.parametrize("comment", [None, "#"])
def test_a_row_without_an_end_is_refused(tmp_path: Path, comment: str | None) -> None:
    path = _gz(tmp_path / "accounts.csv.gz", (b"a,b\n1,2\n", 1), (b"a" * (1 << 20), 64))
    with pytest.raises(InvalidArguments, match="a row is longer than 4 MiB"):
        list(open_file(path, "csv", ACCOUNTS, None, DeclaredFormat(CsvDialect(comment=comment))).batches(frozenset()))


def test_members_of_a_gzip_file_are_one_file(rig: Rig) -> None:
    packed = gzip.compress(b"sourceName,nativeIdentity\nAD,1\n") + gzip.compress(b"AD,2\n")
    (rig.data / "accounts.csv.gz").write_bytes(packed)
    rig.load(".")
    assert len(rig.rows("accounts")) == 2


@pytest.mark.parametrize("where", [-8, -4], ids=["checksum", "length"])
def test_a_gzip_file_with_a_wrong_trailer_is_refused(rig: Rig, where: int) -> None:
    packed = bytearray(gzip.compress(b"sourceName,nativeIdentity\nAD,1\n"))
    packed[where] ^= 1
    (rig.data / "accounts.csv.gz").write_bytes(packed)
    with pytest.raises(InvalidArguments, match="not a whole gzip file"):
        rig.load(".")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.csv")


def _circular(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = {
    "a pipe": (_pipe, "is a pipe; files are read more than once"),
    "a socket": (_socket, "is a socket"),
    "a link to nothing": (_dangling, "is a symbolic link to nowhere.csv, which is not there"),
    "a link to itself": (_circular, "leads back to itself"),
    "a link to a device": (_device, "is a device"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_refused_also_in_a_folder(tmp_path: Path, name: str) -> None:
    make, message = ODD[name]
    path = tmp_path / "accounts.csv"
    make(path)
    (tmp_path / "identities.csv").write_text("id,name\n1,a\n")
    for given in (path, tmp_path):  # a folder does not pass it over in silence
        with pytest.raises(InvalidArguments, match=message):
            discover_inputs([given])
    with pytest.raises(InvalidArguments, match=message):
        read_sample(path)


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("sourceName,nativeIdentity\nAD,1\n")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "accounts.csv").symlink_to(tmp_path / "real.csv")
    assert [file.path for file in discover_inputs([folder]).files] == [folder / "accounts.csv"]


def _grown(path: Path) -> None:
    with path.open("a") as file:
        file.write("AD,2\n")


def _replaced(path: Path) -> None:
    path.with_suffix(".new").write_text("sourceName,nativeIdentity\nAD,2\n")
    path.with_suffix(".new").rename(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "it grows": _grown,
    "it shrinks": lambda path: os.truncate(path, 30),
    "it is replaced": _replaced,
    "it vanishes": Path.unlink,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("sourceName,nativeIdentity\nAD,1\n")
    batches: Iterator[RowBatch] = open_file(path, "csv", ACCOUNTS, None).batches(frozenset())
    next(batches)
    CHANGES[name](path)
    with pytest.raises(InvalidArguments, match=r"accounts\.csv changed while it was read"):
        list(batches)


def test_a_mapping_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.touch()
    os.truncate(path, 4 << 30)
    with pytest.raises(InvalidArguments, match="longer than 4 MiB, and no mapping is"):
        discover_inputs([path])
