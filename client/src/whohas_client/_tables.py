"""Tables of Arrow and pandas, from downloaded files. The libraries are extras: `whohas-client[arrow]`, `[pandas]`."""

from __future__ import annotations

import csv
import importlib
import io
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any

from whohas_client._rows import unique_names
from whohas_client.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa


def require(library: str, extra: str) -> Any:
    """Import an optional library.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtra(f"{library} is not installed. Install it: pip install 'whohas-client[{extra}]'") from error


def read_parquet(content: IO[bytes]) -> pa.Table:
    """Read a Parquet file into memory, with its types."""
    parquet = require("pyarrow.parquet", "arrow")
    with tempfile.TemporaryFile() as copy:
        if not content.seekable() or not hasattr(content, "fileno"):  # a file in a zip
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.seek(0)
            content = copy
        return parquet.read_table(content)


def read_csv(content: IO[bytes]) -> pa.Table:
    """Read a CSV file into memory; every column is text, because a CSV does not say what `007` is."""
    pyarrow, arrow_csv = require("pyarrow", "arrow"), require("pyarrow.csv", "arrow")
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(content, copy, 1 << 20)
        copy.seek(0)
        reader = csv.reader(io.TextIOWrapper(copy, encoding="utf-8-sig", newline=""))
        names = unique_names(next(reader, []))
        if not names:
            return pyarrow.table({})
        copy.seek(0)
        table = arrow_csv.read_csv(
            copy,
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
            ),
        )
        return table.slice(1)  # the first row is the header: names that are equal could not be read from it


def to_pandas(table: pa.Table) -> Any:
    """Return a DataFrame with Arrow's types: pandas' own would turn integers with gaps into floats."""
    pandas = require("pandas", "pandas")
    return table.to_pandas(types_mapper=pandas.ArrowDtype)
