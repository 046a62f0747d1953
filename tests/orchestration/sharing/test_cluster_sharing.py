"""Runs that share a simulated cluster: who has worker groups when, whatever order requests are placed in."""

from collections.abc import Callable

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.sharing.claims import Claim, ClusterUse
from l2rw_ray.orchestration.sharing.cluster_sharing import ClusterSharing
from tests.orchestration.sharing.simulated_cluster import Cluster, Run, holdings, job, live

ONE = Resources()
ORDERS = {"first asked": lambda claim: claim.claim_id, "last asked": lambda claim: -int(claim.claim_id)}


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> Callable[[Claim], object]:
    return ORDERS[request.param]


def test_a_run_that_is_alone_gets_all_that_it_wants_at_once() -> None:
    cluster = Cluster(4)
    run = Run(cluster, "A", trial_s=10, groups=4)
    live(cluster, [run], 2)
    assert holdings([run])["A"] == 4
    assert run.lines == []


def test_two_that_come_together_both_start_within_a_minute_where_one_has_room(order: Callable) -> None:
    cluster = Cluster(1, order)
    runs = [Run(cluster, name, trial_s=5) for name in "AB"]
    live(cluster, runs, 60)
    assert all(run.first_trial_at is not None for run in runs)
    assert "waiting  for 1 CPU that study A holds" in runs[1].lines + runs[0].lines
    assert "sharing  worker groups leave after their trial: study B waits for 1 CPU" in runs[0].lines
    live(cluster, runs, 440)
    shares = [run.trained_s / 500 for run in runs]
    assert min(shares) > 0.3
    assert sum(shares) > 0.9, "changing costs little, as turns grow"


def test_three_take_turns_and_none_is_passed_over(order: Callable) -> None:
    cluster = Cluster(1, order)
    runs = [Run(cluster, name, trial_s=3) for name in "ABC"]
    live(cluster, runs, 100, arrive_every_s=5)
    assert all(run.first_trial_at is not None for run in runs)
    live(cluster, runs, 500)
    assert min(run.trained_s for run in runs) > 0.15 * 600


def test_groups_are_yielded_to_a_newcomer_until_both_have_half(order: Callable) -> None:
    cluster = Cluster(4, order)
    runs = [Run(cluster, name, trial_s=10, groups=4) for name in "AB"]
    live(cluster, runs, 60, arrive_every_s=20)
    assert holdings(runs) == {"A": 2, "B": 2}
    trained = runs[0].trained_s
    live(cluster, runs, 100)
    assert runs[0].trained_s == trained + 200, "and then nothing changes hands any more"


def test_a_trial_is_never_cut_short() -> None:
    cluster = Cluster(1)
    runs = [Run(cluster, "A", trial_s=300), Run(cluster, "B", trial_s=5)]
    live(cluster, runs, 200, arrive_every_s=1)
    assert holdings(runs) == {"A": 1, "B": 0}
    live(cluster, runs, 120)
    assert runs[1].first_trial_at is not None


def test_a_higher_priority_gets_more(order: Callable) -> None:
    cluster = Cluster(6, order)
    runs = [Run(cluster, "A", 5, groups=6), Run(cluster, "B", 5, groups=6, priority=2.0)]
    live(cluster, runs, 100, arrive_every_s=10)
    assert holdings(runs) == {"A": 2, "B": 4}


def test_a_large_group_gets_its_turn_among_small_ones(order: Callable) -> None:
    cluster = Cluster(4, order)
    runs = [Run(cluster, "A", 5, groups=4), Run(cluster, "B", 5, cpus=4)]
    live(cluster, runs, 60, arrive_every_s=10)
    assert runs[1].first_trial_at is not None
    live(cluster, runs, 340)
    assert min(run.trained_s * run.cpus for run in runs) > 0.3 * 4 * 400


def test_what_another_job_waits_for_is_yielded() -> None:
    cluster = Cluster(4)
    run = Run(cluster, "A", trial_s=5, groups=4)
    live(cluster, [run], 20)
    cluster.request(job(2.0))
    live(cluster, [run], 20)
    assert len(run.held) == 2
    assert run.lines == ["sharing  worker groups leave after their trial: other jobs wait for 2 CPUs"]


def test_requests_that_nothing_can_meet_make_nobody_leave() -> None:
    cluster = Cluster(4)
    run = Run(cluster, "A", trial_s=5, groups=4)
    cluster.request(job(8.0))
    live(cluster, [run], 60)
    assert (len(run.held), run.lines) == (4, [])


def test_a_run_waits_for_other_jobs_and_says_so() -> None:
    cluster = Cluster(2)
    cluster.request(job(2.0))
    cluster.place()
    run = Run(cluster, "A", trial_s=5, groups=2)
    live(cluster, [run], 30)
    assert run.lines == ["waiting  for 1 CPU that other jobs hold"]
    assert len(cluster.claims) == 2, "it asks for one group, so that a cluster that can grow does"
    cluster.claims.pop("0000")
    live(cluster, [run], 5)
    assert len(run.held) == 2


def test_nodes_that_may_come_are_waited_for_before_anybody_leaves() -> None:
    cluster, to_come = Cluster(1), [{"CPU": 1.0}]
    clock = lambda: cluster.now  # noqa: E731
    sharing = ClusterSharing("A", 1.0, cluster.use, clock, clock)
    cluster.request(Claim(sharing._run, ({"CPU": 1.0},), study="A", group="group0"))
    cluster.place()
    cluster.request(Claim("other run", ({"CPU": 1.0},), study="B", group="group0"))
    leaving = {}
    for second in range(400):
        leaving[second] = sharing.decide({}, {"group0"}, is_training=True, to_come=to_come).leaving
        cluster.now += 1
    assert (leaving[299], leaving[301]) == (0, 1)
    assert sharing.decide({ONE: 1}, {"group0"}, is_training=True, to_come=to_come * 2).start == {ONE: 1}


def test_a_long_table_is_looked_at_less_often() -> None:
    cluster, looks = Cluster(4), []

    def look() -> object:
        looks.append(cluster.now)
        cluster.now += 0.5
        return cluster.use()

    sharing = ClusterSharing("A", 1.0, look, lambda: cluster.now, lambda: cluster.now)
    for _ in range(20):
        sharing.decide({}, set(), is_training=True)
        cluster.now += 1
    assert len(looks) == 5


def test_no_second_group_leaves_before_the_next_look() -> None:
    cluster = Cluster(2)
    clock = lambda: cluster.now  # noqa: E731

    def look() -> ClusterUse:
        cluster.now += 0.5
        return cluster.use()

    sharing = ClusterSharing("A", 1.0, look, clock, clock)
    for number in range(2):
        cluster.request(Claim(sharing._run, ({"CPU": 1.0},), study="A", group=f"group{number}"))
    cluster.place()
    cluster.request(Claim("other run", ({"CPU": 1.0},), study="B", group="group0"))
    groups = {"group0", "group1"}
    while (decision := sharing.decide({}, groups, is_training=True)).leaving == 0:
        cluster.now += 1
    assert (decision.leave, decision.leaving) == (groups, 1)
    assert sharing.decide({}, groups, is_training=True).leaving == 1
    later = sharing.decide({}, {"group1"}, is_training=True)
    assert (later.leave, later.leaving) == ({"group1"}, 0)
