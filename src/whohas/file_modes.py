"""File permissions of the home folder: only the owner may read it. A group may be given the tables, nothing else.

::

                            private (default)   group
    home/                   0700                0710    the group may pass through, but not list names
    ├── warehouse/          0700                2750
    │   └── accounts/       0700, files 0600    2750, files 0640, all in the group of `warehouse/`
    └── everything else     0700, files 0600    0700, files 0600

New files get these permissions by a umask of 077. Files with wider permissions, from earlier versions or changed by
hand, are restricted when a process starts: first the home folder itself, so that nobody can reach the rest while the
scan is in progress.

Permissions do not help against what another user put into a home folder that was open before: a link from `keys` to a
folder of theirs would give them the signing keys. `check_owners` refuses to start on such a folder.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from whohas.errors import Unavailable

_UMASK = 0o077
_GROUP_UMASK = 0o027
_OTHERS = 0o077
_PASS = 0o010
_FOLDER, _FILE = 0o2750, 0o640
_LOG = "_delta_log"
_OURS = frozenset({"warehouse", "artefacts", "cache", "spill", "keys", "rejects", "loads"})
"""Subfolders of the home folder that are scanned to the last file; of others only the folder itself is restricted,
which is enough to keep everybody else out."""
_OUR_FILES = ("whohas.", "audit.", "dev.env")
"""How the names of files in the home folder begin."""
_LINKED = frozenset({"warehouse", "artefacts"})
"""Subfolders that may be a symbolic link to another disk, which is followed."""
_FAULTS = 3
"""Maximum number of log lines on permissions that cannot be changed."""


def restrict_process() -> None:
    """Set the umask of this process and its future children to 077: only the owner can read new files."""
    os.umask(_UMASK)


@dataclass(slots=True)
class PermissionChanges:
    """Counts of the permissions that were changed, and the failures.

    Attributes:
        restricted: the number of files and folders that other users could access before.
        opened: the number of files and folders of tables that were opened to their group or moved to it.
        faults: one sentence for each file or folder whose permissions could not be changed.
    """

    restricted: int = 0
    opened: int = 0
    faults: list[str] = field(default_factory=list[str])


def restrict_home(home: Path, *, group: bool) -> PermissionChanges:
    """Set the permissions of the home folder, of its direct entries and of the entries of the warehouse.

    Afterwards nobody but the owner, and with `group` the group of the tables, can reach anything deeper, whatever the
    permissions there are. Failures are reported in the result, never raised.

    Args:
        home: the home folder, which must exist.
        group: whether the tables are open to the group of the warehouse folder.
    """
    done = PermissionChanges()
    try:
        mode = home.stat().st_mode
        if mode & stat.S_ISVTX:
            done.faults.append(
                f"{home} is a folder that all users of this machine share, so it stays open to them. Set WHOHAS_HOME "
                "to a folder of its own."
            )
        else:
            _set(home, (mode & 0o700) | (_PASS if group else 0), done)
        for path, is_folder in list(_entries(home, follow=_LINKED)):
            if path.name != "warehouse" or not is_folder:
                _close(path, done)
                continue
            if group:
                _set(path, _FOLDER, done)
            else:
                _close(path, done)
            number = path.stat().st_gid
            for inside, folder in list(_entries(path)):
                if group and folder and (inside / _LOG).is_dir():
                    _set(inside, _FOLDER, done, number)
                else:
                    _close(inside, done)
    except OSError as error:
        done.faults.append(
            f"{error.filename or home} cannot be read: {error.strerror}. Give it to the user of this process."
        )
    return done


def check_owners(home: Path) -> None:
    """Check that no other user has placed anything in the home folder or its folder of keys.

    Files may belong to the user of this process, to root, and to the owner of the home folder. A link counts as its
    own file, so a link of the owner to another disk is accepted. In a folder that all users share (mode 1777) only the
    names that whohas uses are checked. Call it after `restrict_home`, when other users can add nothing any more.

    Raises:
        Unavailable: a file, folder or link belongs to another user; the message names it and its owner.
    """
    owner = home.stat()
    trusted = {os.geteuid(), 0, owner.st_uid}
    shared = bool(owner.st_mode & stat.S_ISVTX)
    for folder in (home, home / "keys"):
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for entry in entries:
            if shared and folder == home and entry.name not in _OURS and not entry.name.startswith(_OUR_FILES):
                continue
            try:
                number = entry.stat(follow_symlinks=False).st_uid
            except FileNotFoundError:
                continue
            if number not in trusted:
                kind = "link" if entry.is_symlink() else "folder" if entry.is_dir() else "file"
                raise Unavailable(
                    f"The {kind} {entry.path} belongs to the user {_user_name(number)}, who could read or change what "
                    "whohas keeps there. Remove it, or give it to the user of whohas (chown), and start again."
                )


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def restrict_all_files(home: Path, done: PermissionChanges, *, group: bool) -> PermissionChanges:
    """Set the permissions of all files and folders in the subfolders that whohas makes (`_OURS`), in case somebody
    opens the home folder by mistake. Other subfolders and symbolic links are left alone.

    Failures are added to `done.faults`, never raised. Call it after `restrict_home`. A hundred thousand files take
    seconds.

    Args:
        done: the result of `restrict_home`; it is updated and returned.
        group: whether the tables are open to the group of the warehouse folder.
    """
    try:
        _everything(home, group, done)
    except OSError as error:
        done.faults.append(
            f"{error.filename or home} cannot be read: {error.strerror}. Give it to the user of this process."
        )
    return done


def share_warehouse(folder: Path) -> None:
    """Open the warehouse folder to its group; new entries inherit the group (set-group-ID)."""
    _set(folder, _FOLDER, PermissionChanges())


def share_table(folder: Path) -> None:
    """Open a table (its folder, its Delta log and its files) to the group of the warehouse folder that contains it."""
    if folder.is_dir():
        _open_table(folder, folder.parent.stat().st_gid, PermissionChanges())


@contextmanager
def group_readable_files(shared: bool) -> Generator[None]:
    """With `shared`, create files that the group can read until the context ends.

    Used for the commit of a table, so that other engines can read its log at once. It changes the umask of the whole
    process: use it only for the moment of a commit, in a process that does nothing else.
    """
    if not shared:
        yield
        return
    before = os.umask(_GROUP_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def restrict_files(*paths: Path) -> PermissionChanges:
    """Restrict files outside the home folder to their owner; missing files are skipped."""
    done = PermissionChanges()
    for path in paths:
        if path.is_file():
            _close(path, done)
    return done


def _everything(home: Path, group: bool, done: PermissionChanges) -> None:
    # the warehouse first: other engines may be waiting to read its tables
    for top, is_folder in sorted(_entries(home, follow=_LINKED), key=lambda entry: entry[0].name != "warehouse"):
        if not is_folder or top.name not in _OURS:
            continue
        if top.name != "warehouse":
            _close_tree(top, done)
            continue
        number = top.stat().st_gid
        for inside, folder in list(_entries(top)):
            if group and folder and (inside / _LOG).is_dir():
                _open_table(inside, number, done)
            elif folder:
                _close_tree(inside, done)


def _close_tree(folder: Path, done: PermissionChanges) -> None:
    # a home folder may have the files of a hundred thousand runs: create no Path for files that need no change
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                with suppress(FileNotFoundError):
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if mode & _OTHERS:
                        _set(Path(entry.path), mode & 0o700, done)
                    if stat.S_ISDIR(mode):
                        _close_tree(Path(entry.path), done)
    except (FileNotFoundError, NotADirectoryError):  # other processes remove runs and their folders during the scan
        return


def _open_table(folder: Path, number: int, done: PermissionChanges) -> None:
    _set(folder, _FOLDER, done, number)
    for path, is_folder in _entries(folder):
        if is_folder:
            _open_table(path, number, done)
        elif path.suffix == ".revised":  # the draft of a load in progress, not yet part of the table
            _close(path, done)
        else:
            _set(path, _FILE, done, number)


def _entries(folder: Path, follow: frozenset[str] = frozenset()) -> Iterator[tuple[Path, bool]]:
    """Yield each entry of a folder and whether it is a folder; skip symbolic links, except those named in `follow`."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_symlink():
                    yield Path(entry.path), entry.is_dir()
                elif entry.name in follow and entry.is_dir():
                    yield Path(entry.path), True
    except (FileNotFoundError, NotADirectoryError):
        return


def _close(path: Path, done: PermissionChanges) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if mode & _OTHERS:
        _set(path, mode & 0o700, done)


def _set(path: Path, wanted: int, done: PermissionChanges, group: int | None = None) -> None:
    """Set the permissions of a file or folder, and its group if given; count the change or the failure in `done`."""
    try:
        if group is not None and path.stat().st_gid != group:
            _give(path, group, done)
        before = stat.S_IMODE(path.stat().st_mode)
        if before == wanted:
            return
        path.chmod(wanted)
        after = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        done.faults.append(f"{path} cannot be given the permissions {wanted:04o}: {error.strerror}. {_OWNER}")
        return
    if after & _OTHERS & ~wanted:
        done.faults.append(f"{path} keeps the permissions {after:04o}: its file system has no others. {_OWNER}")
    elif before & _OTHERS & ~wanted:
        done.restricted += 1
    else:
        done.opened += 1


def _give(path: Path, group: int, done: PermissionChanges) -> None:
    try:
        os.chown(path, -1, group)
    except PermissionError as error:
        done.faults.append(
            f"{path} cannot be given to the group {group}, which the warehouse has: {error.strerror}. The user of "
            "whohas must own it and be a member of that group."
        )
    else:
        done.opened += 1


_OWNER = "Let its owner close it to others, or set WHOHAS_HOME to a folder of your own on a local disk."


def log_changes(home: Path, done: PermissionChanges) -> None:
    """Log how many entries of a home folder were restricted or opened, and the first few failures."""
    import structlog

    log = structlog.get_logger("whohas.permissions")
    if done.restricted:
        log.warning("permissions tightened", home=str(home), entries=done.restricted)
    if done.opened:
        log.warning("tables opened to their group", home=str(home), entries=done.opened)
    for fault in done.faults[:_FAULTS]:
        log.warning("permissions stay", reason=fault, more=max(0, len(done.faults) - _FAULTS))
