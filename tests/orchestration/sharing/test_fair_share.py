"""Who gets resources next, and which worker groups leave for that."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from l2rw_ray.orchestration.sharing.claims import OTHER_JOBS, Claim, ClusterUse
from l2rw_ray.orchestration.sharing.fair_share import Settlement, settle

CORE, GPU = {"CPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}


def held(owner: str, number: int = 1, node: str = "a", bundle: Mapping[str, float] = CORE, **more) -> list:
    """So many worker groups with one worker each."""
    names = [f"{owner}{each}" for each in range(number)]
    return [Claim(owner, (bundle,), (node,), group=name, claim_id=name, **more) for name in names]


def waiting(
    owner: str, number: int = 1, bundle: Mapping[str, float] = CORE, workers: int = 1, **more
) -> list:
    return [Claim(owner, (bundle,) * workers, **more)] * number


def used(claims: list[Claim], nodes: Mapping[str, Mapping[str, float]]) -> ClusterUse:
    """The use of a cluster whose nodes have these resources."""
    free = {node: dict(resources) for node, resources in nodes.items()}
    total: dict[str, float] = {}
    for resources in nodes.values():
        for name, value in resources.items():
            total[name] = total.get(name, 0.0) + value
    for claim in claims:
        for node, bundle in zip(claim.nodes, claim.bundles, strict=True):
            for name, value in bundle.items():
                free[node][name] -= value
    return ClusterUse(total, free, claims)


def leaving(settled: list[Settlement]) -> list[str]:
    return [group.owner for each in settled for group in each.leaving]


@pytest.mark.parametrize(
    ("holds", "wants", "leave"),
    [
        (4, 1, 1),
        (4, 4, 2),  # both then hold two
        (3, 3, 1),  # two and one: a second one would only change who has less
        (1, 1, 1),  # by turns
    ],
)
def test_groups_leave_until_shares_are_equal(holds: int, wants: int, leave: int) -> None:
    settled = settle(used(held("A", holds), {"a": {"CPU": holds}}), waiting("B", wants))
    assert leaving(settled) == ["A"] * leave
    assert [each.is_turn for each in settled if each.leaving] == [holds == 1] * leave


def test_nobody_leaves_while_there_is_room() -> None:
    (settled,) = settle(used(held("A", 2), {"a": {"CPU": 4}}), waiting("B"))
    assert settled.is_granted
    assert not settled.leaving


def test_shares_are_weighted_by_priority() -> None:
    settled = settle(used(held("A", 3), {"a": {"CPU": 3}}), waiting("B", 3, priority=2.0))
    assert leaving(settled) == ["A", "A"]
    settled = settle(used(held("A", 4, priority=3.0), {"a": {"CPU": 4}}), waiting("B", 4))
    assert leaving(settled) == ["A"]


def test_the_smallest_share_is_served_first_and_then_who_has_waited_longest() -> None:
    use = used(held("A"), {"a": {"CPU": 3}})
    settled = settle(
        use, [*waiting("A", since_s=1), *waiting("B", since_s=9), *waiting("C", since_s=5), *waiting("B")]
    )
    assert [(each.claim.owner, each.is_granted) for each in settled][:3] == [
        ("B", True),
        ("C", True),
        ("A", False),
    ]


def test_what_leaves_for_one_is_not_free_for_the_next() -> None:
    """Where A has just left for B, A's own next request is not granted before B has its group."""
    use = used([], {"a": {"CPU": 1}})
    first, second = settle(use, [*waiting("A", since_s=20), *waiting("B", since_s=10)])
    assert (first.claim.owner, first.is_granted) == ("B", True)
    assert (second.claim.owner, second.is_granted) == ("A", False)


def test_whoever_has_a_group_gets_no_turn() -> None:
    use = used([*held("A", 2), *held("B")], {"a": {"CPU": 3}})
    assert leaving(settle(use, waiting("B"))) == []


def test_several_groups_leave_for_one_that_needs_their_room() -> None:
    (settled,) = settle(used(held("A", 4), {"a": {"CPU": 4}}), waiting("B", workers=2))
    assert len(settled.leaving) == 2
    (settled,) = settle(used(held("A", 4), {"a": {"CPU": 4}}), waiting("B", bundle={"CPU": 4.0}))
    assert (len(settled.leaving), settled.is_turn) == (4, True)


def test_only_groups_whose_node_helps_leave() -> None:
    nodes = {"a": {"CPU": 4.0}, "g": {"CPU": 4.0, "GPU": 2.0}}
    claims = [*held("A", 4, "a"), *held("B", 2, "g", GPU)]
    (settled,) = settle(used(claims, nodes), waiting("C", bundle=GPU))
    assert [(group.owner, group.nodes) for group in settled.leaving] == [("B", ("g",))]
    assert {group.group for group in settled.instead} == {"B0", "B1"}, "whichever ends its trial first"


def test_a_node_that_has_died_has_no_room() -> None:
    use = used(held("A", 2), {"a": {"CPU": 2.0}})
    use = replace(use, claims=[*held("A", 2, "dead"), *use.claims])
    (found,) = settle(use, waiting("B"))
    assert [group.nodes for group in found.leaving] == [("a",)]


def test_what_no_node_can_hold_makes_nobody_leave() -> None:
    (settled,) = settle(used(held("A", 4), {"a": {"CPU": 4}}), waiting("B", bundle={"CPU": 8.0}))
    assert not settled.is_granted
    assert not settled.leaving


def test_a_spread_placement_needs_different_nodes() -> None:
    nodes = {"a": {"CPU": 2.0}, "b": {"CPU": 1.0}}
    spread, packed = (
        waiting(OTHER_JOBS, workers=2, strategy=strategy) for strategy in ("STRICT_SPREAD", "STRICT_PACK")
    )
    assert settle(used([], nodes), spread)[0].is_granted
    assert settle(used([], nodes), packed)[0].is_granted
    assert not settle(used([], {"a": {"CPU": 2.0}}), spread)[0].is_granted
    assert not settle(used([], {"a": {"CPU": 1.0}, "b": {"CPU": 1.0}}), packed)[0].is_granted


def test_other_jobs_get_their_share_but_do_not_leave() -> None:
    assert leaving(settle(used(held("A", 4), {"a": {"CPU": 4}}), waiting(OTHER_JOBS))) == ["A"]
    (settled,) = settle(used(held(OTHER_JOBS, 4), {"a": {"CPU": 4}}), waiting("A"))
    assert not settled.is_granted


@pytest.mark.parametrize("priority", [1.0, 2.0, 0.3])
@pytest.mark.parametrize("cores", [2, 3, 5, 8, 13])
def test_sharing_comes_to_rest(cores: int, priority: float) -> None:
    """From one holding all, groups change hands one by one and then no more."""
    owned = {"A": cores, "B": 0}
    for _ in range(3 * cores):
        claims = [*held("A", owned["A"]), *held("B", owned["B"], priority=priority)]
        wishes = [*waiting("A", cores), *waiting("B", cores, priority=priority)]
        moved = [each for each in settle(used(claims, {"a": {"CPU": cores}}), wishes) if each.leaving]
        if not moved:
            break
        owned[moved[0].claim.owner] += 1
        owned[moved[0].leaving[0].owner] -= 1
    assert not moved
    assert owned["B"] == pytest.approx(cores * priority / (1 + priority), abs=1)
