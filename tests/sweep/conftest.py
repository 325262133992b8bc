"""What the tests of sweeps share."""

from tests.sweep.object_store import object_store

__all__ = ["object_store"]
