"""Where the file of a run goes, and in which format: what `--output` and `--format` say together."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from whohas import atomic
from whohas.errors import WrongUsage

_ZIP = ".zip"


@dataclass(frozen=True, slots=True)
class Output:
    """Where the file of a run goes.

    Attributes:
        format: of the file, or of each file of a zip.
        path: the file, a folder, or a device; None where it is printed.
        zipped: whether the name asks for a zip, None where it asks for nothing: a folder, a device, standard output.
        kept: whether what is there now is written to rather than replaced: a device or a pipe.
    """

    format: str
    path: Path | None
    zipped: bool | None = None
    kept: bool = False

    def check(self, report_type: str, parts: tuple[str, ...] | None) -> None:
        """Refuses a name that the files of a report do not fit.

        Args:
            parts: what its zip has a file of each; None where the report makes one file that is no zip.

        Raises:
            WrongUsage: they do not; the message says which name they fit.
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
        """Moves a downloaded file to where it goes, out of its zip if need be; None where it was printed.

        Raises:
            WrongUsage: it does not fit; see `check`.
        """
        parts = _names(file) if zipped else None
        self.check(report_type, parts)
        if parts is not None and len(parts) == 1 and not self.zipped and not self._is_folder:
            file = _only(file)
        if self.path is None or self.kept:
            with file.open("rb") as source:
                if self.path is None:
                    shutil.copyfileobj(source, sys.stdout.buffer)
                    return None
                with self.path.open("wb") as to:
                    shutil.copyfileobj(source, to)
                return self.path
        to = self.path / file.name if self._is_folder else self.path
        atomic.publish(file, to, sync=False)  # it can be saved again, and a long file is not waited for twice
        return to

    @property
    def folder(self) -> Path | None:
        """The folder that the file will lie in; None where it lies in none."""
        if self.path is None or self.kept:
            return None
        return self.path if self._is_folder else self.path.parent

    @property
    def called(self) -> str | None:
        """What the file is called there; None where the run says it."""
        return self.path.name if self.path is not None and not self._is_folder else None

    @property
    def _is_folder(self) -> bool:
        return self.path is not None and self.path.is_dir()

    def _name(self, ending: str) -> str:
        assert self.path is not None
        stem = self.path.name.removesuffix(_ZIP) if self.zipped else self.path.name
        for known in sorted((f".{self.format}", ".csv"), key=len, reverse=True):
            if stem.lower().endswith(known):
                stem = stem[: -len(known)]
                break
        return f"{stem or 'report'}{ending}"


def output(given: str | None, format: str | None) -> Output:
    """What `--output` and `--format` say.

    Raises:
        WrongUsage: the name's ending is none that is known, or of another format than the one given; or there is no
            such format.
    """
    from whohas.render.registry import formats

    if format is not None:
        format = format.strip().lower()
        if format not in formats():
            raise WrongUsage(f"There is no format {format.upper()[:40]!r}. The formats are: {', '.join(formats())}.")
    if given in ("-", "/dev/stdout"):
        return Output(format or "csv", None)
    path = Path(given or ".")
    if path.is_dir():
        return Output(format or "csv", path)
    if given and given.endswith(("/", os.sep)):
        path.mkdir(parents=True, exist_ok=True)
        return Output(format or "csv", path)
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        return Output(format or "csv", path, kept=True)
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
    return Output(ending or format or "csv", path, zipped)


def _names(file: Path) -> tuple[str, ...]:
    with zipfile.ZipFile(file) as archive:
        return tuple(archive.namelist())


def _only(file: Path) -> Path:
    """The only file of a zip, beside it."""
    with zipfile.ZipFile(file) as archive:
        (entry,) = archive.infolist()
        to = file.with_name("entry.part")
        with archive.open(entry) as source, to.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    return to
