"""What the tests of storages share."""

from tests.storage.object_store import object_store

__all__ = ["object_store"]
