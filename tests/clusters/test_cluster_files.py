"""The cluster files, as far as they can be checked without a cloud: Ray's own schema and provider rules."""

import re
import shlex
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from l2rw_ray.orchestration.cluster.autoscaling import GROWTH_VARIABLE, NodeGroup, growth_groups
from l2rw_ray.orchestration.jobs.submission import RESULTS_VARIABLE

ROOT = Path(__file__).parents[2]
LAUNCHED = ["cluster.yaml", "clusters/gcp.yaml", "clusters/on_premise.yaml"]
AUTOSCALED = LAUNCHED[:2]


def _load(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def prepare() -> Callable[[dict], dict]:
    """Ray's own check of what `ray up` is given."""
    from ray.autoscaler._private import util  # there is no public one

    def check(config: dict) -> dict:
        prepared: dict = util.prepare_config(config)
        util.validate_config(prepared)
        return prepared

    return check


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_accepts_the_file(name: str, prepare: Callable[[dict], dict]) -> None:
    prepared = prepare(_load(name))
    commands = [*prepared["head_setup_commands"], *prepared["worker_setup_commands"]]
    assert not [line for line in commands if "pip install" in line], "nothing of the defaults is installed"


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_refuses_the_file_with_a_misspelt_field(name: str, prepare: Callable[[dict], dict]) -> None:
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        prepare(_load(name) | {"idle_timeout_minuts": 5})


@pytest.mark.parametrize("name", AUTOSCALED)
def test_head_trains_nothing_and_workers_come_from_none(name: str, prepare: Callable[[dict], dict]) -> None:
    config = prepare(_load(name))
    head, *workers = config["available_node_types"].values()
    assert config["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert not {"InstanceMarketOptions", "scheduling"} & head["node_config"].keys(), "the head stays"
    for worker in workers:
        machine = worker["node_config"]
        is_spot = machine.get("InstanceMarketOptions") == {"MarketType": "spot"}
        assert is_spot or {"preemptible": True} in machine["scheduling"]
        assert worker["min_workers"] == 0 < worker["max_workers"]
        assert worker["resources"]["CPU"] > 0
    assert [worker["resources"].get("GPU", 0) for worker in workers] == [0, 1]
    assert config["max_workers"] >= sum(worker["max_workers"] for worker in workers)


@pytest.mark.parametrize("name", AUTOSCALED)
def test_head_is_told_what_may_come(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _load(name)
    (text,) = re.findall(rf"export {GROWTH_VARIABLE}='(.*?)'", config["head_start_ray_commands"][-1])
    monkeypatch.setenv(GROWTH_VARIABLE, text)
    _, *workers = config["available_node_types"].values()
    assert growth_groups() == tuple(
        NodeGroup(nodes=worker["max_workers"], **worker["resources"]) for worker in workers
    )


@pytest.mark.parametrize("name", LAUNCHED)
def test_nodes_install_this_checkout_from_the_lock(name: str) -> None:
    config = _load(name)
    installing = [line for line in config["setup_commands"] if " uv sync " in line.replace("bin/uv", " uv")]
    assert len(installing) == 1
    assert "--frozen" in installing[0]
    for local in config["file_mounts"].values():
        assert local == "~/.ray/auth_token" or (ROOT / local).exists()
    built_from = {"pyproject.toml", "uv.lock", "README.md", "l2rw_ray"}
    assert built_from <= set(config["file_mounts"].values())


@pytest.mark.parametrize("name", LAUNCHED)
def test_nodes_want_the_token_and_share_a_results_folder(name: str) -> None:
    config = _load(name)
    for line in (config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]):
        assert "RAY_AUTH_MODE=token" in line
        assert f"{RESULTS_VARIABLE}=/shared/results" in line
    assert any(line.rstrip().endswith("/shared/results") for line in config["setup_commands"])
    assert "/home/ubuntu/.ray/auth_token" in config["file_mounts"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_commands_are_ones_that_bash_can_read(name: str) -> None:
    config = _load(name)
    lines = [line for field, lines in config.items() if field.endswith("commands") for line in lines]
    done = subprocess.run(["bash", "-n", "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", AUTOSCALED)
def test_clouds_need_an_extra_that_exists(name: str) -> None:
    extras = re.findall(r"--extra (\w+)", "\n".join(_load(name)["setup_commands"]))
    assert extras == [_load(name)["provider"]["type"]]
    assert f"\n{extras[0]} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_image_is_built_from_what_is_there() -> None:
    lines = (ROOT / "clusters" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [source for line in lines if line.startswith("COPY") for source in shlex.split(line)[1:-1]]
    assert copied
    assert all((ROOT / source).exists() for source in copied)


def test_kubernetes_runs_the_release_that_is_installed() -> None:
    cluster = _load("clusters/rayjob.yaml")["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
