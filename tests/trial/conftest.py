"""An object store, for trials of sweeps that are on one."""

from tests.storage.object_store import object_store

__all__ = ["object_store"]
