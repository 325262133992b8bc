"""What the tests of upkeep share with those of storages."""

from tests.storage.object_store import object_store

__all__ = ["object_store"]
