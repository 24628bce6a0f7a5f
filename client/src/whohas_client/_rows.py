"""Rows of a downloaded file, as dicts of Python values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any, cast

from whohas_client._download import open_zip
from whohas_client.errors import InvalidArguments, Unavailable

Row = dict[str, Any]


def open_part(file: IO[bytes], is_zip: bool, part: str | None) -> tuple[IO[bytes], str | None]:
    """Return the content of a file, or of one file in a zip, and the name of that part.

    Args:
        file: the downloaded file.
        is_zip: whether it is a zip, which a search export is.
        part: the name of a file in the zip without its ending, such as `Identities`; None for the only one.

    Raises:
        InvalidArguments: there is no such part, or there are several and none is named.
    """
    if not is_zip:
        if part is not None:
            raise InvalidArguments(f"The report makes one file, without a part {part!r}. Leave `part` out.")
        return file, None
    archive = open_zip(file)
    names = {_stem(name): name for name in archive.namelist()}
    if part is None and len(names) != 1:
        raise InvalidArguments(f"The report makes several files. Pass part=, one of: {', '.join(names)}.")
    part = part if part is not None else next(iter(names))
    if part not in names:
        raise InvalidArguments(f"The report has no part {part!r}. Its parts are: {', '.join(names)}.")
    return archive.open(names[part]), part


def _stem(name: str) -> str:
    return PurePosixPath(name).name.partition(".")[0]


def typed_rows(content: IO[bytes], types: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of an NDJSON file of whohas, with its columns in their order.

    Args:
        content: the file.
        types: the type of each column by its name: text, boolean, integer, time or texts (a list).
    """
    times = [name for name, type in types.items() if type == "time"]
    for line in content:
        row = _flat(json.loads(line))
        for name in times:
            if value := row.get(name):
                row[name] = _time(value)
        yield {name: row.get(name) for name in types} if types else row


def _flat(row: Row) -> Row:
    """Return a row without nested objects: `{"account": {"name": 1}}` gives `{"account.name": 1}`.

    Only names with dots are nested in the file; no value of a report is an object.
    """
    if not any(isinstance(value, dict) for value in row.values()):
        return row
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": item for inner, item in _flat(cast("Row", value)).items()}
        else:
            flat[name] = value
    return flat


def _time(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text  # a year that Python's datetime cannot hold


def text_rows(content: IO[bytes]) -> Iterator[Row]:
    """Yield the rows of a CSV file; every value is the text of its cell.

    Raises:
        Unavailable: the file is no CSV, or a row has another number of cells than the header.
    """
    reader = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
    try:
        header = unique_names(next(reader, []))
        for cells in reader:
            if len(cells) != len(header):
                raise Unavailable(
                    f"Line {reader.line_num} of the file has {len(cells)} cells, and its header {len(header)}. "
                    "Save the file with `to` and look at it."
                )
            yield dict(zip(header, cells, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unavailable(f"Line {reader.line_num} of the file cannot be read as CSV: {error}.") from error


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of columns of which no two are equal: the second `mail` becomes `mail_2`."""
    unique: dict[str, None] = {}
    for name in names:
        candidate, number = name, 1
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique[candidate] = None
    return list(unique)


def closing(rows: Iterator[Row], close: Callable[[], None]) -> Iterator[Row]:
    """Yield rows, and call `close` after the last one or when the iterator is thrown away."""
    try:
        yield from rows
    finally:
        close()
