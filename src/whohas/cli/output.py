"""The target of a downloaded file and its format, from the options `--output` and `--format`."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from whohas import atomic
from whohas.errors import WrongUsage
from whohas.file_modes import keep_mode

_ZIP = ".zip"


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """The target of the file of a run.

    Attributes:
        format: of the file, or of each member of a zip.
        path: a file, a folder, or a device; None for standard output.
        zipped: whether the file name ends in .zip; None if there is no file name (folder, device, standard output).
        writes_in_place: whether to write into the existing file instead of replacing it: a device or a named pipe.
        is_new_folder: whether the path is a folder that is made when the file is saved.
    """

    format: str
    path: Path | None
    zipped: bool | None = None
    writes_in_place: bool = False
    is_new_folder: bool = False

    def check_writable(self) -> None:
        """Check, before anything is done, that the file can be saved there. Makes nothing.

        Raises:
            WrongUsage: the folder is missing, no folder, or not writable; or the device is not writable.
        """
        if self.path is None:
            return
        if self.writes_in_place:
            if not os.access(self.path, os.W_OK):
                raise WrongUsage(f"{self.path} cannot be written: you lack the permission. Choose another output.")
            return
        folder = self.path.parent if self.is_new_folder or not self._is_folder else self.path
        if not folder.exists():
            raise WrongUsage(
                f"{self.path} cannot be written: there is no folder {folder}. Make it with `mkdir -p`, or choose "
                "another output."
            )
        if not folder.is_dir():
            raise WrongUsage(f"{self.path} cannot be written: {folder} is no folder. Choose another output.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise WrongUsage(
                f"{self.path} cannot be written: you lack the permission to write to {folder}. Choose another output."
            )

    def check(self, report_type: str, parts: tuple[str, ...] | None) -> None:
        """Check that the output name fits the files that a report makes.

        Args:
            report_type: for the message.
            parts: the names of the members of its zip; None if the report makes a single file that is not zipped.

        Raises:
            WrongUsage: the name asks for a zip and there is a single file, or the reverse; the message suggests a name.
        """
        if self.path is None or self.zipped is None:
            return
        if parts is None and self.zipped:
            raise WrongUsage(f"{report_type} makes one file and no zip: name it {self._name(f'.{self.format}')}.")
        if parts is not None and len(parts) > 1 and not self.zipped:
            zip = _ZIP if self.format == "csv" else f".{self.format}{_ZIP}"
            raise WrongUsage(
                f"{report_type} makes a file of each of {', '.join(parts)}, and {self.path.name} can hold one: name it "
                f"{self._name(zip)}, a zip of them, or choose one index."
            )

    def save(self, file: Path, zipped: bool, report_type: str) -> Path | None:
        """Move a downloaded file to the target, and return its path; None if it was printed to standard output.

        A zip with one member is unpacked if the target is not a zip and not a folder.

        Args:
            file: the downloaded file, in a temporary folder; see `folder`.
            zipped: whether it is a zip.
            report_type: for the message.

        Raises:
            WrongUsage: the file does not fit the output name; see `check`.
        """
        parts = _names(file) if zipped else None
        self.check(report_type, parts)
        if parts is not None and len(parts) == 1 and not self.zipped and not self._is_folder:
            file = _only(file)
        if self.path is None or self.writes_in_place:
            with file.open("rb") as source:
                if self.path is None:
                    shutil.copyfileobj(source, sys.stdout.buffer)
                    return None
                with self.path.open("wb") as to:
                    shutil.copyfileobj(source, to)
                return self.path
        to = self.path / file.name if self._is_folder else self.path
        keep_mode(file, to)
        atomic.publish(
            file, to, sync=False
        )  # not synced: that takes long for a large file, and the file can be downloaded again
        return to

    @property
    def folder(self) -> Path | None:
        """The folder of the target file; None for a device or standard output."""
        if self.path is None or self.writes_in_place:
            return None
        return self.path if self._is_folder else self.path.parent

    @property
    def file_name(self) -> str | None:
        """The file name that the user chose; None if they chose none (folder or standard output)."""
        return self.path.name if self.path is not None and not self._is_folder else None

    @property
    def _is_folder(self) -> bool:
        return self.path is not None and (self.is_new_folder or self.path.is_dir())

    def _name(self, ending: str) -> str:
        assert self.path is not None
        stem = self.path.name.removesuffix(_ZIP) if self.zipped else self.path.name
        for known in sorted((f".{self.format}", ".csv"), key=len, reverse=True):
            if stem.lower().endswith(known):
                stem = stem[: -len(known)]
                break
        return f"{stem or 'report'}{ending}"


def parse_output(given: str | None, format: str | None) -> OutputTarget:
    """Parse the options `--output` and `--format`. A folder whose name ends with / is made when a file is saved.

    Args:
        given: a file, a folder, `-` for standard output, or None for the current folder.
        format: the format; None to derive it from the extension of the file, or else `csv`.

    Raises:
        WrongUsage: the output is empty, the format or the extension is unknown, or they contradict each other.
    """
    from whohas.formats.registry import formats

    if format is not None:
        format = format.strip().lower()
        if format not in formats():
            raise WrongUsage(f"There is no format {format.upper()[:40]!r}. The formats are: {', '.join(formats())}.")
    if given in ("-", "/dev/stdout"):
        return OutputTarget(format or "csv", None)
    if given is not None and not given.strip():
        raise WrongUsage("--output is empty. Name a file or a folder, or leave it out for the current folder.")
    path = Path(given or ".")
    if path.is_dir():
        return OutputTarget(format or "csv", path)
    if given and given.endswith(("/", os.sep)):
        return OutputTarget(format or "csv", path, is_new_folder=True)
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        return OutputTarget(format or "csv", path, writes_in_place=True)
    name = path.name.lower()
    zipped = name.endswith(_ZIP)
    ending = max((known for known in formats() if name.removesuffix(_ZIP).endswith(f".{known}")), key=len, default=None)
    if ending is None and not zipped and format is None:
        known = ", ".join(f".{one}" for one in (*formats(), "zip"))
        raise WrongUsage(
            f"{path.name} has no ending that is known. The endings are: {known}; .zip is for reports that make several "
            "files. --format makes a file of any name; a folder has / at its end."
        )
    if ending is not None and format is not None and ending != format:
        raise WrongUsage(f"{path.name} ends as {ending.upper()}, but --format says {format.upper()}.")
    return OutputTarget(ending or format or "csv", path, zipped)


def _names(file: Path) -> tuple[str, ...]:
    with zipfile.ZipFile(file) as archive:
        return tuple(archive.namelist())


def _only(file: Path) -> Path:
    """Extract the only member of a zip into the same folder, and return its path."""
    with zipfile.ZipFile(file) as archive:
        (entry,) = archive.infolist()
        to = file.with_name("entry.part")
        with archive.open(entry) as source, to.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    return to
