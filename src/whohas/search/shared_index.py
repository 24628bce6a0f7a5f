"""Search indexes in an object store: one machine builds the index of a snapshot, the others download it.

::

    search/000000007/<versions>/    <versions>: 12 hex digits, the hash of the versions that built the index
    ├── identities.parquet …        the files of the index
    └── index.json                  uploaded last: without it the index is not complete

Builds are reproducible, so machines that build the same index at the same time write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from whohas.file_cache import download_files
from whohas.warehouse.remote import RemoteWarehouse

_RECORD: Final = "index.json"

IsUsable = Callable[[Mapping[str, Any]], bool]
"""Whether this version of whohas can read an index, from its index.json."""


@dataclass(frozen=True, slots=True)
class SharedIndex:
    """An index in an object store.

    Attributes:
        prefix: the prefix of its files, such as `search/000000007/3f2a…`.
        record: its index.json.
    """

    prefix: str
    record: Mapping[str, Any]


def find_shared_index(remote: RemoteWarehouse, number: int, is_usable: IsUsable) -> SharedIndex | None:
    """Return a usable index of a snapshot; None if the store has none."""
    keys = [found.key for found in remote.store.list(_prefix(number)) if Path(found.key).name == _RECORD]
    for key in keys:
        with suppress(FileNotFoundError, ValueError):
            record = json.loads(remote.store.read(key))
            if is_usable(record):
                return SharedIndex(key.rpartition("/")[0], record)
    return None


def shared_index_numbers(remote: RemoteWarehouse, is_usable: IsUsable) -> set[int]:
    """Return the numbers of the snapshots that have a usable index in the store."""
    return {number for number in _numbers(remote) if find_shared_index(remote, number, is_usable) is not None}


def download_index(remote: RemoteWarehouse, index: SharedIndex, folder: Path) -> None:
    """Download the files of an index to an empty folder.

    Raises:
        FileNotFoundError: another machine has removed the index.
        StoreFailed: the store failed.
        Unavailable: the disk is full.
    """
    found = list(remote.store.list(index.prefix))
    download_files(remote.store, {folder / Path(one.key).name: (one.key, one.bytes) for one in found})
    if not (folder / _RECORD).is_file():
        raise FileNotFoundError(index.prefix)


def upload_index(remote: RemoteWarehouse, number: int, folder: Path, kept: int) -> None:
    """Upload the files of a complete index, then remove those of older snapshots from the store.

    Args:
        number: the snapshot's number.
        folder: the folder of the index.
        kept: the number of newest snapshots whose indexes stay.
    """
    record = json.loads((folder / _RECORD).read_text())
    made = json.dumps([record["format"], record.get("madeWith")], sort_keys=True)
    prefix = f"{_prefix(number)}/{hashlib.sha256(made.encode()).hexdigest()[:12]}"
    files = [path for path in folder.iterdir() if path.is_file() and path.name != _RECORD]
    remote.upload({path: f"{prefix}/{path.name}" for path in files})
    remote.store.upload(folder / _RECORD, f"{prefix}/{_RECORD}")
    for old in sorted(_numbers(remote))[:-kept]:
        if old != number:
            keys = [found.key for found in remote.store.list(_prefix(old))]
            # index.json first: what is left of an index without it is not used
            remote.store.delete(*sorted(keys, key=lambda key: Path(key).name != _RECORD))


def _numbers(remote: RemoteWarehouse) -> set[int]:
    names = (found.key.split("/")[1] for found in remote.store.list("search") if Path(found.key).name == _RECORD)
    return {int(name) for name in names if name.isdecimal()}


def _prefix(number: int) -> str:
    return f"search/{number:09}"
