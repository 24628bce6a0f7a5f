"""Storage of the files of runs (artifacts) on a local disk.

::

    artefacts/
    └── <run id>/
        ├── 1-accounts.csv.part     being written by attempt 1; never served
        ├── 1-accounts.csv          finished: the same file after an atomic rename
        └── 1-extract-0.parquet     the rows from which the run made several files

Each name begins with the number of the attempt. An attempt that was taken for lost and continues cannot overwrite the
files of a later attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whohas import atomic

EXTRACT = "extract"
"""The format of an extract among the files of a run; no request can name it."""
ZIP_MEDIA_TYPE = "application/zip"
"""The media type of a zip, whatever the format of the files in it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished file of a run.

    Attributes:
        format: the format's name in lower case, such as `csv`.
        name: the file's name within the folder of the run.
        media_type: `ZIP_MEDIA_TYPE` for a zip, such as a search export; empty for the usual media type of the format.
        bytes: its size.
        rows: the number of data rows in it.
        sha256: the SHA-256 of its content, 64 hex digits.
    """

    format: str
    name: str
    media_type: str
    bytes: int
    rows: int
    sha256: str

    @property
    def zipped(self) -> bool:
        """Whether it is a zip whose members have the format."""
        return self.media_type == ZIP_MEDIA_TYPE


class ArtifactStore:
    """The store of files of runs: one folder for each run under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def part_path(self, run_id: str, attempt: int, name: str) -> Path:
        """Create the folder of a run, and return the path at which an attempt writes a file until it is finished.

        Args:
            name: the file's name without the number of the attempt, such as `accounts.csv`.
        """
        folder = self.root / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{attempt}-{name}{atomic.PART_SUFFIX}"

    def publish(self, part: Path) -> str:
        """Rename a complete file that is synced to disk to its final name, atomically; return that name.

        Args:
            part: a path from `part_path`.

        Raises:
            OSError: the file cannot be renamed.
        """
        final = part.with_name(part.name.removesuffix(atomic.PART_SUFFIX))
        atomic.publish(part, final)
        return final.name

    def publish_reported(self, file: Mapping[str, Any], zipped: bool) -> Artifact:
        """Publish a file that a child process has finished, and return its description.

        Args:
            file: as the child process reported it: `format`, `path` (of the part), `bytes`, `rows`, `sha256`.
            zipped: whether it is a zip.
        """
        return Artifact(
            format=file["format"],
            name=self.publish(Path(file["path"])),
            media_type=ZIP_MEDIA_TYPE if zipped else "",
            bytes=file["bytes"],
            rows=file["rows"],
            sha256=file["sha256"],
        )

    def path(self, run_id: str, artefact: Artifact) -> Path:
        """Return the path of a finished file."""
        return self.root / run_id / artefact.name

    def remove_attempts(self, run_id: str, attempt: int) -> None:
        """Remove the files of a run that were written by this attempt or earlier ones, and the folder if it is empty.

        No effect if the run has no folder.
        """
        folder = self.root / run_id
        if folder.is_dir():
            for path in folder.iterdir():
                if int(path.name.partition("-")[0]) <= attempt:
                    path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
