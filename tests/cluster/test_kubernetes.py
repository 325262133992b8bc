"""The manifests say only what KubeRay and Kubernetes understand, and what makes a cluster safe and its results last.

`CLUSTER` and `JOB` are the fields that the manifests use, of KubeRay v1.6.2's reference of `ray.io/v1` ("KubeRay CRD
API reference" in Ray's documentation); `POD` and `CLAIM` those of Kubernetes' `core/v1`. Kubernetes drops a field that
it does not know, or refuses it.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.fields import faults

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster" / "kubernetes"
STORAGE, RAY_CLUSTER, RAY_JOB = (
    yaml.safe_load((FOLDER / name).read_text()) for name in ("storage.yaml", "raycluster.yaml", "rayjob.yaml")
)
SPECS = {"raycluster": RAY_CLUSTER["spec"], "rayjob": RAY_JOB["spec"]["rayClusterSpec"]}

# As `fields.faults` takes them.
SECURITY = {"allowPrivilegeEscalation": bool, "capabilities": {"drop": [str]}}
RESOURCES = {"requests": {str: str}, "limits": {str: str}}
POD = {
    "spec": {
        "restartPolicy": {"Never"},  # the only one that autoscaler v2 takes
        "automountServiceAccountToken": bool,
        "tolerations": [{"key": str, "operator": {"Exists", "Equal"}, "effect": {"NoSchedule"}}],
        "securityContext": {
            "runAsNonRoot": bool,
            "runAsUser": int,
            "runAsGroup": int,
            "fsGroup": int,
            "fsGroupChangePolicy": {"Always", "OnRootMismatch"},
            "seccompProfile": {"type": {"RuntimeDefault"}},
        },
        "containers": [
            {
                "name": str,
                "image": str,
                "ports": [{"name": str, "containerPort": int}],
                "resources": RESOURCES,
                "securityContext": SECURITY,
                "volumeMounts": [{"name": str, "mountPath": str}],
            }
        ],
        "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}],
    }
}
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": {"disabled", "token"}},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {"idleTimeoutSeconds": int, "resources": RESOURCES, "securityContext": SECURITY},
    "headGroupSpec": {"serviceType": {"ClusterIP"}, "rayStartParams": {str: str}, "template": POD},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "rayStartParams": {str: str},
            "template": POD,
        }
    ],
}
JOB = {
    "entrypoint": str,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "backoffLimit": int,
    "submitterPodTemplate": POD,
    "rayClusterSpec": CLUSTER,
}
CLAIM = {
    "accessModes": [{"ReadWriteMany"}],
    "storageClassName": str,
    "resources": {"requests": {str: str}},
}


def _manifest(kind: str, version: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": {version}, "kind": {kind}, "metadata": {"name": str}, "spec": spec}


def _pods(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod specs of a cluster, head first."""
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


@pytest.mark.parametrize(
    ("manifest", "schema"),
    [
        (STORAGE, _manifest("PersistentVolumeClaim", "v1", CLAIM)),
        (RAY_CLUSTER, _manifest("RayCluster", "ray.io/v1", CLUSTER)),
        (RAY_JOB, _manifest("RayJob", "ray.io/v1", JOB)),
    ],
    ids=["storage", "raycluster", "rayjob"],
)
def test_every_field_is_known(manifest, schema):
    assert list(faults(manifest, schema, manifest["kind"])) == []


def test_a_misspelt_field_is_noticed():
    wrong = {"authOption": {"mode": "token"}, "headGroupSpec": {"serviceType": "LoadBalancer"}, "rayVersion": 2}
    assert len(list(faults(wrong, CLUSTER, ""))) == 3


def test_the_job_starts_the_same_cluster():
    assert SPECS["rayjob"] == SPECS["raycluster"]


@pytest.mark.parametrize("manifest", [RAY_CLUSTER, RAY_JOB], ids=["raycluster", "rayjob"])
def test_names_are_labels_of_the_domain_name_system(manifest):
    """KubeRay makes the names of services of them, so it takes letters, digits and hyphens, a letter first."""
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", manifest["metadata"]["name"])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
class TestCluster:
    def test_asks_for_a_token(self, spec):
        pinned = re.search(r"^ray==(.*)$", (ROOT / "cluster" / "requirements.txt").read_text(), re.MULTILINE)
        assert spec["authOptions"] == {"mode": "token"}
        assert pinned is not None
        assert spec["rayVersion"] == pinned[1]  # KubeRay refuses tokens for Rays before 2.52, or of no version

    def test_ray_reads_it_as_workers_from_zero_and_a_head_without_trials(self, spec):
        """By Ray's own translation of a RayCluster, which its autoscaler uses."""
        from ray.autoscaler._private.kuberay import autoscaling_config as kuberay

        cluster = {"metadata": {"name": "dd-ray", "namespace": "default"}, "spec": spec}
        config = kuberay._derive_autoscaling_config_from_ray_cr(cluster)
        types = config["available_node_types"]
        head = types.pop(config["head_node_type"])
        assert head["resources"]["CPU"] == 0
        assert "GPU" not in head["resources"]
        assert config["idle_timeout_minutes"] == 5
        (worker,) = types.values()
        assert (worker["min_workers"], worker["max_workers"]) == (0, 8)
        assert (worker["resources"]["CPU"], worker["resources"]["GPU"]) == (6, 1)

    def test_head_and_workers_share_the_storage(self, spec):
        for pod in _pods(spec):
            (volume,) = pod["volumes"]
            assert volume["persistentVolumeClaim"]["claimName"] == STORAGE["metadata"]["name"]
            assert [(m["name"], m["mountPath"]) for m in pod["containers"][0]["volumeMounts"]] == [
                ("storage", "/shared")
            ]

    def test_no_container_is_root_or_can_become_it(self, spec):
        pods = [*_pods(spec), RAY_JOB["spec"]["submitterPodTemplate"]["spec"]]
        containers = [container for pod in pods for container in pod["containers"]]
        assert all(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] for pod in pods)
        for security in [spec["autoscalerOptions"]["securityContext"], *(c["securityContext"] for c in containers)]:
            assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

    def test_every_container_has_limits(self, spec):
        """Without a limit of CPUs and memory Ray takes those of the whole machine for its own."""
        for pod in _pods(spec):
            limits = pod["containers"][0]["resources"]["limits"]
            assert {"cpu", "memory"} <= set(limits)
            assert limits == pod["containers"][0]["resources"]["requests"]


def test_a_failed_job_is_run_again_and_a_finished_one_is_cleared_away():
    spec = RAY_JOB["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"]
    assert spec["ttlSecondsAfterFinished"] > 0


def test_the_job_runs_a_sweep_that_there_is():
    python, script, *words = shlex.split(RAY_JOB["spec"]["entrypoint"])
    source = ROOT / Path(script).relative_to("/opt/dd_ray")  # where the image has it
    options = [word for word in words if word.startswith("--")]
    help_text = subprocess.run([sys.executable, source, "--help"], capture_output=True, text=True, check=True).stdout
    assert python == "python"
    assert [option for option in options if not re.search(rf"{option}\b", help_text)] == []
    assert words[words.index("--storage") + 1].startswith("/shared/")


def test_the_page_names_the_files_and_what_to_replace():
    page = (FOLDER / "README.md").read_text()
    placeholders = {word for path in FOLDER.glob("*.yaml") for word in re.findall(r"REPLACE_\w+", path.read_text())}
    assert placeholders and all(word in page for word in placeholders)
    assert all(path.name in page for path in FOLDER.glob("*.yaml"))
