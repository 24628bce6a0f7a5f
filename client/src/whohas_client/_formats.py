"""File formats by the endings of file names."""

from __future__ import annotations

from dataclasses import dataclass

from whohas_client.errors import InvalidArguments

FORMATS = ("csv", "pdf", "csv.gz", "csv.zst", "html", "json", "ndjson", "parquet", "xlsx")
"""The formats of whohas, of which `csv` and `pdf` are those of the published API. Another server may have others."""

_ZIP = "zip"


@dataclass(frozen=True, slots=True)
class FileKind:
    """The format of a file to save.

    Attributes:
        format: the format to request; of a zip, the format of the files in it.
        zipped: whether the file is to be a zip; None to save what the server sends.
    """

    format: str
    zipped: bool | None


def file_kind(name: str | None, format: str | None) -> FileKind:
    """Return the format for a file name.

    `a.csv` gives csv; `a.xlsx.zip` gives a zip of xlsx files; `a.zip` gives a zip of csv files.

    Args:
        name: the name of the file; None if it has none, as a stream in memory.
        format: the format, if the caller chose one, such as `csv`, `zip` or `xlsx.zip`.

    Raises:
        InvalidArguments: the name has no ending that is known and no format is given, or the two contradict each other.
    """
    by_name = _parse(name.lower()) if name else None
    chosen = format.strip().lower().removeprefix(".") if format else None
    by_format = None
    if chosen:
        by_format = _parse(f".{chosen}") or FileKind(chosen, False)
    if by_name is None and by_format is None:
        endings = ", ".join(f".{known}" for known in (*FORMATS, _ZIP))
        what = f"{name} has no ending that is known" if name else "The file has no name that ends as a format does"
        raise InvalidArguments(f"{what}. The endings are: {endings}. Pass format= for another name.")
    if by_name and by_format and by_name != by_format:
        if by_name == FileKind("csv", True):
            return FileKind(by_format.format, True)  # a.zip with the format xlsx: a zip of xlsx files
        raise InvalidArguments(f"{name} does not end as the format {format!r} does. Change one of them.")
    kind = by_name or by_format
    assert kind is not None
    return kind


def _parse(name: str) -> FileKind | None:
    """Return the format of a name in lower case, or None if its ending is unknown."""
    zipped = name.endswith(f".{_ZIP}")
    stem = name.removesuffix(f".{_ZIP}") if zipped else name
    ending = max((known for known in FORMATS if stem.endswith(f".{known}")), key=len, default=None)
    if ending is None:
        return FileKind("csv", True) if zipped else None
    return FileKind(ending, zipped)
