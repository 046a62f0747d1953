"""The Kubernetes manifest: its structure, required fields and resources."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from l2rw_ray.orchestration.cluster.autoscaling import NodeGroup, growth_groups
from l2rw_ray.orchestration.jobs.submission import Submission
from tests.clusters.kuberay import RayJob

MANIFEST = Path(__file__).parents[2] / "clusters" / "rayjob.yaml"


@pytest.fixture
def tree() -> Any:
    return YAML(typ="safe", pure=True).load(MANIFEST.read_text(encoding="utf-8"))


def test_manifest_is_a_ray_job(tree: Any) -> None:
    job = RayJob.model_validate(tree)
    cluster = job.spec.rayClusterSpec
    assert cluster.authOptions.mode == "token"
    assert cluster.headGroupSpec.rayStartParams["num-cpus"] == "0", "the head trains nothing"
    cpu, gpu = cluster.workerGroupSpecs
    assert (cpu.minReplicas, gpu.minReplicas) == (0, 0)
    assert "nvidia.com/gpu" not in cpu.template.spec.containers[0].resources.limits
    assert gpu.template.spec.containers[0].resources.limits["nvidia.com/gpu"] == "1"


def test_head_is_told_what_may_come(tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = RayJob.model_validate(tree).spec.rayClusterSpec
    (variable,) = cluster.headGroupSpec.template.spec.containers[0].env
    monkeypatch.setenv(variable.name, variable.value)
    limits = [group.template.spec.containers[0].resources.limits for group in cluster.workerGroupSpecs]
    assert growth_groups() == tuple(
        NodeGroup(nodes=group.maxReplicas, CPU=float(limit["cpu"]), GPU=float(limit.get("nvidia.com/gpu", 0)))
        for group, limit in zip(cluster.workerGroupSpecs, limits, strict=True)
    )


def test_user_of_the_image_may_write_to_the_volume(tree: Any) -> None:
    cluster = RayJob.model_validate(tree).spec.rayClusterSpec
    user = re.search(r"useradd --uid (\d+)", MANIFEST.with_name("Dockerfile").read_text(encoding="utf-8"))
    assert user is not None
    for group in (cluster.headGroupSpec, *cluster.workerGroupSpecs):
        context = group.template.spec.securityContext
        assert context is not None
        assert str(context.fsGroup) == user[1]


def test_job_runs_as_a_submitted_one_does(tree: Any) -> None:
    job = RayJob.model_validate(tree)
    environment = YAML(typ="safe", pure=True).load(job.spec.runtimeEnvYAML)["env_vars"]
    assert environment == Submission().environment()
    head, study, *options = shlex.split(job.spec.entrypoint)[2:]
    assert head == "run"
    paths = [
        mount.mountPath
        for mount in job.spec.rayClusterSpec.headGroupSpec.template.spec.containers[0].volumeMounts
    ]
    assert any(study.startswith(f"{path}/") for path in paths)
    assert options[:2] == ["--address", "auto"]
    assert any(options[-1].startswith(f"{path}/") for path in paths)


@pytest.mark.parametrize(
    "break_manifest",
    [
        lambda tree: tree["spec"].pop("entrypoint"),
        lambda tree: tree["spec"].update(entrypont="true"),
        lambda tree: tree["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].update(minReplicas="0"),
        lambda tree: tree["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update(
            {"num-cpus": 0}
        ),
        lambda tree: tree["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"].pop("volumes"),
        lambda tree: tree["metadata"].update(name="twice"),
    ],
    ids=["required", "misspelt", "text for a number", "number for a text", "no volume", "two names"],
)
def test_manifest_with_a_mistake_is_refused(tree: Any, break_manifest: Any) -> None:
    break_manifest(tree)
    with pytest.raises(ValidationError):
        RayJob.model_validate(tree)
