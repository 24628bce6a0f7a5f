"""Who on this machine may read the home folder: its owner alone. Tables may be opened to a group, and nothing else.

::

                            private (default)   group
    home/                   0700                0710    the group may pass, and see no names
    ├── warehouse/          0700                2750
    │   └── accounts/       0700, files 0600    2750, files 0640, all of the group that `warehouse/` has
    └── everything else     0700, files 0600    0700, files 0600

A process makes files under a umask of 077. Files of earlier versions, or of an owner who chose otherwise, are closed
when a process starts: the home folder first, so that nobody gets at the rest while that is looked through.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_UMASK = 0o077
_GROUP_UMASK = 0o027
_OTHERS = 0o077
_PASS = 0o010
_FOLDER, _FILE = 0o2750, 0o640
_LOG = "_delta_log"
_OURS = frozenset({"warehouse", "artefacts", "spill", "keys", "rejects"})
"""Folders of the home folder that are looked through; any other is closed itself, which is enough."""
_LINKED = frozenset({"warehouse", "artefacts"})
"""Those that may be a link to another disk."""
_FAULTS = 3
"""Lines on permissions that cannot be changed, at most."""


def restrict_process() -> None:
    """Let nobody else read what this process and its children make from here on."""
    os.umask(_UMASK)


@dataclass(slots=True)
class Tightened:
    """What was changed.

    Attributes:
        closed: files and folders that others could reach, and no longer can.
        opened: files and folders of tables that their group can now reach, or that got its number.
        faults: what could not be changed, in sentences.
    """

    closed: int = 0
    opened: int = 0
    faults: list[str] = field(default_factory=list[str])


def tighten(home: Path, *, group: bool) -> Tightened:
    """Give a home folder and what is right in it the permissions that they should have.

    Nobody else gets at what is deeper then, but a group at tables; see `tighten_all`.

    Args:
        home: is there.
        group: whether the tables are open to the group of the warehouse's folder.
    """
    done = Tightened()
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
        done.faults.append(f"{error.filename or home} cannot be looked at: {error.strerror}.")
    return done


def tighten_all(home: Path, done: Tightened, *, group: bool) -> Tightened:
    """Go on from `tighten` to every file: a defence for the day on which the home folder is opened by mistake.

    A hundred thousand files take seconds.
    """
    try:
        _everything(home, group, done)
    except OSError as error:
        done.faults.append(f"{error.filename or home} cannot be looked at: {error.strerror}.")
    return done


def share_warehouse(folder: Path) -> None:
    """Let the group of the warehouse's folder see its tables; what is made in it gets that group."""
    _set(folder, _FOLDER, Tightened())


def share_table(folder: Path) -> None:
    """Open a table to the group of the folder that it is in: its own folder, its log and its files."""
    if folder.is_dir():
        _open_table(folder, folder.parent.stat().st_gid, Tightened())


@contextmanager
def sharing(shared: bool) -> Generator[None]:
    """Make files that a group may read, if `shared`: engines that read a table see its log at once.

    The umask is the whole process's, so this is for the moment of a commit in a process that does nothing else.
    """
    if not shared:
        yield
        return
    before = os.umask(_GROUP_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def close_files(*paths: Path) -> Tightened:
    """Close files that are not in the home folder; those that are not there are passed over."""
    done = Tightened()
    for path in paths:
        if path.is_file():
            _close(path, done)
    return done


def _everything(home: Path, group: bool, done: Tightened) -> None:
    # tables first: others wait for them
    for top, is_folder in sorted(_entries(home, follow=_LINKED), key=lambda one: one[0].name != "warehouse"):
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


def _close_tree(folder: Path, done: Tightened) -> None:
    # a home may have files of a hundred thousand runs: nothing is made for those that are as they should be
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_symlink():
                    continue
                with suppress(FileNotFoundError):
                    mode = one.stat(follow_symlinks=False).st_mode
                    if mode & _OTHERS:
                        _set(Path(one.path), mode & 0o700, done)
                    if stat.S_ISDIR(mode):
                        _close_tree(Path(one.path), done)
    except (FileNotFoundError, NotADirectoryError):  # runs and their folders come and go
        return


def _open_table(folder: Path, number: int, done: Tightened) -> None:
    _set(folder, _FOLDER, done, number)
    for path, is_folder in _entries(folder):
        if is_folder:
            _open_table(path, number, done)
        elif path.suffix == ".revised":  # a load's own draft
            _close(path, done)
        else:
            _set(path, _FILE, done, number)


def _entries(folder: Path, follow: frozenset[str] = frozenset()) -> Iterator[tuple[Path, bool]]:
    """Yield what is in a folder, and whether it is a folder; links lead elsewhere and are not followed."""
    try:
        with os.scandir(folder) as found:
            for one in found:
                if not one.is_symlink():
                    yield Path(one.path), one.is_dir()
                elif one.name in follow and one.is_dir():
                    yield Path(one.path), True
    except (FileNotFoundError, NotADirectoryError):
        return


def _close(path: Path, done: Tightened) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if mode & _OTHERS:
        _set(path, mode & 0o700, done)


def _set(path: Path, wanted: int, done: Tightened, group: int | None = None) -> None:
    """Give a file or folder its permissions, and a group if it is not of that group yet."""
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
        done.closed += 1
    else:
        done.opened += 1


def _give(path: Path, group: int, done: Tightened) -> None:
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


def log_changes(home: Path, done: Tightened) -> None:
    """Log what was closed and opened in a home folder, and what could not be."""
    import structlog

    log = structlog.get_logger("whohas.permissions")
    if done.closed:
        log.warning("permissions tightened", home=str(home), entries=done.closed)
    if done.opened:
        log.warning("tables opened to their group", home=str(home), entries=done.opened)
    for fault in done.faults[:_FAULTS]:
        log.warning("permissions stay", reason=fault, more=max(0, len(done.faults) - _FAULTS))
