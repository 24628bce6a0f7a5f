"""PDF/A: a document to print and archive. The modules that write it are imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whohas.formats.base import Extract, Format, ReportMetadata, WriteOptions


def _write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    from whohas.formats.pdf.writer import write

    return write(extract, path, about, options)


FORMATS = (
    Format(
        "pdf",
        "application/pdf",
        "A printed report: a title page, every character of every cell, page x of y; PDF/A-2.",
        write=_write,
        relative_time=6.0,
    ),
)
