"""What the tests of figures share."""

import pytest

from dd_ray.figures import common


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a ninth of the pixels, which take a fraction of the time: tests ask the figures what is where."""
    monkeypatch.setattr(common, "DPI", 50)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of figures that are empty, for tests that look at none: laying out and drawing is most of their time."""
    monkeypatch.setattr(common, "_content", lambda figure, ending: b"")
