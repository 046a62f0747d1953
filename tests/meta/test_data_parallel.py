"""Two ranks with their shares of a batch make the step that one process makes with all of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from tests.meta.networks import make_case
from tests.meta.parallel_cases import SIZES, STEPS, data, run_rank, train


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    mp.spawn(run_rank, (str(folder),), nprocs=2)
    loaded: dict[Any, Any] = torch.load(folder / "found.pt")
    return loaded


@pytest.mark.parametrize("update_every", [1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_equals_one_process(found: dict[Any, Any], sizes: tuple[int, int], update_every: int) -> None:
    batches, meta = data()
    network = make_case("lenet").network
    start = [parameter.detach().clone() for parameter in network.parameters()]
    results = train(network, batches, meta, update_every, slice(0, 8), slice(0, 5))
    together = found[sizes, update_every]
    for result, weights in zip(results, together["weights"], strict=True):
        torch.testing.assert_close(weights, result.weights, rtol=1e-9, atol=1e-12)
    for parameter, twin, before in zip(network.parameters(), together["parameters"], start, strict=True):
        torch.testing.assert_close(twin, parameter.detach(), rtol=1e-9, atol=1e-12)
        assert (parameter - before).norm() > 1e-5, "nothing was learned: the comparison says nothing"


def test_a_scored_step_blocks_for_two_sums_and_another_for_one(found: dict[Any, Any]) -> None:
    assert found[(5, 3), 1]["all_reduces"] == 2 * STEPS
    scored = STEPS // 3
    assert found[(5, 3), 3]["all_reduces"] == 2 * scored + (STEPS - scored)


def test_broken_input_on_one_rank_fails_every_rank(found: dict[Any, Any]) -> None:
    assert found["nan"][0] == found["nan"][1]
    assert "non-finite scores at step 0" in found["nan"][0]
