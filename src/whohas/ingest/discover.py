"""Which files a load reads, and what each of them holds."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whohas.errors import InvalidArguments
from whohas.ingest.mapping import SourceMapping, read_mapping
from whohas.warehouse.schema import OVERRULED_ACCESS, TABLES, Table

_FORMATS = {
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".parquet": "parquet",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_WORKBOOKS = (".xls", ".xlsb", ".ods", ".numbers")
"""Endings of workbooks that are not read."""

_LOADED = {name: table for name, table in TABLES.items() if table is not OVERRULED_ACCESS}
_KNOWN = {name.replace("_", ""): table for name, table in _LOADED.items()}
_SINGULAR = {
    name.removesuffix("ies") + "y" if name.endswith("ies") else name.removesuffix("s"): table
    for name, table in _KNOWN.items()
    if name.endswith("s") and name != "identityaccess"
}


@dataclass(frozen=True, slots=True)
class Input:
    """A file that holds rows of a table, named as the table's columns or documents are."""

    path: Path
    table: Table
    format: str


_NOTES = ("", ".md", ".rst", ".txt")
"""What people put beside data to explain it: passed over in silence."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a load reads.

    Attributes:
        passed_over: files of folders that no mapping names and that are not read by their names.
    """

    files: tuple[Input, ...]
    mappings: tuple[SourceMapping, ...]
    passed_over: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        parts = [part.file for mapping in self.mappings for part in mapping.parts]
        return sum(path.stat().st_size for path in (*(file.path for file in self.files), *parts))


def discover(paths: Sequence[Path]) -> Inputs:
    """Finds the files behind paths.

    Raises:
        InvalidArguments: a path is not there, a folder has no data, or it cannot be told what a file holds.
    """
    found: dict[Path, Path] = {}
    passed_over: list[Path] = []
    for path in paths:
        if path.is_dir():
            shown = [p for p in sorted(path.iterdir()) if not p.name.startswith((".", "~$"))]
            inside = [p for p in shown if p.is_file()]
            if odd := [p for p in shown if not p.is_file() and not p.is_dir() and _is_input(p)]:
                raise InvalidArguments(no_file(odd[0]))
            data = [p for p in inside if _is_input(p)]
            if not data:
                raise InvalidArguments(f"There is nothing to load in the folder {path}. {_names()}")
            passed_over += [p for p in inside if p not in data and p.suffix.lower() not in _NOTES]
            found.update((p.resolve(), p) for p in data)
        elif path.is_file():
            found.setdefault(path.resolve(), path)
        else:
            raise InvalidArguments(no_file(path, "There is no file or folder"))
    mappings = tuple(read_mapping(path) for path in found.values() if path.suffix.lower() == ".toml")
    claimed = {part.file.resolve() for mapping in mappings for part in mapping.parts}
    mapped = [path for path in passed_over if path.resolve() in claimed]
    passed_over = [path for path in passed_over if path not in mapped]
    files = [_input(path) for real, path in found.items() if path.suffix.lower() != ".toml" and real not in claimed]
    return Inputs(tuple(sorted(files, key=_order)), mappings, tuple(passed_over))


_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def no_file(path: Path, begin: str = "There is no file") -> str:
    """Return why a path is no file that can be read: a sentence, and what to do."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            target = path.readlink()
            if error.errno == errno.ELOOP:
                return f"{path} is a symbolic link that leads back to itself ({target}). Replace it by the file."
            return f"{path} is a symbolic link to {target}, which is not there. Replace it by the file."
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"{path} cannot be looked at: {error.strerror}."
        return f"{begin} {path}."
    kind = next((name for tells, name in _KINDS if tells(mode)), "no regular file")
    return f"{path} is {kind}; files are read more than once. Save the data to a file, and load that."


def format_of(path: Path) -> str | None:
    """The format that a file's name tells; None if it is none that is read."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    name = suffixes[-2 if packed else -1 :][:1]
    found = _FORMATS.get(name[0]) if name else None
    return None if packed and found in ("parquet", "xlsx") else found


def _is_input(path: Path) -> bool:
    return path.suffix.lower() == ".toml" or _is_data(path)


def _is_data(path: Path) -> bool:
    """Whether a file of a folder is to be loaded; a workbook only if its name says what it holds."""
    form = format_of(path)
    return form is not None and (form != "xlsx" or _table(path) is not None)


def why(path: Path) -> str:
    """Why a file of a folder was passed over: the end of a message."""
    if path.suffix.lower() in _WORKBOOKS:
        return f"{path.suffix} is not read; save it as .xlsx or CSV"
    if format_of(path) is not None:
        return "no mapping names it, and its name does not say what it holds"
    ending = f"files that end in {path.suffix}" if path.suffix else "files without an ending"
    return f"no mapping names it, and {ending} are read only where one does"


def refuse_other_workbooks(path: Path) -> None:
    """Raises InvalidArguments for a workbook of a kind that is not read."""
    if path.suffix.lower() in _WORKBOOKS:
        raise InvalidArguments(f"{path}: {path.suffix} is not read. Save the sheet as .xlsx or CSV.")


def _input(path: Path) -> Input:
    form = format_of(path)
    refuse_other_workbooks(path)
    if form is None:
        raise InvalidArguments(
            f"{path} is no file that can be loaded: give CSV, XLSX, Parquet, JSON, NDJSON or a TOML mapping."
        )
    table = _table(path)
    if table is None:
        raise InvalidArguments(f"It cannot be told what {path} holds. {_names()}")
    return Input(path, table, form)


def _table(path: Path) -> Table | None:
    stem = path.name.removesuffix(".gz").removesuffix(".GZ").rpartition(".")[0]
    plain = re.sub(r"[-_. ]", "", stem).lower()
    plain = re.sub(r"(part)?\d+$", "", plain)
    return _KNOWN.get(plain) or _SINGULAR.get(plain)


def _order(file: Input) -> tuple[str, list[int], str]:
    return file.table.name, [int(n) for n in re.findall(r"\d+", file.path.name)], file.path.name


def _names() -> str:
    return (
        f"Name files after what they hold ({', '.join(_LOADED)}) with .csv, .xlsx, .parquet, .json, .ndjson or .jsonl, "
        "or write a mapping, a .toml file that says what the columns of a CSV, XLSX or Parquet file are: "
        "docs/how-to/load.md."
    )
