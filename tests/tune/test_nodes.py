"""What nodes answer before a sweep starts, and what is made of it."""

import pytest

from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import difference, versions
from dd_ray.tune import nodes


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of one node, which answers as it is told, and the sweep that it is asked about."""
    sweep = SweepFolder.at(tmp_path / "sweep")
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": "n", "NodeManagerAddress": "10.0.0.7", "Alive": True}])

    def answers(writes=True, **answer):
        def ask(found, location, marker, replies):
            assert sweep.files.exists(marker)
            if writes:
                sweep.files.write(replies["n"], b"")
            return {"n": answer}

        monkeypatch.setattr(nodes, "_ask", ask)
        return sweep

    return answers


def test_a_node_like_ours_is_welcome_and_nothing_is_left_behind(cluster):
    sweep = cluster(versions=versions(), sees=True)
    nodes.check_nodes(sweep)
    assert not list(sweep.folder.iterdir())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"missing": "No module named 'dd_ray'"}, "10.0.0.7 lacks software .No module named 'dd_ray'"),
        ({"versions": versions() | {"torch": "1.0.0"}, "sees": True}, "10.0.0.7 has torch 1.0.0 instead of"),
        ({"versions": versions() | {"dd_ray": "0.1.0 (source ffff)"}, "sees": True}, "dd_ray 0.1.0 .source ffff"),
        (
            {"versions": versions(), "storage": "access was refused"},
            "cannot use --storage as this machine does: access was refused",
        ),
        ({"versions": versions(), "sees": False}, "10.0.0.7 and this machine do not see the same"),
        ({"versions": versions(), "sees": True, "writes": False}, "10.0.0.7 and this machine do not see the same"),
    ],
)
def test_a_node_that_differs_is_refused_by_its_address(cluster, answer, words):
    sweep = cluster(**answer)
    with pytest.raises(UserError, match=words):
        nodes.check_nodes(sweep)
    assert not list(sweep.folder.iterdir())


def test_builds_for_other_hardware_are_the_same_version():
    assert "+" not in versions()["torch"]
    assert difference({"torch": "2.13.0"}, {"torch": "2.13.0"}) == ""
