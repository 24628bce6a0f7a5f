"""Downloads to paths and to open files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from whohas_client._download import Draft, FileHead, PartialFile, open_zip
from whohas_client._formats import FileKind
from whohas_client._protocol import OnBytes, ReportsProtocol, RunBlocking, Steps
from whohas_client.errors import InvalidArguments, Unavailable

_BLOCK = 1 << 20


def save_to_path(
    protocol: ReportsProtocol,
    run_id: str,
    kind: FileKind,
    to: Path,
    *,
    name: str | None = None,
    auditable: bool = False,
    on_bytes: OnBytes | None = None,
) -> Steps[Path]:
    """Download a file of a run to a path, and return the path.

    The file appears there only when it is complete and verified. A zip with one file is unpacked unless `kind` says
    otherwise.

    Args:
        to: the path of the file, or an existing folder, in which the file gets the name that the server suggests.
        name: a name to request from the server.
        auditable: record the download in the audit log of the server.
    """
    is_folder = to.is_dir()
    folder = to if is_folder else to.parent
    if is_folder:
        kind = FileKind(kind.format, None)
    if to.exists() and not is_folder and not to.is_file():  # a device or a named pipe cannot be replaced
        try:
            with to.open("wb") as file:
                yield from save_to_file(protocol, run_id, kind, file, name=name, on_bytes=on_bytes)
        except OSError as error:
            raise Unavailable(f"{to} cannot be written: {error.strerror}.") from error
        return to
    with Draft(folder, "report" if is_folder else to.name) as draft:
        query = _query(kind, name) | ({"auditable": "true"} if auditable else {})
        head = yield from protocol.fetch(run_id, query, draft, on_bytes, _checking(kind))
        path = folder / head.name if is_folder else to
        if head.is_zip and kind.zipped is False:
            with Draft(folder, to.name) as only:
                yield RunBlocking(lambda: _unpack(draft.file, only.write))
                return (yield RunBlocking(lambda: only.publish(path)))
        return (yield RunBlocking(lambda: draft.publish(path)))


def save_to_file(
    protocol: ReportsProtocol,
    run_id: str,
    kind: FileKind,
    to: IO[bytes],
    *,
    name: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Steps[None]:
    """Download a file of a run into a temporary file, verify it, and copy it to an open binary file."""
    with PartialFile() as part:
        head = yield from protocol.fetch(run_id, _query(kind, name), part, on_bytes, _checking(kind))
        if head.is_zip and kind.zipped is False:
            yield RunBlocking(lambda: _unpack(part.file, to.write))
        else:
            yield RunBlocking(lambda: shutil.copyfileobj(part.file, to, _BLOCK))
        yield RunBlocking(to.flush)


def _query(kind: FileKind, name: str | None) -> dict[str, str]:
    return {"fileFormat": kind.format, **({"name": name} if name else {})}


def _checking(kind: FileKind) -> Callable[[FileHead], None]:
    def check(head: FileHead) -> None:
        if kind.zipped and not head.is_zip:
            raise InvalidArguments(f"The report makes one file and no zip. Save it as .{kind.format} instead.")

    return check


def _unpack(archive: IO[bytes], write: Callable[[bytes], object]) -> None:
    with open_zip(archive) as opened:
        names = opened.namelist()
        if len(names) != 1:
            raise InvalidArguments(
                f"The report makes several files ({', '.join(names)}). Save them as a zip: let the name end in .zip."
            )
        with opened.open(names[0]) as member:
            while block := member.read(_BLOCK):
                write(block)
