"""Ranks with their shares of a batch make the step that one process makes with all of it."""

from typing import Any

import pytest
import torch

from l2rw_ray.errors import InputError
from l2rw_ray.meta import Replicas, example_weights
from tests.gloo_ranks import run_on_ranks
from tests.meta.networks import make_case
from tests.meta.parallel_cases import CASES, EXAMPLES, META, STEPS, WORLDS, data, run_rank, train

Found = dict[Any, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    together: Found = {}
    for world_size in WORLDS:
        together |= run_on_ranks(run_rank, world_size, tmp_path_factory.mktemp(f"ranks{world_size}"))
    return together


@pytest.fixture(scope="module")
def alone() -> Found:
    """What one process finds, by number of the case."""
    batches, meta = data()
    kept: Found = {}
    for number, (name, options) in enumerate(CASES):
        network = make_case(name).network
        start = [parameter.detach().clone() for parameter in network.parameters()]
        results = train(network, batches, meta, options, slice(0, EXAMPLES), slice(0, META))
        kept[number] = results, network, start
    return kept


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("sizes", [sizes for world in WORLDS.values() for sizes in world])
def test_equals_one_process(found: Found, alone: Found, sizes: tuple[int, ...], number: int) -> None:
    together, (results, network, start) = found[sizes, number], alone[number]
    approximate = CASES[number][1]["estimator"] == "finite_difference"
    close = {"rtol": 1e-5, "atol": 1e-6} if approximate else {"rtol": 1e-9, "atol": 1e-12}
    for result, weights in zip(results, together["weights"], strict=True):
        torch.testing.assert_close(weights, result.weights, **close)
    moved = 0.0
    for parameter, twin, before in zip(network.parameters(), together["parameters"], start, strict=True):
        torch.testing.assert_close(twin, parameter.detach(), **close)
        moved += (parameter - before).norm().item()
    assert moved > 1e-2, "nothing was learned: the comparison says nothing"


def test_a_scored_step_blocks_for_two_sums_and_another_for_one(found: Found) -> None:
    """Ghost, which leaves DDP nothing to average, sums the gradients themselves in one more."""
    for number, (_, options) in enumerate(CASES):
        if "epsilon" in options or "accumulation_steps" in options:
            continue
        scored = len(range(0, STEPS, options.get("update_every", 1)))
        expected = 2 * scored + (STEPS - scored)
        if options["estimator"] == "ghost":
            expected += scored - _skipped_scored(found, number)
        # the check at the first: whether all can, its own D, plain autograd's where it finds D, the worst
        expected += 4 if options["estimator"] in ("ghost", "last_layer") else 3
        expected += 2 if options["estimator"] == "finite_difference" else 0  # it is checked twice
        assert found[(5, 3), number]["blocking_calls"] == expected, options


def _skipped_scored(found: Found, number: int) -> int:
    """Steps that computed weights, of which all were zero."""
    every = CASES[number][1].get("update_every", 1)
    return sum(not weights.any() for weights in found[(5, 3), number]["weights"][::every])


def test_broken_input_on_one_rank_fails_every_rank(found: Found) -> None:
    assert found["nan"][0] == found["nan"][1]
    assert "non-finite scores at step 0" in found["nan"][0]


def test_coupling_on_one_rank_is_refused_by_every_rank(found: Found) -> None:
    """The others, which saw none, must not wait for it in the next sum."""
    clean, coupled = found["coupling"]
    assert clean == coupled
    assert "ghost" in clean
    assert "differ from those of plain autograd" in clean


def test_forward_mode_is_refused_where_outputs_pass_through_a_function_of_ddp(found: Found) -> None:
    """Before a forward that the ranks make together: `auto` goes on to the next."""
    for error in found["sink"]:
        assert "find_unused_parameters has no forward-mode rule" in error


@pytest.mark.parametrize("what", ["train", "train after another", "meta"])
def test_a_batch_of_another_size_is_checked_by_all(found: Found, what: str) -> None:
    named, auto, exact = (found["new size"][what][name] for name in ("ghost", "auto", "forward_mode"))
    assert auto["errors"] == [["none", "none"]] * len(auto["errors"])
    torch.testing.assert_close(auto["weights"], exact["weights"], rtol=1e-5, atol=1e-6)  # finite differences
    assert auto["calls"] == exact["calls"], "scoring again must not write buffers twice"
    if what == "meta":  # the batches no longer pass together
        assert auto["last"] == named["last"] == "ghost"
        torch.testing.assert_close(named["weights"], exact["weights"])
    else:
        assert auto["last"] != "ghost"
        for error in named["errors"][-1]:
            assert "estimator = 'ghost': its scores differ from those" in error


@pytest.mark.parametrize("when", ["first", "later"])
def test_an_estimator_that_refuses_one_ranks_batch_is_refused_by_all(found: Found, when: str) -> None:
    named, auto, exact = (found["refusal"][f"{name} {when}"] for name in ("ghost", "auto", "per_example"))
    assert "rows for" in named["errors"][1]
    assert "another rank" in named["errors"][0]
    assert auto["errors"] == ["none", "none"]
    torch.testing.assert_close(auto["weights"], exact["weights"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("what", ["train", "meta"])
def test_a_batch_that_one_rank_cannot_evaluate_ends_the_step_on_all(found: Found, what: str) -> None:
    other, own = found["fault"][what]
    assert "out of bounds" in own
    assert other == "batch = 'on another rank': it cannot be evaluated; see that rank's error"


def test_weights_of_several_ranks_need_to_know_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    with pytest.raises(InputError, match=r"replicas = None: 2 ranks .*=Replicas.of\(model\)"):
        example_weights(torch.ones(3))


class _TwoAlike(Replicas):
    """Two ranks that hold the same numbers."""

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return 2 * tensor


def test_a_parameter_without_gradient_on_any_rank_keeps_none() -> None:
    network = torch.nn.ModuleList([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    network[0](torch.ones(1, 3)).sum().backward()
    before = network[0].weight.grad.clone()
    _TwoAlike(network, network, world_size=2).average_gradients(network.parameters())
    assert torch.equal(network[0].weight.grad, before)
    assert network[1].weight.grad is None
