"""The image holds what the other files of `cluster/` expect of it."""

import importlib.metadata
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "cluster" / "Dockerfile").read_text()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pinned(name: str) -> dict[str, str]:
    lines = (ROOT / "cluster" / name).read_text().splitlines()
    return {_normal(package): version for package, version in (line.split("==") for line in lines if line[0] != "#")}


def test_nodes_have_the_dashboard_and_the_jobs_api():
    """Those are Ray's extra `default`; KubeRay's probes and the service need them."""
    extra = [r for r in importlib.metadata.requires("ray") or [] if 'extra == "default"' in r]
    needed = {_normal(re.split(r"[ ;<>=!~\[]", requirement)[0]) for requirement in extra}
    assert needed
    assert needed <= set(_pinned("requirements.txt")) | set(_pinned("requirements-nodes.txt"))


def test_no_package_is_pinned_twice():
    assert not set(_pinned("requirements.txt")) & set(_pinned("requirements-nodes.txt"))


def test_what_is_copied_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in allowed or any(Path(source).match(pattern) for pattern in allowed)


def test_the_user_is_the_one_that_kubernetes_runs():
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    spec = yaml.safe_load((ROOT / "cluster" / "kubernetes" / "raycluster.yaml").read_text())["spec"]
    assert int(user) == spec["headGroupSpec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"--uid {user}" in DOCKERFILE


def test_the_convolutions_of_gpus_and_cpus_can_be_compiled():
    """The base image has Python's headers and no compiler: without one, a pack cannot use Triton."""
    (packages,) = re.findall(r"--no-install-recommends (.*) \\$", DOCKERFILE, re.MULTILINE)
    assert "g++" in packages.split()  # and with it gcc and the headers of C
    assert DOCKERFILE.index("g++") < DOCKERFILE.index("pip install --no-deps .")


def test_commands_use_what_is_installed():
    """A command in the folder of sweeps/ would import a copy of the package there, which has no compiled parts."""
    (removed,) = re.findall(r"^RUN pip install --no-deps \. && rm -rf (.*)$", DOCKERFILE, re.MULTILINE)
    assert "dd_ray" in removed.split()


def test_the_launcher_finds_the_home_directory():
    """It reads HOME from the image's environment, and takes /root where there is none."""
    assert re.search(r"^ENV HOME=/home/", DOCKERFILE, re.MULTILINE)
