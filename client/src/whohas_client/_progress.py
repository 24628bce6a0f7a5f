"""Progress on a terminal: one line on stderr that is overwritten, and removed at the end."""

from __future__ import annotations

import shutil
import sys
import time

from whohas_client.contract import ReportResults

REDRAW_SECONDS = 0.1
"""Shortest time between two updates of the line, in seconds; drawing more often would slow a download down."""


class ProgressLine:
    """A line on stderr that shows how far a run or a download is.

    Nothing is written where stderr is not a terminal.

    Args:
        title: the beginning of the line, such as `ACCOUNTS`.
        enabled: False to write nothing.
    """

    def __init__(self, title: str, enabled: bool) -> None:
        self._title = title
        self._stream = sys.stderr if enabled and sys.stderr is not None and sys.stderr.isatty() else None
        self._drawn_at = 0.0
        self._is_drawn = False

    def show_result(self, result: ReportResults) -> None:
        """Show the progress of a run: first the percentage, because a narrow terminal cuts the end of the line."""
        percent = "" if result.percentComplete is None else f" {result.percentComplete} %"
        self._draw(f"{percent}: {result.progress or 'Waiting for the server'}")

    def show_bytes(self, received: int, size: int | None) -> None:
        """Show the progress of a download."""
        if self._stream is None or time.monotonic() - self._drawn_at < REDRAW_SECONDS:
            return
        total = "" if size is None else f" of {size / 1e6:,.1f}"
        self._draw(f": {received / 1e6:,.1f}{total} MB downloaded")

    def clear(self) -> None:
        """Remove the line."""
        if self._stream is not None and self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False

    def _draw(self, text: str) -> None:
        if self._stream is None:
            return
        self._drawn_at, self._is_drawn = time.monotonic(), True
        # the text is the server's: control characters could be escape sequences, and a longer line would not be cleared
        line = "".join(c if c.isprintable() else " " for c in f"{self._title}{text}")
        self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        self._stream.flush()
