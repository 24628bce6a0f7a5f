"""Names of files: whatever is asked for, what comes out can be written to a folder and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whohas.filenames import MAX_NAME_LENGTH, content_disposition

HEADER = re.compile(r"attachment; filename=\"([^\"]+)\"; filename\*=UTF-8''(\S+)")


def names(preferred: str | None, default: str = "Accounts Report", extension: str = "csv") -> tuple[str, str]:
    """The plain and the exact name of a header."""
    match = HEADER.fullmatch(content_disposition(preferred, default, extension))
    assert match is not None
    return match[1], unquote(match[2], errors="strict")


@pytest.mark.parametrize(
    ("preferred", "plain", "exact"),
    [
        (None, "Accounts Report.csv", None),
        ("", "Accounts Report.csv", None),
        ("monthly", "monthly.csv", None),
        ("monthly.csv", "monthly.csv", None),
        ("monthly.CSV", "monthly.csv", None),
        ("a.pdf", "a.pdf.csv", None),
        ("../../etc/passwd", "etc_passwd.csv", None),
        ("..\\..\\boot.ini", "boot.ini.csv", None),
        ("My Rep/../É", "My Rep_E.csv", "My Rep_É.csv"),
        ("/", "Accounts Report.csv", None),
        ("...", "Accounts Report.csv", None),
        (".bashrc", "bashrc.csv", None),
        ('a"b', "a_b.csv", None),
        ("a\r\nSet-Cookie: x=1", "aSet-Cookie_ x=1.csv", None),
        ("a\0b", "ab.csv", None),
        ("a;filename=b", "a_filename=b.csv", None),
        ("CON", "_CON.csv", None),
        ("nul.txt", "_nul.txt.csv", None),
        ("Zürich", "Zurich.csv", "Zürich.csv"),
        ("報告", "Accounts Report.csv", "報告.csv"),
        ("報告 2026", "__ 2026.csv", "報告 2026.csv"),
        ("\uff0fetc\uff0fpasswd", "etc_passwd.csv", "\uff0fetc\uff0fpasswd.csv"),
        ("gnp.\u202efdp", "gnp.fdp.csv", None),
        ("a\u1680b\xa0c", "a b c.csv", None),
        ("\ud800", "Accounts Report.csv", None),
        (".csv", "Accounts Report.csv", None),
    ],
)
def test_a_name_is_made_safe(preferred: str | None, plain: str, exact: str | None) -> None:
    assert names(preferred) == (plain, exact or plain)


def test_a_search_export_is_a_zip() -> None:
    assert names("export.zip", extension="zip")[0] == "export.zip"
    assert names(None, "Search Export", "zip")[0] == "Search Export.zip"


def test_a_name_in_foreign_letters_falls_back_to_the_report() -> None:
    assert names("報告", default="報告")[0] == "report.csv"


@given(st.text(max_size=400))
def test_no_name_leaves_its_folder_or_its_header(preferred: str) -> None:
    for name in names(preferred):
        assert name.endswith(".csv")
        assert not name.startswith((".", " "))
        assert not set(name) & set('/\\"<>:|?*\0\r\n')
        assert all(letter.isprintable() for letter in name)
        assert len(name) <= MAX_NAME_LENGTH
        assert len(name.encode()) <= 255
    assert names(preferred)[0].isascii()
