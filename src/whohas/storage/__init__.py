"""The files of runs: their descriptions, and the stores that keep them.

::

    base      Artifact, and ArtifactStore, the interface of both stores
    folder    files in a folder on the local disk
    objects   files in an object store
    uploads   incomplete uploads to S3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whohas.file_cache import FileCache
from whohas.object_stores import open_store
from whohas.storage.base import (
    EXTRACT,
    ZIP_MEDIA_TYPE,
    Artifact,
    ArtifactStore,
    FileTarget,
    OpenFile,
    StoredFile,
    StoredRun,
)
from whohas.storage.folder import FolderStore

if TYPE_CHECKING:
    from whohas.settings import Settings

__all__ = [
    "EXTRACT",
    "ZIP_MEDIA_TYPE",
    "Artifact",
    "ArtifactStore",
    "FileTarget",
    "OpenFile",
    "StoredFile",
    "StoredRun",
    "open_artifact_store",
]


def open_artifact_store(settings: Settings) -> ArtifactStore:
    """Return the store of the files of runs that the settings name. No request is made.

    Raises:
        StoreFailed: the settings in the environment for an object store are contradictory or incomplete.
    """
    address = settings.files_address
    if address.is_local:
        return FolderStore(address.path)
    from whohas.storage.objects import ObjectArtifacts

    store = open_store(address)
    cache = FileCache(settings.files_cache_path, store, settings.files_cache_bytes, copies="*", idle_seconds=0)
    return ObjectArtifacts(store, cache, signs=settings.downloads == "redirect")
