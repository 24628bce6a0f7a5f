"""Open the warehouse of an installation: a folder, or a prefix of an object store."""

from __future__ import annotations

from whohas.object_stores import open_store
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse


def open_warehouse(settings: Settings, *, serving: bool = False) -> Warehouse:
    """Return the warehouse that the settings name.

    Args:
        serving: whether this is the start of a server or worker. An object store is then probed, see
            `ObjectStore.probe`; each load does so itself.

    Raises:
        StoreFailed: the object store fails, or does not hold conditional puts.
    """
    address = settings.warehouse_address
    if address.is_local:
        return Warehouse(address.path, shared=settings.is_warehouse_shared)
    from whohas.warehouse.remote import RemoteWarehouse

    store = open_store(address)
    if serving:
        store.probe()
    remote = RemoteWarehouse.open(store, settings.cache_path, settings.cache_bytes)
    return Warehouse(remote.root, remote=remote)
