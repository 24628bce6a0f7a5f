"""File names of downloads. Clients save a file under its name without a check, so names are made safe here."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MAX_NAME_LENGTH = 150
"""The maximum length of a name in characters, including the extension."""

_FORBIDDEN = re.compile(r'[<>:"|?*;%]+')
# names of devices on Windows
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def content_disposition(preferred: str | None, default: str, extension: str) -> str:
    """Return the header Content-Disposition: an ASCII `filename`, which all clients read, and the exact `filename*`.

    For the name "Prüfung" and the extension "csv": `attachment; filename="Prufung.csv";
    filename*=UTF-8''Pr%C3%BCfung.csv`.

    Args:
        preferred: the name that the caller asked for, which may be any text, or None.
        default: the name of the report, used if no safe character is left of that.
        extension: the extension without a dot; added unless the name has it.
    """
    exact = unicode_file_name(preferred, default, extension)
    plain = _ascii(exact, extension) or _ascii(default, extension) or f"report.{extension}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(exact, safe='')}"


def unicode_file_name(preferred: str | None, default: str, extension: str) -> str:
    """Return the safe file name of a download in Unicode; the arguments are those of `content_disposition`."""
    return safe_file_name(preferred or "", extension) or safe_file_name(default, extension) or f"report.{extension}"


def safe_file_name(name: str, extension: str) -> str:
    """Return a name that every file system accepts, with the extension; empty if nothing is left of it.

    Folders are joined by underscores, control and forbidden characters are removed or replaced by underscores, device
    names of Windows get an underscore in front: `../a/b:c` becomes `a_b_c.csv`, and `con` becomes `_con.csv`.
    """
    printable = "".join(map(_printable, unicodedata.normalize("NFC", name)))
    parts = [part.strip() for part in re.split(r"[/\\]+", printable)]
    stem = "_".join(part for part in parts if part.strip("."))
    stem = _FORBIDDEN.sub("_", stem)
    if stem.lower().endswith(f".{extension}"):
        stem = stem[: -len(extension) - 1]
    stem = _shorten(stem.lstrip(". "), MAX_NAME_LENGTH - len(extension) - 1).rstrip(". ")
    if not stem.strip("_ "):
        return ""
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    return f"{stem}.{extension}"


def _printable(letter: str) -> str:
    # control characters, direction marks and single surrogates are removed; other spaces become an ASCII space
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else ""


def _shorten(stem: str, length: int) -> str:
    # file systems allow 255 bytes, which may be fewer characters
    return stem[:length].encode("utf-8")[:240].decode("utf-8", "ignore")


def _ascii(name: str, extension: str) -> str:
    # NFKD turns compatibility forms of slashes, dots and quotes into the ASCII ones: `safe_file_name` has to run again
    decomposed = unicodedata.normalize("NFKD", name)
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return safe_file_name("".join(letter if letter.isascii() else "_" for letter in letters), extension)
