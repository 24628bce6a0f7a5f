"""The finished files of runs, on a local disk.

::

    artefacts/
    └── <run id>/
        ├── 1-accounts.csv.part     what attempt 1 writes; never served
        ├── 1-accounts.csv          the finished file: one atomic rename later
        └── 1-extract-0.parquet     the rows of all its files, where there are several

A name begins with the attempt, so that an attempt that comes back from the dead cannot touch what a later one made.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whohas import atomic

ZIP = "application/zip"
"""The media type of a zip, whatever the format of what is in it."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One finished file of a run.

    Attributes:
        format: the contract's name in lower case, such as `csv`.
        name: the file's name within the run's folder.
        media_type: its own type, such as `ZIP` for a search export; empty for the format's usual one.
        bytes: its length.
        rows: rows of data in it.
        sha256: of its bytes, 64 hex digits.
    """

    format: str
    name: str
    media_type: str
    bytes: int
    rows: int
    sha256: str

    @property
    def zipped(self) -> bool:
        """Whether it is a zip of files in its format."""
        return self.media_type == ZIP


class Artefacts:
    """The files under `root`, a folder a run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def part(self, run_id: str, attempt: int, name: str) -> Path:
        """Where an attempt writes a file that is not yet finished; its folder is made."""
        folder = self.root / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{attempt}-{name}{atomic.PART}"

    def publish(self, part: Path) -> str:
        """Gives a complete, synced part its final name, and returns that name."""
        final = part.with_name(part.name.removesuffix(atomic.PART))
        atomic.publish(part, final)
        return final.name

    def published(self, file: Mapping[str, Any], zipped: bool) -> Artefact:
        """Publishes a part that its maker tells of: `format`, `path`, `bytes`, `rows` and `sha256`."""
        return Artefact(
            format=file["format"],
            name=self.publish(Path(file["path"])),
            media_type=ZIP if zipped else "",
            bytes=file["bytes"],
            rows=file["rows"],
            sha256=file["sha256"],
        )

    def path(self, run_id: str, artefact: Artefact) -> Path:
        """Where a finished file lies."""
        return self.root / run_id / artefact.name

    def sweep(self, run_id: str, attempt: int) -> None:
        """Removes what attempts of a run up to this one have made; the run's folder too once it is empty."""
        folder = self.root / run_id
        if folder.is_dir():
            for path in folder.iterdir():
                if int(path.name.partition("-")[0]) <= attempt:
                    path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
