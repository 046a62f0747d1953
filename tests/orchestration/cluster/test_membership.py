"""Nodes that join and leave, and the trials that are lost with them."""

from l2rw_ray.orchestration.cluster.membership import Membership, Node

HERE, THERE = Node("a", "10.0.0.1", {"CPU": 2.0}), Node("b", "10.0.0.1", {"CPU": 4.0})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_changes_since_the_last_look() -> None:
    alive = [HERE]
    membership = Membership(lambda: alive)
    assert not membership.update().any
    alive = [HERE, THERE]
    assert membership.update().joined == [THERE]
    assert membership.nodes == [{"CPU": 2.0}, {"CPU": 4.0}]
    assert not membership.is_one_node
    alive = [HERE]
    assert membership.update().lost == [THERE]
    assert membership.is_one_node


def test_a_lost_trial_counts_once_and_not_for_long() -> None:
    clock = Clock()
    membership = Membership(lambda: [HERE, THERE], clock)
    membership.note_loss({"a", "b"})
    clock.now += 61
    membership.note_loss({"b"})
    membership.note_loss({"a", "b"})
    assert membership.take_losses("b") == 2
    assert membership.take_losses("a") == 0
