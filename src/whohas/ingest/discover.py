"""Find the files that a load reads, and determine the table and the format of each.

A file is assigned to a table by its name (`accounts.csv`, `identity-access-part1.ndjson.gz`) or by a mapping
(`.toml`).
"""

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
"""File extensions of workbooks that cannot be read."""

_LOADABLE = {name: table for name, table in TABLES.items() if table is not OVERRULED_ACCESS}
_TABLES_BY_NAME = {name.replace("_", ""): table for name, table in _LOADABLE.items()}
_TABLES_BY_SINGULAR = {
    name.removesuffix("ies") + "y" if name.endswith("ies") else name.removesuffix("s"): table
    for name, table in _TABLES_BY_NAME.items()
    if name.endswith("s") and name != "identityaccess"
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file with rows of one table, in the format "csv", "xlsx", "parquet", "json" or "ndjson".

    Its columns have the names of the table's columns, or its documents have the structure of the public API's.
    """

    path: Path
    table: Table
    format: str


_IGNORED_EXTENSIONS = ("", ".md", ".rst", ".txt")
"""Extensions of files that explain the data; they are ignored without a note."""


@dataclass(frozen=True, slots=True)
class LoadInputs:
    """All files that a load reads.

    Attributes:
        files: files whose names say which table they hold.
        mappings: the mappings, each with its files.
        ignored: files in the folders that are not loaded, because no mapping names them and their names say
            nothing.
    """

    files: tuple[InputFile, ...]
    mappings: tuple[SourceMapping, ...]
    ignored: tuple[Path, ...]

    @property
    def total_bytes(self) -> int:
        """The total size of all files in bytes, as they are on disk."""
        parts = [part.file for mapping in self.mappings for part in mapping.parts]
        return sum(path.stat().st_size for path in (*(file.path for file in self.files), *parts))


def discover_inputs(paths: Sequence[Path]) -> LoadInputs:
    """Find the files of a load in files and folders; folders are not searched recursively.

    Hidden files and the lock files of Excel (`~$…`) are ignored.

    Raises:
        InvalidArguments: a path does not exist, a folder has no data, or the table of a file cannot be determined.
    """
    found: dict[Path, Path] = {}
    passed_over: list[Path] = []
    for path in paths:
        if path.is_dir():
            visible = [p for p in sorted(path.iterdir()) if not p.name.startswith((".", "~$"))]
            inside = [p for p in visible if p.is_file()]
            if special := [p for p in visible if not p.is_file() and not p.is_dir() and _is_input(p)]:
                raise InvalidArguments(unreadable_reason(special[0]))
            data = [p for p in inside if _is_input(p)]
            if not data:
                raise InvalidArguments(f"There is nothing to load in the folder {path}. {_naming_hint()}")
            passed_over += [p for p in inside if p not in data and p.suffix.lower() not in _IGNORED_EXTENSIONS]
            found.update((p.resolve(), p) for p in data)
        elif path.is_file():
            found.setdefault(path.resolve(), path)
        else:
            raise InvalidArguments(unreadable_reason(path, "There is no file or folder"))
    mappings = tuple(read_mapping(path) for path in found.values() if path.suffix.lower() == ".toml")
    claimed = {part.file.resolve() for mapping in mappings for part in mapping.parts}
    mapped = [path for path in passed_over if path.resolve() in claimed]
    passed_over = [path for path in passed_over if path not in mapped]
    files = [_input(path) for real, path in found.items() if path.suffix.lower() != ".toml" and real not in claimed]
    return LoadInputs(tuple(sorted(files, key=_order)), mappings, tuple(passed_over))


_FILE_TYPES = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def unreadable_reason(path: Path, begin: str = "There is no file") -> str:
    """Return a message on why a path is not a readable file, and what to do.

    Args:
        begin: the beginning of the message for a path that does not exist.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            target = path.readlink()
            if error.errno == errno.ELOOP:
                return f"{path} is a symbolic link that leads back to itself ({target}). Replace it by the file."
            return f"{path} is a symbolic link to {target}, which is not there. Replace it by the file."
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"{path} cannot be accessed: {error.strerror}. Let the user that runs whohas read it."
        return f"{begin} {path}. Correct the path."
    kind = next((name for is_type, name in _FILE_TYPES if is_type(mode)), "not a regular file")
    return f"{path} is {kind}; files are read more than once. Save the data to a file, and load that."


def format_of(path: Path) -> str | None:
    """Return the format implied by a file's extension, or None if it is not supported.

    The extension may be followed by .gz, except for XLSX and Parquet: `accounts.csv.gz` gives "csv".
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    extension = suffixes[-2 if compressed else -1 :][:1]
    format = _FORMATS.get(extension[0]) if extension else None
    return None if compressed and format in ("parquet", "xlsx") else format


def _is_input(path: Path) -> bool:
    return path.suffix.lower() == ".toml" or _is_data(path)


def _is_data(path: Path) -> bool:
    """Return whether a file in a folder is to be loaded; a workbook only if its name is that of a table."""
    form = format_of(path)
    return form is not None and (form != "xlsx" or _table(path) is not None)


def ignored_reason(path: Path) -> str:
    """Return why a file in a folder was not loaded, as the end of a sentence."""
    if path.suffix.lower() in _WORKBOOKS:
        return f"{path.suffix} is not read; save it as .xlsx or CSV"
    if format_of(path) is not None:
        return "no mapping names it, and its name does not say what it holds"
    ending = f"files that end in {path.suffix}" if path.suffix else "files without an ending"
    return f"no mapping names it, and {ending} are read only where one does"


def reject_unsupported_workbook(path: Path) -> None:
    """Raise InvalidArguments for a workbook of an unsupported format, such as .xls."""
    if path.suffix.lower() in _WORKBOOKS:
        raise InvalidArguments(f"{path}: {path.suffix} is not read. Save the sheet as .xlsx or CSV.")


def _input(path: Path) -> InputFile:
    form = format_of(path)
    reject_unsupported_workbook(path)
    if form is None:
        raise InvalidArguments(
            f"{path} is no file that can be loaded: use a CSV, XLSX, Parquet, JSON or NDJSON file, or a TOML mapping."
        )
    table = _table(path)
    if table is None:
        raise InvalidArguments(f"It cannot be told what {path} holds, for its name does not say it. {_naming_hint()}")
    return InputFile(path, table, form)


def _table(path: Path) -> Table | None:
    """Return the table that a file's name stands for, or None.

    Case, punctuation and a part number are ignored: `Account-Entitlements_part2.csv.gz` gives `account_entitlements`,
    and the singular is accepted.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".GZ").rpartition(".")[0]
    letters = re.sub(r"[-_. ]", "", stem).lower()
    letters = re.sub(r"(part)?\d+$", "", letters)
    return _TABLES_BY_NAME.get(letters) or _TABLES_BY_SINGULAR.get(letters)


def _order(file: InputFile) -> tuple[str, list[int], str]:
    """Return the sort key of files: by table, and by the numbers in the name, so that part2 precedes part10."""
    return file.table.name, [int(n) for n in re.findall(r"\d+", file.path.name)], file.path.name


def _naming_hint() -> str:
    return (
        f"Name files after what they hold ({', '.join(_LOADABLE)}) with .csv, .xlsx, .parquet, .json, .ndjson or "
        ".jsonl, or write a mapping, a .toml file that says what the columns of a CSV, XLSX or Parquet file are: "
        "`whohas docs load`."
    )
