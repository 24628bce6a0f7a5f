"""The name under which a file is saved. Clients write it to their working folder as it comes, so it is made safe."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

LONGEST = 150
"""Characters of a name, its extension included."""

_FORBIDDEN = re.compile(r'[<>:"|?*;%]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def content_disposition(preferred: str | None, default: str, extension: str) -> str:
    """The header of a download: an ASCII name in quotes, which all clients read, and the exact one as `filename*`.

    Args:
        preferred: what the caller asked for; may be anything.
        default: the report's name, for when nothing is left of that.
        extension: without its dot; added unless the name has it.
    """
    exact = exact_name(preferred, default, extension)
    plain = _ascii(exact, extension) or _ascii(default, extension) or f"report.{extension}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(exact, safe='')}"


def exact_name(preferred: str | None, default: str, extension: str) -> str:
    """What a download is called, with every character that may be in a name."""
    return file_name(preferred or "", extension) or file_name(default, extension) or f"report.{extension}"


def file_name(name: str, extension: str) -> str:
    """A name without folders, control characters and what file systems refuse; empty if nothing is left."""
    seen = "".join(map(_printable, unicodedata.normalize("NFC", name)))
    parts = [part.strip() for part in re.split(r"[/\\]+", seen)]
    stem = "_".join(part for part in parts if part.strip("."))
    stem = _FORBIDDEN.sub("_", stem)
    if stem.lower().endswith(f".{extension}"):
        stem = stem[: -len(extension) - 1]
    stem = _shorten(stem.lstrip(". "), LONGEST - len(extension) - 1).rstrip(". ")
    if not stem.strip("_ "):
        return ""
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    return f"{stem}.{extension}"


def _printable(letter: str) -> str:
    # controls, marks of direction and half characters go; a space of any width becomes the plain one
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else ""


def _shorten(stem: str, length: int) -> str:
    # file systems count bytes, up to 255: that may be fewer characters
    return stem[:length].encode("utf-8")[:240].decode("utf-8", "ignore")


def _ascii(name: str, extension: str) -> str:
    # compatibility forms of slashes, dots and quotes become real ones here, so the name is made safe once more
    parted = unicodedata.normalize("NFKD", name)
    letters = (letter for letter in parted if not unicodedata.combining(letter))
    return file_name("".join(letter if letter.isascii() else "_" for letter in letters), extension)
