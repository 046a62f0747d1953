"""DistributedDataParallel wherever it stands, and what else spreads a model, on two ranks."""

import re
from typing import Any

import pytest
import torch

from l2rw_ray.meta import example_scores
from tests.gloo_ranks import run_on_ranks
from tests.meta.networks import LOSS, make_case
from tests.meta.wrapper_cases import (
    ESTIMATORS,
    PLACES,
    SHARES,
    Scaled,
    data,
    places_on_rank,
    plain_losses,
    train,
)

Found = dict[Any, Any]
WHOLE = (slice(0, 8), slice(0, 5))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run_on_ranks(places_on_rank, 2, tmp_path_factory.mktemp("wrappers"))


def alone(place: str, estimator: str) -> tuple[Any, Any]:
    network = make_case("mlp").network
    model = Scaled(network) if place == "losses_call_it" else network
    return network, train(model, PLACES[place][1], {"estimator": estimator}, *WHOLE)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("place", PLACES)
def test_data_parallel_equals_one_process(found: Found, place: str, estimator: str) -> None:
    together = found[place, estimator]
    if isinstance(together, str):
        assert "compiled model; use 'ghost'" in together
        return
    network, results = alone(place, estimator)
    close = (
        {"rtol": 1e-5, "atol": 1e-6} if estimator == "finite_difference" else {"rtol": 1e-9, "atol": 1e-12}
    )
    assert together["estimator"] == results[-1].certificate.estimator
    for result, weights in zip(results, together["weights"], strict=True):
        torch.testing.assert_close(weights, result.weights, **close)
    before = make_case("mlp").network
    moved = 0.0
    for parameter, twin, start in zip(
        network.parameters(), together["parameters"], before.parameters(), strict=True
    ):
        torch.testing.assert_close(twin, parameter.detach(), **close)
        moved += (parameter - start).norm().item()
    assert moved > 1e-2, "nothing was learned: the comparison says nothing"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("bare", "2 processes are up, and nothing averages its gradients; wrap it in Distr.*Replicas.single"),
        ("replicate", "'replicate': .* hooks; wrap it in DistributedDataParallel"),
        ("replicate_with_fsdp", "'replicate': .* hooks; wrap it in DistributedDataParallel"),
        ("DataParallel", "'DataParallel': .*; wrap it in DistributedDataParallel"),
        ("FSDP1", "'FullyShardedDataParallel': .*, or use fully_shard"),
        (
            "tensor parallel",
            "1.weight': .* by tensor parallelism; wrap it in Distr.*, or use fully_shard",
        ),
        ("FSDP2 and tensor parallel", "1.weight': .*tensor parallelism.*; use fully_shard on a mesh of one"),
        ("FSDP2 on a mesh of two dimensions", "1.weight': .* two ways .*; use fully_shard on a mesh of one"),
        ("FSDP2 in part", "3.weight': it is outside fully_shard, .*; call fully_shard on all of the network"),
        ("twins", "it holds 2 of them; wrap all of the network in one"),
        ("half", "1.weight is outside it, and would differ between ranks"),
        ("stray", "the losses do not call it"),
        ("single of DDP", "its ranks train it together; leave out replicas="),
        ("single of FSDP2", "its ranks train it together; leave out replicas="),
    ],
)
def test_what_cannot_be_treated_is_refused_in_one_line(found: Found, model: str, reason: str) -> None:
    message = found["refusals"][model]
    assert "\n" not in message
    assert re.search(reason, message), message


def test_a_model_per_rank_is_trained_by_itself(found: Found) -> None:
    batches, (x_meta, y_meta) = data()
    for (share, meta_share), own in zip(SHARES, found["single"], strict=True):
        network = make_case("mlp").network
        part = batches[0][0][share], batches[0][1][share]
        scores = example_scores(network, LOSS, part, (x_meta[meta_share], y_meta[meta_share]))
        results = train(network, plain_losses, {}, share, meta_share)
        torch.testing.assert_close(own["scores"], scores)
        torch.testing.assert_close(own["weights"], [result.weights for result in results])
        torch.testing.assert_close(own["parameters"], [p.detach() for p in network.parameters()])
