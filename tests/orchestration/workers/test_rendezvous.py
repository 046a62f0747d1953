"""Ranks and torchrun's variables of a worker group."""

from l2rw_ray.orchestration.workers.rendezvous import (
    TORCHRUN_VARIABLES,
    WorkerPlace,
    rank_order,
    torchrun_variables,
)


def test_a_single_worker_needs_no_process_group() -> None:
    assert torchrun_variables([WorkerPlace("n", "10.0.0.1", 4711)]) == [{}]


def test_all_ranks_meet_at_the_first() -> None:
    places = [WorkerPlace("n", "10.0.0.1", 4711), WorkerPlace("m", "10.0.0.2", 4712)]
    first, second = map(dict, torchrun_variables(places))
    assert first.keys() == second.keys() == set(TORCHRUN_VARIABLES)
    assert (first.pop("RANK"), second.pop("RANK")) == ("0", "1")
    assert first == second
    assert first == {
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "4711",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",  # each sees its own GPU only
        "LOCAL_WORLD_SIZE": "1",
    }


def test_ranks_of_a_node_are_neighbours_in_the_order_of_their_gpus() -> None:
    places = [
        WorkerPlace("a", "10.0.0.1", 1, ("10",)),
        WorkerPlace("b", "10.0.0.1", 2, ("0",)),  # another node on the same address
        WorkerPlace("a", "10.0.0.1", 3, ("9",)),
        WorkerPlace("b", "10.0.0.1", 4, ("MIG-1",)),
    ]
    assert rank_order(places) == [2, 0, 3, 1]
