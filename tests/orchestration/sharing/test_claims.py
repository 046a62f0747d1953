"""Claims are read from Ray's table of placement groups; the parts of Ray that this relies on."""

import inspect

import pytest
import ray
from ray._private import state

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.sharing.claims import (
    OTHER_JOBS,
    Claim,
    bundles_of,
    claim_name,
    read_claim,
)

ENTRY = {
    "placement_group_id": "f00d",
    "name": "",
    "bundles": {0: {"CPU": 1.0}, 1: {"CPU": 1.0}},
    "bundles_to_node_id": {0: "a", 1: "b"},
    "strategy": "PACK",
    "state": "CREATED",
}


def test_a_name_says_what_others_need_to_know() -> None:
    claim = Claim("0a1b", bundles_of(Resources(workers=2)), ("a", "b"), "small", 0.5, 17.25, "group3", "f00d")
    assert read_claim(ENTRY | {"name": claim_name(claim)}) == claim


@pytest.mark.parametrize(
    "name", ["", "train", "l2rw-ray|small", "l2rw-ray|s|r|-1|0|g", "l2rw-ray|s|r|x|0|g", "other|s|r|1|0|g"]
)
def test_any_other_name_is_that_of_another_job(name: str) -> None:
    claim = read_claim(ENTRY | {"name": name})
    assert claim is not None
    assert (claim.owner, claim.study, claim.priority) == (OTHER_JOBS, "", 1.0)


@pytest.mark.parametrize(
    ("state", "is_held"), [("PENDING", False), ("RESCHEDULING", False), ("PREPARED", True), ("CREATED", True)]
)
def test_a_claim_waits_or_holds(state: str, is_held: bool) -> None:
    claim = read_claim(ENTRY | {"state": state})
    assert claim is not None
    assert claim.is_held is is_held


def test_what_is_over_is_no_claim() -> None:
    assert read_claim(ENTRY | {"state": "REMOVED"}) is None


def test_bundles_are_those_of_each_worker() -> None:
    kind = Resources(workers=2, cpus_per_worker=3, gpus_per_worker=0.5)
    assert bundles_of(kind) == ({"CPU": 3.0, "GPU": 0.5},) * 2
    assert Claim("r", bundles_of(kind)).resources == {"CPU": 6.0, "GPU": 1.0}


def test_ray_says_what_is_free_on_each_node() -> None:
    """Fails where another release of Ray has changed what is not part of its public interface."""
    advice = f"ray {ray.__version__}: compare with what sharing.claims uses"
    assert list(inspect.signature(state.available_resources_per_node).parameters) == [], advice
    table = inspect.getsource(state.GlobalState._gen_placement_group_info)
    assert all(f'"{name}"' in table for name in ENTRY), advice
