"""A cluster is asked, before Ray is imported, whether it answers and whether it asks for a token."""

import os
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

import dd_ray
from dd_ray.errors import UserError
from dd_ray.tune import joining
from dd_ray.tune.joining import one_at_a_time, prepare_to_join

OFFERS = "os.environ.get('RAY_AUTH_TOKEN') == 'mine' and os.environ['RAY_AUTH_MODE'] == 'token'"
"""Whether the process that asks offers the token; the other one has it not in its environment."""
ANSWERS = {
    "open": "sys.exit(0)",
    "asks for the token": f"sys.exit(0 if {OFFERS} else 'InvalidAuthToken')",
    "asks for another token": "sys.exit('InvalidAuthToken')",
    "no answer": "sys.exit('timed out')",
}


@pytest.fixture(autouse=True)
def with_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token to offer, and an environment that is restored."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.setenv("RAY_AUTH_MODE", "unknown")


@pytest.fixture
def port() -> Iterator[str]:
    """Address of something that lets itself be connected to."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def cluster(port: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a cluster that answers so, at an address."""

    def cluster(kind: str) -> str:
        program = f"import os, sys; assert sys.argv[1:] == ['{port}']; {ANSWERS[kind]}"
        monkeypatch.setattr(joining, "health_check", lambda address: [sys.executable, "-S", "-c", program, address])
        return port

    return cluster


@pytest.mark.parametrize(
    ("kind", "insecure", "mode"),
    [
        ("open", True, "disabled"),
        ("asks for the token", False, "token"),
        ("asks for the token", True, "token"),
    ],
)
def test_the_mode_of_authentication_is_the_cluster_s(
    cluster: Callable[[str], str], kind: str, insecure: bool, mode: str
) -> None:
    prepare_to_join(cluster(kind), insecure)
    assert os.environ["RAY_AUTH_MODE"] == mode


@pytest.mark.parametrize(
    ("kind", "insecure", "words"),
    [
        ("open", False, "asks for no token, so whoever reaches its ports runs code as you; .* give --insecure"),
        ("asks for another token", False, "asks for a token and was given none or another; put its token into "),
        ("asks for another token", True, "asks for a token and was given none or another; put its token into "),
        ("no answer", False, "no Ray answers at --address"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_refused_by_its_address(
    cluster: Callable[[str], str], kind: str, insecure: bool, words: str
) -> None:
    address = cluster(kind)
    with pytest.raises(UserError, match=words) as refused:
        prepare_to_join(address, insecure)
    assert f"--address {address}" in str(refused.value)
    assert os.environ["RAY_AUTH_MODE"] == "unknown"


def test_a_second_sweep_of_a_process_leaves_the_connection_of_the_first_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with one_at_a_time():
        for connected in (False, True):  # as the first connects, and once it has
            monkeypatch.setattr(joining, "is_connected", lambda connected=connected: connected)
            with pytest.raises(UserError, match=r"runs another sweep.* run one after the other"):
                dd_ray.run("inertia_grid", progress=False)
    with one_at_a_time(), one_at_a_time():  # on a Ray of the program's own
        pass
