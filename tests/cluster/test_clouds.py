"""Ray's cluster launcher takes the files, and what it makes of them is safe and costs nothing while nothing runs."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.fields import faults

FOLDER = Path(__file__).parents[2] / "cluster"
FILES = {name: FOLDER / f"{name}.yaml" for name in ("aws", "gcp")}

# What the file says of a machine, of the resource `Instance` of Google's Compute Engine API, v1.
DISK = {
    "boot": bool,
    "autoDelete": bool,
    "initializeParams": {"diskSizeGb": int, "diskType": str, "sourceImage": str},
}
INSTANCE = {
    "machineType": str,
    "disks": [DISK],
    "metadata": {"items": [{"key": str, "value": str}]},
    "serviceAccounts": [{"email": str, "scopes": [str]}],
    "scheduling": {
        "provisioningModel": {"SPOT", "STANDARD"},
        "instanceTerminationAction": {"DELETE", "STOP"},
        "automaticRestart": bool,
        "onHostMaintenance": {"MIGRATE", "TERMINATE"},
    },
}


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"REPLACE_[A-Z]+", text))


def _config(name: str, **replaced: str) -> dict[str, Any]:
    """A file as the launcher has it before it asks the cloud."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    text = FILES[name].read_text()
    for placeholder in _placeholders(text):
        text = text.replace(placeholder, replaced.get(placeholder, "replaced"))
    config = prepare_config(yaml.safe_load(text))
    validate_config(config)
    return config


@pytest.fixture(params=FILES)
def config(request, tmp_path, monkeypatch):
    _home_with_a_token(tmp_path, monkeypatch)
    return _config(request.param)


def _home_with_a_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").write_text("0" * 64)


def test_every_node_gets_the_token_and_refuses_those_without(config):
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    assert "-e RAY_AUTH_MODE=token" in config["docker"]["run_options"]


def test_nothing_is_installed_or_opened_at_the_start(config):
    """The launcher's defaults install a nightly Ray and open the dashboard to the network."""
    assert config["setup_commands"] == config["head_setup_commands"] == config["worker_setup_commands"] == []
    starts = " ".join(config["head_start_ray_commands"] + config["worker_start_ray_commands"])
    assert "--dashboard-host" not in starts


def test_trial_runs_come_from_zero_and_the_head_runs_no_trials(config):
    types = config["available_node_types"]
    head, worker = types[config["head_node_type"]], types["worker"]
    assert set(types) == {"head", "worker"}
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert worker["resources"]["GPU"] == 1
    assert worker["min_workers"] == 0 < worker["max_workers"] <= config["max_workers"]
    assert config["idle_timeout_minutes"] <= 5


def test_tearing_down_leaves_no_disk(config):
    assert config["provider"]["cache_stopped_nodes"] is False
    for node_type in config["available_node_types"].values():
        machine = node_type["node_config"]
        disks = machine.get("disks") or [mapping["Ebs"] for mapping in machine["BlockDeviceMappings"]]
        assert all(disk.get("autoDelete") or disk.get("DeleteOnTermination") for disk in disks)


@pytest.mark.parametrize("name", FILES)
def test_the_page_says_what_to_replace(name):
    placeholders = _placeholders(FILES[name].read_text())
    assert placeholders and placeholders <= _placeholders((FOLDER / "clouds.md").read_text())


@pytest.mark.parametrize("name", FILES)
def test_no_key_of_the_cloud_is_in_the_file(name):
    assert not re.search("credentials|secret|access_key|private_key", FILES[name].read_text(), re.IGNORECASE)


def test_google_knows_every_field_of_the_machines(tmp_path, monkeypatch):
    _home_with_a_token(tmp_path, monkeypatch)
    types = _config("gcp")["available_node_types"]
    for name, node_type in types.items():
        assert list(faults(node_type["node_config"], INSTANCE, name)) == []
    assert "scheduling" not in types["head"]["node_config"]
    assert types["worker"]["node_config"]["scheduling"]["provisioningModel"] == "SPOT"


def test_amazon_knows_every_field_of_the_machines(tmp_path, monkeypatch):
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    _home_with_a_token(tmp_path, monkeypatch)
    known = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    machines = {name: node_type["node_config"] for name, node_type in _config("aws")["available_node_types"].items()}
    for name, machine in machines.items():
        report = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **machine}, known)
        assert not report.has_errors(), report.generate_report()
        assert machine["IamInstanceProfile"] == {"Name": f"dd-ray-{name}"} and "KeyName" not in machine
        assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert "InstanceMarketOptions" not in machines["head"]
    assert machines["worker"]["InstanceMarketOptions"]["MarketType"] == "spot"


def _started() -> dict[str, Any]:
    """What the launcher makes: machines by the name of their type, the rules of their firewall, and its provider."""
    import boto3
    from ray.autoscaler._private.aws import config as aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    ec2, iam = boto3.resource("ec2", "us-west-2"), boto3.client("iam", "us-west-2")
    for name in ("dd-ray-head", "dd-ray-worker"):
        iam.create_instance_profile(InstanceProfileName=name)
    config = aws.bootstrap_aws(_config("aws", REPLACE_AMI=next(iter(ec2.images.all())).id))
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    machines = {}
    for name, node_type in config["available_node_types"].items():
        tags = {"ray-node-type": name, "ray-user-node-type": name, "ray-node-name": name}
        (machines[name],) = provider.create_node(copy.deepcopy(node_type["node_config"]), tags, 1).values()
        machines[name].reload()
    (group,) = ec2.security_groups.filter(Filters=[{"Name": "group-name", "Values": ["ray-autoscaler-*"]}])
    return {"machines": machines, "rules": group.ip_permissions, "provider": provider}


@pytest.fixture(scope="module")
def amazon(tmp_path_factory):
    """AWS, played by moto, with a cluster started by the launcher's own code."""
    from moto import mock_aws

    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(variable, "testing")
        _home_with_a_token(tmp_path_factory.mktemp("home"), monkeypatch)
        yield _started()


@pytest.mark.slow
class TestAmazon:
    """What the launcher makes of the file; what the file says is checked always, without a cloud that is played."""

    def test_trial_runs_are_spot_and_the_head_is_not(self, amazon):
        lifecycles = {name: machine.instance_lifecycle for name, machine in amazon["machines"].items()}
        assert lifecycles == {"head": None, "worker": "spot"}

    def test_machines_have_roles_in_place_of_keys(self, amazon):
        for name, machine in amazon["machines"].items():
            assert machine.iam_instance_profile["Arn"].endswith(f"/dd-ray-{name}")
            assert machine.metadata_options["HttpTokens"] == "required"

    def test_only_ssh_is_open(self, amazon):
        among_themselves, ssh = amazon["rules"]
        assert among_themselves["IpRanges"] == [] and len(among_themselves["UserIdGroupPairs"]) == 1
        assert (ssh["FromPort"], ssh["ToPort"], ssh["IpProtocol"]) == (22, 22, "tcp")

    def test_tearing_down_deletes_the_machines(self, amazon):
        provider = amazon["provider"]
        provider.terminate_nodes(provider.non_terminated_nodes({}))
        for machine in amazon["machines"].values():
            machine.reload()
            assert machine.state["Name"] == "terminated"
