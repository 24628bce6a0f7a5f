"""XLSX: a workbook of the rows with typed cells. The modules that write it are imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whohas.formats.base import Extract, Format, ReportMetadata, WriteOptions


def _write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    from whohas.formats.xlsx.writer import write

    return write(extract, path, about, options)


FORMATS = (
    Format(
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "An Excel workbook: a summary with charts, the rows as a table of typed cells, and the metadata of the run.",
        write=_write,
        streams=False,
        relative_time=3.0,
    ),
)
