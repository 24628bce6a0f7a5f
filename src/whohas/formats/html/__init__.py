"""HTML: one self-contained page. The modules that write it are imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whohas.formats.base import Extract, Format, ReportMetadata, WriteOptions


def _write(extract: Extract, path: Path, about: ReportMetadata, options: WriteOptions) -> Sequence[str]:
    from whohas.formats.html.writer import write

    return write(extract, path, about, options)


FORMATS = (
    Format(
        "html",
        "text/html; charset=utf-8",
        "One page for a browser or a mail: a summary with charts and the first rows, all of a small report; no script.",
        write=_write,
        relative_time=2.0,
    ),
)
